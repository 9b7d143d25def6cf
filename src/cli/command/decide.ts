import type { Json } from "../../core/json.ts";
import { isFlotillaError } from "../../error.ts";
import type { Decision } from "../../runtime/inbox.ts";
import { CHOICES, type Choice, type InboxItem } from "../../runtime/inbox-item.ts";
import type { Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { harmless } from "../format/brief.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { findItem, itemLine, openInbox } from "../inbox-item.ts";
import { knownName, oneOf, text, texts } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { openSession } from "../session.ts";
import { itemDocument } from "./inbox.ts";

const SAMPLE = 3;
const EDITABLE: readonly Choice[] = ["approve", "edit", "done"];

/** `flotilla decide ITEM CHOICE`: any choice that an item of the inbox offers. */
export function run(
  context: Context,
  [item, choice]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const all = [...new Set(Object.values(CHOICES).flat())];
  const chosen = oneOf(choice, "the choice", all);
  if (chosen === undefined) throw usageError("what is decided?", `Choose one of: ${all.join(", ")}.`);
  return decide(context, [item], chosen, options);
}

/** Decides on the items that are named, or with `--all-matching` on all that fit, through the process that serves the
 *  fleet or, where there is none, by itself: then the runs go on when it is served again. */
export async function decide(
  context: Context,
  targets: readonly (string | undefined)[],
  choice: Choice,
  options: Options,
): Promise<ExitCode> {
  const decision = decisionOf(choice, options);
  const project = await findProject(context);
  const bulk = options.allMatching !== undefined;
  const items = await readStore(context, project, (store) =>
    bulk ? matching(store, texts(options.allMatching), choice) : named(store, targets),
  );
  if (bulk && items.length > 0 && options.yes !== true) refuse(items, choice);
  const decided: InboxItem[] = [];
  if (items.length > 0) {
    const session = await openSession(context, project, { hosts: 0 });
    try {
      for (const { id } of items) {
        const item = await session.app.control
          .decide(id, { ...decision, note: session.clean(decision.note) })
          .catch((error: unknown) => overtaken(error, bulk));
        if (item !== null) decided.push(item);
      }
    } finally {
      await session.close({ drain: false });
    }
  }
  if (context.json) printJson(context, decided.map(itemDocument));
  else print(context, decided, items.length);
  return EXIT.ok;
}

function decisionOf(choice: Choice, options: Options): Decision {
  const edit = text(options.edit);
  const value = edit === undefined ? undefined : jsonOf(edit);
  if (value !== undefined && !EDITABLE.includes(choice))
    throw usageError(`--edit does not go with ${choice}`, `It goes with ${EDITABLE.join(", ")}.`);
  const said = value === undefined ? {} : choice === "approve" ? { arguments: value } : { output: value };
  const agent = text(options.agent);
  const to = agent === undefined ? {} : { agent };
  const answer = text(options.answer);
  const which = answer === undefined ? {} : { answer };
  return { choice, by: personOf(options), note: text(options.note) ?? "", ...said, ...to, ...which };
}

function jsonOf(given: string): Json {
  try {
    return JSON.parse(given) as Json;
  } catch (error) {
    throw usageError(`--edit is not valid JSON: ${(error as Error).message}`);
  }
}

async function named(store: Store | null, targets: readonly (string | undefined)[]): Promise<InboxItem[]> {
  const given = targets.filter((target) => target !== undefined);
  if (given.length === 0) throw usageError("which item?", "List them: flotilla inbox. Or give --all-matching.");
  return Promise.all(given.map((target) => findItem(store, target)));
}

const FILTERS = ["run", "workflow", "task", "agent", "tool", "kind"] as const;

/** Items that wait, offer the choice, and fit every `key=value`. */
async function matching(store: Store | null, filters: readonly string[], choice: Choice): Promise<InboxItem[]> {
  const wanted = filters
    .flatMap((given) => given.split(","))
    .map((given) => {
      const [key = "", ...value] = given.split("=");
      if (value.length === 0) throw usageError(`--all-matching "${given}" is no filter`, "Write it as tool=NAME.");
      return { key: knownName(key, "filter", FILTERS) as (typeof FILTERS)[number], value: value.join("=") };
    });
  const items = store === null ? [] : await openInbox(store);
  return items.filter(
    (item) =>
      item.options.includes(choice) &&
      wanted.every(({ key, value }) => item[key] === value || (key === "run" && item.run.startsWith(value))),
  );
}

/** What is hard to take back shows what it would do first. */
function refuse(items: readonly InboxItem[], choice: Choice): never {
  const sample = items.slice(0, SAMPLE).map((item) => `\n  ${harmless(itemLine(item, 60))}`);
  const more = items.length > SAMPLE ? `\n  and ${items.length - SAMPLE} more` : "";
  throw usageError(
    `this would ${choice} ${plural(items.length, "item")}:${sample.join("")}${more}`,
    "Repeat it with --yes.",
  );
}

/** Of many, one that somebody else decided meanwhile is no failure. */
function overtaken(error: unknown, bulk: boolean): null {
  if (bulk && isFlotillaError(error) && error.code === "INBOX_DECIDED") return null;
  throw error;
}

function print({ terminal }: Context, decided: readonly InboxItem[], asked: number): void {
  const { green } = terminal.outPaint;
  for (const { id, decided: how, title } of decided)
    terminal.out(`${green("✓")} ${shortId(id)} ${how?.choice}${how?.edited ? ", edited" : ""}  ${harmless(title)}`);
  const missed = asked - decided.length;
  if (missed > 0) terminal.note(`${plural(missed, "item")} had been decided meanwhile.`);
  const [first] = decided;
  terminal.note(
    first === undefined
      ? "Nothing that waits fits."
      : `Next: flotilla watch ${shortId(first.run)}   flotilla run ${first.workflow} --resume`,
  );
}
