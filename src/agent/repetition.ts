import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";

/** Calls of one tool, alike in input and result, that a model may make one after the other. */
export const SAME_CALLS_MAX = 5;

/** Notices an agent that goes round in circles: the same call with the same input and the same result (F10). */
export class Repetition {
  private last = "";
  private count = 0;

  /** @throws {FlotillaError} LIMIT_STEPS at the `SAME_CALLS_MAX`-th like call in a row */
  note(agent: string, tool: string, input: Json, result: Json): void {
    const call = canonicalJson([tool, input, result]);
    this.count = call === this.last ? this.count + 1 : 1;
    this.last = call;
    if (this.count < SAME_CALLS_MAX) return;
    throw new FlotillaError(
      "LIMIT_STEPS",
      `${agent} called ${tool} ${this.count} times in a row with the same input and got the same result: it loops`,
      {
        hint: "See what the agent expects of the tool; change its instructions or the tool's description.",
        details: { agent, tool, repeats: this.count },
      },
    );
  }
}
