import fc from "fast-check";
import { expect, it } from "vitest";
import { findCycle } from "../../src/core/graph.ts";
import type { Edit, Planner, TaskSpec } from "../../src/core/planner.ts";
import { type RunState, SETTLED, UNDER_WAY } from "../../src/core/state.ts";
import { permanent, transient } from "../pattern/engine.ts";
import { type Desk, desk } from "./desk.ts";

const name = fc.nat(7).map((number) => `t${number}`);
const on = fc.constantFrom("completed", "settled", "failed");
const spec: fc.Arbitrary<TaskSpec> = fc.record(
  {
    id: name,
    kind: fc.constantFrom("agent", "agent", "agent", "group"),
    agent: fc.constant("x"),
    input: fc.constant(1),
    needs: fc.array(fc.oneof(name, fc.record({ task: name, on })), { maxLength: 2 }),
    group: name,
  },
  { requiredKeys: ["id", "agent"] },
) as fc.Arbitrary<TaskSpec>;
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: spec.map((task): Edit => ({ edit: "add", task })) },
  { weight: 1, arbitrary: name.map((task): Edit => ({ edit: "cancel", task, why: "test" })) },
);
const edits = fc.array(fc.array(edit, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 8 });
/** Whether equal tasks share results, and how long, in milliseconds. */
const windowMs = fc.constantFrom(null, null, 0, 5_000);
/** One in eight patterns may close cycles; the others need and join only what comes before in the alphabet. */
const wild = fc.nat(7).map((number) => number === 0);

/** Whatever a user's pattern could say: the next of the given edits at each change, until nothing is open. What refers
 *  to tasks that do not exist is left out, since it would end nearly every run at its start. */
function babbling(batches: readonly Edit[][], members: readonly TaskSpec[], closing: boolean): Planner {
  let asked = 0;
  return {
    plan: (view) => {
      const next = batches[asked++] ?? [];
      if (view.open === 0 && next.length === 0) return [{ edit: "finish", output: null }];
      const batch = new Map(next.flatMap((one) => (one.edit === "add" ? [[one.task.id, one.task] as const] : [])));
      const isGroup = (id: string) =>
        (view.task(id) ?? batch.get(id))?.kind === "group" && !SETTLED.has(view.task(id)?.status ?? "open");
      return next.map((one) => {
        if (one.edit !== "add") return one;
        const { group, needs = [], ...task } = one.task;
        const may = (id: string) => closing || id < task.id;
        const known = needs.map(idOf).filter((need) => may(need) && (view.task(need) !== undefined || batch.has(need)));
        const joins = group !== undefined && isGroup(group) && (closing || (known.length === 0 && group < task.id));
        return {
          edit: "add",
          task: { ...task, needs: needs.filter((need) => known.includes(idOf(need))), ...(joins ? { group } : {}) },
        };
      });
    },
    bind: (_, task) => {
      if (members.length === 0 || task.group !== null) return { input: 1 };
      return {
        members: members.map(
          ({ id, agent, input, kind }) => ({ id: `${task.id}/${id}`, agent, input, kind }) as TaskSpec,
        ),
      };
    },
  };
}

const idOf = (need: NonNullable<TaskSpec["needs"]>[number]) => (typeof need === "string" ? need : need.task);

const act = fc.record({
  what: fc.constantFrom(
    "assign",
    "assign",
    "assign",
    "complete",
    "complete",
    "fail",
    "stumble",
    "release",
    "crash",
    "suspend",
    "wake",
    "expire",
    "late",
    "intend",
    "record",
    "settle",
  ),
  task: fc.nat(),
});

const acts = fc.array(act, { minLength: 20, maxLength: 60 });

function perform(at: Desk, { what, task: number }: { what: string; task: number }): void {
  const all = [...at.state.tasks.values()];
  const atWork = all.filter((task) => task.status === "assigned");
  const startable = all.filter((task) => task.status === "ready");
  // Mostly what can happen, now and then what cannot.
  const tasks =
    number % 5 === 0
      ? all
      : what === "assign"
        ? startable
        : atWork.length > 0 && what !== "settle" && what !== "wake"
          ? atWork
          : all;
  const task = tasks[number % Math.max(1, tasks.length)];
  at.now += 1_000;
  if (task === undefined) return;
  const { id, attempt } = task;
  const step = { kind: "tool" as const, name: "s", inputHash: "h", key: `s#${number % 2}` };
  if (what === "assign") at.assign(id);
  else if (what === "complete") at.complete(id, number);
  else if (what === "fail") at.fail(id, permanent("no"));
  else if (what === "stumble") at.fail(id, transient("busy"));
  else if (what === "release" || what === "crash") at.release(id, what === "crash");
  else if (what === "suspend") at.send({ type: "task.suspend", task: id, attempt, wakeAt: at.now + 10 });
  else if (what === "wake") at.send({ type: "timer.fire", name: `wake/${id}` });
  else if (what === "expire") at.send({ type: "task.expire", task: id });
  else if (what === "late") at.send({ type: "task.complete", task: id, attempt: attempt + 1, output: "late" });
  else if (what === "settle")
    at.send({ type: "step.settle", task: id, key: step.key, outcome: "done", by: "me", note: "" });
  else
    at.send({
      type: "step.record",
      task: id,
      attempt,
      step: {
        ...step,
        phase: what === "intend" ? "started" : "completed",
        settle: number % 3 === 0 ? "retry" : "person",
      },
    });
}

function expectSound(state: RunState, version: number): void {
  const tasks = [...state.tasks.values()];
  expect(state.version).toBe(version);
  expect(state.openTasks).toBe(tasks.filter((task) => !SETTLED.has(task.status)).length);
  for (const status of ["completed", "failed", "skipped", "cancelled"] as const) {
    expect(state.counts[status]).toBe(tasks.filter((task) => task.status === status).length);
  }
  const waitsFor = new Map(
    tasks.map((task) => [task.id, [...task.needs.map((need) => need.task), ...(task.members ?? [])]]),
  );
  expect(findCycle(waitsFor, () => [])).toBeNull();
  if (state.status !== "running") expect(state.openTasks).toBe(0);
}

/** C11: of equal tasks one is worked on, and whoever waits for a result waits for one that is being made. */
function expectShared(state: RunState): void {
  const open = [...state.tasks.values()].filter((task) => UNDER_WAY.has(task.status));
  for (const input of new Set(open.map((task) => task.input ?? null))) {
    const equal = open.filter((task) => (task.input ?? null) === input);
    expect(equal.filter(({ follows }) => !follows)).toHaveLength(1);
  }
}

/** Once faults stop: everything that waits is woken, settled, given out and completed. */
function drain(at: Desk): void {
  for (let round = 0; round < 200 && at.state.status === "running"; round++) {
    at.now += 100_000;
    for (const task of [...at.state.tasks.values()]) {
      for (const step of [...task.steps.values()]) {
        if (step.status === "unknown")
          at.send({ type: "step.settle", task: task.id, key: step.key, outcome: "not-done", by: "me", note: "" });
      }
      at.send({ type: "timer.fire", name: `wake/${task.id}` });
      at.assign(task.id);
      if (task.status === "assigned") at.complete(task.id);
    }
  }
}

it("whatever a pattern says and whatever befalls its tasks: counts agree, no cycle enters, the journal is the state, the run ends once", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      edits,
      fc.array(spec, { maxLength: 2 }),
      acts,
      wild,
      windowMs,
      (batches, members, acts, closing, window) => {
        const reuse: Record<string, number> = window === null ? {} : { x: window };
        const at = desk(babbling(batches, members, closing), {
          retry: { attemptsMax: 3 },
          limits: { queueMs: 0 },
          reuse,
        });
        for (const one of acts) {
          perform(at, one);
          expectSound(at.state, at.events.length);
          if (window !== null) expectShared(at.state);
        }
        drain(at);
        expectSound(at.state, at.events.length);
        expect(at.state.status).not.toBe("running");
        const ends = at.events.filter((event) => /^run\.(completed|failed|stopped)$/.test(event.type));
        expect(ends).toHaveLength(1);
        const after = at.events.slice(at.events.indexOf(ends[0] as (typeof ends)[number]) + 1);
        expect(after.every((event) => event.type === "result.late")).toBe(true);
        at.check();
        for (const event of at.events)
          seen.add(event.type === "run.failed" ? `run.failed ${event.data.error.code}` : event.type);
      },
    ),
    { numRuns: 300 },
  );
  // What the fuzz never reached it does not guard.
  for (const type of [
    "tasks.bound",
    "task.reused",
    "task.skipped",
    "task.suspended",
    "task.woken",
    "step.unknown",
    "step.settled",
    "task.expired",
    "result.late",
    "run.completed",
    "run.failed CYCLE",
  ]) {
    expect(seen).toContain(type);
  }
});

it("a task's result is applied at most once", () => {
  fc.assert(
    fc.property(edits, acts, wild, (batches, acts, closing) => {
      const at = desk(babbling(batches, [], closing));
      for (const one of acts) perform(at, one);
      const ended = at.events.flatMap((event) =>
        event.type === "task.completed" || event.type === "task.failed" ? [event.data.task] : [],
      );
      expect(new Set(ended).size).toBe(ended.length);
    }),
    { numRuns: 200 },
  );
});
