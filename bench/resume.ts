import { type ChildProcess, fork } from "node:child_process";
import { rmSync } from "node:fs";
import { sibling } from "./compile.ts";
import { makeFolder, type Mode, type StoreKind, storeUrl, Subject } from "./subject.ts";

/** Milliseconds from `kill -9` of the process that runs a task to the result of that task from another process: in
 *  hosts mode the worker host is killed, in library mode the whole process, which another then takes over from. */
export function resumes(mode: Mode, store: StoreKind, times: number): Promise<number[]> {
  return mode === "hosts" ? resumesOfHosts(store, times) : resumesOfProcess(store, times);
}

async function resumesOfHosts(store: StoreKind, times: number): Promise<number[]> {
  await using subject = await Subject.open("hosts", store);
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const run = await subject.start("hold", null);
    const events = run.events();
    for await (const event of events) {
      if (event.type !== "step.completed") continue;
      process.kill(event.payload?.output as number, "SIGKILL");
      break;
    }
    const start = performance.now();
    await run.result();
    samples.push(performance.now() - start);
  }
  return samples;
}

/** Nothing of a store in memory survives its process. */
async function resumesOfProcess(store: StoreKind, times: number): Promise<number[]> {
  if (store === "memory") return [];
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const folder = makeFolder();
    try {
      const first = holder(storeUrl(store, folder), null);
      const run = await message(first);
      await killed(first);
      const start = performance.now();
      const second = holder(storeUrl(store, folder), run);
      await message(second);
      samples.push(performance.now() - start);
      await killed(second);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return samples;
}

function holder(store: string, run: string | null): ChildProcess {
  const child = fork(sibling("holder-main"));
  child.send({ store, run });
  return child;
}

function message(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("message", (text) => resolve(text as string));
    child.once("exit", (code) => reject(new Error(`the process that held a task ended with ${code}`)));
  });
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
