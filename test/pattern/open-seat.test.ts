import { expect, it } from "vitest";
import { z } from "zod";
import type { Change, Edit } from "../../src/core/planner.ts";
import { definePattern, type PatternView } from "../../src/pattern/pattern.ts";
import { run } from "./engine.ts";

// Tasks whose agent is chosen when they are ready (C6), and tasks that nobody does.

type View = PatternView<Record<string, never>>;

const pattern = (plan: (view: View, change: Change) => readonly Edit[], bind?: () => { output: string }) =>
  definePattern({
    name: "open",
    options: z.strictObject({}),
    agents: () => ["a", "b"],
    plan,
    ...(bind === undefined ? {} : { bind }),
  });
const open = (id: string, needs: string[] = []): Edit => ({ edit: "add", task: { id, agent: null, input: id, needs } });
const play = (plan: (view: View, change: Change) => readonly Edit[]) =>
  run({
    pattern: pattern(plan),
    options: {},
    agents: ["a", "b"],
    script: ({ id, agent }) => ({ output: `${id} by ${agent}` }),
  });

it("tells the pattern of a task that is ready but for an agent, and gives it to the one that is named", () => {
  const { events, state, started } = play((view, change) => {
    if (change.type === "started") return [open("one"), open("two", ["one"])];
    const { task } = change;
    if (change.type === "unrouted")
      return [{ edit: "route", task: task.id, agent: task.id === "one" ? "a" : "b", why: "its turn" }];
    return view.open === 0 ? [{ edit: "finish", output: task.output ?? null }] : [];
  });
  expect(started).toEqual(["one", "two"]);
  expect(state.output).toBe("two by b");
  expect(events.map((event) => event.type)).toEqual([
    ...["run.started", "plan.revised", "task.routed", "tasks.assigned", "task.completed"],
    ...["task.routed", "tasks.assigned", "task.completed", "run.completed"],
  ]);
});

it("lets it wait for a later word, and shows what waits and who is busy", () => {
  const seen: unknown[] = [];
  const { started } = play((view, change) => {
    if (change.type === "started") return ["one", "two", "three"].map((id) => open(id));
    seen.push([[...view.awaiting()].map(({ id }) => id), view.load("a"), view.size]);
    const [next] = view.awaiting();
    if (next === undefined) return view.open === 0 ? [{ edit: "finish", output: null }] : [];
    return view.load("a") > 0 ? [] : [{ edit: "route", task: next.id, agent: "a", why: "free" }];
  });
  expect(started).toEqual(["one", "two", "three"]);
  expect(seen).toEqual([
    [["one", "two", "three"], 0, 3],
    [["two", "three"], 1, 3],
    [["two", "three"], 1, 3],
    [["two", "three"], 0, 3],
    [["three"], 0, 3],
    [[], 0, 3],
  ]);
});

it.each<[string, Edit[], RegExp]>([
  [
    "names an agent that the workflow does not have",
    [{ edit: "route", task: "one", agent: "c", why: "?" }],
    /for agent "c"/,
  ],
  ["names none", [], /has given no agent to one/],
  ["gives no reason", [{ edit: "route", task: "one", agent: "a" } as unknown as Edit], /`route` needs/],
  [
    "counts wrongly",
    [{ edit: "route", task: "one", agent: "a", why: "?", candidates: [{ agent: "a" } as never] }],
    /candidates/,
  ],
])("ends a run whose pattern %s", (_, edits, message) => {
  const { state } = play((_view, change) => (change.type === "started" ? [open("one")] : edits));
  expect([state.status, state.error?.code]).toEqual(["failed", "PLAN_INVALID"]);
  expect(state.error?.message).toMatch(message);
});

it("names an agent once: what is under way stays where it is", () => {
  const { events } = play((view, change) => {
    if (change.type === "started") return [open("one"), open("two")];
    if (view.open === 0) return [{ edit: "finish", output: null }];
    return ["a", "b"].flatMap((agent) =>
      ["one", "two", "none"].map((task): Edit => ({ edit: "route", task, agent, why: "?" })),
    );
  });
  expect(events.filter(({ type }) => type === "task.routed").map(({ data }) => data)).toMatchObject([
    { task: "one", agent: "a" },
    { task: "two", agent: "a" },
  ]);
});

it("cancels a task that waits for an agent", () => {
  const { state } = play((view, change) => {
    if (change.type === "started") return [open("one"), open("two", ["one"])];
    if (change.type === "unrouted")
      return [
        { edit: "explain", why: "nobody can" },
        { edit: "cancel", task: "one", why: "no" },
      ];
    return view.open === 0 ? [{ edit: "finish", output: null }] : [];
  });
  expect([...state.tasks.values()].map(({ status }) => status)).toEqual(["cancelled", "skipped"]);
});

it("puts the pattern's own reason on the revision", () => {
  const { events } = play((_, change) =>
    change.type === "started"
      ? [
          { edit: "explain", why: "since it rains" },
          { edit: "add", task: { id: "x", agent: "a", input: 1 } },
        ]
      : [{ edit: "finish", output: null }],
  );
  expect(events.find(({ type }) => type === "plan.revised")?.data).toMatchObject({ why: "since it rains" });
});

it("completes a task with an output that the pattern gives, and nobody does it", () => {
  const { state, started } = run({
    pattern: pattern(
      (view, change) => {
        if (change.type === "started") return [{ edit: "add", task: { id: "sum", agent: null } }];
        return view.open === 0 ? [{ edit: "finish", output: view.task("sum")?.output ?? null }] : [];
      },
      () => ({ output: "42" }),
    ),
    options: {},
    script: () => ({ output: null }),
  });
  expect([started, state.output]).toEqual([[], "42"]);
});
