import type { Json } from "../src/index.ts";
import { coldStarts } from "./cold-start.ts";
import { conversations, STEPS } from "./conversation.ts";
import { RawCommits } from "./limit.ts";
import { resumes } from "./resume.ts";
import type { Size } from "./size.ts";
import { median, quantile } from "./statistics.ts";
import { type Mode, proportionalMiB, type StoreKind, storeBytes, Subject } from "./subject.ts";

/** What one round of one workload found; whichever apply. */
export interface Measured {
  n: number;
  p50Ms?: number;
  p99Ms?: number;
  perTaskMs?: number;
  tasksPerSecond?: number;
  /** W5: tasks per second of the large fan-out over that of the small one; 1 is flat. */
  growth?: number;
  pssMiB?: number;
  /** As `tasksPerSecond`, `cpuMsPerTask` and `pssMiB`, in a process with the heap caps that `docs/performance.md` gives. */
  cappedTasksPerSecond?: number;
  cappedCpuMsPerTask?: number;
  cappedPssMiB?: number;
  coldStartMs?: number;
  resumeMs?: number;
  /** Durable transactions for each run (W1) or each task (others). */
  flushes?: number;
  /** Bytes of the store for each task. */
  bytesPerTask?: number;
  /** W8: the same calls without Flotilla, for each step. */
  bareMs?: number;
  overheadMs?: number;
  /** Medians of raw one-row commits that were made between the samples. */
  commitMs?: number;
  /** Processor time of this process for each task, user and system: steadier than the clock on a shared machine. */
  cpuMsPerTask?: number;
  ratioToCommit?: number;
}

/** Runs between two lots of raw commits: they share the minute, and the disk's mood. */
const LOT = 20;
const INPUT: Json = { text: "a small input" };

/** W1: one task in a run, one run at a time. */
export async function measureSingle(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  await using subject = await Subject.open(mode, store);
  for (let i = 0; i < size.single / 5; i++) await subject.run("one", INPUT);
  const { times, commitMs, flushes } = await oneByOne(subject, "one", size.single);
  const p50Ms = median(times);
  return { n: size.single, p50Ms, p99Ms: quantile(times, 0.99), flushes, ...ratio(p50Ms, commitMs) };
}

/** W2: a pipeline of ten tasks, one run at a time: milliseconds for each task. */
export async function measurePipeline(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  await using subject = await Subject.open(mode, store);
  for (let i = 0; i < size.pipelines / 5; i++) await subject.run("ten", INPUT);
  const { times, commitMs, flushes } = await oneByOne(subject, "ten", size.pipelines);
  const perTaskMs = median(times) / 10;
  return { n: size.pipelines, perTaskMs, flushes: flushes / 10, ...ratio(perTaskMs, commitMs) };
}

/** W3: diamonds of ten tasks, many runs at a time; with W4's memory and disk, as they are afterwards. */
export async function measureDiamonds(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  await using subject = await Subject.open(mode, store);
  using raw = new RawCommits(subject.folder);
  const tasks = size.diamonds * 10;
  const warmUp = Math.ceil(size.diamonds / 10);
  await manyAtOnce(subject, "diamond", warmUp, size.inFlight);
  const commits = lotOf(raw, LOT);
  const [before, cpu] = [subject.commits, process.cpuUsage()];
  const elapsedMs = await manyAtOnce(subject, "diamond", size.diamonds, size.inFlight);
  const [flushes, cpuMsPerTask] = [(subject.commits - before) / tasks, cpuMs(cpu) / tasks];
  const pssMiB = proportionalMiB([process.pid, ...(await subject.hosts())]);
  commits.push(...lotOf(raw, LOT));
  await subject.close();
  return {
    n: size.diamonds,
    tasksPerSecond: (tasks / elapsedMs) * 1_000,
    perTaskMs: elapsedMs / tasks,
    cpuMsPerTask,
    flushes,
    ...(pssMiB === null ? {} : { pssMiB }),
    ...(store === "memory" ? {} : { bytesPerTask: storeBytes(subject.folder) / (tasks + warmUp * 10) }),
    ...ratio(elapsedMs / tasks, median(commits)),
  };
}

/** W5: one run of many parallel tasks, and whether more of them cost more each. */
export async function measureFan(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  await using subject = await Subject.open(mode, store);
  using raw = new RawCommits(subject.folder);
  const fan = async (tasks: number) => {
    const items = Array.from({ length: tasks }, (_, index) => ({ index }));
    const start = performance.now();
    await subject.run("fan", items);
    return performance.now() - start;
  };
  for (let i = 0; i < 5; i++) await fan(size.fanSmall);
  const commits = lotOf(raw, LOT);
  const small: number[] = [];
  const large: number[] = [];
  let cpuSumMs = 0;
  // In turn, so that neither has a better minute than the other.
  for (let i = 0; i < 3; i++) {
    for (let k = 0; k < 5; k++) small.push(await fan(size.fanSmall));
    const cpu = process.cpuUsage();
    large.push(await fan(size.fanLarge));
    cpuSumMs += cpuMs(cpu);
  }
  commits.push(...lotOf(raw, LOT));
  const perTaskMs = median(large) / size.fanLarge;
  const cpuMsPerTask = cpuSumMs / large.length / size.fanLarge;
  return {
    n: size.fanLarge,
    tasksPerSecond: 1_000 / perTaskMs,
    perTaskMs,
    cpuMsPerTask,
    growth: median(small) / size.fanSmall / perTaskMs,
    ...ratio(perTaskMs, median(commits)),
  };
}

/** W4: from nothing to the first result, and from `kill -9` to the result of what was killed. */
export async function measureStarts(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  // Hosts start in the time of the library and that of a resume; a cold start with them is not told apart.
  const cold = mode === "library" ? await coldStarts(store, size.starts) : [];
  const resumed = await resumes(mode, store, size.starts);
  return {
    n: size.starts,
    ...(cold.length === 0 ? {} : { coldStartMs: median(cold) }),
    ...(resumed.length === 0 ? {} : { resumeMs: median(resumed) }),
  };
}

/** W8: ten model calls and ten tool calls: what each step costs over the bare call. */
export async function measureConversations(mode: Mode, store: StoreKind, size: Size): Promise<Measured> {
  const { ours, bare } = await conversations(mode, store, size.conversations);
  const perStepMs = median(ours) / STEPS;
  const bareMs = median(bare) / STEPS;
  return { n: size.conversations, perTaskMs: perStepMs, bareMs, overheadMs: perStepMs - bareMs };
}

async function oneByOne(subject: Subject, workflow: string, runs: number) {
  using raw = new RawCommits(subject.folder);
  const times: number[] = [];
  const commits: number[] = [];
  let flushed = 0;
  for (let i = 0; i < runs; i++) {
    if (i % LOT === 0) commits.push(...lotOf(raw, LOT));
    const before = subject.commits;
    const start = performance.now();
    await subject.run(workflow, INPUT);
    times.push(performance.now() - start);
    flushed += subject.commits - before;
  }
  return { times, commitMs: median(commits), flushes: flushed / runs };
}

async function manyAtOnce(subject: Subject, workflow: string, runs: number, inFlight: number): Promise<number> {
  let left = runs;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      await subject.run(workflow, INPUT);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: Math.min(inFlight, runs) }, one));
  return performance.now() - start;
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

function lotOf(raw: RawCommits, count: number): number[] {
  return Array.from({ length: count }, () => raw.time(1));
}

function ratio(ms: number, commitMs: number): { commitMs: number; ratioToCommit: number } {
  return { commitMs, ratioToCommit: ms / commitMs };
}
