import { type ErrorCode, FlotillaError, isFlotillaError } from "../error.ts";
import type { ProviderSettings } from "./provider.ts";

const MESSAGE_LENGTH_MAX = 500;

/** The stream of an answer ended before the provider said that it is complete. */
export class InterruptedAnswer extends Error {
  constructor() {
    super("the stream ended in the middle of the answer");
    this.name = "InterruptedAnswer";
  }
}

/** Any failure of a provider's call as an error of the catalogue (F1). The foreign error is not kept as the cause: it
 *  carries request, headers and body, and with them key and conversation (X8).
 *  `sent` tells whether the request had left, which is what tells a wrong request from a wrong answer. */
export function toModelError(error: unknown, provider: ProviderSettings, model: string, sent: boolean): FlotillaError {
  if (isFlotillaError(error)) return error;
  const failure = describeFailure(error);
  const code = codeOf(failure, sent);
  const said = provider.redact(failure.message).slice(0, MESSAGE_LENGTH_MAX);
  const status = failure.status === undefined ? "" : ` (HTTP ${failure.status})`;
  return new FlotillaError(code, `${provider.name}/${model}${status}: ${said}`, {
    ...(failure.noCredit ? { hint: "The provider says that the account has no credit left." } : {}),
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    details: {
      provider: provider.name,
      model,
      ...(failure.status === undefined ? {} : { status: failure.status }),
      ...(failure.unreached ? { sent: false } : {}),
      ...(failure.requestId === undefined ? {} : { requestId: provider.redact(failure.requestId) }),
    },
  });
}

/** Milliseconds to wait, from `retry-after-ms`, or `retry-after` in seconds or as an HTTP date (RFC 9110, 10.2.3).
 *  A date is read against the server's own `date`, so that clocks which differ do no harm; else against `now`. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const milliseconds = positive(headers["retry-after-ms"]);
  if (milliseconds !== undefined) return milliseconds;
  const value = headers["retry-after"];
  if (value === undefined) return undefined;
  const seconds = positive(value);
  if (seconds !== undefined) return Math.ceil(seconds * 1_000);
  const until = /^[A-Z][a-z]{2}/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(until)) return undefined;
  const serverNow = Date.parse(headers.date ?? "");
  return Math.max(0, until - (Number.isNaN(serverNow) ? now : serverNow));
}

interface Failure {
  kind: "status" | "network" | "interrupted" | "format" | "request";
  status?: number;
  message: string;
  retryAfterMs?: number;
  requestId?: string;
  noCredit: boolean;
  /** No connection was made. */
  unreached: boolean;
}

function codeOf(failure: Failure, sent: boolean): ErrorCode {
  if (failure.noCredit) return "MODEL_UNAUTHORISED";
  if (failure.status !== undefined) return codeOfStatus(failure.status);
  if (failure.kind === "request" || !sent) return "MODEL_REQUEST_INVALID";
  return failure.kind === "format" ? "MODEL_RESPONSE_INVALID" : "MODEL_UNAVAILABLE";
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401 || status === 403) return "MODEL_UNAUTHORISED";
  if (status === 408 || status === 409 || status === 429) return "MODEL_RATE_LIMITED";
  return status >= 500 ? "MODEL_UNAVAILABLE" : "MODEL_REQUEST_INVALID";
}

/** Errors of the SDK are recognised by name and shape: each provider package may bring its own copy of the classes. */
function describeFailure(error: unknown): Failure {
  const fields = asRecord(error);
  const body = typeof fields.responseBody === "string" ? fields.responseBody : "";
  const headers = asRecord(fields.responseHeaders) as Record<string, string>;
  const retry = retryAfterMs(headers, Date.now()) ?? googleRetryDelayMs(body);
  const status = statusOf(fields);
  return {
    kind: kindOf(error, fields),
    ...(status === undefined ? {} : { status }),
    message: messageOf(error, fields),
    ...(retry === undefined ? {} : { retryAfterMs: retry }),
    ...(requestIdOf(headers) === undefined ? {} : { requestId: requestIdOf(headers) }),
    unreached: status === undefined && isUnreached(error),
    noCredit: /insufficient_quota/.test(body) || [fields.code, fields.type].includes("insufficient_quota"),
  };
}

const UNREACHED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);
const CAUSES_MAX = 8;

function isUnreached(error: unknown): boolean {
  let fields = asRecord(error);
  for (let depth = 0; depth < CAUSES_MAX; depth++) {
    if (UNREACHED.has(String(fields.code))) return true;
    fields = asRecord(fields.cause ?? fields.lastError);
  }
  return false;
}

const FORMAT_ERRORS = [
  "AI_JSONParseError",
  "AI_TypeValidationError",
  "AI_InvalidResponseDataError",
  "AI_EmptyResponseBodyError",
];
const REQUEST_ERRORS = [
  "AI_InvalidArgumentError",
  "AI_InvalidPromptError",
  "AI_UnsupportedFunctionalityError",
  "AI_NoSuchModelError",
];

function kindOf(error: unknown, fields: Record<string, unknown>): Failure["kind"] {
  const name = error instanceof Error ? error.name : "";
  if (error instanceof InterruptedAnswer) return "interrupted";
  // The openai-compatible provider reports a stream without an end as data that is not there.
  if (name === "AI_InvalidResponseDataError" && fields.data === undefined) return "interrupted";
  if (FORMAT_ERRORS.includes(name)) return "format";
  if (REQUEST_ERRORS.includes(name)) return "request";
  // The anthropic provider meets a first frame that it cannot read with a bare Error; network errors carry code or cause.
  if (name === "Error" && fields.code === undefined && fields.cause === undefined) return "format";
  if (name === "AI_APICallError" && FORMAT_ERRORS.includes(errorName(fields.cause))) return "format";
  return "network";
}

/** A frame in the stream may carry the status that the response could not: it had begun with 200. */
function statusOf(fields: Record<string, unknown>): number | undefined {
  const status = [fields.statusCode, fields.code, asRecord(fields.error).code]
    .map(Number)
    .find((value) => value >= 300 && value < 600);
  if (status !== undefined) return status;
  const given = fields.type ?? asRecord(fields.error).type;
  const type = typeof given === "string" ? given : "";
  if (type.includes("rate_limit")) return 429;
  if (type.includes("overloaded")) return 529;
  return undefined;
}

function messageOf(error: unknown, fields: Record<string, unknown>): string {
  const message = [fields.message, asRecord(fields.error).message].find(
    (text) => typeof text === "string" && text !== "",
  );
  const cause = asRecord(fields.cause);
  const because = [cause.code, cause.message].find((text) => typeof text === "string" && text !== "");
  const text = typeof message === "string" ? message : typeof error === "string" ? error : "no reason given";
  return typeof because === "string" && !text.includes(because) ? `${text}: ${because}` : text;
}

function googleRetryDelayMs(body: string): number | undefined {
  const seconds = positive(/"retryDelay"\s*:\s*"([\d.]+)s"/.exec(body)?.[1]);
  return seconds === undefined ? undefined : Math.ceil(seconds * 1_000);
}

const requestIdOf = (headers: Record<string, string>): string | undefined =>
  headers["x-request-id"] ?? headers["request-id"];

function positive(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

const errorName = (error: unknown): string => (error instanceof Error ? error.name : "");

const asRecord = (value: unknown): Record<string, unknown> => {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
};
