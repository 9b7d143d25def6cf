import type { ModelMessage, ModelRequest, ModelResponse } from "./model.ts";
import { inputTokensMax, messageTokensMax } from "./tokens.ts";

type Asked = Pick<ModelRequest, "system" | "messages" | "tools" | "output">;

/** The most tokens that the next request of a conversation can take. Of what a model was asked before, it said itself
 *  how much it was; only what is new is bounded by its bytes. */
export class KnownTokens {
  #last: { model: string; asked: Asked; tokens: number } | null = null;

  /** A model answered. */
  note(model: string, { system, messages, tools, output }: Asked, { usage }: ModelResponse): void {
    const asked = { system, messages: [...messages], tools, output };
    this.#last = { model, asked, tokens: usage.inputTokens };
  }

  inputTokensMax(model: string, asked: Asked): number {
    const bound = inputTokensMax(asked);
    const last = this.#last;
    if (last === null || last.model !== model || !continues(asked, last.asked)) return bound;
    return Math.min(bound, last.tokens + messageTokensMax(asked.messages.slice(last.asked.messages.length)));
  }
}

/** Whether a request is an earlier one with messages added. */
function continues(asked: Asked, before: Asked): boolean {
  return (
    asked.system === before.system &&
    asked.tools === before.tools &&
    asked.output === before.output &&
    before.messages.every((message: ModelMessage, index) => message === asked.messages[index])
  );
}
