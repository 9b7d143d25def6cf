import type { RetryPolicy } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { FetchInit, FetchResponse } from "../definition/context.ts";
import { FlotillaError } from "../error.ts";
import { request } from "../tool/context.ts";
import { fetchResponse, type RecordedAnswer } from "../tool/response.ts";
import type { TaskScope } from "./environment.ts";
import type { StepSpec } from "./step-spec.ts";

const READS = new Set(["GET", "HEAD", "OPTIONS"]);

/** HTTP of an agent's own as a step. Every method but GET, HEAD and OPTIONS is a write; one that carries an
 *  `idempotency-key` header may be repeated, for any other a person settles an unknown outcome (F13). */
export async function fetchCall(scope: TaskScope, url: string | URL, init: FetchInit = {}): Promise<FetchResponse> {
  const { steps, agent, fleet } = scope;
  const method = (init.method ?? "GET").toUpperCase();
  const headers = new Headers(init.headers);
  const idempotent = headers.has("idempotency-key");
  const output = await steps.run({
    kind: "fetch",
    name: "fetch",
    input: { method, url: addressOf(url), headers: [...headers], body: bodyOf(init) },
    // Values of headers may be credentials.
    shown: { method, url: addressOf(url), headers: [...headers.keys()], body: bodyOf(init) },
    timeoutMs: agent.stepTimeoutMs,
    retry: agent.retry satisfies RetryPolicy,
    ...(READS.has(method)
      ? {}
      : { write: { settle: idempotent ? "retry" : "person", idempotent, check: null } as const }),
    perform: async ({ signal }) => ({ output: await request(fleet.fetch, url, { ...init, method }, signal) }),
  } satisfies StepSpec);
  return fetchResponse(output as unknown as RecordedAnswer);
}

/** @throws {FlotillaError} AGENT_FAILED for what is no absolute URL */
function addressOf(url: string | URL): string {
  if (URL.canParse(String(url))) return String(url);
  throw new FlotillaError("AGENT_FAILED", `ctx.fetch was given "${String(url)}", which is no absolute URL`);
}

function bodyOf({ body }: FetchInit): Json {
  if (body === undefined) return null;
  return typeof body === "string" ? body.toWellFormed() : { base64: Buffer.from(body).toString("base64") };
}
