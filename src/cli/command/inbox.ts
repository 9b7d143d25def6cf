import { type InboxItem, itemOf } from "../../runtime/inbox-item.ts";
import type { Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { harmless } from "../format/brief.ts";
import { plural } from "../format/number.ts";
import { dateTime } from "../format/sentence.ts";
import { itemCommand, itemDetail, itemLine, openInbox } from "../inbox-item.ts";
import { shortId } from "../format/status.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";

/** Decisions that `--decided` shows, newest first. */
const DECIDED_SHOWN = 20;

/** `flotilla inbox [run]`: what waits for a person, oldest first (F9). Reads no run. */
export async function run(
  context: Context,
  [target]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const now = Date.now();
  const items = await readStore(context, project, (store) =>
    store === null ? Promise.resolve([]) : listed(store, target, options, now),
  );
  if (context.json) printJson(context, items.map(itemDocument));
  else print(context, items, options, now);
  return EXIT.ok;
}

async function listed(store: Store, target: string | undefined, options: Options, now: number): Promise<InboxItem[]> {
  const ofRun = target === undefined ? {} : { run: (await findRun(store, target)).row.id };
  const overdue = options.overdue === true ? { dueBefore: now } : {};
  const items =
    options.decided === true
      ? (await store.inbox({ state: "decided", limit: DECIDED_SHOWN, ...ofRun })).map(itemOf)
      : await openInbox(store, { ...ofRun, ...overdue });
  const me = personOf(options);
  return options.mine === true ? items.filter(({ to }) => to.includes(me)) : items;
}

/** An item as `--json` shows it; times in ISO 8601. */
export function itemDocument(item: InboxItem) {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  const { at, deadline, decided, ...rest } = item;
  return {
    ...rest,
    askedAt: time(at),
    deadline: time(deadline),
    decided: decided === null ? null : { ...decided, at: time(decided.at) },
  };
}

function print({ terminal }: Context, items: readonly InboxItem[], options: Options, now: number): void {
  const { dim, yellow } = terminal.outPaint;
  for (const item of items) {
    terminal.out(`${yellow(item.decided === null ? "◐" : "·")} ${harmless(itemLine(item))}`);
    terminal.out(dim(`  ${harmless(item.decided === null ? itemDetail(item, now) : decidedText(item))}`));
  }
  const [first] = items;
  if (first === undefined)
    terminal.note(options.decided === true ? "Nothing was decided yet." : "Nothing waits for a person.");
  else if (options.decided === true) terminal.note(`Next: flotilla show ${shortId(first.run)}`);
  else terminal.note(`${plural(items.length, "item")}.  Next: ${itemCommand(first)}`);
}

function decidedText({ decided, workflow, run }: InboxItem): string {
  if (decided === null) return "";
  const { choice, by, at, note, edited } = decided;
  const how = choice === "withdrawn" ? "withdrawn" : `${choice}${edited ? ", edited," : ""} by ${by}`;
  return `${workflow} ${shortId(run)} · ${how} · ${dateTime(at)}${note === "" ? "" : ` · ${note}`}`;
}
