import { expect, test } from "vitest";
import { RunProgress } from "../../src/cli/format/progress.ts";
import { Story } from "../../src/cli/format/story.ts";
import { waitsForPerson } from "../../src/cli/next-command.ts";
import { plain } from "../../src/cli/paint.ts";
import { Recovery } from "../../src/cli/recovery.ts";
import { CauseFinder } from "../../src/cli/show-cause.ts";
import { DEFAULT_LIMITS } from "../../src/core/definition.ts";
import type { EventData, EventType, RunEvent } from "../../src/core/event.ts";
import type { Json } from "../../src/core/json.ts";
import { event } from "../../src/runtime/journal.ts";

const started = event(
  "run.started",
  1_000,
  {
    run: "r-1234567890",
    workflow: "incident",
    pattern: "graph",
    definition: "d",
    priority: 2,
    limits: DEFAULT_LIMITS,
    queue: "q",
    by: "cli",
  },
  { input: { log: "app.log" } },
);

function planned(
  tasks: { task: string; agent?: string; group?: string; kind?: "agent" | "group" }[],
  payload: Record<string, Json> = {},
): RunEvent {
  const add = tasks.map(({ task, agent, group, kind = "agent" }) => ({
    task,
    kind,
    agent: agent ?? null,
    needs: [],
    ...(group === undefined ? {} : { group }),
  }));
  return event("plan.revised", 1_000, { add, cancel: [], why: "started" }, payload);
}

const assigned = (task: string, at = 1_000, attempt = 1) =>
  event("tasks.assigned", at, { tasks: [task], attempt, worker: "w-1", why: "ready" });
const completed = (task: string, at: number, output: Json) =>
  event("task.completed", at, { task, attempt: 1 }, { output });
const modelStep = (task: string, at: number, reasoning: string) =>
  step("step.completed", task, "model#1", at, "model", {
    output: {
      content: [
        { type: "reasoning", text: reasoning },
        { type: "text", text: "done" },
      ],
    },
  });

function step<K extends Extract<EventType, "step.completed" | "step.failed">>(
  type: K,
  task: string,
  key: string,
  at: number,
  kind: EventData[K]["kind"],
  payload: Record<string, Json>,
  more: object = {},
): RunEvent {
  const [name = ""] = key.split("#");
  return event(
    type,
    at,
    { task, attempt: 1, key, kind, name, inputHash: "h", durationMs: 20, ...more } as EventData[K],
    payload,
  );
}

function told(events: readonly RunEvent[]): string[] {
  const story = new Story();
  events.forEach((one, index) => story.add(index + 1, one));
  return story.acts().map(({ text, reasoning }) => (reasoning === "" ? text : `${text} — ${reasoning}`));
}

test("O1: the story has a sentence for each act, its steps folded in, and the reasoning that was given", () => {
  const events = [
    started,
    planned([{ task: "read", agent: "reader" }], { read: { window: 1 } }),
    assigned("read"),
    modelStep("read", 1_500, "The pool is the suspect."),
    step("step.completed", "read", "grep#1", 1_600, "tool", { input: { pattern: "pool" }, output: 4 }),
    completed("read", 3_000, { summary: "4 suspicious windows" }),
    event("run.completed", 3_000, {}, { output: "pool exhausted" }),
  ];
  expect(told(events)).toEqual([
    'incident started by cli, as graph, with {"log":"app.log"}',
    "planned 1 task: read for reader (started)",
    "reader (read) finished: 4 suspicious windows  [2.0 s, 1 model call, 1 tool call] — The pool is the suspect.",
    "completed: pool exhausted",
  ]);
});

test("members of a group that end one after another are told as one", () => {
  const members = Array.from({ length: 12 }, (_, index) => ({ task: `read/${index}`, agent: "reader", group: "read" }));
  const events = [
    planned([{ task: "read", kind: "group" as const }, ...members]),
    ...members.map(({ task }, index) => completed(task, 1_000 + index, "ok")),
  ];
  expect(told(events).slice(1)).toEqual(["reader ×12 finished (read)"]);
});

const failure = { code: "TOOL_FAILED", class: "permanent" as const, message: "no such file app.log" };

test("the root cause is the first failure, with its step, input, and what was tried", () => {
  const finder = new CauseFinder();
  const timeout = { code: "STEP_TIMEOUT", class: "transient" as const, message: "slow" };
  const events = [
    started,
    planned(
      [
        { task: "read", agent: "reader" },
        { task: "judge", agent: "judge" },
      ],
      { read: { window: 1 } },
    ),
    assigned("read"),
    event("task.retried", 1_400, { task: "read", attempt: 1, readyAt: 2_400, delayMs: 1_000, error: timeout }),
    assigned("read", 2_400, 2),
    step("step.failed", "read", "grep#1", 2_500, "tool", { input: { file: "app.log" } }, { error: failure }),
    event("task.failed", 2_600, { task: "read", attempt: 2, error: failure }),
    event("task.skipped", 2_600, { task: "judge", why: "read failed", because: "read" }),
    event("run.failed", 2_600, {
      error: { code: "DEPENDENCY_FAILED", class: "business", message: "read failed" },
      task: "judge",
    }),
  ];
  events.forEach((one, index) => finder.add(index + 1, one));
  expect(finder.cause()).toEqual({
    task: "read",
    agent: "reader",
    step: "read/grep#1",
    input: { file: "app.log" },
    error: failure,
    tried: ["attempt 1 failed: STEP_TIMEOUT: slow; tried again after 1.0 s"],
    version: 7,
    at: 2_600,
  });
});

test("a run that did not fail has no root cause, whatever it survived", () => {
  const finder = new CauseFinder();
  const events = [
    started,
    planned([{ task: "read", agent: "reader" }]),
    event("task.failed", 2_000, { task: "read", attempt: 1, error: failure }),
    event("run.completed", 2_100, {}, { output: null }),
  ];
  events.forEach((one, index) => finder.add(index + 1, one));
  expect(finder.cause()).toBeNull();
});

test("F8: a recovered run counts what it kept, and what it put on record again", () => {
  const recovery = new Recovery(4);
  const events = [
    started,
    planned([{ task: "read", agent: "reader" }]),
    modelStep("read", 1_500, ""),
    step("step.completed", "read", "grep#1", 1_600, "tool", { output: 4 }),
    step("step.completed", "read", "write#1", 1_700, "tool", { output: 5 }),
  ];
  events.forEach((one, index) => recovery.add(index + 1, one));
  expect([recovery.steps, recovery.repeated]).toEqual([2, 0]);
  recovery.add(6, step("step.completed", "read", "grep#1", 1_800, "tool", { output: 4 }));
  expect([recovery.steps, recovery.repeated]).toEqual([2, 1]);
});

function progressOf(events: readonly RunEvent[], foldFrom = Number.POSITIVE_INFINITY) {
  const progress = new RunProgress("r-1234567890", { paint: plain, verbose: false, foldFrom, prefix: "" });
  return { progress, lines: events.flatMap((one) => progress.add(one) ?? []) };
}

test("progress has a line for each change, and a head for now", () => {
  const { progress, lines } = progressOf([
    started,
    planned(
      [
        { task: "read", agent: "reader" },
        { task: "judge", agent: "judge" },
      ],
      { read: 1, judge: 2 },
    ),
    assigned("read"),
    event("task.retried", 1_400, {
      task: "read",
      attempt: 1,
      readyAt: 2_400,
      delayMs: 1_000,
      error: { code: "MODEL_RATE_LIMITED", class: "transient", message: "slow down" },
    }),
    assigned("read", 2_400, 2),
    assigned("judge"),
    event("task.completed", 3_000, { task: "read", attempt: 2 }, { output: "4 windows" }),
  ]);
  expect(lines).toEqual([
    "↻ reader read  again in 1.0 s: MODEL_RATE_LIMITED: slow down",
    "✓ reader read  2.0 s  4 windows",
  ]);
  progress.stream({ type: "status", run: "r-1234567890", task: "judge", agent: "judge", text: "weighing" });
  expect(progress.live(9_000)).toEqual(["● incident r-123456 running  1/2 tasks  0:08", "  ● judge  0:08  weighing"]);
});

test("members of a large group make one line on a terminal, when the last has ended", () => {
  const members = Array.from({ length: 13 }, (_, index) => ({ task: `read/${index}`, agent: "reader", group: "read" }));
  const events = [
    started,
    planned(
      [{ task: "read", kind: "group" as const }, ...members],
      Object.fromEntries(members.map(({ task }) => [task, 1])),
    ),
    ...members.flatMap(({ task }) => [assigned(task), completed(task, 2_000, "ok")]),
  ];
  const end = event("task.completed", 2_000, { task: "read", attempt: 0 });
  expect(progressOf([...events, end], 12).lines).toEqual(["✓ read  reader ×13"]);
  expect(progressOf([...events, end]).lines).toHaveLength(13);
});

test("F13: a run waits for a person when only an open question is left", () => {
  const intended = event(
    "step.started",
    1_100,
    {
      task: "fix",
      attempt: 1,
      key: "restart#1",
      kind: "tool",
      name: "restart",
      inputHash: "h",
      idempotencyKey: "k",
      settle: "person",
    },
    { input: {} },
  );
  const events = [started, planned([{ task: "fix", agent: "fixer" }], { fix: 1 }), assigned("fix"), intended];
  const { progress } = progressOf(events);
  expect(waitsForPerson(progress.state)).toBe(false);
  progress.add(event("step.unknown", 1_200, { task: "fix", key: "restart#1", settle: "person" }));
  progress.add(event("task.released", 1_200, { task: "fix", attempt: 1, why: "its worker is gone", suspect: false }));
  expect(progress.state.tasks.get("fix")?.status).toBe("blocked");
  expect(waitsForPerson(progress.state)).toBe(true);
  expect(progress.live(2_000)[1]).toContain("flotilla settle r-123456 fix/restart#1");
});
