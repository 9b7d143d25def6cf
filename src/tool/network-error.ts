/** The connection never stood, so the other side cannot have acted. */
const UNSENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const BROKEN = new Set(["ECONNRESET", "ECONNABORTED", "ETIMEDOUT", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"]);
const CAUSES_MAX = 5;

export interface NetworkFailure {
  /** The system's or undici's code, such as ECONNREFUSED; null when only the message tells. */
  code: string | null;
  /** False when the request cannot have reached the other side. */
  sent: boolean;
  message: string;
}

/** The network failure behind an error, looked for along its causes; null when there is none. */
export function networkFailure(error: unknown): NetworkFailure | null {
  let current = error;
  for (let depth = 0; depth < CAUSES_MAX && typeof current === "object" && current !== null; depth++) {
    const failure = asFailure(current);
    if (failure !== null) return failure;
    current = innerOf(current);
  }
  return isFailedFetch(error) ? { code: null, sent: true, message: (error as Error).message } : null;
}

function asFailure(error: object): NetworkFailure | null {
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  if (code === null || !(UNSENT.has(code) || BROKEN.has(code) || code.startsWith("UND_ERR_"))) return null;
  const message = error instanceof Error && error.message !== "" ? error.message : code;
  return { code, sent: !UNSENT.has(code), message };
}

/** Trying several addresses of one host gives an AggregateError, all of whose parts failed alike. */
function innerOf(error: object): unknown {
  if ("errors" in error && Array.isArray(error.errors) && error.errors.length > 0) return error.errors[0];
  return "cause" in error ? error.cause : null;
}

function isFailedFetch(error: unknown): boolean {
  return error instanceof TypeError && (error.message === "fetch failed" || error.message === "terminated");
}
