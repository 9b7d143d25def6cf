import { type ChildProcess, fork } from "node:child_process";
import type { ModuleRef } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";
import { ownModule } from "../platform/own-package.ts";
import type { ExportDescription, ModuleReader, OptionsQuestion } from "./module-reader.ts";
import type { CheckedOptions } from "./pattern-option.ts";
import { problem } from "./problem.ts";

/** Milliseconds that a module may take to load. */
const LOAD_MS_MAX = 30_000;

export type Question = { ref: ModuleRef; options?: OptionsQuestion };
export type Answer = { description: ExportDescription } | { checked: CheckedOptions } | { error: string };

/** As `modulesHere`, in a process of its own: users' code never runs where work is coordinated, a module that hangs or
 *  exits takes nothing with it, and a changed module is read afresh. What it prints goes to stderr. */
export function modulesElsewhere(folder: string): ModuleReader {
  let child: ChildProcess | null = null;
  const ask = async (question: Question): Promise<Answer | string> => {
    child ??= start(folder);
    const answer = await answerOf(child, question);
    if (typeof answer === "string") child = null;
    return answer;
  };
  return {
    async describe(ref) {
      const answer = await ask({ ref });
      if (typeof answer === "string") return failed(ref, answer);
      return "description" in answer ? answer.description : failed(ref, "error" in answer ? answer.error : "");
    },
    async checkOptions(ref, options) {
      const answer = await ask({ ref, options });
      if (typeof answer !== "string" && "checked" in answer) return answer.checked;
      const why = typeof answer === "string" ? answer : "error" in answer ? answer.error : "";
      throw new FlotillaError(
        "DEFINITION_INVALID",
        `the pattern in ${ref.module} failed while it checked its options: ${why}`,
      );
    },
    async close() {
      const last = child;
      child = null;
      if (last === null || last.exitCode !== null || last.signalCode !== null) return;
      const closed = new Promise((resolve) => last.once("close", resolve));
      last.kill("SIGKILL");
      await closed;
    },
  };
}

function start(folder: string): ChildProcess {
  return fork(ownModule("definition/module-reader-main"), [folder], {
    cwd: folder,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", 2, 2, "ipc"],
  });
}

/** The child's answer, or how the question ended it. */
function answerOf(child: ChildProcess, question: Question): Promise<Answer | string> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer | string>();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, LOAD_MS_MAX);
  const onMessage = (answer: unknown) => resolve(answer as Answer);
  const onClose = (code: number | null, signal: string | null) =>
    resolve(
      timedOut
        ? `did not finish loading within ${LOAD_MS_MAX / 1_000} s`
        : `ended the process while it was loaded (${signal ?? `exit code ${code}`})`,
    );
  child.once("message", onMessage);
  child.once("close", onClose);
  child.once("error", reject);
  child.send(question);
  return promise.finally(() => {
    clearTimeout(timer);
    child.off("message", onMessage).off("close", onClose).off("error", reject);
  });
}

function failed(ref: ModuleRef, why: string): ExportDescription {
  const hint = "a definition only declares: importing it must start nothing and wait for nothing";
  const file = ref.module.replace(/^\.\//, "");
  return { kind: "failed", problems: [problem("DEFINITION_SYNTAX", `${file} ${why}`, { file, hint })] };
}
