import type { Json } from "../../core/json.ts";
import { isFlotillaError } from "../../error.ts";
import { type DeadLetterAct, type DeadLetterItem, deadLetterItem } from "../../runtime/dead-letter.ts";
import type { DeadLetterKind, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief, harmless, oneLine } from "../format/brief.ts";
import { plural } from "../format/number.ts";
import { dateTime } from "../format/sentence.ts";
import { shortId } from "../format/status.ts";
import { personOf } from "../person.ts";
import { oneOf, text, wholeNumber } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, type Project, readStore } from "../project.ts";
import { findRun, LAST } from "../run-id.ts";
import { openSession } from "../session.ts";

const ACTS = ["list", "show", "edit", "replay", "drop"] as const;
const KINDS = ["expired", "poisoned", "undeliverable", "failed"] as const satisfies DeadLetterKind[];
const LETTERS_MAX = 100_000;
const LISTED_DEFAULT = 50;
const SAMPLE = 3;
const FILTERS = ["run", "kind", "agent", "reason"] as const;

/** `flotilla dead-letters [ACT] [ITEM…]`: what failed for good: looked at, edited, taken up again, given up (M9). */
export async function run(
  context: Context,
  [given = "list", ...targets]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const act = oneOf(given, "the act", ACTS) ?? "list";
  const looks = act === "list" || act === "show";
  const project = await findProject(context, { optional: looks });
  const named = targets.filter((target) => target !== undefined);
  if (act === "list") return list(context, project, options);
  if (act === "show") return show(context, project, named);
  return change(context, project, named, actOf(act, options), options);
}

function actOf(act: "edit" | "replay" | "drop", options: Options): DeadLetterAct {
  const by = personOf(options);
  const note = text(options.note) ?? "";
  const input = text(options.input);
  if (act !== "edit") {
    if (input !== undefined) throw usageError(`--input does not go with ${act}`, "Edit first: dead-letters edit.");
    return { act, by, note };
  }
  if (input === undefined) throw usageError("what is its input to be?", "Give it: --input '{\"id\":7}'.");
  return { act, input: jsonOf(input), by, note };
}

function jsonOf(given: string): Json {
  try {
    return JSON.parse(given) as Json;
  } catch (error) {
    throw usageError(`--input is not valid JSON: ${(error as Error).message}`);
  }
}

async function list(context: Context, project: Project, options: Options): Promise<ExitCode> {
  const limit = wholeNumber(options.limit, "--limit", { min: 1, max: LETTERS_MAX }) ?? LISTED_DEFAULT;
  const items = await readStore(context, project, (store) => matching(store, options));
  const shown = items.slice(0, limit);
  if (context.json) {
    printJson(context, shown.map(document));
    return EXIT.ok;
  }
  const { terminal } = context;
  const { dim, red } = terminal.outPaint;
  for (const item of shown) {
    terminal.out(`${red("✗")} ${harmless(line(item))}`);
    terminal.out(dim(`  ${dateTime(item.at)} · ${harmless(oneLine(item.reason, 140))}`));
  }
  const [first] = shown;
  const more = items.length > shown.length ? `, ${shown.length} shown` : "";
  terminal.note(
    first === undefined
      ? "No dead letters."
      : `${plural(items.length, "dead letter")}${more}.  Next: flotilla dead-letters show ${shortLetter(first)}`,
  );
  return EXIT.ok;
}

async function show(context: Context, project: Project, targets: readonly string[]): Promise<ExitCode> {
  const [item] = await readStore(context, project, (store) => namedLetters(store, targets.slice(0, 1)));
  if (item === undefined) return EXIT.ok;
  if (context.json) {
    printJson(context, document(item));
    return EXIT.ok;
  }
  const { terminal } = context;
  terminal.out(harmless(line(item)));
  terminal.out(`failed   ${dateTime(item.at)}, ${item.kind}, after ${plural(item.attempt, "attempt")}`);
  terminal.out(`reason   ${harmless(item.reason)}`);
  terminal.out(`input    ${harmless(JSON.stringify(item.input))}${item.edits > 0 ? `  (edited ${item.edits}×)` : ""}`);
  const id = shortLetter(item);
  const run = item.run === null ? "" : `flotilla show ${shortId(item.run)} --root-cause   `;
  terminal.note(`Next: ${run}flotilla dead-letters replay ${id}   flotilla dead-letters drop ${id}`);
  return EXIT.ok;
}

async function change(
  context: Context,
  project: Project,
  targets: readonly string[],
  act: DeadLetterAct,
  options: Options,
): Promise<ExitCode> {
  const bulk = targets.length === 0 && (options.all === true || FILTERS.some((key) => options[key] !== undefined));
  const items = await readStore(context, project, (store) =>
    bulk ? matching(store, options) : namedLetters(store, targets),
  );
  if (bulk && items.length > 0 && options.yes !== true) refuse(items, act.act);
  const done: { item: DeadLetterItem; run: string | null }[] = [];
  const session = items.length === 0 ? null : await openSession(context, project, { hosts: 0 });
  try {
    for (const item of items) {
      const run = await session?.app.control.deadLetter(item.id, act).catch((error: unknown) => gone(error, bulk));
      if (run !== undefined) done.push({ item, run });
    }
  } finally {
    await session?.close({ drain: false });
  }
  if (context.json)
    printJson(
      context,
      done.map(({ item, run }) => ({ id: item.id, act: act.act, run })),
    );
  else tell(context, act, done);
  return EXIT.ok;
}

/** Of many, one that somebody else took meanwhile is no failure. */
function gone(error: unknown, bulk: boolean): undefined {
  if (bulk && isFlotillaError(error) && error.code === "DEAD_LETTER_UNKNOWN") return undefined;
  throw error;
}

function tell(
  { terminal }: Context,
  { act }: DeadLetterAct,
  done: readonly { item: DeadLetterItem; run: string | null }[],
) {
  const words = { replay: "replayed", drop: "dropped", edit: "edited" };
  for (const { item, run } of done)
    terminal.out(`${shortLetter(item)} ${words[act]}${run === null ? "" : ` as ${run}`}`);
  const started = done.find(({ run }) => run !== null)?.run ?? null;
  const [first] = done;
  if (first === undefined) terminal.note("No dead letter fits.");
  else if (started !== null) terminal.note(`Next: flotilla watch ${shortId(started)}   flotilla dev`);
  else if (act === "edit") terminal.note(`Next: flotilla dead-letters replay ${shortLetter(first.item)}`);
}

/** Letters that fit every filter, newest first. */
async function matching(store: Store | null, options: Options): Promise<DeadLetterItem[]> {
  const kind = oneOf(options.kind, "--kind", KINDS);
  if (store === null) return [];
  const target = text(options.run);
  const run = target === undefined ? undefined : (await findRun(store, target)).row.id;
  const rows = await store.deadLetters({
    limit: LETTERS_MAX,
    ...(kind === undefined ? {} : { kind }),
    ...(run === undefined ? {} : { run }),
  });
  const agent = text(options.agent);
  const reason = text(options.reason)?.toLowerCase();
  return rows
    .map(deadLetterItem)
    .filter((item) => agent === undefined || item.agent === agent)
    .filter((item) => reason === undefined || item.reason.toLowerCase().includes(reason));
}

/** The letters that somebody names by the beginnings of their ids, with or without `r-`. */
async function namedLetters(store: Store | null, targets: readonly string[]): Promise<DeadLetterItem[]> {
  if (targets.length === 0) throw usageError("which dead letter?", "List them: flotilla dead-letters. Or give --all.");
  const all = store === null ? [] : (await store.deadLetters({ limit: LETTERS_MAX })).map(deadLetterItem);
  return targets.map((target) => {
    const [newest] = all;
    if (target === LAST && newest !== undefined) return newest;
    const fits = all.filter((item) => names(item, target));
    const [only, ...others] = fits;
    if (only === undefined) throw usageError(`there is no dead letter ${target}`, "List them: flotilla dead-letters.");
    if (others.length === 0 || only.id === target) return only;
    const shown = fits.slice(0, SAMPLE).map(({ id }) => id);
    throw usageError(`${target} fits ${fits.length} dead letters: ${shown.join(", ")}`, "Give more of the id.");
  });
}

/** A run's prefix, and after `/` the task's id from its start. */
function names({ id }: DeadLetterItem, target: string): boolean {
  const [run = "", ...task] = target.split("/");
  const [ownRun = "", ...ownTask] = id.split("/");
  const wanted = task.join("/");
  return (ownRun.startsWith(run) || ownRun.startsWith(`r-${run}`)) && ownTask.join("/").startsWith(wanted);
}

const shortLetter = ({ id }: DeadLetterItem): string => {
  const [run = "", ...task] = id.split("/");
  return [shortId(run), ...task].join("/");
};

const line = (item: DeadLetterItem): string =>
  `${shortLetter(item)}  ${item.kind}  ${item.agent ?? ""} ${brief(item.input, 80)}`.trimEnd();

function document({ at, ...item }: DeadLetterItem) {
  return { ...item, at: new Date(at).toISOString() };
}

/** What is hard to take back shows what it would do first. */
function refuse(items: readonly DeadLetterItem[], act: string): never {
  const sample = items.slice(0, SAMPLE).map((item) => `\n  ${harmless(line(item))}`);
  const more = items.length > SAMPLE ? `\n  and ${items.length - SAMPLE} more` : "";
  const what = `this would ${act} ${plural(items.length, "dead letter")}:${sample.join("")}${more}`;
  throw usageError(what, "Repeat it with --yes.");
}
