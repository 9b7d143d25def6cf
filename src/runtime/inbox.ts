import { inputHashOf } from "../agent/step.ts";
import type { Command } from "../core/command.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type TaskState, taskOf } from "../core/state.ts";
import { FlotillaError } from "../error.ts";
import type { Store } from "../store/store.ts";
import { problemsOf } from "../tool/validate.ts";
import { type Choice, type InboxItem, itemOf, openItems } from "./inbox-item.ts";
import type { Ledger } from "./ledger.ts";

/** What a person says of an item of the inbox. */
export interface Decision {
  choice: Choice;
  /** `approve`: other arguments than those that were asked about, held to the tool's schema. */
  arguments?: Json;
  /** `done`: what the write returned. `edit`: the task's output, held to its schema. */
  output?: Json;
  /** `reassign`: to whom, an agent of the workflow. */
  agent?: string;
  /** `choose`: which answer, by its name in the item's `answers`. */
  answer?: string;
  by: string;
  note: string;
}

export interface InboxPorts {
  store: Store;
  ledger: Pick<Ledger, "open" | "submit">;
  definition(hash: string): Promise<FleetDefinition>;
}

/** Takes a person's decision on an item in; resolves with the item as decided when that is durable. What is decided is
 *  exactly what the item's id names, once.
 *  @throws {FlotillaError} INBOX_UNKNOWN, INBOX_DECIDED (by somebody else, by the deadline, or what it asks about is
 *  over), INBOX_CHOICE, TOOL_INPUT_INVALID for edited arguments, OUTPUT_INVALID for an edited output */
export async function decideItem(ports: InboxPorts, id: string, decision: Decision): Promise<InboxItem> {
  const item = await itemById(ports.store, id);
  if (item.decided !== null) throw decidedBefore(item);
  if (!item.options.includes(decision.choice)) throw wrongChoice(item, decision.choice);
  const command = await commandOf(ports, item, decision);
  const events = command === null ? [] : await ports.ledger.submit(item.run, command);
  const after = await itemById(ports.store, id);
  if (events.length === 0) throw decidedBefore(after);
  return after;
}

async function itemById(store: Store, id: string): Promise<InboxItem> {
  const row = await store.inboxItem(id);
  if (row === null) throw new FlotillaError("INBOX_UNKNOWN", `there is no item ${id} in the inbox`);
  return itemOf(row);
}

/** Null when the question is not open any more. */
async function commandOf(ports: InboxPorts, item: InboxItem, decision: Decision): Promise<Command | null> {
  const { state } = await ports.ledger.open(item.run);
  if (state.status !== "running") return null;
  const task = taskOf(state, item.task);
  if (!openItems(state, task).some(({ id }) => id === item.id)) return null;
  const definition = await ports.definition(state.definition);
  const { choice, by, note } = decision;
  const head = { task: item.task, by, note };
  const key = item.step ?? "";
  switch (choice) {
    case "done":
    case "not-done":
      return { type: "step.settle", ...head, key, outcome: choice, output: decision.output ?? null };
    case "approve":
    case "reject": {
      const argumentsHash = task.steps.get(key)?.asked?.ask.argumentsHash ?? "";
      const edited = editedOf(definition, item, decision);
      const { action } = item;
      return { type: "approval.decide", ...head, key, action, argumentsHash, approved: choice === "approve", edited };
    }
    default: {
      if (choice === "edit") checkOutput(definition, task, decision.output);
      const answer = choice === "choose" ? { answer: answerOf(item, decision.answer) } : {};
      const agent = choice === "reassign" ? agentOf(definition, item, decision.agent) : null;
      const { attempt } = task;
      return { type: "escalation.decide", ...head, attempt, choice, agent, ...answer, output: decision.output ?? null };
    }
  }
}

/** @throws {FlotillaError} TOOL_INPUT_INVALID */
function editedOf({ tools }: FleetDefinition, { tool }: InboxItem, decision: Decision) {
  const { arguments: edited, choice } = decision;
  if (choice !== "approve" || edited === undefined) return null;
  const schema = tool !== null && Object.hasOwn(tools, tool) ? tools[tool]?.input : undefined;
  const problems = schema === undefined ? [] : problemsOf(schema, edited);
  if (problems.length === 0) return { arguments: edited, argumentsHash: inputHashOf(edited) };
  throw new FlotillaError(
    "TOOL_INPUT_INVALID",
    `the edited arguments do not match what ${tool} takes: ${problems.join("; ")}`,
    { hint: "Correct them; nothing was decided.", details: { tool } },
  );
}

/** What a person gives in place of a task's output is held to the same schema. @throws {FlotillaError} OUTPUT_INVALID */
function checkOutput({ agents }: FleetDefinition, { agent, outputSchema }: TaskState, output: Json | undefined): void {
  const declared = agent === null ? undefined : agents[agent];
  const schema = outputSchema ?? declared?.output ?? (declared?.kind === "model" ? { type: "string" } : {});
  const problems = output === undefined ? ["there is none"] : problemsOf(schema, output);
  if (problems.length === 0) return;
  throw new FlotillaError(
    "OUTPUT_INVALID",
    `the output does not match what ${agent} promises: ${problems.join("; ")}`,
    {
      hint: "Correct it; nothing was decided.",
      details: { agent },
    },
  );
}

/** @throws {FlotillaError} INBOX_CHOICE when there is no such answer */
function answerOf({ id, answers = [] }: InboxItem, wanted: string | undefined): string {
  if (wanted !== undefined && answers.includes(wanted)) return wanted;
  const which = wanted === undefined ? "no answer is named" : `there is no answer "${wanted}"`;
  throw new FlotillaError("INBOX_CHOICE", `${id} cannot be decided so: ${which}`, {
    hint: `Name one of: ${answers.join(", ")}.`,
    details: { id, answers: [...answers] },
  });
}

/** @throws {FlotillaError} INBOX_CHOICE when the workflow may not give it work */
function agentOf({ workflows }: FleetDefinition, item: InboxItem, wanted: string | undefined): string {
  const agents = workflows[item.workflow]?.agents ?? [];
  if (wanted !== undefined && agents.includes(wanted)) return wanted;
  const who = wanted === undefined ? "nobody is named" : `"${wanted}" is not among the agents of ${item.workflow}`;
  throw new FlotillaError("INBOX_CHOICE", `${item.id} cannot be reassigned: ${who}`, {
    hint: `Name one of: ${agents.join(", ")}.`,
    details: { id: item.id, agents: [...agents] },
  });
}

function decidedBefore({ id, decided, run }: InboxItem): FlotillaError {
  const how =
    decided === null || decided.choice === "withdrawn"
      ? "what it asks about is over"
      : `${decided.by} chose ${decided.choice}${decided.note === "" ? "" : ` (${decided.note})`}`;
  return new FlotillaError("INBOX_DECIDED", `${id} is decided already: ${how}`, {
    hint: `Nothing was changed. See what became of it: flotilla show ${run}`,
    details: { id, run, decided },
  });
}

function wrongChoice({ id, options, title }: InboxItem, choice: string): FlotillaError {
  return new FlotillaError("INBOX_CHOICE", `${id} cannot be decided by ${choice}: ${title}`, {
    hint: `Choose one of: ${options.join(", ")}.`,
    details: { id, options: [...options] },
  });
}
