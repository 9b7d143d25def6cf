import { FlotillaError } from "../error.ts";
import { type InboxItem, itemOf, openItems } from "../runtime/inbox-item.ts";
import type { RunState } from "../core/state.ts";
import type { InboxFilter, Store } from "../store/store.ts";
import { usageError } from "./failure.ts";
import { brief } from "./format/brief.ts";
import { duration } from "./format/number.ts";
import { shortId } from "./format/status.ts";
import { LAST } from "./run-id.ts";

const PAGE = 500;
const SHOWN = 5;

/** Every item that waits, oldest first. */
export async function openInbox(store: Store, filter: Partial<InboxFilter> = {}): Promise<InboxItem[]> {
  const items: InboxItem[] = [];
  for (let after: { at: number; id: string } | undefined; ; ) {
    const page = await store.inbox({
      ...filter,
      state: "open",
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    items.push(...page.map(itemOf));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return items;
    after = { at: last.at, id: last.id };
  }
}

/** What a run waits for, from its state. */
export function itemsOf(state: RunState): InboxItem[] {
  return [...state.tasks.values()].flatMap((task) => openItems(state, task).map(itemOf));
}

/** The item that somebody means: its id, any unique prefix of it (with or without `a-`), or `@last`, the newest that
 *  waits. @throws {FlotillaError} INBOX_UNKNOWN, USAGE when a prefix fits several */
export async function findItem(store: Store | null, given: string): Promise<InboxItem> {
  const row = store === null ? null : await store.inboxItem((await idOf(store, given)) ?? "");
  if (row !== null) return itemOf(row);
  throw new FlotillaError(
    "INBOX_UNKNOWN",
    given === LAST ? "nothing waits for a person" : `there is no item ${given} in the inbox`,
  );
}

async function idOf(store: Store, given: string): Promise<string | null> {
  if (given === LAST) return (await openInbox(store)).at(-1)?.id ?? null;
  for (const prefix of given === "" ? [] : [given, `a-${given}`]) {
    const found = await store.inboxIdsByPrefix(prefix, SHOWN + 1);
    const [first, ...others] = found;
    if (first === undefined) continue;
    if (others.length === 0 || first === prefix) return first;
    const shown = found.slice(0, SHOWN).join(", ");
    throw usageError(
      `${given} fits several items: ${shown}${found.length > SHOWN ? ", …" : ""}`,
      "Give more of the id.",
    );
  }
  return null;
}

/** `a-3f9c2d  approval  fix asks to call restart_pool {"db":"db-2"}`, in one line. */
export function itemLine(item: InboxItem, width = 100): string {
  return `${shortId(item.id)}  ${item.kind}  ${item.title} ${brief(item.arguments, width)}`.trimEnd();
}

/** `pay r-7f3a91 · asked 2 min ago · rejected in 23 h if nobody decides`. */
export function itemDetail(item: InboxItem, now: number): string {
  const { workflow, run, task, at, deadline, onDeadline, to, tried } = item;
  const due =
    deadline === null
      ? "no deadline"
      : deadline < now
        ? `overdue; its default is to ${onDeadline}`
        : `${onDeadline} in ${duration(deadline - now)} if nobody decides`;
  return [
    `${workflow} ${shortId(run)} ${task}`,
    `asked ${duration(Math.max(0, now - at))} ago`,
    due,
    ...(tried.error === null ? [] : [`after ${tried.attempts} attempts: ${tried.error.code}`]),
    ...(to.length === 0 ? [] : [`for ${to.join(", ")}`]),
  ].join(" · ");
}

/** The command that decides on an item, as its first option. */
export function itemCommand({ id, kind, answers }: InboxItem): string {
  const item = shortId(id);
  switch (kind) {
    case "approval":
      return `flotilla approve ${item}   flotilla reject ${item}`;
    case "escalation":
      if (answers !== undefined)
        return `flotilla decide ${item} choose --answer ${answers.join("|")}   (or edit, skip, fail, abort)`;
      return `flotilla decide ${item} retry   (or reassign, edit, skip, fail, abort)`;
    case "outcome":
      return `flotilla decide ${item} done   flotilla decide ${item} not-done`;
  }
}
