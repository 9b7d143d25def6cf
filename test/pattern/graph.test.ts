import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { graphPattern } from "../../src/pattern/graph.ts";
import { permanent, run, type Scenario, transient } from "./engine.ts";

const echo: Scenario["script"] = ({ id, input }) => ({ output: { id, input } });
const graph = (options: unknown, more: Partial<Scenario> = {}) =>
  run({ pattern: graphPattern, options, script: echo, ...more });
const a = { agent: "x" };

describe("C1: tasks run in the order of their needs", () => {
  it("gives the run's input to tasks without needs, and each output to the next", () => {
    const { state, started } = graph({ tasks: { a, b: { ...a, needs: "a" } } }, { input: 7 });
    expect(started).toEqual(["a", "b"]);
    expect(state.output).toEqual({ id: "b", input: { id: "a", input: 7 } });
  });

  it("starts tasks without open needs together", () => {
    const { started, inputs } = graph({
      tasks: { a, b: { ...a, needs: ["a"] }, c: { ...a, needs: ["a"] }, d: { ...a, needs: ["b", "c"] } },
    });
    expect(started).toEqual(["a", "b", "c", "d"]);
    expect(inputs.get("d")).toEqual({
      b: expect.objectContaining({ id: "b" }),
      c: expect.objectContaining({ id: "c" }),
    });
  });

  it("gives a map of outputs when several tasks end the graph", () => {
    const { state } = graph({ tasks: { a, b: a } }, { script: ({ id }) => ({ output: id }) });
    expect(state.output).toEqual({ a: "a", b: "b" });
  });

  it("refuses a cycle and prints it", () => {
    const { state, started } = graph({
      tasks: { a: { ...a, needs: "c" }, b: { ...a, needs: "a" }, c: { ...a, needs: "b" } },
    });
    expect(started).toEqual([]);
    expect(state.error).toMatchObject({ code: "CYCLE", message: expect.stringContaining("a → c → b → a") });
  });

  it("refuses needs and agents that do not exist", () => {
    expect(graph({ tasks: { a: { ...a, needs: "z" } } }).state.error).toMatchObject({
      code: "PLAN_INVALID",
      message: expect.stringContaining("needs z"),
    });
    const { error } = graph({ tasks: { a } }, { agents: ["y"] }).state;
    expect(error?.message).toContain('agent "x", which is not among');
  });

  it("passes the priority on", () => {
    const { state } = graph({ tasks: { a: { ...a, priority: "CRITICAL" }, b: a } });
    expect([state.tasks.get("a")?.priority, state.tasks.get("b")?.priority]).toEqual([0, 2]);
  });
});

describe("templates", () => {
  it("render from the run's input and the outputs of tasks, with their types", () => {
    const { inputs } = graph(
      {
        tasks: {
          a,
          b: {
            ...a,
            input: {
              n: "${ tasks.a.output.n }",
              text: "n is ${ tasks.a.output.n } of ${ input.all }",
              list: ["${ input.all }"],
            },
          },
        },
      },
      { input: { all: [1, 2] }, script: ({ id }) => ({ output: { id, n: 1.5 } }) },
    );
    expect(inputs.get("b")).toEqual({ n: 1.5, text: "n is 1.5 of [1,2]", list: [[1, 2]] });
  });

  it("imply needs: what an expression reads comes first", () => {
    const { started, state } = graph({ tasks: { b: { ...a, input: "${ tasks.a.output }" }, a } });
    expect(started).toEqual(["a", "b"]);
    expect(state.tasks.get("b")?.needs).toEqual([{ task: "a", on: "completed" }]);
  });

  it("imply a need that may end in any way when they read how it ended", () => {
    const { state } = graph(
      { tasks: { a, b: { ...a, input: "${ tasks.a.status }: ${ tasks.a.error.message }" } } },
      { script: ({ id, input }) => (id === "a" ? { error: permanent("no") } : { output: input }) },
    );
    expect(state.status).toBe("completed");
    expect(state.output).toBe("failed: no");
  });

  it("reach ids that are not identifiers by index", () => {
    const { state } = graph({ tasks: { "a-b": a, b: { ...a, input: '${ tasks["a-b"].output.id }' } } });
    expect(state.output).toEqual({ id: "b", input: "a-b" });
  });

  it("fail their task, naming it and the expression, when there is no value", () => {
    const { state } = graph({ tasks: { a, b: { ...a, input: "${ tasks.a.output.missing }" } } });
    expect(state.status).toBe("failed");
    expect(state.error).toMatchObject({ code: "EXPRESSION_FAILED" });
    expect(state.error?.message).toContain("task b: tasks.a.output.missing: No such key: missing");
  });

  it("give the run's output", () => {
    const { state } = graph({
      tasks: { a, b: a },
      result: { first: "${ tasks.a.output.id }", of: "${ size(tasks) }" },
    });
    expect(state.output).toEqual({ first: "a", of: 2 });
  });

  it.each([
    [
      { tasks: { a: { ...a, input: "${ tasks.b + }" } } },
      ["tasks", "a", "input"],
      'Unexpected token: EOF at character 10 of "tasks.b +"',
    ],
    [{ tasks: { a: { ...a, when: "inptu.x" } } }, ["tasks", "a", "when"], "Unknown variable: inptu at character 1"],
    [{ tasks: { a: { ...a, input: "${ item }" } } }, ["tasks", "a", "input"], "Unknown variable: item"],
    [{ tasks: { a }, result: "${ nope(1) }" }, ["result"], "no matching overload for 'nope(int)'"],
    [{ tasks: { a: { ...a, input: "${ input" } } }, ["tasks", "a", "input"], 'has no "}"'],
  ])("are checked when the definition is read: %j", (options, path, message) => {
    const [issue, ...more] = graphPattern.options.safeParse(options).error?.issues ?? [];
    expect(more).toEqual([]);
    expect(issue).toMatchObject({ path, message: expect.stringContaining(message) });
  });

  it("declare their needs for the check of cycles", () => {
    const options = graphPattern.options.parse({
      tasks: { a: { ...a, when: "tasks.b.output" }, b: { ...a, needs: ["a"] } },
    });
    expect(graphPattern.tasks?.(options as never)).toEqual([
      { id: "a", needs: ["b"] },
      { id: "b", needs: ["a"] },
    ]);
  });
});

describe("forEach", () => {
  const list = (value: Json, more = {}) =>
    graph(
      { tasks: { a, b: { ...a, forEach: "tasks.a.output", ...more }, c: { ...a, needs: "b" } } },
      {
        script: ({ id, input }) => (id === "a" ? { output: value } : { output: id === "c" ? input : { id, input } }),
      },
    );

  it("runs the task once for each item, and its output is the list of theirs, in order", () => {
    expect(list(["p", "q"]).state.output).toEqual([
      { id: "b/0", input: "p" },
      { id: "b/1", input: "q" },
    ]);
  });

  it("keeps the order of the list whatever order they end in", () => {
    const { state } = graph(
      { tasks: { b: { ...a, forEach: [1, 2, 3] } } },
      { script: ({ input }) => ({ output: input }), pick: (count) => count - 1 },
    );
    expect(state.output).toEqual([1, 2, 3]);
  });

  it("renders the input with item and index", () => {
    const { inputs } = list([{ n: 5 }], {
      input: { n: "${ item.n + 1 }", at: "${ index }", of: "${ size(tasks.a.output) }" },
    });
    expect(inputs.get("b/0")).toEqual({ n: 6, at: 0, of: 1 });
  });

  it("of nothing is an empty list", () => {
    expect(list([]).state.output).toEqual([]);
  });

  it("of something else than a list fails the task", () => {
    expect(list({}).state.error?.message).toBe("`forEach` of task b is not a list");
  });

  it("fails the run at the first member that fails", () => {
    const { state } = graph(
      { tasks: { b: { ...a, forEach: [1, 2, 3] } } },
      { script: ({ id }) => (id === "b/1" ? { error: permanent("two") } : { output: 0 }) },
    );
    expect(state.error?.message).toBe("two");
    expect(state.tasks.get("b/2")?.status).toBe("cancelled");
  });

  it("lets a task that asks for whatever came of it go on after members failed", () => {
    const { state } = graph(
      {
        tasks: {
          b: { ...a, forEach: [1, 2] },
          c: { ...a, needs: { task: "b", on: "settled" }, input: "${ tasks.b.error.message }" },
        },
      },
      { script: ({ id, input }) => (id === "b/0" ? { error: permanent("one") } : { output: input }) },
    );
    expect(state.output).toBe("one");
  });
});

describe("when", () => {
  it("skips the task and what needs it", () => {
    const { state, started } = graph({
      tasks: { a, b: { ...a, when: "tasks.a.output.id == 'z'" }, c: { ...a, needs: "b" } },
    });
    expect(started).toEqual(["a"]);
    expect([state.status, state.output]).toEqual(["completed", null]);
    expect([...state.tasks.values()].map((task) => task.status)).toEqual(["completed", "skipped", "skipped"]);
  });

  it("joins branches of which one was skipped", () => {
    const { state } = graph({
      tasks: {
        a,
        yes: { ...a, when: "${ tasks.a.output.id == 'a' }" },
        no: { ...a, when: "tasks.a.output.id != 'a'" },
        end: {
          ...a,
          needs: [
            { task: "yes", on: "settled" },
            { task: "no", on: "settled" },
          ],
          input: "${ tasks.yes.status } ${ tasks.no.status }",
        },
      },
    });
    expect(state.output).toEqual({ id: "end", input: "completed skipped" });
  });

  it("that is neither true nor false fails the task", () => {
    expect(graph({ tasks: { a: { ...a, when: "1" } } }).state.error?.message).toContain("neither true nor false");
  });
});

describe("failures", () => {
  const tasks = { a, b: a, c: { ...a, needs: "b" }, d: { ...a, needs: "a" } };
  const script: Scenario["script"] = ({ id }) => (id === "a" ? { error: permanent("broken") } : { output: id });

  it("stop the run at once and name the task", () => {
    const { state, events } = graph({ tasks }, { script });
    expect(state.status).toBe("failed");
    expect(events.at(-1)).toMatchObject({ type: "run.failed", data: { task: "a", error: { message: "broken" } } });
    expect(state.tasks.get("b")?.status).toBe("cancelled");
  });

  it("leave alone what does not need them when told to continue", () => {
    const { state } = graph({ tasks, onFailure: "continue" }, { script });
    expect([state.status, state.output]).toEqual(["completed", { c: "c" }]);
    expect(state.tasks.get("d")?.status).toBe("skipped");
  });

  it("fail the run in the end when nothing that ends the graph completed", () => {
    const { state } = graph({ tasks: { a, d: tasks.d }, onFailure: "continue" }, { script });
    expect([state.status, state.error?.message]).toEqual(["failed", "broken"]);
  });

  it("start what asks for them", () => {
    const { state, started } = graph(
      { tasks: { a, rescue: { ...a, needs: { task: "a", on: "failed" } }, next: { ...a, needs: "a" } } },
      { script },
    );
    expect(started).toEqual(["a", "rescue"]);
    expect([state.status, state.output]).toEqual(["completed", { rescue: "rescue" }]);
  });

  it("F2: transient ones are retried first", () => {
    const { state, started } = graph(
      { tasks: { a } },
      {
        retry: { attemptsMax: 3 },
        script: ({ attempt }) => (attempt < 3 ? { error: transient("busy") } : { output: "ok" }),
      },
    );
    expect([state.output, started]).toEqual(["ok", ["a", "a", "a"]]);
  });

  it("of a task's input are noticed although the news of its needs comes later", () => {
    const { state } = graph({ tasks: { a, b: { ...a, input: "${ tasks.a.output.nope }" } }, onFailure: "stop" });
    expect(state.status).toBe("failed");
    expect(state.error?.code).toBe("EXPRESSION_FAILED");
  });
});

it("W5: planning is linear: 2,000 members take ten times the look-ups of 200", () => {
  const lookUps = (count: number): number => {
    let asked = 0;
    const counting = {
      ...graphPattern,
      plan: (view: Parameters<typeof graphPattern.plan>[0], change: Parameters<typeof graphPattern.plan>[1]) => {
        const watched = {
          ...view,
          task: (id: string) => (asked++, view.task(id)),
          *tasks() {
            for (const task of view.tasks()) {
              asked++;
              yield task;
            }
          },
        };
        return graphPattern.plan(Object.defineProperty(watched, "open", { get: () => view.open }), change);
      },
    };
    const items = Array.from({ length: count }, (_, index) => index);
    const { state } = run({
      pattern: counting,
      options: { tasks: { b: { ...a, forEach: "input" } } },
      input: items,
      script: ({ input }) => ({ output: input }),
    });
    expect((state.output as Json[]).length).toBe(count);
    return asked;
  };
  const [small, large] = [lookUps(200), lookUps(2_000)];
  expect(large / small).toBeLessThan(10.5);
});
