import fc from "fast-check";
import { expect, it } from "vitest";
import { z } from "zod";
import { findCycle } from "../../src/core/graph.ts";
import type { Json } from "../../src/core/json.ts";
import type { Edit } from "../../src/core/planner.ts";
import type { RunEvent } from "../../src/core/event.ts";
import type { RunState } from "../../src/core/state.ts";
import { choreographyPattern } from "../../src/pattern/choreography.ts";
import { debatePattern } from "../../src/pattern/debate.ts";
import { graphPattern } from "../../src/pattern/graph.ts";
import { definePattern } from "../../src/pattern/pattern.ts";
import { plannerPattern } from "../../src/pattern/planner.ts";
import { supervisorPattern } from "../../src/pattern/supervisor.ts";
import { swarmPattern } from "../../src/pattern/swarm.ts";
import { type Outcome, permanent, run, type Script, transient } from "./engine.ts";

// `run` checks after each step that needs were met, and at the end that the journal folds to the decided state.

/** Fails by task and attempt, picked by the numbers of a list; completes otherwise. */
const failingScript = (dice: readonly number[], output: Script): Script => {
  let rolls = 0;
  return (task) => {
    const roll = dice[rolls++ % dice.length] ?? 0;
    if (roll === 0) return { error: permanent(`${task.id} fails`) };
    return roll === 1 ? { error: transient(`${task.id} stumbles`) } : output(task);
  };
};

const dice = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 40 });
const picker = fc.array(fc.nat(), { minLength: 1, maxLength: 40 }).map((numbers) => {
  let picks = 0;
  return (count: number) => (numbers[picks++ % numbers.length] ?? 0) % count;
});
const on = fc.constantFrom("completed", "completed", "completed", "settled", "failed");

const dag = fc
  .array(
    fc.record({ needs: fc.array(fc.record({ task: fc.nat(), on }), { maxLength: 3 }), items: fc.option(fc.nat(3)) }),
    { minLength: 1, maxLength: 14 },
  )
  .map((nodes) =>
    Object.fromEntries(
      nodes.map(({ needs, items }, index) => {
        const earlier = index === 0 ? [] : [...new Map(needs.map((need) => [need.task % index, need.on])).entries()];
        const forEach = items === null ? {} : { forEach: Array.from({ length: items }, (_, item) => item) };
        return [
          `t${index}`,
          { agent: "x", needs: earlier.map(([task, on]) => ({ task: `t${task}`, on })), ...forEach },
        ];
      }),
    ),
  );

function expectEnded(state: RunState): void {
  expect(["completed", "failed"]).toContain(state.status);
  expect(state.openTasks).toBe(0);
  for (const task of state.tasks.values())
    expect(["completed", "failed", "skipped", "cancelled"]).toContain(task.status);
}

it("any graph, any failures, any order: every run ends, no task starts before its needs, the journal is the state", () => {
  fc.assert(
    fc.property(dag, dice, picker, fc.constantFrom("stop", "continue"), (tasks, rolls, pick, onFailure) => {
      const { state } = run({
        pattern: graphPattern,
        options: { tasks, onFailure },
        retry: { attemptsMax: 3 },
        pick,
        script: failingScript(rolls, ({ id }) => ({ output: id })),
      });
      expectEnded(state);
      // Without a failure nothing is skipped but what asked for one.
      if (state.counts.failed === 0 && onFailure === "stop") expect(state.status).toBe("completed");
    }),
    { numRuns: 300 },
  );
});

it("any debate with any failures ends, and fails exactly when more debaters failed than are tolerated, or the judge", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(4),
      dice,
      picker,
      (count, rounds, allowed, rolls, pick) => {
        const tolerate = Math.min(allowed, count - 1);
        const debaters = Array.from({ length: count }, (_, index) => `d${index}`);
        const options = { debaters, rounds, judge: "j", tolerate };
        const { state } = run({
          pattern: debatePattern,
          options,
          pick,
          script: failingScript(rolls, ({ id }) => ({ output: id })),
        });
        expectEnded(state);
        const lost = debaters.filter((id) =>
          [...state.tasks.values()].some((task) => task.status === "failed" && task.id.startsWith(`${id}/`)),
        );
        const judged = state.tasks.get("judge")?.status === "completed";
        expect(state.status === "completed").toBe(judged);
        expect(lost.length > tolerate || state.tasks.get("judge")?.status === "failed").toBe(!judged);
      },
    ),
    { numRuns: 200 },
  );
});

it("any plan with any verdicts and failures ends", () => {
  const subtask = fc.record({
    needs: fc.array(fc.nat(6), { maxLength: 2 }),
    agent: fc.constantFrom("a", "b", "nobody"),
  });
  const verdicts = fc.array(fc.constantFrom("accept", "accept", "retry", "reassign", "perhaps"), { minLength: 1 });
  const onRejected = fc.constantFrom("fail", "synthesise");
  fc.assert(
    fc.property(
      fc.array(subtask, { maxLength: 6 }),
      verdicts,
      dice,
      picker,
      onRejected,
      (plan, given, rolls, pick, rejected) => {
        let reviews = 0;
        const tasks = plan.map(({ needs, agent }, index) => ({
          id: `s${index}`,
          agent,
          instruction: "do",
          needs: needs.map((need) => `s${need}`),
        }));
        const safe = tasks.map((task) => ({ ...task, agent: "a", needs: [] as string[] }));
        const answer = ({ id }: { id: string }): Outcome => {
          if (id.startsWith("plan/")) return { output: { tasks: id === "plan/1" ? tasks : safe } };
          return { output: id.startsWith("review/") ? { verdict: given[reviews++ % given.length] ?? "accept" } : id };
        };
        const options = { lead: "lead", workers: ["a", "b"], onRejected: rejected };
        const { state } = run({
          pattern: supervisorPattern,
          options,
          pick,
          retry: { attemptsMax: 2 },
          script: failingScript(rolls, answer),
        });
        expectEnded(state);
      },
    ),
    { numRuns: 200 },
  );
});

it("any swarm with any work and any failures ends, with each item done, failed or unclaimed, and nobody holds too much", () => {
  const type = fc.constantFrom("x", "y", "z");
  const item = fc.record({ type, content: fc.nat(9), priority: fc.constantFrom("HIGH", "LOW") });
  const keyed = fc.record({ type, content: fc.nat(9), key: fc.constantFrom("k", "l") });
  const items = fc.array(fc.oneof(item, keyed), { maxLength: 5 });
  const member = fc.record({
    takes: fc.constantFrom("true", 'item.type == "x"', 'item.type != "z" && item.content < 5'),
    claimsMax: fc.integer({ min: 1, max: 3 }),
    adds: fc.constantFrom<string[]>([], ["x", "y", "z"]),
  });
  fc.assert(
    fc.property(
      fc.array(member, { minLength: 1, maxLength: 3 }),
      items,
      fc.array(items, { minLength: 1 }),
      dice,
      picker,
      (given, board, more, rolls, pick) => {
        const members = given.map((one, index) => ({ ...one, agent: `m${index}` }));
        let finished = 0;
        const work: Script = ({ id, agent }) => {
          const { adds } = members.find((one) => one.agent === agent) ?? { adds: [] };
          return { output: adds.length === 0 ? id : { result: id, more: more[finished++ % more.length] ?? [] } };
        };
        const { state, events } = run({
          pattern: swarmPattern,
          options: { members, board, itemsMax: 12 },
          retry: { attemptsMax: 2 },
          pick,
          script: failingScript(rolls, work),
        });
        expectEnded(state);
        expect(state.status).toBe("completed");
        const { ended, done, failed, unclaimed, open } = state.output as unknown as SwarmBoard;
        expect(done.length + failed.length + unclaimed.length).toBe(state.tasks.size);
        expect([open, state.tasks.size <= 12, ended === "goal"]).toEqual([0, true, false]);
        expectClaims(events, new Map(members.map((one) => [one.agent, one.claimsMax])));
      },
    ),
    { numRuns: 300 },
  );
});

it("C3: any choreography with any failures ends, within its reactions, and each of them has an event that set it off", () => {
  const rule = fc.record({
    on: fc.constantFrom("started", "completed", "failed"),
    when: fc.constantFrom(
      "true",
      'event.agent == "a1"',
      'event.type == "failed" || event.output.size() > 4',
      "input > 1",
    ),
    agent: fc.constantFrom("a1", "a2", "a3"),
  });
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 5 }),
      fc.integer({ min: 1, max: 15 }),
      fc.nat(3),
      dice,
      picker,
      (more, reactionsMax, input, rolls, pick) => {
        const { state, started } = run({
          pattern: choreographyPattern,
          options: {
            rules: [{ on: "started", id: "first", agent: "a1" }, ...more],
            reactionsMax,
            onFailed: "continue",
          },
          input,
          retry: { attemptsMax: 2 },
          pick,
          script: failingScript(rolls, ({ id }) => ({ output: id })),
        });
        expectEnded(state);
        expect(state.status).toBe("completed");
        const { ended, done, failed, dropped, open } = state.output as unknown as ChoreographyLog;
        expect([done.length + failed.length, open]).toEqual([state.tasks.size, 0]);
        expect(state.tasks.size).toBeLessThanOrEqual(reactionsMax);
        expect(ended).toBe(dropped > 0 ? "limit" : "quiescence");
        const before = new Set<string>();
        for (const id of started) {
          const [cause = "", what] = (state.tasks.get(id)?.why ?? "").split(" ");
          expect(what === "run" || before.has(cause)).toBe(true);
          before.add(id);
        }
      },
    ),
    { numRuns: 200 },
  );
});

interface ChoreographyLog {
  ended: string;
  done: unknown[];
  failed: unknown[];
  dropped: number;
  open: number;
}

interface SwarmBoard {
  ended: string;
  done: unknown[];
  failed: unknown[];
  unclaimed: unknown[];
  open: number;
}

/** Each item is claimed once, and nobody holds more than it may at any moment. */
function expectClaims(events: readonly RunEvent[], claimsMax: ReadonlyMap<string, number>): void {
  const holders = new Map<string, string>();
  const claimed = new Set<string>();
  for (const event of events) {
    if (event.type === "task.completed" || event.type === "task.failed") holders.delete(event.data.task);
    if (event.type !== "task.routed") continue;
    const { task, agent } = event.data;
    expect(claimed.has(task)).toBe(false);
    claimed.add(task);
    holders.set(task, agent);
    const held = [...holders.values()].filter((one) => one === agent).length;
    expect(held).toBeLessThanOrEqual(claimsMax.get(agent) ?? 0);
  }
}

it("C9: any answers under any policy end in one of them, or in a disagreement that says why", () => {
  const answer = fc.oneof(
    fc.constantFrom<Json>(
      "x",
      "y",
      null,
      7,
      { claim: "x", confidence: 0.5 },
      { claim: "y", confidence: 0.2 },
      { claim: "y", confidence: 3 },
    ),
    fc.json().map((text) => JSON.parse(text) as Json),
  );
  const move = fc.constantFrom<Json>(
    { move: "hold", why: "" },
    { move: "concede", to: "a", why: "" },
    { move: "concede", to: "b", why: "" },
    { move: "counter", answer: "x", why: "" },
    "nonsense",
  );
  const policy = fc.record({
    by: fc.constantFrom("vote", "confidence", "judge", "negotiation"),
    tie: fc.constantFrom("fail", "first", "judge"),
    share: fc.constantFrom(0, 0.5),
    quorum: fc.integer({ min: 1, max: 3 }),
    roundsMax: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(answer, { minLength: 3, maxLength: 3 }),
      fc.array(move, { minLength: 1 }),
      policy,
      dice,
      picker,
      (answers, moves, given, rolls, pick) => {
        let said = 0;
        const speak: Script = ({ id, agent }) => {
          if (id.includes("/negotiate/")) return { output: moves[said++ % moves.length] ?? null };
          return { output: agent === "j" ? "judged" : (answers["abc".indexOf(agent)] ?? null) };
        };
        const resolve = { ...given, judge: "j" };
        const { state } = run({
          pattern: graphPattern,
          options: { tasks: { t: { agents: ["a", "b", "c"], resolve } } },
          pick,
          script: failingScript(rolls, speak),
        });
        expectEnded(state);
        const possible = [...answers, "judged", "x"].map((one) => JSON.stringify(one ?? null));
        if (state.status === "completed") expect(possible).toContain(JSON.stringify(state.output ?? null));
        else expect(["DISAGREEMENT", "AGENT_FAILED", "MODEL_UNAVAILABLE"]).toContain(state.error?.code);
      },
    ),
    { numRuns: 300 },
  );
});

it("C5: any plan with any failures and any patches ends; finished work is kept, and revisions have their bound", () => {
  const planned = (id: string) =>
    fc.record({
      id: fc.constant(id),
      agent: fc.constantFrom("a", "b"),
      instruction: fc.constant("do"),
      needs: fc.array(fc.constantFrom("s0", "s1", "s2"), { maxLength: 1 }),
    });
  const tasks = fc
    .tuple(planned("s0"), planned("s1"), planned("s2"))
    .map((list) =>
      list.map((one, index) => ({ ...one, needs: one.needs.filter((need) => Number(need.slice(1)) < index) })),
    );
  const ids = fc.subarray(["s0", "s1", "s2", "s3"]);
  const patch = fc.record({
    why: fc.constant("so"),
    replace: fc.subarray(["s0", "s1", "s2"]).chain((list) => fc.tuple(...list.map(planned))),
    add: fc.option(planned("s3"), { nil: undefined }).map((one) => (one === undefined ? [] : [one])),
    cancel: ids,
    accept: ids,
    giveUp: fc.constantFrom(false, false, false, true),
  });
  fc.assert(
    fc.property(
      tasks,
      fc.array(patch, { minLength: 1, maxLength: 9 }),
      fc.nat(3),
      dice,
      picker,
      (plan, patches, revisionsMax, rolls, pick) => {
        let asked = 0;
        const answer = ({ id, input }: { id: string; input: Json }): Outcome => {
          if (id.startsWith("plan/")) return { output: { tasks: plan } };
          if (!id.startsWith("revise/")) return { output: id };
          // Half of the patches are made to fit: all that went wrong is done again.
          const { because } = input as { because: { task: string }[] };
          const fitting = {
            why: "again",
            replace: because.map(({ task }) => ({
              ...plan[Number(task.slice(1))],
              id: task,
              agent: "b",
              instruction: "x",
              needs: [],
            })),
          };
          asked += 1;
          return {
            output:
              asked % 2 === 0 ? (patches[asked % patches.length] as unknown as Json) : (fitting as unknown as Json),
          };
        };
        const { state, events } = run({
          pattern: plannerPattern,
          options: { planner: "p", workers: ["a", "b"], revisionsMax },
          pick,
          script: failingScript(rolls, answer),
        });
        expectEnded(state);
        const finished = new Set<string>();
        for (const event of events) {
          if (event.type === "task.completed" && event.data.task.startsWith("do/"))
            finished.add(event.data.task.split("/")[1] ?? "");
          if (event.type !== "plan.revised") continue;
          for (const { task } of event.data.add)
            if (task.startsWith("do/")) expect(finished.has(task.split("/")[1] ?? "")).toBe(false);
        }
        const revisions = events.filter(({ type, data }) => type === "plan.revised" && data.why.startsWith("revision"));
        expect(revisions.length).toBeLessThanOrEqual(revisionsMax);
        expect(state.error?.code).not.toBe("INVARIANT");
        expect(state.error?.message ?? "").not.toMatch(/pattern left|no input/);
      },
    ),
    { numRuns: 300 },
  );
});

it("C1: whatever a pattern adds while the run goes on, no cycle ever enters the graph", () => {
  const batch = fc.array(fc.record({ id: fc.nat(9), needs: fc.array(fc.nat(9), { maxLength: 2 }) }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.array(batch, { minLength: 1, maxLength: 5 }), (batches) => {
      const growing = definePattern({
        name: "growing",
        options: z.strictObject({}),
        agents: () => ["x"],
        plan: (view): Edit[] => {
          const added = [...view.tasks()].filter((task) => task.status === "completed").length;
          const next = batches[added];
          if (next === undefined) return view.open === 0 ? [{ edit: "finish", output: added }] : [];
          return next.map(({ id, needs }) => ({
            edit: "add",
            task: { id: `t${id}`, agent: "x", input: id, needs: needs.map((need) => `t${need}`) },
          }));
        },
      });
      const { state, events } = run({ pattern: growing, options: {}, script: ({ input }) => ({ output: input }) });
      const needs = new Map([...state.tasks.values()].map((task) => [task.id, task.needs.map((need) => need.task)]));
      expect(findCycle(needs, () => [])).toBeNull();
      const refused = events.find((event) => event.type === "run.failed");
      if (state.error?.code === "CYCLE")
        expect(refused).toMatchObject({ data: { error: { message: expect.stringMatching(/t\d+ → .*t\d+/) } } });
    }),
    { numRuns: 300 },
  );
});
