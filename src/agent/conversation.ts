import type { Json } from "../core/json.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import type { ModelMessage } from "../model/model.ts";
import { neutral } from "./model-call.ts";

/** The messages of one task, with a digest that grows with them, so that a long conversation is not hashed anew for
 *  each call. */
export class Conversation {
  private list: ModelMessage[] = [];
  private hash = "";
  private news: ModelMessage[] = [];

  get messages(): readonly ModelMessage[] {
    return this.list;
  }

  /** SHA-256 over all messages, in hex. */
  get digest(): string {
    return this.hash;
  }

  add(message: ModelMessage): void {
    this.list.push(message);
    this.hash = chained(this.hash, message);
    if (message.role === "user") this.news.push(message);
  }

  /** Puts other messages in place of all of them. */
  replace(messages: readonly ModelMessage[]): void {
    this.list = [...messages];
    this.hash = messages.reduce(chained, "");
  }

  /** The rest of the conversation is with another provider. */
  neutralise(): void {
    this.replace(neutral(this.list));
  }

  /** What users said since this was last asked: answers and tool results are on record as steps of their own. */
  takeNews(): Json {
    const news = this.news;
    this.news = [];
    return news as unknown as Json;
  }
}

const chained = (digest: string, message: ModelMessage): string =>
  sha256(`${digest}\n${canonicalJson(message)}`).toString("hex");

export const userMessage = (text: string): ModelMessage => ({ role: "user", content: [{ type: "text", text }] });
