import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type ErrorRecord, FlotillaError } from "../error.ts";
import type { DeadLetter, DeadLetterKind, Store } from "../store/store.ts";
import { problemsOf } from "../tool/validate.ts";
import type { Beside } from "./fleet-journal.ts";

/** A task that failed for good, as people see it (M9). */
export interface DeadLetterItem {
  id: string;
  at: number;
  kind: DeadLetterKind;
  reason: string;
  run: string | null;
  task: string | null;
  agent: string | null;
  attempt: number;
  /** What it was given; as edited, when it was. */
  input: Json;
  error: ErrorRecord | null;
  /** How often its input was edited. */
  edits: number;
}

/** What is done with a dead letter. `replay`: a new run in which its agent gets its input, under today's definition.
 *  `edit`: it gets another input, and stays. `drop`: it goes. */
export type DeadLetterAct =
  | { act: "replay"; by: string; note: string }
  | { act: "drop"; by: string; note: string }
  | { act: "edit"; input: Json; by: string; note: string };

interface Body {
  agent?: string | null;
  attempt?: number;
  input?: Json;
  error?: ErrorRecord;
  edits?: number;
}

export function deadLetterItem({ id, at, kind, reason, run, task, bytes }: DeadLetter): DeadLetterItem {
  const { agent = null, attempt = 0, input = null, error = null, edits = 0 } = bodyOf(bytes);
  return { id, at, kind, reason, run, task, agent, attempt, input, error, edits };
}

function bodyOf(bytes: Uint8Array): Body {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as Body;
}

/** The name under which one agent runs alone, as a workflow of one stage. No workflow can be called so. */
export const soloWorkflow = (agent: string): string => `${SOLO}${agent}`;
const SOLO = "agent/";

/** The agent of such a workflow; null for any other. */
export function soloAgent({ agents }: FleetDefinition, workflow: string): string | null {
  const agent = workflow.startsWith(SOLO) ? workflow.slice(SOLO.length) : "";
  return Object.hasOwn(agents, agent) ? agent : null;
}

export interface DeadLetterPorts {
  store: Store;
  /** Starts a run of today's definition under an idempotency key; resolves with its id when it is durable. */
  start(workflow: string, input: Json, idempotencyKey: string, by: string): Promise<string>;
  record(type: DeadLetterEvent["type"], data: DeadLetterEvent["data"], beside: Beside): Promise<void>;
  definition: FleetDefinition;
}

export type DeadLetterEvent = {
  type: "dead-letter.replayed" | "dead-letter.dropped" | "dead-letter.edited";
  data: { id: string; reason: string; run: string | null; by: string; note: string };
};

/** Does what a person asked for, on record in the fleet's journal, in the commit that changes the letter; resolves with
 *  the run that a replay started, else null. A replay that is repeated, or was cut short after its run was started,
 *  gives that same run.
 *  @throws {FlotillaError} DEAD_LETTER_UNKNOWN, INPUT_INVALID for an input that its agent does not take,
 *  DEAD_LETTER_LOST when its agent is not there any more; each with nothing done */
export async function actOnDeadLetter(ports: DeadLetterPorts, id: string, act: DeadLetterAct): Promise<string | null> {
  const letter = await ports.store.deadLetter(id);
  if (letter === null) throw new FlotillaError("DEAD_LETTER_UNKNOWN", `there is no dead letter ${id}`);
  const { by, note } = act;
  const data = { id, reason: letter.reason, run: null, by, note };
  switch (act.act) {
    case "replay": {
      const run = await replay(ports, letter, by);
      await ports.record("dead-letter.replayed", { ...data, run }, { deadLettersRemoved: [id] });
      return run;
    }
    case "drop":
      await ports.record("dead-letter.dropped", data, { deadLettersRemoved: [id] });
      return null;
    case "edit":
      await ports.record("dead-letter.edited", data, { deadLetters: [edited(ports.definition, letter, act.input)] });
      return null;
    default:
      return act satisfies never;
  }
}

function replay(ports: DeadLetterPorts, letter: DeadLetter, by: string): Promise<string> {
  const { id, at, agent, input, edits } = deadLetterItem(letter);
  if (agent === null || !Object.hasOwn(ports.definition.agents, agent)) {
    const agents = Object.keys(ports.definition.agents);
    throw new FlotillaError("DEAD_LETTER_LOST", `nobody can take ${id} up: the fleet has no agent ${agent ?? ""}`, {
      hint: `It is kept. Bring the agent back, or drop it. There are: ${agents.join(", ")}.`,
      details: { id, agent, agents },
    });
  }
  checkInput(ports.definition, agent, input);
  // The same letter, unchanged, is the same run, however often it is replayed.
  return ports.start(soloWorkflow(agent), input, `dead-letter/${id}/${at}/${edits}`, by);
}

function edited(definition: FleetDefinition, letter: DeadLetter, input: Json): DeadLetter {
  const body = bodyOf(letter.bytes);
  if (body.agent != null) checkInput(definition, body.agent, input);
  const bytes = Buffer.from(JSON.stringify({ ...body, input, edits: (body.edits ?? 0) + 1 }));
  return { ...letter, bytes };
}

function checkInput({ agents }: FleetDefinition, agent: string, input: Json): void {
  const schema = Object.hasOwn(agents, agent) ? agents[agent]?.input : null;
  const problems = schema == null ? [] : problemsOf(schema, input);
  if (problems.length === 0) return;
  throw new FlotillaError("INPUT_INVALID", `the input is not what ${agent} takes: ${problems.join("; ")}`, {
    hint: "Edit it; the dead letter is kept as it is.",
    details: { agent },
  });
}
