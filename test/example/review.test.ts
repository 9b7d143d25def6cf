import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import type { Json } from "../../src/core/json.ts";
import { type App, open } from "../../src/open.ts";
import { simulate } from "../../src/simulator/index.ts";
import { EXAMPLE, repositoryFolder, TRUTH } from "./review-repository.ts";

const LEFT_OUT = new Set(["capture", ".flotilla", "review.md", "review.sarif"]);
const folder = repositoryFolder();
const example = join(folder.path, "review");
let app: App;

beforeAll(async () => {
  cpSync(EXAMPLE, example, { recursive: true, filter: (source) => !LEFT_OUT.has(basename(source)) });
  const script = join(example, "script.yaml");
  writeFileSync(script, stringify({ ...(parse(readFileSync(script, "utf8")) as object), takeMs: 0 }));
  app = await open(pathToFileURL(join(example, "fleet.yaml")), { store: `sqlite:${join(folder.path, "store.db")}` });
});

afterAll(async () => {
  await app.close();
  folder.remove();
});

async function review(name: string, input: { [key: string]: Json } = {}) {
  const paths = { review: join(folder.path, `${name}.md`), sarif: join(folder.path, `${name}.sarif`) };
  const run = await app.start("review", { ...input, ...paths });
  return { run, ...paths };
}

describe("the review example, through the whole engine", () => {
  it("in no repository reviews the bundled one; each specialist is chosen on record; the score is as the README says", async () => {
    const { run, review: text, sarif } = await review("bundled");
    expect(await run.result()).toMatchObject({ errors: 4, warnings: 4, notes: 1, struck: TRUTH.decoys.length });
    const tasks = [...(await run.state()).tasks.values()];
    const agents = tasks.filter(({ id }) => id.startsWith("inspect/")).map(({ agent }) => agent);
    expect(agents).toEqual(["risk", "tests", "api", "historian"]);
    expect(readFileSync(text, "utf8")).toContain("judged by the scripted model, whose judgement is canned");
    expect(readFileSync(text, "utf8").match(/^- ~~/gm)).toHaveLength(TRUTH.decoys.length);
    const score = execFileSync(process.execPath, [join(example, "score.ts"), sarif], { encoding: "utf8" });
    expect(score).toContain("precision 100 %, recall 82 %");
    expect(score).toContain(`Struck out rightly: ${TRUTH.decoys.length} of ${TRUTH.decoys.length}`);
  });

  it("failOn ends the run as failed, after the review was written", async () => {
    const { run, review: text } = await review("gate", { failOn: "error" });
    await expect(run.result()).rejects.toMatchObject({
      code: "AGENT_FAILED",
      message: expect.stringMatching(/4 findings of level "error" or above/) as string,
    });
    expect(existsSync(text)).toBe(true);
  });

  it("takes a repository of the user's own, finds nothing in what is harmless, and has no score for it", async () => {
    const own = folder.repository("own");
    own.commit("One", { "a.md": "hello\n" });
    own.commit("Two", { "a.md": "hello you\n" });
    const { run, review: text, sarif } = await review("own", { repo: own.path, range: "HEAD", failOn: "note" });
    expect(await run.result()).toMatchObject({ summary: "0 findings hold, 0 struck out" });
    expect(readFileSync(text, "utf8")).toContain("Nothing was found that could be reproduced.");
    expect(() => execFileSync(process.execPath, [join(example, "score.ts"), sarif], { stdio: "pipe" })).toThrow();
  });

  it.each([
    ["missing", () => join(folder.path, "nowhere"), /nowhere does not exist/],
    ["binary", () => folder.write("x.bundle", new Uint8Array([1, 0, 2])), /neither a folder nor a git bundle/],
  ])("names what is no repository, tries it once, and writes no review: %s", async (name, make, message) => {
    const { run, review: text } = await review(name, { repo: make() });
    await expect(run.result()).rejects.toMatchObject({ message: expect.stringMatching(message) as string });
    expect((await run.state()).tasks.get("survey")).toMatchObject({ status: "failed", attempt: 1 });
    expect(existsSync(text)).toBe(false);
  });

  it("T1: is simulated out of the box: tools that time out, and the same findings on every seed", async () => {
    const options = { runs: 2, faults: ["tool.timeout=10%"] };
    const { runs, lost, duplicatedEffects } = await simulate(
      join(example, "fleet.yaml"),
      "review",
      { range: "HEAD^2" },
      options,
    );
    expect(new Set(runs.map(({ output }) => (output as { summary?: string } | null)?.summary))).toEqual(
      new Set(["4 findings hold, 3 struck out"]),
    );
    expect({ lost, duplicatedEffects }).toEqual({ lost: 0, duplicatedEffects: 0 });
  });
});

it("what the agents are given holds no name or conclusion of the bundled repository", () => {
  const code = ["check", "git", "report"].flatMap((name) =>
    readdirSync(join(EXAMPLE, name)).map((file) => `${name}/${file}`),
  );
  const text = ["script.yaml", "fleet.yaml", "tools.ts", "gate.ts", "survey.ts", ...code]
    .map((name) => readFileSync(join(EXAMPLE, name), "utf8"))
    .join("\n");
  expect(text).not.toMatch(/truth/i);
  for (const { file, subject } of [...TRUTH.defects, ...TRUTH.decoys]) {
    if (!["package-lock.json", "src/config.js"].includes(file)) expect(text).not.toContain(basename(file));
    if (/^[a-z]+[A-Z]\w+$/.test(subject ?? "")) expect(text).not.toContain(subject);
  }
});
