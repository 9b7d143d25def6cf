import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Finding, RULES } from "../../examples/review/check/finding.ts";
import { masked } from "../../examples/review/check/source.ts";
import { sarifOf } from "../../examples/review/report/sarif.ts";
import * as tools from "../../examples/review/tools.ts";
import { BUNDLED, EXAMPLE, Repository, repositoryFolder, TRUTH } from "./review-repository.ts";

const folder = repositoryFolder();
afterAll(() => folder.remove());

interface Known extends Finding {
  holds: boolean;
  why: string;
}

/** What the fleet does with a change, by its tools alone. */
async function review(repo: string, range = ""): Promise<Known[]> {
  const { base, head, repo: path } = await tools.changeOverview({ repo, range });
  const scope = { repo: path, base, head };
  const lists = [tools.riskyLines, tools.untestedChanges, tools.apiBreaks, tools.churn].map((look) => look(scope));
  const findings = (await Promise.all(lists)).flatMap((one) => one.findings);
  return Promise.all(
    findings.map(async (finding) => ({ ...finding, ...(await tools.reproduce({ ...scope, finding })) })),
  );
}

const named = ({ rule, file, subject }: { rule: string; file: string; subject?: string }): string =>
  ["tests", "api"].includes(RULES[rule]?.kind ?? "") ? `${rule} ${file} ${subject}` : `${rule} ${file}`;
const holding = (found: readonly Known[]): string[] => found.filter(({ holds }) => holds).map(named);
const struck = (found: readonly Known[]): string[] => found.filter(({ holds }) => !holds).map(named);

describe("the bundled repository", () => {
  it("is made by its script, commit for commit", () => {
    const out = join(folder.path, "made");
    execFileSync(process.execPath, [join(EXAMPLE, "capture/make.ts"), out]);
    expect(JSON.parse(readFileSync(join(out, "truth.json"), "utf8"))).toEqual(TRUTH);
    const heads = execFileSync("git", ["bundle", "list-heads", BUNDLED], { encoding: "utf8" });
    expect(heads).toContain(`${TRUTH.head} HEAD`);
  });

  it("all that holds was planted, all decoys are struck out, and two defects need more than rules", async () => {
    const found = await review(BUNDLED);
    const planted = TRUTH.defects.map(named);
    expect(holding(found).filter((one) => !planted.includes(one))).toEqual([]);
    expect(planted.filter((one) => !holding(found).includes(one))).toEqual([
      "off-by-one src/quote.js",
      "untested-change src/carrier.js track",
    ]);
    expect(struck(found).toSorted()).toEqual(TRUTH.decoys.map(named).toSorted());
  });

  it("with 100 harmless lines in front: the same findings, 100 lines below", async () => {
    const moved = new Repository(join(folder.path, "moved"), { from: BUNDLED });
    const lines = Array.from({ length: 100 }, (_, n) => `// harmless ${n}`).join("\n");
    const sources = ["src/quote.js", "src/store.js", "src/format.js"];
    const shift = (path: string) => `${lines}\n${readFileSync(join(moved.path, path), "utf8")}`;
    moved.git("switch", "--quiet", "-c", "shifted", TRUTH.base);
    for (const commit of [TRUTH.base, TRUTH.head]) {
      moved.git("rm", "-r", "-q", ".");
      moved.git("checkout", commit, "--", ".");
      moved.commit("Lines in front", Object.fromEntries(sources.map((path) => [path, shift(path)])));
    }
    const [before, after] = [await review(BUNDLED), await review(moved.path, "HEAD")];
    expect(holding(after).toSorted()).toEqual(holding(before).toSorted());
    const lineOf = (found: readonly Known[]) => found.find(({ rule }) => rule === "swallowed-error")?.line ?? 0;
    expect(lineOf(after)).toBe(lineOf(before) + 100);
  });

  it("without the change: nothing", async () => {
    const { base } = TRUTH;
    expect(holding(await review(BUNDLED, `${base}..${base}`))).toEqual([]);
  });
});

describe("a repository of the user's own", () => {
  const python = folder.repository("python");
  python.commit("One", {
    "shop/price.py": "def total(items):\n    return sum(items)\n\n\ndef _hidden(a):\n    return a\n",
    "tests/test_shop.py": "from shop.price import total\n\n\ndef test_total():\n    assert total([1]) == 1\n",
  });
  python.commit("Two", {
    "shop/price.py":
      "import os\n\n\ndef total(items, rate):\n    return sum(items) * rate\n\n\ndef show(path):\n    # os.system('x' + path)\n    os.system('less ' + path)\n",
  });

  it("in Python, without any merge: the last commits", async () => {
    const found = await review(python.path, "HEAD~1..HEAD");
    expect(holding(found).toSorted()).toEqual(
      [
        "shell-injection shop/price.py",
        "signature-changed shop/price.py total",
        "untested-change shop/price.py show",
      ].toSorted(),
    );
    expect(struck(found)).toContain("untested-change shop/price.py total");
    const { chosen } = await tools.changeOverview({ repo: python.path });
    expect(chosen).toBe("the last 2 commits; there is no merge");
  });

  it("a test that calls another function of that name is no test of it", async () => {
    const shop = folder.repository("names");
    const test =
      'import { close } from "../src/door.js";\nimport * as tool from "../src/tool.js";\n\nclose();\ntool.open();\n';
    shop.commit("One", { "test/all.test.js": test });
    shop.commit("Two", {
      "src/desk.js": "export function close() {\n  return 1;\n}\n",
      "src/door.js": "export function close() {\n  return 2;\n}\n",
      "src/tool.js": "export function open() {\n  return 3;\n}\n",
    });
    const found = await review(shop.path, "HEAD");
    expect(struck(found).toSorted()).toEqual(["untested-change src/door.js close", "untested-change src/tool.js open"]);
    expect(holding(found)).toEqual(["untested-change src/desk.js close"]);
  });

  it("ranges: one commit, two dots, three dots, the first commit", async () => {
    const files = async (range: string) => (await tools.changeOverview({ repo: python.path, range })).files;
    expect([await files("HEAD"), await files("HEAD~1"), await files("HEAD~1...HEAD"), await files("HEAD~1..")]).toEqual(
      [1, 2, 1, 1],
    );
  });

  it("paths with spaces, quotes, line ends and other alphabets; binary and very large files", async () => {
    const odd = folder.repository("odd");
    odd.commit("One", { "a b.js": "1;\n" });
    odd.commit("Two", {
      "a b.js": "eval(x);\n",
      'qu"ote.js': "eval(x);\n",
      "tabs\tand.js": "eval(x);\n",
      "größe.js": "eval(x);\n",
      "image.js": new Uint8Array([0, 1, 2, 3]),
      "large.js": `${"x".repeat(600_000)}\neval(x);\n`,
    });
    const found = await review(odd.path, "HEAD");
    expect(holding(found)).toEqual(expect.arrayContaining(["evaluates-text a b.js", "evaluates-text größe.js"]));
    expect(found.every(({ file }) => file !== "image.js")).toBe(true);
  });

  it("X9: what a repository says is never executed, and arguments are no options", async () => {
    const trap = folder.repository("trap");
    const mark = join(folder.path, "sprung");
    const spring = folder.write("spring.sh", `#!/bin/sh\ntouch "${mark}"\n`);
    execFileSync("chmod", ["+x", spring]);
    trap.commit("One", { "a.js": "1;\n", ".gitattributes": "*.js diff=trap\n" });
    trap.commit("Two", { "a.js": "2;\n" });
    for (const key of ["core.fsmonitor", "core.pager", "diff.external", "diff.trap.textconv", "diff.trap.command"])
      trap.git("config", key, spring);
    await review(trap.path, "HEAD");
    for (const range of ["--output=x", `$(touch ${mark})`, "HEAD; touch x", "--upload-pack=touch"])
      await expect(tools.changeOverview({ repo: trap.path, range })).rejects.toThrow(/no commit/);
    await expect(tools.churn({ repo: trap.path, base: "--output=x", head: "HEAD" })).rejects.toThrow(
      /no id of a commit/,
    );
    expect(existsSync(mark)).toBe(false);
    expect(existsSync(join(trap.path, "x"))).toBe(false);
  });
});

describe("what cannot be reviewed: an error that names it, and that trying again does not help", () => {
  it.each([
    ["missing", () => join(folder.path, "nowhere"), /nowhere does not exist/],
    ["a file that is no bundle", () => folder.write("plain.bundle", "hello\n"), /neither a folder nor a git bundle/],
    ["an empty file", () => folder.write("empty.bundle", ""), /neither a folder nor a git bundle/],
    ["binary", () => folder.write("binary.bundle", new Uint8Array([1, 0, 2])), /neither a folder nor a git bundle/],
    ["a broken bundle", () => folder.write("broken.bundle", "# v2 git bundle\nzz\n"), /broken\.bundle|bundle/],
    [
      "no repository",
      () => (mkdirSync(join(folder.path, "plain"), { recursive: true }), join(folder.path, "plain")),
      /in no git repository/,
    ],
    ["a repository without commits", () => folder.repository("bare").path, /HEAD/],
  ])("%s", async (_, make, message) => {
    const error = await tools.changeOverview({ repo: make() }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: "Unreviewable",
      code: "EINVAL",
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("the reports", () => {
  const judged = (more: Partial<Known>): Known => ({
    id: "risk-1",
    kind: "risk",
    rule: "evaluates-text",
    level: "error",
    file: "a b#c.js",
    line: 3,
    subject: "x",
    message: "m",
    holds: true,
    why: "w",
    ...more,
  });
  const scope = { repo: "r", base: "b", head: "h", chosen: "c", subject: "s", plan: [] };

  it("SARIF 2.1.0: what the standard demands is there, and what was struck out is suppressed", () => {
    const sarif = sarifOf({ ...scope, findings: [judged({}), judged({ id: "risk-2", line: null, holds: false })] });
    expect(sarif.version).toBe("2.1.0");
    const [run] = sarif.runs;
    expect(run?.tool.driver.name).not.toBe("");
    for (const result of run?.results ?? []) {
      expect(result.message.text).not.toBe("");
      expect(["none", "note", "warning", "error"]).toContain(result.level);
      expect(run?.tool.driver.rules[result.ruleIndex ?? -1]?.id).toBe(result.ruleId);
      const [location] = result.locations;
      expect(location?.physicalLocation.artifactLocation).toEqual({ uri: "a%20b%23c.js", uriBaseId: "SRCROOT" });
    }
    expect(run?.results.map(({ suppressions }) => suppressions?.[0]?.justification)).toEqual([undefined, "w"]);
    expect(sarifOf({ ...scope, findings: [] }).runs[0]?.results).toEqual([]);
  });

  it("are written whole, may be written again, and show what was struck out", () => {
    const paths = { review: join(folder.path, "out/review.md"), sarif: join(folder.path, "out/review.sarif") };
    const request = { ...scope, ...paths, findings: [judged({}), judged({ holds: false, message: "<b>~~no~~" })] };
    const once = tools.writeReview(request, { idempotencyKey: "k-1" });
    const text = readFileSync(paths.review, "utf8");
    expect(tools.writeReview(request, { idempotencyKey: "k-1" })).toEqual(once);
    expect(readFileSync(paths.review, "utf8")).toBe(text);
    expect(once).toMatchObject({ summary: "1 findings hold, 1 struck out" });
    expect(text).toMatch(/^- ~~`a b#c\.js:3` &lt;b>~ ~no~ ~ \(evaluates-text\)~~ w\.$/m);
  });
});

it.each([
  ["a.js", 'f("x"); // c', "f(   );     "],
  ["a.js", 'x = /["]/; // c', 'x = /["]/;     '],
  ["a.py", "x = 'a' # c", "x =        "],
])("comments and texts are blanked, and all else stays where it is: %s %j", (path, text, expected) => {
  expect(masked(text, path, { strings: true })).toBe(expected);
});
