import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { findingIn } from "../../examples/incident/log/report.ts";
import type { Json } from "../../src/core/json.ts";
import { type App, open } from "../../src/open.ts";
import { simulate } from "../../src/simulator/index.ts";
import { bundledLines, EXAMPLE, FAULTLESS, HARMLESS, logFolder, outOfMemoryLog, SHIFT, TRUTH } from "./incident-log.ts";

const LEFT_OUT = new Set(["capture", ".flotilla", "report.md", "action.md"]);

const folder = logFolder();
const example = join(folder.path, "incident");
let app: App;

beforeAll(async () => {
  cpSync(EXAMPLE, example, { recursive: true, filter: (source) => !LEFT_OUT.has(basename(source)) });
  withoutThinking(join(example, "script.yaml"));
  app = await open(pathToFileURL(join(example, "fleet.yaml")), { store: `sqlite:${join(folder.path, "store.db")}` });
});

afterAll(async () => {
  await app.close();
  folder.remove();
});

/** The same rules, at once. */
function withoutThinking(script: string): void {
  const rules = parse(readFileSync(script, "utf8")) as Record<string, unknown>;
  writeFileSync(script, stringify({ ...rules, takeMs: 0 }));
}

/** Runs the fleet as a user does, and reads the report that it wrote. */
async function investigate(log: string, name: string) {
  const report = join(folder.path, `${name}.md`);
  const run = await app.start("incident", { log, report } as unknown as Json);
  for await (const { type } of run.events())
    if (type === "step.asked")
      for (const { id } of await app.inbox({ run: run.id })) await app.decide(id, { choice: "approve" });
  const output = (await run.result()) as { [key: string]: Json };
  const text = readFileSync(report, "utf8");
  const finding = findingIn(text);
  if (finding === null) throw new Error("the report holds no finding");
  return { run, output, text, finding };
}

it("T1: is simulated out of the box: tools that time out, and the same cause at the end of every seed", async () => {
  const { runs, lost, duplicatedEffects, faults } = await simulate(
    join(example, "fleet.yaml"),
    "incident",
    { log: "data/incident.log" },
    { runs: 4, faults: ["tool.timeout=20%"] },
  );
  expect(new Set(runs.map(({ output }) => (output as { cause?: string } | null)?.cause))).toEqual(
    new Set([TRUTH.cause]),
  );
  expect({ lost, duplicatedEffects }).toEqual({ lost: 0, duplicatedEffects: 0 });
  expect(faults["tool.timeout"]).toBeGreaterThan(0);
});

describe("the incident example, through the whole engine", () => {
  it("names the known cause with evidence from its time, and reads with twelve readers", async () => {
    const { run, output, text, finding } = await investigate("data/incident.log", "bundled");
    expect(output).toMatchObject({
      verdict: "cause found",
      cause: TRUTH.cause,
      component: TRUTH.component,
      trigger: TRUTH.trigger.line,
    });
    for (const { line, text: cited } of finding.evidence) {
      expect(bundledLines[line - 1]?.startsWith(cited.replace(/…$/, ""))).toBe(true);
      expect(line).toBeGreaterThan(TRUTH.fault.firstLine);
      expect(line).toBeLessThan(TRUTH.recovered.line);
    }
    const action = readFileSync(join(folder.path, "action.md"), "utf8");
    expect(action).toContain(TRUTH.component);
    expect(action).toContain("Nothing was carried out");
    expect(text).toContain("judged by the scripted model, whose judgement is canned");
    const tasks = [...(await run.state()).tasks.keys()];
    expect(tasks.filter((id) => id.startsWith("read/"))).toHaveLength(12);
    expect(tasks.filter((id) => id.startsWith("argue/"))).toHaveLength(2);
    expect(tasks.filter((id) => id.startsWith("answer/"))).toHaveLength(2);
  });

  it("moves every citation by 1,000 when 1,000 harmless lines are put in front", async () => {
    const before = await investigate("data/incident.log", "before");
    const after = await investigate(
      folder.write("moved.log", [...(HARMLESS["plain words"] ?? []), ...bundledLines]),
      "after",
    );
    const cited = ({ finding }: typeof before) =>
      [...finding.evidence, ...finding.timeline].map(({ line, text }) => [line, text]);
    expect(cited(after)).toEqual(cited(before).map(([line, text]) => [Number(line) + SHIFT, text]));
    expect(after.finding.cause).toBe(before.finding.cause);
    expect(after.finding.lines).toEqual({
      from: Number(before.finding.lines?.from) + SHIFT,
      to: Number(before.finding.lines?.to) + SHIFT,
    });
    expect(after.output.trigger).toBe(Number(before.output.trigger) + SHIFT);
  });

  it.each(Object.keys(FAULTLESS))("says that no cause was found, and why, without the fault: %s", async (what) => {
    const { output, text, finding } = await investigate(
      folder.write(`without-${what}.log`, FAULTLESS[what] ?? []),
      "without",
    );
    expect(output).toMatchObject({ verdict: "no cause found", cause: null, summary: "No cause found" });
    expect(finding.evidence).toEqual([]);
    expect(text).toContain("## Why no cause is named");
  });

  it("takes another log", async () => {
    const { output } = await investigate(folder.write("syslog", outOfMemoryLog()), "syslog");
    expect(output).toMatchObject({ cause: "out-of-memory" });
  });

  it.each([
    ["missing.log", null, /missing\.log does not exist/],
    ["empty.log", "", /empty\.log is empty/],
    ["binary.log", new Uint8Array([1, 0, 2]), /binary\.log is not text/],
  ])("names a file that is no log, tries it once, and writes no report: %s", async (name, content, message) => {
    const log = content === null ? join(folder.path, name) : folder.write(name, content);
    const report = join(folder.path, `${name}.md`);
    const run = await app.start("incident", { log, report } as unknown as Json);
    await expect(run.result()).rejects.toMatchObject({
      code: "TOOL_FAILED",
      class: "permanent",
      message: expect.stringMatching(message) as string,
    });
    expect((await run.state()).tasks.get("split")).toMatchObject({ status: "failed", attempt: 1 });
    expect(existsSync(report)).toBe(false);
  });
});

describe("what the agents are given", () => {
  it("holds no time, line number or conclusion of the bundled log", () => {
    const sources = [
      "script.yaml",
      "fleet.yaml",
      "tools.ts",
      "split.ts",
      ...[
        "bucket",
        "catalogue",
        "change",
        "file",
        "finding",
        "line",
        "log-index",
        "report",
        "trouble",
        "verdict",
        "weigh",
      ].map((name) => `log/${name}.ts`),
    ];
    const text = sources.map((name) => readFileSync(join(EXAMPLE, name), "utf8")).join("\n");
    expect(text).not.toMatch(/truth/i);
    expect(text).not.toMatch(/1[01]:0\d:\d\d|2026-11|orders-worker-|campaign|2\.[34]\.[0-2]|storefront|deployer/);
    for (const line of [TRUTH.trigger.line, TRUTH.fault.firstLine, TRUTH.fault.lastLine, TRUTH.recovered.line]) {
      expect(text).not.toMatch(new RegExp(`\\b${line}\\b`));
    }
  });
});
