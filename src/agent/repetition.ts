import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";

/** How often a model may do the same again, when its agent does not say (`limits.repeatsMax`). */
export const REPEATS_MAX = 5;
/** Calls after which a round is taken for one: longer rounds are left to the limits of steps and tokens. */
const ROUND_MAX = 4;

/** Notices a model that goes round in circles: the same calls with the same input and the same result, one call or a
 *  round of up to `ROUND_MAX` of them, `repeatsMax` times in a row (F10). Whoever polls a job or pages through a list is
 *  told apart by the results: what changes is no circle. */
export class Repetition {
  readonly #repeatsMax: number;
  /** The newest calls, oldest first, no more than a round can be found in. */
  readonly #calls: { tool: string; call: string }[] = [];

  constructor(repeatsMax: number = REPEATS_MAX) {
    this.#repeatsMax = repeatsMax;
  }

  /** @throws {FlotillaError} LIMIT_STEPS when a round was gone `repeatsMax` times */
  note(agent: string, tool: string, input: Json, result: Json): void {
    this.#calls.push({ tool, call: canonicalJson([tool, input, result]) });
    if (this.#calls.length > ROUND_MAX * this.#repeatsMax) this.#calls.shift();
    for (let round = 1; round <= ROUND_MAX; round++) if (this.#wentRound(round)) throw this.#loop(agent, round);
  }

  #wentRound(round: number): boolean {
    const length = round * this.#repeatsMax;
    const from = this.#calls.length - length;
    if (from < 0) return false;
    for (let i = from + round; i < this.#calls.length; i++)
      if (this.#calls[i]?.call !== this.#calls[i - round]?.call) return false;
    return true;
  }

  #loop(agent: string, round: number): FlotillaError {
    const tools = this.#calls.slice(-round).map(({ tool }) => tool);
    const what = tools.length === 1 ? (tools[0] ?? "") : `the round ${tools.join(", ")}`;
    return new FlotillaError(
      "LIMIT_STEPS",
      `${agent} called ${what} ${this.#repeatsMax} times in a row with the same input and got the same result: it loops`,
      {
        hint: "See what the agent expects of the tool; change its instructions or the tool's description, or raise limits.repeatsMax.",
        details: {
          agent,
          tool: tools[0] ?? "",
          tools,
          repeats: this.#repeatsMax,
          signature: "same-calls",
          setting: `agents.${agent}.limits.repeatsMax`,
        },
      },
    );
  }
}
