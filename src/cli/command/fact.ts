import { type FactVersion, factsOf } from "../../core/fact.ts";
import type { EventData } from "../../core/event.ts";
import type { Json } from "../../core/json.ts";
import type { RunState } from "../../core/state.ts";
import { nearest } from "../../definition/nearest.ts";
import { readRun } from "../../runtime/journal.ts";
import { readState } from "../../runtime/read-run.ts";
import type { RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief } from "../format/brief.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import { text } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { openSession } from "../session.ts";

const ACTS = ["list", "show", "set"];
/** Characters of a value in a list. */
const VALUE = 80;

/** `flotilla fact list|show|set RUN [KEY] [VALUE]`: the shared facts of a run, all versions of one, and corrections
 *  (C10, S1, S4). */
export async function run(
  context: Context,
  [act = "", target = "", fact, value]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  if (act === "list") return list(context, await look(context, target));
  if (act === "show") return show(context, await look(context, target), needed(fact, "show"));
  if (act === "set") return set(context, target, needed(fact, "set"), value, options);
  const near = nearest(act, ACTS);
  throw usageError(`there is no "fact ${act}"`, `${near === null ? "" : `Did you mean ${near}? `}list, show or set.`);
}

interface Looked {
  row: RunRow;
  state: RunState;
}

async function look(context: Context, target: string): Promise<Looked> {
  const project = await findProject(context);
  return readStore(context, project, async (looked) => {
    const { row, store } = await findRun(looked, target);
    return { row, state: await readState(store, row.id) };
  });
}

function needed(fact: string | undefined, act: string): string {
  if (fact !== undefined) return fact;
  throw usageError("which fact?", `flotilla fact ${act} RUN KEY${act === "set" ? " VALUE" : ""}`);
}

function list(context: Context, { row, state }: Looked): ExitCode {
  const facts = factsOf(state, Date.now());
  if (context.json) printJson(context, facts);
  else {
    const { out, note } = context.terminal;
    const rows = Object.entries(facts).map(([key, { value, version, by }]) => [
      key,
      brief(value, VALUE),
      `v${version}`,
      by,
    ]);
    if (rows.length > 0) out(table(rows));
    else note(`${shortId(row.id)} has no shared facts.`);
    const [first] = Object.keys(facts);
    if (first !== undefined) note(`Next: flotilla fact show ${shortId(row.id)} ${first}`);
  }
  return EXIT.ok;
}

function show(context: Context, { row, state }: Looked, fact: string): ExitCode {
  const versions = state.facts.get(fact);
  if (versions === undefined) throw unknown(row, state, fact);
  if (context.json) printJson(context, versions.map(shown));
  else {
    context.terminal.out(
      table(
        versions
          .toReversed()
          .map((one) => [
            `v${one.version}`,
            new Date(one.at).toISOString(),
            brief(one.value, VALUE),
            one.task === null ? one.by : `${one.by} in ${one.task}`,
            one.why,
          ]),
      ),
    );
  }
  return EXIT.ok;
}

const shown = ({ place: _, ...version }: FactVersion) => version;

function unknown(row: RunRow, state: RunState, fact: string): Error {
  const names = [...state.facts.keys()];
  const near = nearest(fact, names);
  const has = names.length === 0 ? "It has none." : `It has: ${names.slice(0, 10).join(", ")}.`;
  const meant = near === null ? "" : ` Did you mean ${near}?`;
  return usageError(`${shortId(row.id)} has no fact "${fact}"`, `${has}${meant}`);
}

async function set(
  context: Context,
  target: string,
  fact: string,
  given: string | undefined,
  options: Options,
): Promise<ExitCode> {
  if (given === undefined) throw usageError("what is it to be?", `flotilla fact set ${target} ${fact} VALUE`);
  const why = text(options.why);
  if (why === undefined) throw usageError("a correction says why", 'Add --why "…"; it goes on record.');
  const value = valueOf(given);
  const base = baseOf(options);
  const project = await findProject(context);
  const { row } = await readStore(context, project, (store) => findRun(store, target));
  const session = await openSession(context, project, { hosts: 0 });
  try {
    const request = { fact, value, by: personOf(), why, until: null, ...(base === undefined ? {} : { base }) };
    const version = await session.app.control.setFact(row.id, { ...request, why: session.clean(why) });
    const stale = await staleSince(session.app.store, row.id, fact, version);
    if (context.json) printJson(context, { run: row.id, fact, version, stale });
    else {
      context.terminal.out(`${fact} is ${brief(value, VALUE)} (version ${version})`);
      for (const { task, action, why: reason } of stale)
        context.terminal.out(`  ${task} rests on an older version: ${action === "rerun" ? "it is done anew" : reason}`);
      const rest =
        stale.length === 0
          ? "nothing rests on an older version"
          : plural(stale.length, "task rests on an older version", "tasks rest on an older version");
      context.terminal.note(`${rest}. Next: flotilla watch ${shortId(row.id)}`);
    }
  } finally {
    await session.close({ drain: false });
  }
  return EXIT.ok;
}

/** What the correction was found to concern, newest first in the journal. */
async function staleSince(
  store: Store,
  run: string,
  fact: string,
  version: number,
): Promise<EventData["fact.stale"][]> {
  const stale: EventData["fact.stale"][] = [];
  for await (const { event } of readRun(store, run))
    if (event.type === "fact.stale" && event.data.fact === fact && event.data.version === version)
      stale.push(event.data);
  return stale;
}

/** JSON, or text that is none. */
function valueOf(given: string): Json {
  try {
    return JSON.parse(given) as Json;
  } catch {
    return given;
  }
}

function baseOf(options: Options): number | undefined {
  const given = text(options.base);
  if (given === undefined) return undefined;
  if (/^\d+$/.test(given)) return Number(given);
  throw usageError(`--base is the number of a version, not "${given}"`);
}
