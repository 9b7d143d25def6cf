import { closeSync, openSync, readSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { trustedKeys } from "../../src/cli/trusted-key.ts";
import { readState } from "../../src/runtime/read-run.ts";
import { verifyJournals } from "../../src/runtime/verify-journals.ts";
import { openSqliteReader } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { makePlace, type Place } from "../runtime/place.ts";
import { isAlive, processesIn, until } from "../runtime/process.ts";
import { Diary, type Entry, entriesOf } from "./diary.ts";
import { evidenceOf } from "./evidence.ts";
import { type Server, startServer } from "./server.ts";

// Issue 2, line 13. The real command serves 200 runs while it and its hosts are killed again and again, each time when
// the diary of the tools says that one of them is in the middle of its work. What that hit is counted from the journals.

const RUNS = 200;
const KILLS_MIN = 30;
const KILLS_MAX = 45;
const IN_STEP_MIN = 20;
const BETWEEN_MIN = 5;
/** Every fifth victim is the coordinator, with everybody who works for it. */
const COORDINATOR_EVERY = 5;
const PAUSE_MS = 60;
const FLEET = "works";

const jobOf = (place: Place, n: number) => ({ n, diary: place.diary, pauseMs: PAUSE_MS });
const resultOf = (n: number) => ({ n, sum: 8_000 + 2 * n, posted: 4_000 + n, paid: 3_000 + n, told: 4_000 + n });

/** Reads what was appended to a file since the last time. */
class Tail {
  readonly #fd: number;
  #rest = "";

  constructor(path: string) {
    this.#fd = openSync(path, "r");
  }

  entries(): Entry[] {
    const chunk = Buffer.alloc(1024 * 1024);
    for (let bytes = readSync(this.#fd, chunk); bytes > 0; bytes = readSync(this.#fd, chunk)) {
      this.#rest += chunk.toString("utf8", 0, bytes);
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return entriesOf(lines);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class Scenario {
  readonly place = makePlace("works.ts");
  readonly tail = new Tail(this.place.diary);
  /** Jobs whose host was killed under them: it happens to each once, since an agent whose hosts die is suspected. */
  readonly victims = new Set<number>();
  server!: Server;
  started = 0;
  kills = 0;

  async serve(): Promise<void> {
    this.server = await startServer(this.place, FLEET);
  }

  async start(count: number): Promise<void> {
    const wanted = Array.from({ length: Math.min(count, RUNS - this.started) }, () => this.started++);
    await Promise.all(wanted.map((n) => this.server.control.start({ workflow: "job", input: jobOf(this.place, n) })));
  }

  /** A tool that has just begun its work, or just had its effect. */
  async victim(wanted: (entry: Entry) => boolean): Promise<Entry> {
    let found: Entry | undefined;
    this.tail.entries();
    await until(
      () => (found = this.tail.entries().find((entry) => wanted(entry) && isAlive(entry.pid))) !== undefined,
      "a tool at work",
    );
    return found as Entry;
  }

  async killHost(wanted: (entry: Entry) => boolean): Promise<void> {
    const { pid, n } = await this.victim((entry) => wanted(entry) && !this.victims.has(entry.n));
    process.kill(pid, "SIGKILL");
    this.victims.add(n);
    this.kills += 1;
  }

  async killCoordinator(wanted: (entry: Entry) => boolean): Promise<void> {
    await this.victim(wanted);
    await this.server.end("SIGKILL");
    this.kills += 1;
    await until(() => processesIn(this.place.folder).length === 0, "the hosts to follow their coordinator", 10_000);
    await this.serve();
  }

  /** Answers as a person does who looks whether it happened. */
  async settleQuestions(): Promise<void> {
    for (const { id } of await this.server.store.runs({ status: "running", limit: RUNS })) {
      const state = await readState(this.server.store, id);
      for (const task of state.tasks.values()) {
        for (const step of task.steps.values()) {
          if (task.status !== "blocked" || step.status !== "unknown") continue;
          const [effect] = new Diary(this.place.lines()).effects(id, task.id, step.key);
          const outcome = effect === undefined ? "not-done" : "done";
          const output = effect === undefined ? null : resultOf(effect.n).told;
          await this.server.control.settle(
            id,
            task.id,
            step.key,
            outcome,
            output,
            "person",
            "looked it up in the diary",
          );
        }
      }
    }
  }

  async open(): Promise<number> {
    return (await this.server.store.runs({ status: "running", limit: RUNS })).length;
  }
}

const WRITES = new Set(["post", "pay", "tell"]);
/** In which moment of whose work a process dies, in turn. */
const MOMENTS: readonly ((entry: Entry) => boolean)[] = [
  ({ tool, what }) => tool === "look" && what === "begin",
  ({ tool, what }) => WRITES.has(tool) && what === "begin",
  ({ tool, what }) => WRITES.has(tool) && what === "effect",
  ({ tool, what }) => tool === "tell" && what === "effect",
  ({ tool, what }) => tool === "post" && what === "begin",
];

test("F6, F8, F13: coordinator and hosts are killed with kill -9 in the middle of 200 runs; each ends right, no recorded step runs twice", async () => {
  const scenario = new Scenario();
  onTestFinished(() => {
    scenario.tail.close();
    scenario.place.remove();
  });
  await scenario.serve();

  const enough = async () => {
    if (scenario.kills < KILLS_MIN) return false;
    const { deaths } = await evidenceOf(scenario.server.store, new Diary(scenario.place.lines()));
    const all = [...deaths.values()];
    return (
      all.filter(({ inStep }) => inStep > 0).length >= IN_STEP_MIN &&
      all.filter(({ between }) => between > 0).length >= BETWEEN_MIN
    );
  };
  while (scenario.kills < KILLS_MAX && !(await enough())) {
    await scenario.start(Math.ceil(RUNS / KILLS_MIN));
    const moment = MOMENTS[scenario.kills % MOMENTS.length] ?? (() => true);
    if (scenario.kills % COORDINATOR_EVERY === 0) await scenario.killCoordinator(moment);
    else await scenario.killHost(moment);
  }
  await scenario.start(RUNS);
  await until(
    async () => {
      await scenario.settleQuestions();
      return (await scenario.open()) === 0;
    },
    "every run to end",
    120_000,
  );
  await scenario.server.end("SIGTERM");
  await until(() => processesIn(scenario.place.folder).length === 0, "every process to be gone", 10_000);

  const store = await openSqliteReader(scenario.place.store, { fleet: FLEET });
  expect(await outcomes(store)).toEqual(
    Array.from({ length: RUNS }, (_, n) => ({ status: "completed", ...resultOf(n) })),
  );
  const { deaths, recorded, begun, wrong } = await evidenceOf(store, new Diary(scenario.place.lines()));
  expect(wrong).toEqual([]);
  const all = [...deaths.values()];
  const counted = {
    kills: scenario.kills,
    inStep: all.filter(({ inStep }) => inStep > 0).length,
    between: all.filter(({ between }) => between > 0).length,
    recorded,
    begun,
  };
  console.log(`real crashes: ${JSON.stringify(counted)}`);
  expect(counted.kills).toBeGreaterThanOrEqual(KILLS_MIN);
  expect(counted.inStep).toBeGreaterThanOrEqual(IN_STEP_MIN);
  expect(counted.between).toBeGreaterThanOrEqual(BETWEEN_MIN);

  const keys = await trustedKeys(scenario.place.store);
  const problems: unknown[] = [];
  const verified = await verifyJournals(
    store,
    keys === null ? {} : { keys },
    ({ problem }) => problem !== null && problems.push(problem),
  );
  expect(problems).toEqual([]);
  expect(verified).toMatchObject({ broken: 0, journals: RUNS + 1 });
  await store.close();
}, 180_000);

/** How every run ended, in order of its job. */
async function outcomes(store: Store) {
  const rows = await store.runs({ limit: RUNS + 1 });
  const ends = await Promise.all(
    rows.map(async ({ id }) => {
      const { status, output, input } = await readState(store, id);
      return { n: (input as { n: number }).n, end: { status, ...(output as object) } };
    }),
  );
  return ends.toSorted((a, b) => a.n - b.n).map(({ end }) => end);
}
