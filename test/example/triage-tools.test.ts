import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { examine } from "../../examples/triage/list/assess.ts";
import { duplicatesIn } from "../../examples/triage/list/duplicate.ts";
import { openList } from "../../examples/triage/list/item.ts";
import { csv } from "../../examples/triage/list/write.ts";
import * as tools from "../../examples/triage/tools.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/triage");
const BUNDLED = join(EXAMPLE, "data/reports.csv");
const folder = mkdtempSync(join(tmpdir(), "flotilla-triage-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const item = (row: number, text: string) => ({ row, id: `i-${row}`, title: "", text });

describe("the bundled reports", () => {
  it("are made by their script, byte for byte", () => {
    const out = join(folder, "made");
    execFileSync(process.execPath, [join(EXAMPLE, "capture/make.ts"), out]);
    for (const name of ["reports.csv", "truth.csv"])
      expect(readFileSync(join(out, name)).equals(readFileSync(join(EXAMPLE, "data", name)))).toBe(true);
  });

  it("with 100 harmless rows in front: all that was found, 100 rows below", () => {
    const [head = "", ...rows] = readFileSync(BUNDLED, "utf8").trimEnd().split("\n");
    const harmless = Array.from(
      { length: 100 },
      (_, n) => `H-${n},,,,,Bench ${n}00 in park ${n}01 was painted in colour ${n}02`,
    );
    const moved = write("moved.csv", [head, ...harmless, ...rows].join("\n"));
    const before = tools.measureList({ file: BUNDLED });
    const after = tools.measureList({ file: moved });
    expect(after.groups).toEqual(
      before.groups.map(({ row, rows: again, ids }) => ({ row: row + 100, rows: again.map((one) => one + 100), ids })),
    );
    const batch = { columns: {}, skip: [] };
    const found = tools.assessBatch({ ...batch, file: BUNDLED, from: 0, to: 1999 }).urgent;
    expect(tools.assessBatch({ ...batch, file: moved, from: 0, to: 2099 }).urgent).toEqual(
      found.map((row) => row + 100),
    );
  });
});

describe("lists of the user's own", () => {
  it.each([
    ["commas and quotes", 'id,text\n1,"a, ""b""\nc"\n2,d\n', ['a, "b"\nc', "d"]],
    ["semicolons, Windows line ends, a byte order mark", "\uFEFFid;text\r\n1;a,b\r\n2;c", ["a,b", "c"]],
    ["tabs", "id\ttext\n1\ta b\n", ["a b"]],
    ["a short line and a blank one", "id,text\n1\n\n2,b\n", ["", "b"]],
    ["JSON", '[{"number":1,"body":"a"},{"number":2,"body":null}]', ["a", ""]],
    ["an issue export", '{"total":1,"issues":[{"key":"X-1","summary":"t","description":"d"}]}', ["d"]],
  ])("%s", (name, content, texts) => {
    const { items } = openList(write(`${name}.txt`, content));
    expect(items.map(({ text }) => text)).toEqual(texts);
  });

  it("columns are found by name, mapped by the user, and numbered without an id", () => {
    const file = write("survey.csv", "when,Remarks\nmonday,the stove caught fire\n");
    expect(openList(file)).toMatchObject({ columns: { text: "Remarks" }, items: [{ id: "row 1" }] });
    expect(openList(file, { text: "when", id: "Remarks" }).items[0]).toMatchObject({ text: "monday" });
    expect(() => openList(file, { text: "Remark" })).toThrow(/no column "Remark"; it has when, Remarks/);
  });

  it("notices that a list has grown", () => {
    const file = write("grows.csv", "id,text\n1,a\n");
    expect(tools.measureList({ file }).items).toBe(1);
    write("grows.csv", "id,text\n1,a\n2,b\n");
    expect(tools.measureList({ file }).items).toBe(2);
  });

  it.each([
    ["missing", () => join(folder, "nowhere.csv"), /nowhere\.csv does not exist/],
    ["empty", () => write("empty.csv", ""), /empty\.csv is empty/],
    ["blank", () => write("blank.csv", "\n \n"), /blank\.csv is empty/],
    ["only a head", () => write("head.csv", "id,text\n"), /head\.csv holds no entries/],
    ["one word", () => write("word.csv", "hello"), /word\.csv is no CSV/],
    ["binary", () => write("binary.csv", new Uint8Array([105, 100, 0, 1])), /binary\.csv is not text/],
    ["broken JSON", () => write("broken.json", '[{"a":'), /looks like JSON and is none/],
    ["JSON of something else", () => write("other.json", '{"a":[1,2]}'), /holds no list of objects/],
    ["without text", () => write("numbers.csv", "a,b\n1,2\n"), /no column .* looks like text; it has a, b/],
    ["columns of one name", () => write("twice.csv", "text,text\n1,2\n"), /two columns "text"/],
    ["a folder", () => (mkdirSync(join(folder, "sub"), { recursive: true }), join(folder, "sub")), /sub is a folder/],
  ])("what is no list, %s: an error that names it, and that trying again does not help", (_, make, message) => {
    const error = (() => {
      try {
        return tools.measureList({ file: make() });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({
      name: "Untriageable",
      code: "EINVAL",
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("C11: items that say nearly the same", () => {
  const text = "The brake of bike 4711 did nothing when I came down the hill this morning";

  it("are one, also with slips and another beginning; those about another number are not", () => {
    const items = [
      item(0, text),
      item(1, "The gate is closed on sundays, please open it for the children of the school"),
      item(2, `Again: ${text.replace("morning", "mornign")}`),
      item(3, text.replace("4711", "4712")),
      item(4, text),
    ];
    expect(duplicatesIn(items)).toEqual([{ first: 0, again: [2, 4] }]);
  });

  it("short ones and empty ones are left alone", () => {
    expect(duplicatesIn([item(0, "ok"), item(1, "ok"), item(2, ""), item(3, "")])).toEqual([]);
  });
});

it.each([
  ["Luckily nobody was hurt.", "says that nobody was hurt"],
  ["It killed my whole afternoon.", "a figure of speech"],
  ["The app crashes.", "software crashes"],
])("the second look: %s", (text, why) => {
  expect(examine(item(0, text))).toEqual({ row: 0, score: 0, less: why });
  expect(examine(item(0, `${text} I fell and was injured.`)).score).toBeGreaterThan(5);
});

it("lists are written whole, may be written again, and hold no formulas", () => {
  expect(csv(["a"], [["=1+1"], ['x"y'], [2]])).toBe('a\n\'=1+1\n"x""y"\n2\n');
  const [file, list] = [write("two.csv", "id,text\n-1,I was hurt\n2,fine\n"), join(folder, "out/routed.csv")];
  const { assessed } = tools.assessBatch({ file, columns: {}, from: 0, to: 1, skip: [] });
  const request = { file, list, assessed, examined: [], groups: [] };
  const once = tools.writeList(request, { idempotencyKey: "k-1" });
  const written = readFileSync(list, "utf8");
  expect(tools.writeList(request, { idempotencyKey: "k-1" })).toEqual(once);
  expect(readFileSync(list, "utf8")).toBe(written);
  expect(written.split("\n")[1]).toBe("1,'-1,safety,5,hurt,,");
});

it("a team's name leads nowhere else", () => {
  const sent = tools.dispatch({ queue: join(folder, "q"), team: "../../x", ids: ["a"] }, { idempotencyKey: "k" });
  expect(sent.file).toBe(join(folder, "q", "______x.csv"));
});
