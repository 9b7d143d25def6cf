import type { Json } from "../core/json.ts";
import type { ToolContext } from "../definition/context.ts";

/** A tool that is ready to be called, of whatever kind (I3). Steps, grants, schemas, time-outs and retries are the
 *  agent loop's; an implementation is only the call.
 *
 *  Every implementation stops its work when `context.signal` aborts, closing its sockets within a second (F3), and
 *  sends `context.idempotencyKey` along where the other side can use it.
 *
 *  @throws {FlotillaError} TOOL_UNAVAILABLE (transient) when the other side cannot be reached or asks for patience,
 *  with `retryAfterMs` when it said how long, and `details.sent: false` when it certainly did not act; TOOL_FAILED
 *  (permanent) when it refused. What a user's own code throws passes through as it is. */
export interface ToolRunner {
  call(input: Json, context: ToolContext): Promise<unknown>;
  /** Finds out whether an interrupted write happened (F13): a `ToolCheck`. Null when the tool cannot tell. */
  check: ((input: Json, context: ToolContext) => Promise<unknown>) | null;
}
