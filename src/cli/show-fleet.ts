import { readJournal } from "../runtime/journal.ts";
import { FLEET_JOURNAL, type Store } from "../store/store.ts";
import { type Context, printRecord } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { oneLine } from "./format/brief.ts";
import { fleetSentence } from "./format/fleet-sentence.ts";
import { dateTime } from "./format/sentence.ts";

/** The fleet's own journal: who served it, keys, signatures, refusals. With `--json` one record for each event. */
export async function showFleet(context: Context, store: Store): Promise<ExitCode> {
  const { terminal } = context;
  const { dim, red } = terminal.outPaint;
  for await (const { row, opened } of readJournal(store, FLEET_JOURNAL)) {
    const { event, problem } = opened;
    if (context.json) {
      printRecord(context, { type: row.type, seq: row.version, time: row.at, data: event?.data ?? null, problem });
    } else {
      const said = event === null ? red(problem ?? "cannot be read") : oneLine(fleetSentence(event), 300);
      terminal.out(`${dim(`${String(row.version).padStart(5)}  ${dateTime(row.at)}`)}  ${said}`);
    }
  }
  if (!context.json) terminal.note("Next: flotilla verify");
  return EXIT.ok;
}
