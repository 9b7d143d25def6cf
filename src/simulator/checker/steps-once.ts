import { sha256 } from "../../message/canonical.ts";
import type { Call } from "../outside.ts";
import type { CheckerMaker } from "./checker.ts";

const HASH_CHARACTERS = 32;

/** A step on record is not executed again by the attempt that recorded it or a later one; a task's result counts once;
 *  a write is intended on record before it is made, and made once. */
export const stepsOnce: CheckerMaker = ({ outside }, fail) => {
  /** The attempt that recorded an outcome, by the key of the step in the outside. */
  const recorded = new Map<string, number>();
  const intended = new Set<string>();
  /** Keys by task: one that is done anew does its steps anew. */
  const keys = new Map<string, string[]>();
  const applied = new Set<string>();
  const modelTurns = new Map<string, number>();
  /** How often a task was given to another agent, by a person. */
  const reassigned = new Map<string, number>();
  return {
    promise: "2: a recorded step is never executed again; a result is applied at most once",
    event({ journal, type, data }) {
      const { task = "", attempt = 0, key = "", kind, choice } = data;
      const again = reassigned.get(`${journal}/${task}`) ?? 0;
      if (type === "step.started") intended.add(keyOf(journal, task, key, again));
      if (type === "step.completed" || type === "step.failed") {
        const names = [keyOf(journal, task, key, again), ...(kind === "effect" ? [`${journal}/${task}/${key}`] : [])];
        for (const name of names) recorded.set(name, attempt);
        keys.set(`${journal}/${task}`, [...(keys.get(`${journal}/${task}`) ?? []), ...names]);
        if (kind === "model" && type === "step.completed") {
          modelTurns.set(`${journal}/${task}`, (modelTurns.get(`${journal}/${task}`) ?? 0) + 1);
        }
      }
      if (type === "escalation.decided" && choice === "reassign") {
        const place = `${journal}/${task}`;
        reassigned.set(place, (reassigned.get(place) ?? 0) + 1);
      }
      // What a person has tried again is done anew from its last write on; writes are held to once below.
      if (type === "task.reopened" || type === "escalation.decided") {
        for (const name of keys.get(`${journal}/${task}`) ?? []) recorded.delete(name);
        keys.delete(`${journal}/${task}`);
        applied.delete(`${journal}/${task}`);
        modelTurns.delete(`${journal}/${task}`);
      }
      if (type !== "task.completed" && type !== "task.failed") return;
      const once = `${journal}/${task}`;
      if (applied.has(once)) fail(`${once} was settled twice`);
      applied.add(once);
    },
    call(call) {
      const by = recorded.get(call.key);
      if (by !== undefined && call.attempt >= by) {
        fail(
          `${call.kind} ${call.name} of ${call.run}/${call.task} was recorded by attempt ${by} and executed again by attempt ${call.attempt}`,
        );
      }
      if (call.write && !intended.has(call.key))
        fail(`${call.name} of ${call.run}/${call.task} was called before its intent was on the disk`);
      if (call.kind === "model" && paidBefore(call))
        fail(`a model call of ${call.run}/${call.task} was paid again by attempt ${call.attempt}`);
    },
    end() {
      const done = new Map<string, number>();
      for (const { run, task, key, tool } of outside.effects) {
        const logical = `${tool} of ${run}/${task} (${key.slice(0, 8)})`;
        const times = (done.get(logical) ?? 0) + 1;
        done.set(logical, times);
        if (times > 1) fail(`${logical} took effect ${times} times`);
      }
    },
  };

  /** A conversation has an answer for each recorded turn: whoever asks has to show all of them. Where the key of a
   *  call does not tell the turn, nothing follows. */
  function paidBefore({ run, task, key }: Call): boolean {
    return Number(key.split("/").at(-1)) < (modelTurns.get(`${run}/${task}`) ?? 0);
  }
};

/** The idempotency key of a step, as the agent loop makes it: tools are called with it. */
function keyOf(run: string, task: string, step: string, reassigned: number): string {
  return sha256(`${run}/${task}/${step}${reassigned === 0 ? "" : `/${reassigned}`}`)
    .toString("hex")
    .slice(0, HASH_CHARACTERS);
}
