import { resolve } from "node:path";
import type { Json } from "../core/json.ts";
import type { RunEvent } from "../core/event.ts";
import { readRun } from "../runtime/journal.ts";
import type { Store } from "../store/store.ts";
import type { CaseFile, TestCase } from "../testing/case-file.ts";
import { recordingOf } from "../testing/recording.ts";
import type { Context } from "./context.ts";
import { replaceFile } from "./fix.ts";
import { type Project, readStore } from "./project.ts";
import { findRun } from "./run-id.ts";

/** Makes the recordings of the cases that name a run, from the project's store. @throws {FlotillaError} RUN_UNKNOWN */
export async function updateRecordings(context: Context, project: Project, files: readonly CaseFile[]): Promise<void> {
  const wanted = files.flatMap(({ folder, cases }) =>
    cases.flatMap(({ recorded }) =>
      recorded?.run === undefined ? [] : [{ run: recorded.run, file: resolve(folder, recorded.file) }],
    ),
  );
  if (wanted.length === 0) return;
  await readStore(context, project, async (looked) => {
    for (const { run, file } of wanted) {
      const { row, store } = await findRun(looked, run);
      const recording = recordingOf(await eventsOf(store, row.id));
      await replaceFile(file, `${JSON.stringify(recording, null, 2)}\n`);
    }
  });
}

async function eventsOf(store: Store, run: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const { event } of readRun(store, run)) events.push(event);
  return events;
}

/** The text of a case file with `expect.output` set to what came out, by the name of the case; the rest of it, comments
 *  included, as it was. */
export async function withOutputs(
  text: string,
  cases: readonly TestCase[],
  outputs: ReadonlyMap<string, Json>,
): Promise<string> {
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text);
  let changed = false;
  for (const [index, { name, expect }] of cases.entries()) {
    const output = outputs.get(name);
    if (output === undefined || JSON.stringify(output) === JSON.stringify(expect?.output)) continue;
    document.setIn(["cases", index, "expect", "output"], document.createNode(output));
    changed = true;
  }
  return changed ? document.toString({ lineWidth: 0 }) : text;
}
