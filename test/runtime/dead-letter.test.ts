import { expect, it } from "vitest";
import { z } from "zod";
import { agent, fleet, open, pipeline } from "../../src/index.ts";
import { actOnDeadLetter } from "../../src/runtime/dead-letter.ts";
import { readJournal } from "../../src/runtime/journal.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { FLEET_JOURNAL } from "../../src/store/store.ts";

const failing = agent({
  retry: { attemptsMax: 2, initialDelayMs: 1 },
  run: async () => {
    throw new Error("no such customer");
  },
});

it("M9: a task that failed for good is a dead letter, with its reason and what was asked of it", async () => {
  const crm = fleet({ name: "crm", agents: { failing }, workflows: { ask: pipeline({ stages: [failing] }) } });
  await using app = await open(crm, { store: "memory:" });
  const run = await app.start("ask", { customer: 7 });
  await expect(run.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  const [letter, ...others] = await app.fleet.store.deadLetters({ run: run.id, limit: 9 });
  expect(others).toEqual([]);
  expect(letter).toMatchObject({ kind: "failed", run: run.id, task: "failing" });
  expect(letter?.reason).toContain("no such customer");
  expect(JSON.parse(Buffer.from(letter?.bytes ?? []).toString())).toMatchObject({ input: { customer: 7 }, attempt: 2 });
});

it("M9: a task that waits for a worker beyond its time to live fails and is a dead letter", async () => {
  const { promise: freed, resolve: free } = Promise.withResolvers<void>();
  const busy = agent({
    run: async () => {
      await freed;
      return "done";
    },
  });
  const patient = pipeline({ stages: [busy] });
  const hurried = pipeline({ stages: [busy], limits: { queueMs: 20 } });
  const desk = fleet({ name: "desk", agents: { busy }, workflows: { patient, hurried } });
  await using app = await open(desk, { store: "memory:", concurrency: 1 });
  const first = await app.start("patient", null);
  const second = await app.start("hurried", null);
  await expect(second.result()).rejects.toMatchObject({ code: "TASK_EXPIRED" });
  expect(await app.fleet.store.deadLetters({ kind: "expired", limit: 9 })).toMatchObject([
    { run: second.id, task: "busy" },
  ]);
  free();
  expect(await first.result()).toBe("done");
});

/** A crew whose biller knows just Ada. */
function crew() {
  const biller = agent({
    input: z.object({ customer: z.string() }),
    retry: { attemptsMax: 1 },
    run: (_, { customer }) => {
      if (customer !== "Ada") throw new Error(`no customer ${customer}`);
      return `billed ${customer}`;
    },
  });
  return fleet({ name: "crm", agents: { biller }, workflows: { month: pipeline({ stages: [biller] }) } });
}

async function failed(app: Awaited<ReturnType<typeof open>>, customer: string): Promise<string> {
  const run = await app.start("month", { customer });
  await expect(run.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  const [letter] = await app.deadLetters({ run: run.id });
  return letter?.id ?? "";
}

it("M9: a dead letter is edited and replayed as a run of its agent alone; said twice, it is one run", async () => {
  await using app = await open(crew(), { store: "memory:" });
  const id = await failed(app, "Adda");
  await expect(app.replayDeadLetter(id, { input: { client: 1 } })).rejects.toMatchObject({ code: "INPUT_INVALID" });
  expect(await app.deadLetters()).toMatchObject([{ id, agent: "biller", input: { customer: "Adda" }, edits: 0 }]);
  const [letter] = await app.fleet.store.deadLetters({ limit: 1 });
  const run = await app.replayDeadLetter(id, { input: { customer: "Ada" }, by: "ann" });
  expect(await run.result()).toBe("billed Ada");
  expect(await app.deadLetters()).toEqual([]);
  await expect(app.replayDeadLetter(id)).rejects.toMatchObject({ code: "DEAD_LETTER_UNKNOWN" });
  expect(letter).toBeDefined();
});

it("M9: a replay that was cut short between its run and its record starts no second run", async () => {
  const store = openMemoryStore({ fleet: "crm" });
  const bytes = Buffer.from(JSON.stringify({ agent: "biller", attempt: 1, input: { customer: "Ada" } }));
  const letter = { id: "r-1/biller", at: 1, kind: "failed", reason: "no", run: "r-1", task: "biller", bytes } as const;
  const event = { version: 1, at: 1, type: "x", bytes: new Uint8Array(1), hash: new Uint8Array(32), payload: null };
  await store.commit([{ journal: "fleet", expectedVersion: 0, events: [event], deadLetters: [letter] }]);
  const keys: string[] = [];
  const ports = {
    store,
    definition: crew().definition,
    start: (_workflow: string, _input: unknown, key: string) => {
      keys.push(key);
      return Promise.resolve("r-2");
    },
  };
  const act = { act: "replay", by: "ann", note: "" } as const;
  const dies = () => Promise.reject(new Error("killed"));
  await expect(actOnDeadLetter({ ...ports, record: dies }, letter.id, act)).rejects.toThrow("killed");
  expect(await store.deadLetter(letter.id)).not.toBeNull();
  expect(await actOnDeadLetter({ ...ports, record: () => Promise.resolve() }, letter.id, act)).toBe("r-2");
  expect(new Set(keys).size).toBe(1);
});

it("M9: dropped ones are gone, and on record; nobody replays what has no agent any more", async () => {
  await using app = await open(crew(), { store: "memory:" });
  const id = await failed(app, "Bob");
  await app.dropDeadLetter(id, { by: "ann", note: "left" });
  expect(await app.deadLetters()).toEqual([]);
  const types: string[] = [];
  for await (const { row } of readJournal(app.fleet.store, FLEET_JOURNAL)) types.push(row.type);
  expect(types).toContain("dead-letter.dropped");
  await expect(app.dropDeadLetter(id)).rejects.toMatchObject({ code: "DEAD_LETTER_UNKNOWN" });
});
