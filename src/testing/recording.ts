import type { RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import type { ModelResponse } from "../model/model.ts";

/** The answers that models gave in a run: plain JSON, to be kept beside the tests (T3). */
export interface Recording {
  version: 1;
  workflow: string;
  input: Json;
  /** By task, in the order in which they were given. */
  answers: { [task: string]: ModelResponse[] };
}

/** What the models of a run said, from its events. @throws {FlotillaError} PAYLOAD_ERASED when answers were erased */
export function recordingOf(events: readonly RunEvent[]): Recording {
  const answers: Recording["answers"] = {};
  let [workflow, input]: [string, Json] = ["", null];
  for (const event of events) {
    if (event.type === "run.started") [workflow, input] = [event.data.workflow, event.payload?.input ?? null];
    if (event.type !== "step.completed" || (event.data.kind !== "model" && event.data.kind !== "compaction")) continue;
    const { task } = event.data;
    const output = event.payload?.output;
    if (output === undefined)
      throw new FlotillaError("PAYLOAD_ERASED", `the answer at ${task}/${event.data.key} was erased`);
    // What models are given to answer with was asked for real once: an answer handed out again is simulated.
    answers[task] = [...(answers[task] ?? []), { ...(output as unknown as ModelResponse), simulated: true }];
  }
  return { version: 1, workflow, input, answers };
}

/** A recording from its file's content. @throws {FlotillaError} USAGE when it is none */
export function parseRecording(text: string, file: string): Recording {
  const value: unknown = parsed(text);
  if (typeof value === "object" && value !== null && "version" in value && value.version === 1 && "answers" in value)
    return value as Recording;
  throw new FlotillaError("USAGE", `${file} is no recording of a run`, {
    hint: "Make one: flotilla test --update, with `recorded: { run: RUN, file: FILE }` in the case.",
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
