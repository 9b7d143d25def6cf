import { catalogue, type ErrorRecord } from "../error.ts";
import { type Grant, hiring } from "./hire.ts";
import { type Json, sameJson } from "./json.ts";
import { type RunState, type StepState, type TaskState, taskOf } from "./state.ts";

/** How often a task is handed on when the agent that hands it over does not say (`limits.handoversMax`, F10). */
export const HANDOVERS_MAX = 5;

/** So much of a working context fits into one message. */
const CONTEXT_CHARACTERS_MAX = 400_000;

/** The working context that a task is handed over with (C14): all of it, from every agent that had the task. */
export interface Handed {
  /** Who had the task before, first to last, and why each gave it away. */
  readonly path: readonly { readonly agent: string; readonly task: string; readonly why: string }[];
  /** As they were handed over, word for word. */
  readonly messages: readonly Json[];
  /** What tools, agents and effects answered. */
  readonly results: readonly HandedResult[];
  /** The versions of shared facts that were read. */
  readonly facts: { readonly [fact: string]: { readonly version: number; readonly value: Json } };
}

export interface HandedResult {
  /** The step: its name and ordinal. */
  readonly step: string;
  readonly by: string;
  readonly input: Json;
  readonly output: Json;
}

/** What an agent that hands over says, as its question has it. */
export interface HandoverInput {
  /** Absent: the task's own. */
  input?: Json;
  messages: readonly Json[];
  /** JSON Schema of what the task has to give; null: what the receiver gives. */
  output: Json;
}

/** What comes from a worker may be anything; null: it is no hand-over. */
export function handoverInput(given: Json): HandoverInput | null {
  if (typeof given !== "object" || given === null) return null;
  const { messages, output = null, ...rest } = given as { [key: string]: Json };
  const isSchema = output === null || (typeof output === "object" && !Array.isArray(output));
  if (!Array.isArray(messages) || !isSchema) return null;
  return { messages, output, ...(rest.input === undefined ? {} : { input: rest.input }) };
}

export interface Handing {
  handed: Handed;
  input: Json;
  /** What the receiver may use at most. */
  tools: readonly string[];
}

/** What a task is handed over with, or why it may not be: it was not granted, was handed on too often, or would come
 *  back to somebody who gave it away in this very state (F10). Pure. */
export function handing(
  state: RunState,
  task: TaskState,
  to: string,
  { why, said }: { why: string; said: HandoverInput },
  grant: Grant | undefined,
): Handing | { error: ErrorRecord } {
  const from = task.agent ?? "";
  const granted = grant?.(from, to) ?? null;
  const refuse = (reason: string) => refusal(task, `${from} may not hand ${task.id} over to ${to}: ${reason}`);
  if (granted?.handover !== true) return refuse("it was not granted that");
  const handed = contextOf(state, task, why, said.messages);
  const hops = handed.path.length;
  const max = granted.handoversMax ?? HANDOVERS_MAX;
  const path = [...handed.path.map(({ agent }) => agent), to].join(" → ");
  if (hops > max) return refuse(`limits.handoversMax is ${max}, and this would be hand-over ${hops} (${path})`);
  const input = said.input ?? task.input ?? null;
  if (comesBack(state, task, to, { input, handed }))
    return refuse(`${path} would give it back with the same input, results and facts with which it was given away`);
  const size = JSON.stringify(handed).length;
  if (size > CONTEXT_CHARACTERS_MAX)
    return refuse(`its context has ${size} characters, and ${CONTEXT_CHARACTERS_MAX} fit into one message`);
  // Whoever gives a task away waits for nobody; those who asked for it do.
  const origin = task.asker === null || task.handed === null ? task : taskOf(state, handed.path[0]?.task ?? task.id);
  const hired = hiring(state, { ...task, agent: from, asker: origin.asker }, to, grant);
  if (!("error" in hired)) return { handed, input, tools: hired.tools };
  return refuse(hired.error.message);
}

/** Whether a hand-over was refused to this task. Every other failure is of the one who has the task now, and so the
 *  task's. */
export function isRefusalOf(task: string, details: Readonly<Record<string, unknown>> | undefined): boolean {
  return details?.refusedTo === task;
}

/** Whatever could be tried again was tried by the one who has the task now. */
export const lasting = (error: ErrorRecord): ErrorRecord =>
  error.class === "transient" ? { ...error, class: "permanent" } : error;

function contextOf(state: RunState, task: TaskState, why: string, messages: readonly Json[]): Handed {
  const before = task.handed;
  const own = [...task.steps.values()].flatMap((step) => resultOf(task.agent ?? "", step));
  const facts = [...task.reads].flatMap(([fact, version]): [string, { version: number; value: Json }][] => {
    const read = state.facts.get(fact)?.find((one) => one.version === version);
    return read === undefined ? [] : [[fact, { version, value: read.value }]];
  });
  return {
    path: [...(before?.path ?? []), { agent: task.agent ?? "", task: task.id, why }],
    messages: [...(before?.messages ?? []), ...messages],
    results: [...(before?.results ?? []), ...own],
    facts: { ...before?.facts, ...Object.fromEntries(facts) },
  };
}

const ANSWERED: ReadonlySet<StepState["kind"]> = new Set(["tool", "fetch", "call", "effect"] as const);

function resultOf(by: string, { key, kind, status, outcome, input, output }: StepState): HandedResult[] {
  const isDone = status === "completed" || (status === "settled" && outcome === "done");
  if (!isDone || !ANSWERED.has(kind)) return [];
  return [{ by, input: input ?? null, output: output ?? null, step: key }];
}

/** Whether `to` had the task and gave it away in the state in which it would get it back. What is said on the way is no
 *  state: agents that bounce a task say something else each time. */
function comesBack(state: RunState, task: TaskState, to: string, now: { input: Json; handed: Handed }): boolean {
  if (to === task.agent) return true;
  for (let one = task; one.handed !== null && one.asker !== null; one = taskOf(state, one.asker.task)) {
    const { path, results, facts } = one.handed;
    if (path.at(-1)?.agent !== to) continue;
    const then = { input: one.input ?? null, results, facts } as unknown as Json;
    const { handed, input } = now;
    if (sameJson(then, { input, results: handed.results, facts: handed.facts } as unknown as Json)) return true;
  }
  return false;
}

/** Why a task stays with the agent that wanted to hand it over, which may go on. */
export function refusal(task: TaskState, message: string): { error: ErrorRecord } {
  const { class: cls, fix } = catalogue.HANDOVER_REFUSED;
  return { error: { code: "HANDOVER_REFUSED", class: cls, message, hint: fix, details: { refusedTo: task.id } } };
}
