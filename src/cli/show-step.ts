import { type EventData, type RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { readRun } from "../runtime/journal.ts";
import type { RunRow, Store } from "../store/store.ts";
import { nearest } from "../definition/nearest.ts";
import { type Context, printJson } from "./context.ts";
import { EXIT, type ExitCode, usageError } from "./failure.ts";
import { harmless, outputText } from "./format/brief.ts";
import { usageText } from "./format/cost.ts";
import { duration } from "./format/number.ts";
import { dateTime, errorText, reasoningOf } from "./format/sentence.ts";
import { shortId } from "./format/status.ts";
import { Company } from "./format/story.ts";

type StepEvent = Extract<RunEvent, { type: `step.${string}` }>;
interface Found {
  version: number;
  event: StepEvent;
}

const SHOWN = 8;

/** Everything on record of one step, named `TASK/KEY`, or `KEY` where no other task has one of that name. */
export async function showStep(context: Context, store: Store, row: RunRow, wanted: string): Promise<ExitCode> {
  const company = new Company();
  const steps = new Map<string, Found[]>();
  for await (const { version, event } of readRun(store, row.id)) {
    company.see(event);
    if (!isStep(event)) continue;
    const name = `${event.data.task}/${event.data.key}`;
    steps.set(name, [...(steps.get(name) ?? []), { version, event }]);
  }
  const name = choose(wanted, [...steps.keys()]);
  const events = steps.get(name) ?? [];
  const agent = company.agentOf(events[0]?.event.data.task ?? "");
  if (context.json)
    printJson(context, {
      run: row.id,
      step: name,
      agent,
      events: events.map(({ version, event }) => ({ version, ...event })),
    });
  else print(context, name, agent, events);
  if (!context.json) context.terminal.note(`Next: flotilla replay ${shortId(row.id)} --at ${events.at(-1)?.version}`);
  return EXIT.ok;
}

function isStep(event: RunEvent): event is StepEvent {
  return event.type.startsWith("step.");
}

function choose(wanted: string, names: readonly string[]): string {
  if (names.includes(wanted)) return wanted;
  const fits = names.filter(
    (name) => name.endsWith(`/${wanted}`) || name.startsWith(`${wanted}/`) || name.endsWith(`/${wanted}#1`),
  );
  const [only, ...others] = fits;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) {
    throw usageError(
      `${wanted} fits ${fits.length} steps`,
      `Name one: ${fits.slice(0, SHOWN).join(", ")}${fits.length > SHOWN ? ", …" : ""}`,
    );
  }
  const near = nearest(wanted, names);
  const hint =
    near !== null
      ? `Did you mean ${near}?`
      : names.length === 0
        ? "The run has no steps yet."
        : `Steps: ${names.slice(0, SHOWN).join(", ")}${names.length > SHOWN ? ", …" : ""}`;
  throw usageError(`there is no step ${wanted}`, hint);
}

function print({ terminal }: Context, name: string, agent: string | null, events: readonly Found[]): void {
  const { bold, dim, red } = terminal.outPaint;
  terminal.out(bold(`${name}${agent === null ? "" : `  of ${agent}`}`));
  for (const { version, event } of events) {
    terminal.out(dim(`event ${version}  ${dateTime(event.at)}  ${event.type}${measures(event)}`));
    if (event.type === "step.failed") terminal.out(`  ${red(errorText(event.data.error))}`);
    for (const [part, value] of Object.entries(event.payload ?? {}))
      terminal.out(`  ${bold(part)}\n${indented(value)}`);
    const reasoning = reasoningOf(event.payload?.output);
    if (reasoning !== "") terminal.out(`  ${bold("reasoning")}\n${indented(reasoning)}`);
  }
}

function measures(event: StepEvent): string {
  if (event.type !== "step.completed" && event.type !== "step.failed") return "";
  const { durationMs, usage, kind }: Pick<EventData["step.completed"], "durationMs" | "usage" | "kind"> = event.data;
  const cost =
    usage === undefined
      ? ""
      : usageText({ ...usage, costMicroUsd: usage.costMicroUsd ?? 0, unpriced: usage.costMicroUsd === null ? 1 : 0 });
  return [`  ${kind}`, duration(durationMs), cost].filter((part) => part !== "").join(" · ");
}

const indented = (value: Json): string =>
  harmless(outputText(value))
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
