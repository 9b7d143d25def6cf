import type { RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { text } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { openSession } from "../session.ts";

/** `flotilla erase RUN --reason TEXT [--versions 3,5-9] --yes`: takes the content out of an ended run for good (S6). */
export async function run(
  context: Context,
  [target = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const reason = text(options.reason)?.trim() ?? "";
  if (reason === "")
    throw usageError("why is it erased?", "Give --reason, such as --reason 'request of 3 May'; it goes on record.");
  const versions = versionsOf(text(options.versions));
  const project = await findProject(context);
  const row = await readStore(context, project, (store) => look(store, target));
  if (options.yes !== true) {
    const what = versions === null ? "all content" : `the content of ${plural(versions.length, "event")}`;
    throw usageError(
      `this would erase ${what} of ${row.workflow} ${shortId(row.id)}, for good`,
      "Repeat it with --yes. Digests and the order of events remain.",
    );
  }
  const session = await openSession(context, project, { hosts: 0 });
  try {
    const erased = await session.app.control.erase({
      run: row.id,
      versions,
      reason: session.clean(reason),
      by: personOf(),
    });
    if (context.json) printJson(context, { run: row.id, erased });
    else print(context, row, erased);
  } finally {
    await session.close({ drain: false });
  }
  return EXIT.ok;
}

async function look(store: Store | null, target: string): Promise<RunRow> {
  return (await findRun(store, target)).row;
}

function print({ terminal }: Context, row: RunRow, erased: number): void {
  const id = shortId(row.id);
  terminal.out(
    erased === 0 ? `${id} holds no such content any more` : `${plural(erased, "content", "contents")} of ${id} erased`,
  );
  terminal.note(`Next: flotilla verify ${id}   flotilla show fleet`);
}

const SPAN = /^(\d+)(?:-(\d+))?$/;
const VERSIONS_MAX = 1_000_000;

/** `3,5-9` as numbers; null for all. @throws {FlotillaError} USAGE */
function versionsOf(given: string | undefined): number[] | null {
  if (given === undefined) return null;
  const versions = new Set<number>();
  for (const part of given.split(",")) {
    const [, from = "", to = from] = SPAN.exec(part.trim()) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === "" || first < 1 || last < first || last - first > VERSIONS_MAX)
      throw usageError(`--versions ${given} names no events`, "Give numbers and spans, such as --versions 3,5-9.");
    for (let version = first; version <= last; version++) versions.add(version);
  }
  return [...versions].sort((a, b) => a - b);
}
