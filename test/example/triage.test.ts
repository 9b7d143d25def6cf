import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import type { Json } from "../../src/core/json.ts";
import { type App, open } from "../../src/open.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/triage");
const LEFT_OUT = new Set(["capture", ".flotilla", "routed.csv", "queue", "runs.json"]);
const folder = mkdtempSync(join(tmpdir(), "flotilla-triage-"));
const example = join(folder, "triage");
let app: App;

beforeAll(async () => {
  cpSync(EXAMPLE, example, { recursive: true, filter: (source) => !LEFT_OUT.has(basename(source)) });
  const script = join(example, "script.yaml");
  const rules = parse(readFileSync(script, "utf8")) as object;
  writeFileSync(script, stringify({ ...rules, takeMs: 0 }, { aliasDuplicateObjects: false }));
  app = await open(pathToFileURL(join(example, "fleet.yaml")), { store: `sqlite:${join(folder, "store.db")}` });
});

afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

async function triage(name: string, input: { [key: string]: Json } = {}) {
  const paths = { list: join(folder, `${name}.csv`), queue: join(folder, name) };
  const run = await app.start("triage", { ...input, ...paths });
  return { run, ...paths };
}

const SMALL = join(folder, "small.json");
writeFileSync(
  SMALL,
  JSON.stringify([
    { id: "A", text: "My card was charged twice, 20 euros each, and no refund came" },
    { id: "B", text: "The brakes failed at the bridge and I fell and was injured" },
    { id: "C", text: "Hello, the brakes failed at the bridge and I fell and was injured" },
  ]),
);

describe("the triage example, through the whole engine", () => {
  it("ranks and routes the bundled reports well; eight workers claim, and the list holds every report once", async () => {
    const { run, list, queue } = await triage("bundled");
    expect(await run.result()).toMatchObject({ items: 2_000, failed: [] });
    const score = execFileSync(process.execPath, [join(example, "score.ts"), list], { encoding: "utf8" });
    expect(score).toContain("Score against the hidden columns of 2000 reports");
    expect(Number(/under the curve ([\d.]+)/.exec(score)?.[1])).toBeGreaterThan(0.75);
    const board = [...(await run.state()).tasks.values()].find(({ id }) => id === "work");
    expect(board?.status).toBe("completed");
    const queued = readdirSync(queue).flatMap((file) =>
      readFileSync(join(queue, file), "utf8").trimEnd().split("\n").slice(1),
    );
    expect(queued).toHaveLength(readFileSync(list, "utf8").trimEnd().split("\n").length - 1);
  });

  it("one worker finds what eight do", async () => {
    const [one, eight] = [
      await triage("one", { workers: 1, batch: 250 }),
      await triage("eight", { workers: 8, batch: 250 }),
    ];
    await Promise.all([one.run.result(), eight.run.result()]);
    expect(readFileSync(one.list, "utf8")).toBe(readFileSync(eight.list, "utf8"));
  });

  it("takes an export of the user's own, and has no score for it", async () => {
    const { run, list } = await triage("own", { file: SMALL });
    expect(await run.result()).toMatchObject({ items: 3, duplicates: 1, urgent: 1, teams: ["safety: 1", "money: 1"] });
    expect(readFileSync(list, "utf8")).toMatch(/^1,B,safety,.*,C$/m);
    expect(() => execFileSync(process.execPath, [join(example, "score.ts"), list], { stdio: "pipe" })).toThrow();
  });

  it("F9: approve=ask sends a batch when a person allows it, and none that is refused", async () => {
    const { run, queue } = await triage("asked", { file: SMALL, approve: "ask" });
    const waiting = new Set<string>();
    for await (const { type } of run.events()) {
      if (type !== "task.suspended") continue;
      for (const { id } of await app.inbox()) waiting.add(id);
      if (waiting.size === 2) break;
    }
    expect(existsSync(queue)).toBe(false);
    for (const { id, arguments: asked } of await app.inbox()) {
      const { team } = asked as { team: string };
      await app.decide(id, { choice: team === "money" ? "reject" : "approve", by: "ann" });
    }
    expect(await run.result()).toMatchObject({ teams: ["safety: 1", "money: 0"] });
    expect(readdirSync(queue)).toEqual(["safety.csv"]);
  });

  it.each([
    ["missing", () => join(folder, "nowhere.csv"), /nowhere\.csv does not exist/],
    [
      "binary",
      () => (writeFileSync(join(folder, "b.csv"), new Uint8Array([1, 0, 2])), join(folder, "b.csv")),
      /is not text/,
    ],
  ])("names what is no list, tries it once, and writes nothing: %s", async (name, make, message) => {
    const { run, list } = await triage(name, { file: make() });
    await expect(run.result()).rejects.toMatchObject({
      class: "permanent",
      message: expect.stringMatching(message) as string,
    });
    expect((await run.state()).tasks.get("intake")).toMatchObject({ status: "failed", attempt: 1 });
    expect(existsSync(list)).toBe(false);
  });
});

it("what the agents are given holds no id or conclusion of the bundled reports", () => {
  const code = readdirSync(join(EXAMPLE, "list")).map((file) => `list/${file}`);
  const text = ["script.yaml", "fleet.yaml", "tools.ts", "desk.ts", ...code]
    .map((name) => readFileSync(join(EXAMPLE, name), "utf8"))
    .join("\n");
  expect(text).not.toMatch(/truth|same_as|\bR-1\d{4}\b|\b[BCE]\d{4}\b|situation/i);
});
