import { FlotillaError } from "../../error.ts";
import { ownerFolder } from "../../runtime/owner-lock.ts";
import { readSignedHead } from "../../runtime/signed-head.ts";
import type { KeptHead } from "../../runtime/verify-coverage.ts";
import type { JournalReport, VerifyResult } from "../../runtime/verify-journals.ts";
import { verifyJournals } from "../../runtime/verify-journals.ts";
import { FLEET_JOURNAL, type Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { findProject, pathOf, type Project, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { trustedKeys } from "../trusted-key.ts";

/** `flotilla verify [run | fleet]`: exit code 1 when any journal is not as it was recorded (X6). */
export async function run(context: Context, [target]: readonly (string | undefined)[]): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  return readStore(context, project, async (store) => {
    if (store === null) return nothingYet(context, target);
    const runs = await runsOf(store, target);
    const path = pathOf(project.store);
    // Before the store is read, which may go on meanwhile.
    const signedHead = readSignedHead(ownerFolder(path), store.fleet);
    const keys = await trustedKeys(path);
    const options = { signedHead, ...(runs === null ? {} : { runs }), ...(keys === null ? {} : { keys }) };
    const reports: JournalReport[] = [];
    const result = await verifyJournals(store, options, (report) => {
      // A whole store may hold a million journals: those that are sound are only counted.
      if (report.problem !== null || target !== undefined) reports.push(report);
    });
    if (context.json) printJson(context, { ...result, reports });
    else print(context, result, reports, signedHead);
    return result.broken === 0 ? EXIT.ok : EXIT.failed;
  });
}

/** Verifies all of a store and tells nothing; the same as `flotilla verify`. @throws {FlotillaError} STORE_* */
export async function verified(context: Context, project: Project): Promise<VerifyResult> {
  return readStore(context, project, async (store) => {
    const path = pathOf(project.store);
    if (store === null)
      throw new FlotillaError("STORE_READONLY", `there is no store ${path}`, { hint: "Correct the path." });
    const signedHead = readSignedHead(ownerFolder(path), store.fleet);
    const keys = await trustedKeys(path);
    return verifyJournals(store, { signedHead, ...(keys === null ? {} : { keys }) }, () => {});
  });
}

async function nothingYet(context: Context, target: string | undefined): Promise<ExitCode> {
  if (target !== undefined && target !== FLEET_JOURNAL) await findRun(null, target);
  if (context.json) printJson(context, { journals: 0, events: 0, erased: 0, broken: 0, reports: [] });
  else context.terminal.note("There is no store yet, so nothing to verify.  Next: flotilla run");
  return EXIT.ok;
}

async function runsOf(store: Store, target: string | undefined): Promise<string[] | null> {
  if (target === undefined) return null;
  return target === FLEET_JOURNAL ? [] : [(await findRun(store, target)).row.id];
}

function print(
  { terminal }: Context,
  result: VerifyResult,
  reports: readonly JournalReport[],
  signedHead: KeptHead,
): void {
  const paint = terminal.outPaint;
  for (const { problem, journal, events } of reports) {
    if (problem === null) terminal.out(`${paint.green("✓")} ${journal}  ${plural(events, "event")}, chain sound`);
    else terminal.out(`${paint.red("✗")} ${problem.message}`);
  }
  const { journals, events, broken, erased, signatures } = result;
  const all = `${plural(journals, "journal")}, ${plural(events, "event")}`;
  terminal.out(
    broken === 0
      ? `${paint.green("✓")} ${all}: all as recorded`
      : `${paint.red("✗")} ${all}: ${plural(broken, "journal")} not as recorded`,
  );
  if (erased > 0) terminal.out(`  ${plural(erased, "content", "contents")} erased on request; the digests hold`);
  const { heads, seals, sealsInPart, messages, sealed, unsignedRuns, unchecked, keys, keysReplaced } = signatures;
  const part = sealsInPart === 0 ? "" : ` (${sealsInPart} more could be checked only in part)`;
  terminal.out(`  ${plural(heads, "signed head")} of runs and ${plural(seals, "signature")} of agents hold${part}`);
  if (sealed < messages)
    terminal.out(
      `  ${plural(messages - sealed, "message")} of ${messages} were never signed: their sender ended, or has yet to sign`,
    );
  if (unchecked > 0)
    terminal.out(`  ${plural(unchecked, "signature")} could not be checked: no key of the signer is known here`);
  if (keys === "recorded")
    terminal.out("  no key file here: signatures were checked with the keys that the fleet's journal records itself");
  if (keysReplaced > 0)
    terminal.out(
      `  the key file was lost once: what ${plural(keysReplaced, "participant")} signed before was checked with keys that the record itself gives`,
    );
  if (signedHead === null)
    terminal.out("  no signed head is kept outside of the store: a cut end of the fleet's journal would not show");
  if (unsignedRuns > 0)
    terminal.out(`  ${plural(unsignedRuns, "run")} went on after the last signed head: a crash, or work under way`);
  const first = reports.find(({ problem }) => problem !== null);
  if (first !== undefined)
    terminal.note(`Next: flotilla replay ${first.journal === FLEET_JOURNAL ? FLEET_JOURNAL : shortId(first.journal)}`);
}
