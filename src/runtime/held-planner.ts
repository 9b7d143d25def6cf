import { failureOf } from "../agent/failure.ts";
import { recordable } from "../agent/recordable.ts";
import { bindingProblem, usersEditsProblem } from "../core/edit.ts";
import type { Json } from "../core/json.ts";
import type { Binding, Change, Edit, Planner, RunView, TaskView } from "../core/planner.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { patterns } from "../pattern/index.ts";

/** The planner of a pattern where users' code runs in this very process: a built-in one, or one of their own. */
export function plannerHere(name: string, own: ReadonlyMap<string, Planner> | undefined): Planner | undefined {
  const builtIn = patterns.get(name);
  if (builtIn !== undefined) return builtIn;
  const planner = own?.get(name);
  return planner && heldPlanner(name, planner);
}

/** A user's pattern, held to what a pattern may do, in the same way wherever it runs. What it sees it cannot change;
 *  what it answers is taken as JSON, in the form in which it will be on record. Everything that is wrong with it is
 *  PLAN_INVALID in words for its author, which ends its own run and nothing else. */
export function heldPlanner(name: string, planner: Planner): Planner {
  const ask = <T>(what: "plan" | "bind", question: () => T, problemOf: (answer: unknown) => string | null): T => {
    const answer = plain(name, what, attempted(name, what, question));
    const problem = problemOf(answer);
    if (problem !== null) throw invalid(`${what}() of pattern "${name}" answered wrongly: ${problem}`);
    return answer as T;
  };
  const { bind } = planner;
  return {
    mayDefer: true,
    plan: (view, change) =>
      ask("plan", (): readonly Edit[] => planner.plan(seen(view), seenChange(change)), usersEditsProblem),
    ...(bind === undefined
      ? {}
      : {
          bind: (view: RunView, task: TaskView) =>
            ask("bind", (): Binding => bind(seen(view), taskCopy(task)), bindingProblem),
        }),
  };
}

/** A copy of a task that nobody can change. Absent where there is none: a copy is JSON. */
export function taskCopy(task: TaskView): TaskView {
  const { id, agent, kind, status, priority, attempt, group, input, output, error } = task;
  const copy = {
    id,
    agent,
    kind,
    status,
    priority,
    attempt,
    group,
    ...(input === undefined ? {} : { input: frozen(input) }),
    ...(output === undefined ? {} : { output: frozen(output) }),
    ...(error === undefined ? {} : { error: frozen(error) }),
  };
  return Object.freeze(copy) as TaskView;
}

function attempted<T>(name: string, what: string, question: () => T): T {
  try {
    return question();
  } catch (error) {
    if (isFlotillaError(error)) throw error;
    const { message, details } = failureOf(error, "agent", `${what}() of pattern "${name}" threw`);
    throw new FlotillaError("PLAN_INVALID", message, { details, cause: error });
  }
}

function plain(name: string, what: string, answer: unknown): Json {
  const say = (problem: string) => invalid(`${what}() of pattern "${name}" ${problem}`);
  try {
    if (typeof answer === "object" && answer !== null && "then" in answer) {
      throw say("returned a promise: a pattern answers at once, and what takes time is work for an agent");
    }
    return recordable(answer);
  } catch (error) {
    // Reading the answer may run the author's code too.
    throw isFlotillaError(error) ? error : say(`returned what cannot be put on record: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function invalid(message: string): FlotillaError {
  return new FlotillaError("PLAN_INVALID", message, {
    hint: "Correct the pattern; the types Edit and Binding say what it may answer.",
  });
}

function seen(view: RunView): RunView {
  const { describe, left, profile } = view;
  return Object.freeze({
    id: view.id,
    get input() {
      return frozen(view.input);
    },
    options: frozen(view.options),
    get open() {
      return view.open;
    },
    get size() {
      return view.size;
    },
    load: (agent: string) => view.load(agent),
    *awaiting() {
      for (const task of view.awaiting()) yield taskCopy(task);
    },
    task(id: string) {
      const task = view.task(id);
      return task && taskCopy(task);
    },
    *tasks() {
      for (const task of view.tasks()) yield taskCopy(task);
    },
    members: (group: string) => view.members(group).map(taskCopy),
    ...(profile === undefined ? {} : { profile: (agent: string) => frozen(profile.call(view, agent)) }),
    ...(left === undefined ? {} : { left: () => left.call(view) }),
    ...(describe === undefined ? {} : { describe: (agent: string) => describe.call(view, agent) }),
  });
}

function seenChange(change: Change): Change {
  return change.type === "started" ? change : { ...change, task: taskCopy(change.task) };
}

/** `value` itself, frozen to its depth. What is frozen was frozen here, all of it. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const item of Object.values(value)) frozen(item);
  return Object.freeze(value);
}
