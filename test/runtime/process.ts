import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { AppOptions } from "./fixture/app.ts";

const APP = join(import.meta.dirname, "fixture/app.ts");
const LOOK_MS = 10;

export interface AppProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Whether it owns the store. */
  readonly owner: boolean;
  /** What it logged and printed so far. */
  output(): string;
  /** Sends a signal; resolves when it is gone. */
  kill(signal: NodeJS.Signals): Promise<Exit>;
  readonly exited: Promise<Exit>;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Starts, `under` another command if one is given, a program that opens the fleet in `folder` in hosts mode; resolves when it has opened it. */
export async function startApp(
  folder: string,
  options: AppOptions = {},
  env: Record<string, string> = {},
  under: readonly string[] = [],
): Promise<AppProcess> {
  const command: readonly string[] = [...under, process.execPath, APP, folder, JSON.stringify(options)];
  const child = spawn(command[0] ?? "", command.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output += text));
  const exited = exitOf(child);
  await Promise.race([
    until(() => output.includes('"opened":'), `the app in ${folder} to open`, 60_000),
    exited.then(({ code, signal }) => Promise.reject(new Error(`the app ended (${signal ?? code}): ${output}`))),
  ]);
  return {
    child,
    pid: child.pid ?? 0,
    owner: output.includes('"owner":true'),
    output: () => output,
    exited,
    kill(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

export function exitOf(child: ChildProcess): Promise<Exit> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
}

/** Looks again and again until a condition holds. @throws after `withinMs`, a bound that only catches a hang */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 30_000,
): Promise<void> {
  for (const since = performance.now(); !(await condition()); await pause(LOOK_MS)) {
    if (performance.now() - since > withinMs) throw new Error(`waited ${withinMs} ms for ${what}`);
  }
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return false;
    throw error;
  }
}

/** Processes whose working folder is `folder`: worker hosts of a definition there, and what they started. */
export function processesIn(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => cwdOf(pid) === folder && isAlive(pid));
}

function cwdOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It went away meanwhile, or is not ours to look at.
    return null;
  }
}
