import { expect, test } from "vitest";
import type { Envelope } from "../../src/message/envelope.ts";
import { until } from "./process.ts";
import { resultOf, type RogueHost, startRogueFleet, stepOf } from "./rogue-host.ts";

type Fleet = Awaited<ReturnType<typeof startRogueFleet>>;

/** A run whose two tasks are with one host, which may speak for `mine` and `theirs`. */
async function heldBy(
  fleet: Fleet,
  agents: readonly string[] = ["mine", "theirs"],
): Promise<{ host: RogueHost; run: string }> {
  const host = fleet.host("w-rogue", agents);
  const run = await fleet.start();
  await until(() => host.has("mine") && host.has("theirs"), "both tasks to be assigned");
  return { host, run };
}

/** That a lie was refused, recorded and not acted on, and its host is ended. */
async function expectRefused(
  fleet: Fleet,
  { host, run }: { host: RogueHost; run: string },
  why: RegExp,
): Promise<void> {
  const refused = await fleet.told("message.refused");
  expect(refused.map(({ worker }) => worker)).toEqual(["w-rogue"]);
  expect(refused[0]?.why).toMatch(why);
  expect(host.killed).toMatch(why);
  const { status, usage, tasks } = await fleet.state(run);
  expect({ status, steps: usage.steps, tasks: [...tasks.values()].map((task) => task.status) }).toEqual({
    status: "running",
    steps: 0,
    tasks: ["assigned", "assigned"],
  });
}

const in_ = (envelope: Envelope, change: object): Envelope => ({ ...envelope, ...change });
const inPayload = (envelope: Envelope, change: object): Envelope =>
  in_(envelope, { payload: { ...(envelope.payload as object), ...change } });

const LIES: Record<string, { lie(host: RogueHost): void; why: RegExp; agents?: readonly string[] }> = {
  "the result of an agent that did not certify the channel": {
    agents: ["mine"],
    lie: (host) => host.report(resultOf(host.assigned("theirs"), "forged")),
    why: /theirs did not certify/,
  },
  "a step in the name of another agent": {
    lie: (host) => host.report({ ...stepOf(host.assigned("mine")), agent: "theirs" }),
    why: /the task is mine's/,
  },
  "a result in the name of another agent": {
    lie: (host) => host.report({ ...resultOf(host.assigned("mine"), "forged"), agent: "theirs" }),
    why: /the task is mine's/,
  },
  "an envelope whose sender is another": {
    lie: (host) =>
      host.report(resultOf(host.assigned("mine"), "forged", (envelope) => in_(envelope, { sender: "theirs" }))),
    why: /sender/,
  },
  "an envelope to another recipient": {
    lie: (host) =>
      host.report(resultOf(host.assigned("mine"), "forged", (envelope) => in_(envelope, { recipient: "theirs" }))),
    why: /type|recipient/,
  },
  "an envelope of a type that agents may not send": {
    lie: (host) => host.report(resultOf(host.assigned("mine"), "forged", () => host.assigned("mine").envelope)),
    why: /sender|type/,
  },
  "an envelope that speaks of another attempt": {
    lie: (host) =>
      host.report(resultOf(host.assigned("mine"), "forged", (envelope) => inPayload(envelope, { attempt: 2 }))),
    why: /another attempt/,
  },
  "an envelope that speaks of another task": {
    lie: (host) =>
      host.report(resultOf(host.assigned("mine"), "forged", (envelope) => inPayload(envelope, { task: "two" }))),
    why: /another attempt/,
  },
  "an envelope that is too old": {
    lie: (host) =>
      host.report(resultOf(host.assigned("mine"), "forged", (envelope) => in_(envelope, { timestamp: 1 }))),
    why: /age/,
  },
  "an envelope from the future": {
    lie: (host) =>
      host.report(
        resultOf(host.assigned("mine"), "forged", (envelope) =>
          in_(envelope, { timestamp: envelope.timestamp + 3_600_000 }),
        ),
      ),
    why: /age/,
  },
  "an envelope with a property that is not in its schema": {
    lie: (host) => host.report(resultOf(host.assigned("mine"), "forged", (envelope) => in_(envelope, { extra: 1 }))),
    why: /schema/,
  },
  "a number that was skipped": {
    lie: (host) => host.report(stepOf(host.assigned("mine")), (frame) => ({ ...frame, seq: frame.seq + 1 })),
    why: /came where 0 was due/,
  },
  "an output that was changed after it was signed": {
    lie: (host) => {
      host.report(stepOf(host.assigned("mine"), { phase: "started", key: "s#0" }), (frame) => ({
        ...frame,
        task: "no such task",
      }));
      host.seal();
    },
    why: /is not what came/,
  },
  "a seal with another agent's signature": {
    lie: (host) => {
      host.report({ ...stepOf(host.assigned("mine")), task: "no such task" });
      host.seal((seals) => seals.map((seal) => ({ ...seal, signature: `A${seal.signature.slice(1)}` })));
    },
    why: /does not hold/,
  },
  "a seal over frames that never came": {
    lie: (host) => host.seal(() => [forgedSeal()]),
    why: /signed frames|does not|another session/,
  },
  "a seal that is none": { lie: (host) => host.seal(() => [{ agent: "mine" }]), why: /malformed seals/ },
  "a seal with more in it": { lie: (host) => host.seal(() => [{ ...forgedSeal(), more: 1 }]), why: /malformed seals/ },
};

function forgedSeal() {
  return { agent: "mine", session: "w-rogue", from: 0, to: 7, root: "00", signature: "AA" };
}

test.each(Object.entries(LIES))("X1, M3: refused, recorded, not acted on: %s", async (_, { lie, why, agents }) => {
  const fleet = await startRogueFleet();
  const held = await heldBy(fleet, agents);
  lie(held.host);
  await expectRefused(fleet, held, why);
});

const RUBBISH: readonly unknown[] = [
  null,
  7,
  "step",
  [],
  {},
  { f: "step" },
  { f: "constructor" },
  { f: "result", run: "r", task: "t", attempt: 1, agent: "mine", seq: 0 },
  { f: "result", run: "r", task: "t", attempt: 1, agent: "mine", seq: 0, envelope: null },
  { f: "result", run: 1, task: "t", attempt: 1, agent: "mine", seq: 0, envelope: {} },
  { f: "step", run: "r", task: "t", attempt: 1, agent: "mine", seq: 0, step: null },
  { f: "step", run: "r", task: "t", attempt: 1, agent: "mine", seq: 0, step: { phase: "done" } },
  { f: "permit", run: "r", task: "t", attempt: 1, id: 1, tokens: -1_000_000 },
  { f: "permit", run: "r", task: "t", attempt: 1, id: 1, tokens: "many" },
  { f: "suspend", run: "r", task: "t", attempt: 1, agent: "mine", seq: 0, wakeAt: "later" },
  { f: "seal", seals: 3 },
  { f: "log", run: "r", task: "t", attempt: 1, level: "loud", message: "x" },
  { f: "token", run: "r", task: "t", attempt: 1, agent: "mine", text: {} },
];

test.each(RUBBISH.map((frame) => [JSON.stringify(frame), frame]))(
  "M2: rubbish on an authentic channel ends its host and nothing else: %s",
  async (_, frame) => {
    const fleet = await startRogueFleet();
    const held = await heldBy(fleet);
    held.host.say(frame);
    await expectRefused(fleet, held, /./);
  },
);

const WRONG_STEPS: Record<string, object> = {
  "another kind": { kind: "miracle" },
  "tokens that were won back": { usage: { inputTokens: -1_000, outputTokens: 0, costMicroUsd: 0, simulated: false } },
  "money in fractions": { usage: { inputTokens: 0, outputTokens: 0, costMicroUsd: 0.5, simulated: false } },
  "an error of no class": { phase: "failed", error: { code: "X", class: "odd", message: "m" } },
  "a proof of its own": { proof: { session: "x", seq: 0, digest: "d" } },
  "text without UTF-8 form": { output: "\ud800" },
  "no end of nesting": { output: JSON.parse("[".repeat(1_000) + "]".repeat(1_000)) as object },
  "no end of text": { output: "x".repeat(17 * 1024 * 1024) },
};

test.each(Object.entries(WRONG_STEPS))(
  "M2: a step that no event can hold is refused, and other decisions of the run stand: %s",
  async (_, change) => {
    const fleet = await startRogueFleet();
    const held = await heldBy(fleet);
    const { step, ...frame } = stepOf(held.host.assigned("mine"));
    held.host.say({ ...frame, seq: 0, step: { ...step, ...change } });
    await expectRefused(fleet, held, /step/);
  },
);

test("M3: once refused, a host is not heard again, and is given no more work", async () => {
  const fleet = await startRogueFleet();
  const { host, run } = await heldBy(fleet);
  host.report({ ...resultOf(host.assigned("mine"), "forged"), agent: "theirs" });
  host.report(resultOf(host.assigned("mine"), "honest, too late"));
  host.report(resultOf(host.assigned("theirs"), "honest, too late"));
  await fleet.start();
  expect(await fleet.told("message.refused")).toHaveLength(1);
  expect((await fleet.state(run)).counts.completed).toBe(0);
  expect(host.received.filter(({ f }) => f === "assign")).toHaveLength(2);
});

test("M7: a result that is replayed is refused by its number; a result for a task that the host does not hold is late, whoever it is for", async () => {
  const fleet = await startRogueFleet();
  const { host, run } = await heldBy(fleet);
  const other = fleet.host("w-other", ["mine", "theirs"]);
  other.report(resultOf(host.assigned("mine"), "forged by another host"));
  await fleet.coordinator.settled();
  expect((await fleet.state(run)).counts).toMatchObject({ completed: 0, late: 1 });
  const result = resultOf(host.assigned("mine"), "honest");
  host.report(result);
  host.report(result, (frame) => ({ ...frame, seq: 0 }));
  expect((await fleet.told("message.refused"))[0]?.why).toMatch(/came where 1 was due/);
  const { counts, tasks } = await fleet.state(run);
  expect({ completed: counts.completed, output: tasks.get("one")?.output }).toEqual({ completed: 1, output: "honest" });
});

test("X1: who does not sign what he sent is refused when its time is over", async () => {
  const fleet = await startRogueFleet({ sealWithinMs: 50, leaseMs: 300 });
  const { host } = await heldBy(fleet);
  host.report(stepOf(host.assigned("mine")));
  await until(() => host.killed !== null, "the host to be ended");
  expect(host.killed).toMatch(/do not sign/);
  expect((await fleet.told("message.refused"))[0]?.why).toMatch(/do not sign/);
});

test("F3: a host that is silent for longer than its lease is cut off, and its tasks go to another", async () => {
  const fleet = await startRogueFleet({ leaseMs: 150 });
  const { host, run } = await heldBy(fleet);
  await until(() => host.killed !== null, "the silent host to be cut off");
  const honest = fleet.host("w-honest", ["mine", "theirs"]);
  fleet.coordinator.detach("w-rogue", "silent", false);
  await until(() => honest.has("mine") && honest.has("theirs"), "the tasks to be with another host");
  for (const agent of ["mine", "theirs"]) honest.report(resultOf(honest.assigned(agent), agent));
  await until(async () => (await fleet.state(run)).status === "completed", "the run to complete");
  host.report(resultOf(host.assigned("mine"), "much too late"));
  await fleet.coordinator.settled();
  expect((await fleet.state(run)).output).toEqual({ one: "mine", two: "theirs" });
});
