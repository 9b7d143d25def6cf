import { expect, it } from "vitest";
import { pipelinePattern } from "../../src/pattern/pipeline.ts";
import { permanent, run, type Scenario } from "./engine.ts";

const pipeline = (
  stages: unknown,
  script: Scenario["script"] = ({ id, input }) => ({ output: `${input as string}>${id}` }),
) => run({ pattern: pipelinePattern, options: { stages }, input: "in", script });

it("gives each stage what the one before made of it", () => {
  const { state, started } = pipeline(["a", "b", "c"]);
  expect(started).toEqual(["a", "b", "c"]);
  expect(state.output).toBe("in>a>b>c");
});

it("numbers an agent's further stages, and takes ids as given", () => {
  expect(pipeline(["a", "a", { agent: "a", id: "last" }]).started).toEqual(["a", "a-2", "last"]);
});

it("renders a stage's input, from earlier stages too", () => {
  const { state } = pipeline(["a", "b", { agent: "c", input: "${ input } ${ tasks.a.output }" }]);
  expect(state.output).toBe("in in>a>c");
});

it("ends with the first failure, and starts nothing after it", () => {
  const { state, started } = pipeline(["a", "b", "c"], ({ id }) =>
    id === "b" ? { error: permanent("no") } : { output: id },
  );
  expect(started).toEqual(["a", "b"]);
  expect([state.status, state.error?.message]).toEqual(["failed", "no"]);
});

it.each([
  [[], ["stages"], "DEFINITION"],
  [["a", { agent: "b", id: "a" }], ["stages", 1], 'gives a second stage the id "a"'],
  [["a", { agent: "b", input: "${ nope }" }], ["stages", 1, "input"], "Unknown variable: nope"],
])("refuses %j", (stages, path, message) => {
  const issues = pipelinePattern.options.safeParse({ stages }).error?.issues ?? [];
  expect(issues).toHaveLength(1);
  expect(issues[0]?.path).toEqual(path);
  if (message !== "DEFINITION") expect(issues[0]?.message).toContain(message);
});

it("reports a stage that reads a later one as a cycle", () => {
  const options = pipelinePattern.options.parse({ stages: [{ agent: "a", input: "${ tasks.b.output }" }, "b"] });
  expect(pipelinePattern.tasks?.(options as never)).toEqual([
    { id: "a", needs: ["b"] },
    { id: "b", needs: ["a"] },
  ]);
});
