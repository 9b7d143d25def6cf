import type { FetchInit, FetchResponse, ToolContext } from "../definition/context.ts";
import { asJson } from "../definition/as-json.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { type Fetch, readBody } from "./fetch.ts";
import { networkFailure } from "./network-error.ts";
import { fetchResponse, type RecordedAnswer, recordedAnswer } from "./response.ts";
import { type FindSecret, secretOf } from "./secret.ts";

/** What a tool's code is given for one try of one call. */
export function toolContext(options: {
  tool: string;
  fetch: Fetch;
  secret: FindSecret;
  idempotencyKey: string;
  signal: AbortSignal;
  log: (message: string, data?: Json) => void;
}): ToolContext {
  const { tool, fetch, secret, idempotencyKey, signal, log } = options;
  return {
    idempotencyKey,
    signal,
    secret: (name) => secretOf(secret, name, `tool ${tool}`),
    fetch: async (url, init): Promise<FetchResponse> => fetchResponse(await request(fetch, url, init, signal)),
    log: (message, data) => log(message, asJson(data)),
  };
}

/** One HTTP exchange, its body read to the end.
 *  @throws {FlotillaError} TOOL_UNAVAILABLE (transient) when the other side cannot be reached */
export async function request(
  fetch: Fetch,
  url: string | URL,
  init: FetchInit | undefined,
  signal: AbortSignal,
): Promise<RecordedAnswer> {
  const { method = "GET", headers = {}, body } = init ?? {};
  try {
    const answer = await fetch(String(url), {
      method,
      headers,
      ...(body === undefined ? {} : { body: plain(body) }),
      signal,
    });
    return recordedAnswer(answer.status, answer.headers, await readBody(answer, String(url)));
  } catch (error) {
    const failure = networkFailure(error);
    if (failure === null) throw error;
    throw new FlotillaError("TOOL_UNAVAILABLE", `${method} ${originOf(url)}: ${failure.message}`, {
      cause: error,
      details: { ...failure },
    });
  }
}

/** Bytes over memory of their own, which is what fetch takes. */
const plain = (body: string | Uint8Array): string | Uint8Array<ArrayBuffer> =>
  typeof body === "string" ? body : new Uint8Array(body);

/** Without user, path and query, which may hold what should not be in an error. */
function originOf(url: string | URL): string {
  return URL.canParse(String(url)) ? new URL(String(url)).origin : "an address that is no URL";
}
