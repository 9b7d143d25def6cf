import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, packCopy, type Project, type Tarball } from "./project.ts";

// Line 8: a pattern of a user's own, an eighth beside the built-in ones, written against the packed tarball alone.

let tarball: Tarball;
let project: Project;

beforeAll(() => {
  tarball = packCopy();
  project = createProject(tarball, "fixture", []);
}, 180_000);

afterAll(() => {
  project?.[Symbol.dispose]();
  tarball?.[Symbol.dispose]();
});

const POEM = { winner: "fair", answer: { text: "tides tides tides" } };
const INPUT = `--input '{ "topic": "tides" }'`;

const flotilla = (command: string) => project.shell(`cd tournament && npx --no-install flotilla ${command}`);

interface Outcome {
  result: unknown;
  graph: { id: string; status: string; input: unknown; output: unknown }[];
  /** Tasks in which the pattern planned in a worker process. */
  plans: number;
}

describe("line 8: a tournament, by its author's own pattern", () => {
  test("compiles in a strict project", () => {
    expect(project.tsc("tournament")).toEqual({ status: 0, output: "" });
  });

  test("runs in this process and in worker processes, where it also plans: the same result, the same graph", () => {
    const { library, hosts } = JSON.parse(
      project.node(join("tournament", "graph.ts"), join(project.folder, "store")),
    ) as Record<string, Outcome>;
    expect(library?.result).toEqual(POEM);
    expect(hosts?.result).toEqual(POEM);
    expect(hosts?.graph).toEqual(library?.graph);
    expect(Object.fromEntries((library?.graph ?? []).map(({ id, status }) => [id, status]))).toEqual({
      "entry/1": "completed",
      "entry/2": "failed",
      "entry/3": "completed",
      "entry/4": "completed",
      "entry/5": "completed",
      "match/1/1": "skipped",
      "match/1/2": "completed",
      "match/2/1": "completed",
      "match/3/1": "completed",
    });
    expect(library?.plans).toBe(0);
    expect(hosts?.plans).toBeGreaterThan(1);
  });

  test("runs from the command line, in TypeScript and in YAML", async () => {
    const typed = await flotilla(`run poem ${INPUT} 2>/dev/null`);
    expect(typed.status, typed.output).toBe(0);
    expect(JSON.parse(typed.output)).toEqual(POEM);
    const yaml = await flotilla(`run poem --file yaml/fleet.yaml ${INPUT} 2>/dev/null`);
    expect(yaml.status, yaml.output).toBe(0);
    expect(JSON.parse(yaml.output)).toEqual(POEM);
  });

  test("ends its run as failed, on purpose, with its own reason", async () => {
    const { status, output } = await flotilla(`run silence ${INPUT} --json 2>/dev/null`);
    expect(status).toBe(1);
    expect(JSON.parse(output)).toMatchObject({
      status: "failed",
      error: { code: "DEPENDENCY_FAILED", message: "nobody is left to win" },
    });
  });

  test("runs in the simulator, in calm and under faults, with the same result and no promise broken", () => {
    const completed = [{ outcome: "completed", output: POEM }];
    const { faults, ...rest } = JSON.parse(project.node(join("tournament", "simulated.ts"))) as { faults: number };
    expect(rest).toEqual({ calm: completed, stormy: completed, violations: [] });
    expect(faults).toBeGreaterThan(0);
  });

  test("runs in the simulator from the command line", async () => {
    const { status, output } = await flotilla(
      `simulate poem ${INPUT} --runs 5 --fault host.crash=20% --json 2>/dev/null`,
    );
    expect(status, output).toBe(0);
    const { groups, lost } = JSON.parse(output) as { groups: { outcome: string; output: unknown }[]; lost: number };
    expect(groups.map(({ outcome, output }) => ({ outcome, output }))).toEqual([
      { outcome: "completed", output: POEM },
    ]);
    expect(lost).toBe(0);
  });

  test.each<[string, string, RegExp]>([
    ["an option that its schema does not take", "entrants: [brief]", />=2 items|at least 2/],
    ["an option that it does not know", "entrants: [brief, fair]\n    jugde: judge", /did you mean "judge"/i],
    ["an agent that is not there", "entrants: [brief, fiar]", /did you mean "fair"|"fair"/i],
  ])("%s is told of where it stands, before anything runs", async (_, wrong, message) => {
    const folder = join(project.folder, "tournament", "wrong");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "fleet.yaml"), wrongFleet(wrong));
    const { status, output } = await flotilla("check --file wrong/fleet.yaml");
    expect(status, output).toBe(3);
    expect(output).toMatch(message);
    expect(output).toMatch(/fleet\.yaml:\d+:\d+/);
  });
});

const wrongFleet = (options: string) => `name: poets
agents:
  brief: { module: ../poets.ts#brief }
  fair: { module: ../poets.ts#fair }
  judge: { module: ../poets.ts#judge }
workflows:
  poem:
    pattern: { module: ../tournament.ts#tournament }
    judge: judge
    ${options}
`;

describe("F6: a pattern that is wrong fails its own run and nothing else", () => {
  const PLAN_INVALID = { code: "PLAN_INVALID" };
  const answers = {
    throws: { code: "PLAN_INVALID", message: expect.stringContaining('"starts-wrong" threw: Error: out of order') },
    promises: { code: "PLAN_INVALID", message: expect.stringContaining("returned a promise") },
    saysNothing: { code: "PLAN_INVALID", message: expect.stringContaining("must return a list of edits, not nothing") },
    saysText: PLAN_INVALID,
    saysNumbers: PLAN_INVALID,
    inventsAnEdit: { code: "PLAN_INVALID", message: expect.stringContaining('no edit "explode"') },
    leavesItOpen: { code: "PLAN_INVALID", message: expect.stringContaining("did not end it") },
    finishesWithNothing: PLAN_INVALID,
    finishesWithABigint: { code: "PLAN_INVALID", message: expect.stringContaining("/0/output is a bigint") },
    finishesWithNaN: PLAN_INVALID,
    finishesWithAFunction: PLAN_INVALID,
    finishesInACircle: PLAN_INVALID,
    finishesAgainstTheSchema: { code: "OUTPUT_INVALID" },
    givesWorkToNobody: PLAN_INVALID,
    givesWorkToAStranger: { code: "PLAN_INVALID", message: expect.stringContaining('agent "nobody"') },
    givesWorkToAnAgentThatTheWorkflowDoesNotName: PLAN_INVALID,
    actsAsOurs: PLAN_INVALID,
    needsWhatIsNot: PLAN_INVALID,
    needsItself: { code: "CYCLE", message: expect.stringContaining("a → b → a") },
    floods: { code: "LIMIT_TASKS" },
    failsWithWords: PLAN_INVALID,
    rewritesItsInput: PLAN_INVALID,
    bindThrows: PLAN_INVALID,
    bindSaysNothing: PLAN_INVALID,
    bindSaysNothingOfUse: PLAN_INVALID,
    bindPutsOffForEver: { code: "PLAN_INVALID", message: expect.stringContaining("no input to a") },
    bindAddsStrangers: PLAN_INVALID,
  };
  const crimes = {
    loops: { code: "AGENT_CONVICTED", message: expect.stringContaining('pattern "ends-wrong" killed its process') },
    exits: { code: "AGENT_CONVICTED", message: expect.stringContaining("exit code 3") },
    recurses: { code: "PLAN_INVALID" },
  };
  const sound = { sound: [JSON.stringify({ answer: { text: "tides tides tides" }, winner: "fair" })], stillRunning: 0 };

  test("in this process", () => {
    const { endings, ...rest } = JSON.parse(project.node(join("tournament", "bad", "run.ts"), "library")) as {
      endings: object;
    };
    expect(endings).toMatchObject(answers);
    expect(Object.keys(endings)).toEqual(Object.keys(answers));
    expect(rest).toEqual(sound);
  });

  test("in worker processes, also when it loops for ever or ends its process", () => {
    const output = project.node(join("tournament", "bad", "run.ts"), "hosts", join(project.folder, "store"));
    const { endings, ...rest } = JSON.parse(output) as { endings: object };
    expect(endings).toMatchObject({ ...answers, ...crimes });
    expect(Object.keys(endings)).toEqual([...Object.keys(answers), ...Object.keys(crimes)]);
    expect(rest).toEqual(sound);
  }, 120_000);
});
