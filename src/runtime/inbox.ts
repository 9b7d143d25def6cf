import { inputHashOf } from "../agent/step.ts";
import type { Command } from "../core/decide.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { taskOf } from "../core/state.ts";
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
  /** `done`: what the write returned. */
  output?: Json;
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
 *  over), INBOX_CHOICE, TOOL_INPUT_INVALID for edited arguments */
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
  const open = openItems(state, taskOf(state, item.task)).some(({ id }) => id === item.id);
  if (!open) return null;
  const { choice, by, note } = decision;
  const head = { task: item.task, key: item.step, by, note };
  if (choice === "done" || choice === "not-done")
    return { type: "step.settle", ...head, outcome: choice, output: decision.output ?? null };
  const argumentsHash = taskOf(state, item.task).steps.get(item.step)?.asked?.ask.argumentsHash ?? "";
  const edited = choice === "approve" && decision.arguments !== undefined ? decision.arguments : null;
  if (edited !== null) checkEdited(await ports.definition(state.definition), item.tool, edited);
  return {
    type: "approval.decide",
    ...head,
    action: item.action,
    argumentsHash,
    approved: choice === "approve",
    edited: edited === null ? null : { arguments: edited, argumentsHash: inputHashOf(edited) },
  };
}

function checkEdited({ tools }: FleetDefinition, tool: string, edited: Json): void {
  const schema = Object.hasOwn(tools, tool) ? tools[tool]?.input : undefined;
  const problems = schema === undefined ? [] : problemsOf(schema, edited);
  if (problems.length === 0) return;
  throw new FlotillaError(
    "TOOL_INPUT_INVALID",
    `the edited arguments do not match what ${tool} takes: ${problems.join("; ")}`,
    { hint: "Correct them; nothing was decided.", details: { tool } },
  );
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
