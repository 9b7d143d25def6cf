import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import {
  agent,
  definePattern,
  type Edit,
  type Fleet,
  fleet,
  open,
  type PatternView,
  workflow,
} from "../../src/index.ts";
import { runFleet } from "../../src/testing/run-fleet.ts";
import { rejection } from "./place.ts";

const Options = z.object({ worker: z.string() });
type View = PatternView<z.output<typeof Options>>;

const worker = agent({ description: "counts", run: (_, input) => JSON.stringify(input).length });

/** A pattern of one task, whose run ends with what `end` makes of it. */
function patternWith(name: string, end: (view: View) => unknown = () => "end") {
  return definePattern({
    name,
    options: Options,
    agents: (options) => [options.worker],
    plan: (view, change): Edit[] =>
      change.type === "started"
        ? [{ edit: "add", task: { id: "only", agent: view.options.worker, input: view.input } }]
        : [{ edit: "finish", output: end(view) as null }],
  });
}

const fleetWith = (...patterns: ReturnType<typeof patternWith>[]): Fleet =>
  fleet({
    name: "own",
    agents: { worker },
    workflows: Object.fromEntries(
      patterns.map((pattern, index) => [`w${index + 1}`, workflow({ pattern, options: { worker } })]),
    ),
  });

async function outputOf(pattern: ReturnType<typeof patternWith>, input: unknown): Promise<unknown> {
  const app = await open(fleetWith(pattern), { store: "memory:" });
  onTestFinished(() => app.close());
  return (await app.start("w1", input)).result();
}

describe("C3: a pattern of one's own", () => {
  test("sees the run, its tasks and what agents are for, in copies of its own", async () => {
    const seen = await outputOf(
      patternWith("looks", (view) => ({
        id: view.id,
        input: view.input,
        open: view.open,
        task: view.task("only"),
        none: view.task("other") ?? null,
        all: [...view.tasks()].map(({ id }) => id),
        members: view.members("only"),
        worker: view.describe?.(view.options.worker),
      })),
      { a: 1 },
    );
    expect(seen).toMatchObject({
      id: expect.stringMatching(/^r-/) as string,
      input: { a: 1 },
      open: 0,
      task: { id: "only", agent: "worker", kind: "agent", status: "completed", input: { a: 1 }, output: 7 },
      none: null,
      all: ["only"],
      members: [],
      worker: "counts",
    });
  });

  test.each<[string, (view: View) => void]>([
    ["the input", (view) => void ((view.input as { a: number }).a = 2)],
    ["the options", (view) => void (view.options.worker = "other")],
    ["a task", (view) => void ((view.task("only") as { status: string }).status = "failed")],
    [
      "an input deep in a task",
      (view) => void (view.task("only") as unknown as { input: { b: number[] } }).input.b.push(1),
    ],
    ["the view", (view) => void ((view as { id: string }).id = "r-mine")],
  ])("cannot change %s", async (_, change) => {
    const error = await rejection(outputOf(patternWith("writes", change), { a: 1, b: [] }));
    expect(error).toMatchObject({
      code: "PLAN_INVALID",
      details: { stack: expect.stringContaining("pattern.test") as string },
    });
    expect(error.message).toMatch(/^plan\(\) of pattern "writes" threw: TypeError: Cannot/);
  });

  test("is held to the same in users' tests", async () => {
    const { error } = await runFleet(fleetWith(patternWith("counts", () => 1n)), "w1", null);
    expect(error).toEqual({
      code: "PLAN_INVALID",
      message:
        'plan() of pattern "counts" returned what cannot be put on record: /0/output is a bigint, which JSON cannot hold',
    });
  });

  test("may serve many workflows, and must have its name to itself", () => {
    const one = patternWith("one");
    expect(Object.keys(fleetWith(one, one).definition.workflows)).toEqual(["w1", "w2"]);
    const duplicate = { code: "DEFINITION_DUPLICATE", hint: "give your own pattern another name" };
    const refused = (message: string) => expect.objectContaining({ ...duplicate, message }) as Error;
    expect(() => fleetWith(one, patternWith("one"))).toThrow(refused('workflow "w2": two patterns are called "one"'));
    expect(() => fleetWith(patternWith("graph"))).toThrow(
      refused('workflow "w1": a built-in pattern is called "graph"'),
    );
  });
});
