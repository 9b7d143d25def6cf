import type { ToolDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { ToolContext } from "../definition/context.ts";
import { FlotillaError } from "../error.ts";
import { type FetchAnswer, type Fetch, readBody } from "./fetch.ts";
import { networkFailure } from "./network-error.ts";
import { type FindSecret, resolved } from "./secret.ts";
import type { ToolRunner } from "./tool.ts";

export type HttpToolDefinition = Extract<ToolDefinition, { kind: "http" }>;

/** Methods whose input goes into the query, for want of a body. */
const BODILESS = new Set(["GET", "HEAD", "DELETE"]);
const EXCERPT_CHARACTERS = 300;

/** A tool that is one HTTP request (I3), no code needed. `{name}` in the URL is replaced by that input field,
 *  URL-encoded; the other fields go into the query (GET, HEAD, DELETE) or are the JSON body, unless the definition has
 *  a body of its own, in which strings may hold `{name}` too. The answer is JSON where its content type says so, else
 *  text. Writes send `Idempotency-Key`. A request with secrets, and every write, follows no redirect.
 *
 *  408, 425, 429 and 5xx are TOOL_UNAVAILABLE (transient), every other status outside 200-299 is TOOL_FAILED. */
export function httpTool(
  name: string,
  definition: HttpToolDefinition,
  { fetch, secret, now }: { fetch: Fetch; secret: FindSecret; now: () => number },
): ToolRunner {
  return {
    check: null,
    async call(input, context) {
      const request = requestOf(definition, asFields(input));
      const shown = `${definition.method} ${definition.url}`;
      const answer = await send(name, definition, request, { fetch, secret, context });
      const body = await readBody(answer, shown).catch((error: unknown) =>
        Promise.reject(unreachable(name, shown, error)),
      );
      if (answer.status >= 200 && answer.status < 300) return contentOf(name, answer, body);
      throw refusal(name, shown, answer, body, now());
    },
  };
}

interface Request {
  url: string;
  body: string | null;
}

type Fields = { readonly [name: string]: Json };

function asFields(input: Json): Fields {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Fields) : {};
}

function requestOf(definition: HttpToolDefinition, input: Fields): Request {
  const used = new Set<string>();
  const url = fill(definition.url, input, used, encodeSegment);
  const body = definition.body === null ? null : fillAll(definition.body, input, used);
  const rest = Object.entries(input).filter(([field]) => !used.has(field));
  if (BODILESS.has(definition.method))
    return { url: withQuery(url, rest), body: body === null ? null : JSON.stringify(body) };
  return { url, body: JSON.stringify(body ?? Object.fromEntries(rest)) };
}

/** Dots alone would climb the path, also when they are encoded. */
function encodeSegment(text: string): string {
  if (text !== "." && text !== "..") return encodeURIComponent(text);
  throw new FlotillaError("TOOL_INPUT_INVALID", `"${text}" cannot be part of a URL's path`);
}

/** Fields that the input does not have become empty: the input's schema says which are required. */
function fill(template: string, input: Fields, used: Set<string>, encode: (text: string) => string): string {
  return template.replace(/\{([A-Za-z_][\w-]*)\}/g, (_, field: string) => {
    used.add(field);
    return encode(asText(input[field] ?? ""));
  });
}

/** A string that is one `{name}` and nothing else keeps the field's type. */
function fillAll(template: Json, input: Fields, used: Set<string>): Json {
  if (typeof template === "string") {
    const whole = /^\{([A-Za-z_][\w-]*)\}$/.exec(template)?.[1];
    if (whole === undefined) return fill(template, input, used, (text) => text);
    used.add(whole);
    return input[whole] ?? null;
  }
  if (template === null || typeof template !== "object") return template;
  if (Array.isArray(template)) return template.map((item: Json) => fillAll(item, input, used));
  return Object.fromEntries(Object.entries(template).map(([key, item]) => [key, fillAll(item, input, used)]));
}

function withQuery(url: string, fields: readonly [string, Json][]): string {
  const pairs = fields.flatMap(([field, value]) => {
    const values: readonly Json[] = Array.isArray(value) ? value : [value];
    return values
      .filter((item) => item !== null)
      .map((item) => `${encodeURIComponent(field)}=${encodeURIComponent(asText(item))}`);
  });
  if (pairs.length === 0) return url;
  const [address = "", fragment] = url.split("#", 2);
  const joined = `${address}${address.includes("?") ? "&" : "?"}${pairs.join("&")}`;
  return fragment === undefined ? joined : `${joined}#${fragment}`;
}

const asText = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

async function send(
  name: string,
  definition: HttpToolDefinition,
  request: Request,
  { fetch, secret, context }: { fetch: Fetch; secret: FindSecret; context: ToolContext },
): Promise<FetchAnswer> {
  const isWrite = definition.effect === "write";
  const hasSecrets = Object.values(definition.headers).some((value) => typeof value !== "string");
  const headers = {
    accept: "application/json, text/*;q=0.9, */*;q=0.1",
    ...(request.body === null ? {} : { "content-type": "application/json" }),
    ...(isWrite ? { "idempotency-key": context.idempotencyKey } : {}),
    ...lowercased(resolved(definition.headers, secret, `tool ${name}`)),
  };
  try {
    return await fetch(request.url, {
      method: definition.method,
      headers,
      ...(request.body === null ? {} : { body: request.body }),
      redirect: isWrite || hasSecrets ? "manual" : "follow",
      signal: context.signal,
    });
  } catch (error) {
    throw unreachable(name, `${definition.method} ${definition.url}`, error);
  }
}

function lowercased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The URL is shown as declared: filled in it may hold what should not be in an error. */
function unreachable(name: string, shown: string, error: unknown): unknown {
  const failure = networkFailure(error);
  if (failure === null) return error;
  return new FlotillaError("TOOL_UNAVAILABLE", `${name}: ${shown}: ${failure.message}`, {
    cause: error,
    details: { ...failure },
  });
}

function contentOf(name: string, answer: FetchAnswer, body: Buffer): Json {
  const text = body.toString("utf8");
  if (!/[/+]json\b/i.test(answer.headers.get("content-type") ?? "")) return text;
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new FlotillaError("TOOL_OUTPUT_INVALID", `${name} answered with JSON that does not parse: ${excerpt(text)}`, {
      cause,
    });
  }
}

function refusal(name: string, shown: string, answer: FetchAnswer, body: Buffer, now: number): FlotillaError {
  const { status } = answer;
  const location = status >= 300 && status < 400 ? answer.headers.get("location") : null;
  const said =
    location === null
      ? excerpt(body.toString("utf8"))
      : `redirects to ${location}; give that address in the definition`;
  const mayPass = status === 408 || status === 425 || status === 429 || status >= 500;
  const afterMs = mayPass ? retryAfterMs(answer.headers, now) : undefined;
  return new FlotillaError(
    mayPass ? "TOOL_UNAVAILABLE" : "TOOL_FAILED",
    `${name}: ${shown}: HTTP ${status}${said === "" ? "" : `: ${said}`}`,
    {
      details: { status },
      ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }),
    },
  );
}

/** `retry-after` in seconds or as a date (RFC 9110, 10.2.3); a date is read against the server's own `date`. */
function retryAfterMs(headers: Headers, now: number): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (value === undefined || value === "") return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const until = Date.parse(value);
  if (Number.isNaN(until)) return undefined;
  const serverNow = Date.parse(headers.get("date") ?? "");
  return Math.max(0, until - (Number.isNaN(serverNow) ? now : serverNow));
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > EXCERPT_CHARACTERS ? `${line.slice(0, EXCERPT_CHARACTERS)}…` : line;
}
