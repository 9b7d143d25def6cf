import { fork } from "node:child_process";
import type { ModuleRef } from "../core/definition.ts";
import type { Descriptions, ExportDescription } from "./describe.ts";
import { moduleKey } from "./module.ts";
import { problem } from "./problem.ts";

/** Milliseconds that modules may take to load. */
const LOAD_MS_MAX = 30_000;

/** As `describeModules`, in a process of its own: users' code never runs where work is coordinated, a module that
 *  hangs or exits takes nothing with it, and a changed module is read afresh. What it prints goes to stderr. */
export async function describeElsewhere(folder: string, refs: readonly ModuleRef[]): Promise<Descriptions> {
  const { found, end } = await ask(folder, refs);
  const [culprit, ...rest] = refs.filter((ref) => !Object.hasOwn(found, moduleKey(ref)));
  if (culprit === undefined) return found;
  return { ...found, [moduleKey(culprit)]: failed(culprit, end), ...(await describeElsewhere(folder, rest)) };
}

interface Answer {
  /** Of those that came before one ended the process. */
  found: Record<string, ExportDescription>;
  end: { code: number | null; signal: string | null };
}

function ask(folder: string, refs: readonly ModuleRef[]): Promise<Answer> {
  const found: Answer["found"] = {};
  if (refs.length === 0) return Promise.resolve({ found, end: { code: 0, signal: null } });
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const child = fork(new URL(`./describe-main.${extension}`, import.meta.url), {
    cwd: folder,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", 2, 2, "ipc"],
    timeout: LOAD_MS_MAX,
    killSignal: "SIGKILL",
  });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  child.on("message", ({ key, description }: { key: string; description: ExportDescription }) => {
    found[key] = description;
  });
  child.once("error", reject);
  child.once("close", (code, signal) => resolve({ found, end: { code, signal } }));
  child.send({ folder, refs });
  return promise;
}

function failed(ref: ModuleRef, { code, signal }: Answer["end"]): ExportDescription {
  const hint = "a definition only declares: importing it must start nothing and wait for nothing";
  const message = `${ref.module} ${ending(code, signal)}`;
  return { kind: "failed", problems: [problem("DEFINITION_SYNTAX", message, { file: ref.module, hint })] };
}

function ending(code: number | null, signal: string | null): string {
  if (signal === "SIGKILL") return `did not finish loading within ${LOAD_MS_MAX / 1_000} s`;
  if (code === 13) return "waits for ever while it is loaded (top-level await)";
  return `ended the process while it was loaded (${signal ?? `exit code ${code}`})`;
}
