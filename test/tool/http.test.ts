import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_RETRY } from "../../src/core/definition.ts";
import type { Json } from "../../src/core/json.ts";
import { FlotillaError } from "../../src/error.ts";
import { toolContext } from "../../src/tool/context.ts";
import { type Fetch, RESPONSE_BYTES_MAX, toolFetch } from "../../src/tool/fetch.ts";
import { type HttpToolDefinition, httpTool } from "../../src/tool/http.ts";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

const NOW = Date.parse("2026-11-20T12:00:00Z");

let server: Server;
let base: string;
let seen: Seen[];
let closed: Promise<void>;
let answer: (response: ServerResponse, request: Seen) => void;
let fetch: Fetch;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ fetch, close } = toolFetch());
  seen = [];
  answer = (response) => json(response, 200, { ok: true });
  const socketClosed = Promise.withResolvers<void>();
  closed = socketClosed.promise;
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const one = { method, url, headers, body };
      seen.push(one);
      answer(response, one);
    });
    request.socket.on("close", () => socketClosed.resolve());
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await close();
  server.closeAllConnections();
  await new Promise((resolve) => void server.close(resolve));
});

function json(response: ServerResponse, status: number, value: Json, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
  response.end(JSON.stringify(value));
}

function definition(part: Partial<HttpToolDefinition> = {}): HttpToolDefinition {
  return {
    kind: "http",
    description: "",
    effect: "read",
    input: {},
    output: null,
    timeoutMs: 1_000,
    retry: DEFAULT_RETRY,
    idempotent: false,
    url: `${base}/items`,
    method: "GET",
    headers: {},
    body: null,
    ...part,
  };
}

const secrets: Record<string, string> = { KEY: "k-123" };

function call(tool: HttpToolDefinition, input: Json, signal = new AbortController().signal): Promise<unknown> {
  const secret = (name: string) => secrets[name];
  const context = toolContext({ tool: "it", fetch, secret, idempotencyKey: "i-1", signal, log: () => {} });
  return httpTool("it", tool, { fetch, secret, now: () => NOW }).call(input, context);
}

const failure = async (promise: Promise<unknown>): Promise<FlotillaError> => {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof FlotillaError) return error;
  throw new Error(`expected a FlotillaError, got ${String(error)}`);
};

describe("the request", () => {
  test("{name} in the URL is encoded; the rest goes into the query", async () => {
    const input = { id: "a/b?c", q: "tides & moon", tags: ["x", "y"], n: 3, flag: true, none: null };
    await call(definition({ url: `${base}/items/{id}?fixed=1#frag` }), input);
    expect(seen[0]?.url).toBe("/items/a%2Fb%3Fc?fixed=1&q=tides%20%26%20moon&tags=x&tags=y&n=3&flag=true");
    expect(seen[0]?.headers["idempotency-key"]).toBeUndefined();
  });

  test("a segment that would climb the path is refused", async () => {
    expect(await failure(call(definition({ url: `${base}/items/{id}` }), { id: ".." }))).toMatchObject({
      code: "TOOL_INPUT_INVALID",
    });
    expect(seen).toEqual([]);
  });

  test("a write sends the rest as JSON, with an Idempotency-Key", async () => {
    await call(definition({ method: "POST", effect: "write", url: `${base}/items/{id}` }), { id: 7, title: "t" });
    expect(seen[0]).toMatchObject({ method: "POST", url: "/items/7", body: '{"title":"t"}' });
    expect(seen[0]?.headers).toMatchObject({ "content-type": "application/json", "idempotency-key": "i-1" });
  });

  test("a body of the definition's own is a template that keeps types", async () => {
    const body = { query: "{q}", text: "about {q}, page {page}", page: "{page}", list: ["{none}"] };
    await call(definition({ method: "POST", body }), { q: "tides", page: 2 });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({
      query: "tides",
      text: "about tides, page 2",
      page: 2,
      list: [null],
    });
  });

  test("secrets are put in at the time of the call; a missing one is named", async () => {
    await call(definition({ headers: { "X-Key": { secret: "KEY" }, "x-plain": "p" } }), {});
    expect(seen[0]?.headers).toMatchObject({ "x-key": "k-123", "x-plain": "p" });
    const error = await failure(call(definition({ headers: { "x-key": { secret: "NONE" } } }), {}));
    expect(error).toMatchObject({ code: "SECRET_MISSING", message: "the secret NONE of tool it is not set" });
  });

  test("with secrets, or for a write, no redirect is followed", async () => {
    answer = (response, { url }) =>
      url === "/items" ? response.writeHead(307, { location: "/other" }).end() : json(response, 200, "there");
    expect(await call(definition(), {})).toBe("there");
    const error = await failure(call(definition({ headers: { "x-key": { secret: "KEY" } } }), {}));
    expect(error).toMatchObject({ code: "TOOL_FAILED", class: "permanent" });
    expect(error.message).toContain("HTTP 307: redirects to /other");
    expect(await failure(call(definition({ method: "POST", effect: "write" }), {}))).toMatchObject({
      code: "TOOL_FAILED",
    });
    expect(seen.map(({ url }) => url)).toEqual(["/items", "/other", "/items", "/items"]);
  });
});

describe("the answer", () => {
  test.each([
    ["application/json", '{"a":1}', { a: 1 }],
    ["application/problem+json", "[1]", [1]],
    ["application/json", "", null],
    ["text/plain", '{"a":1}', '{"a":1}'],
  ])("%s", async (type, body, expected) => {
    answer = (response) => void response.writeHead(200, { "content-type": type }).end(body);
    expect(await call(definition(), {})).toEqual(expected);
  });

  test("JSON that does not parse is TOOL_OUTPUT_INVALID", async () => {
    answer = (response) => void response.writeHead(200, { "content-type": "application/json" }).end("<html>");
    expect(await failure(call(definition(), {}))).toMatchObject({ code: "TOOL_OUTPUT_INVALID" });
  });

  test("its size is bounded", async () => {
    answer = (response) => void response.writeHead(200).end(Buffer.alloc(RESPONSE_BYTES_MAX + 1, "x"));
    const error = await failure(call(definition(), {}));
    expect(error).toMatchObject({ code: "TOOL_FAILED" });
    expect(error.message).toContain("answered with more than");
  });
});

describe("F1: failures by status", () => {
  test.each([
    [400, "TOOL_FAILED", "permanent"],
    [401, "TOOL_FAILED", "permanent"],
    [404, "TOOL_FAILED", "permanent"],
    [408, "TOOL_UNAVAILABLE", "transient"],
    [429, "TOOL_UNAVAILABLE", "transient"],
    [500, "TOOL_UNAVAILABLE", "transient"],
    [503, "TOOL_UNAVAILABLE", "transient"],
  ])("%i is %s", async (status, code, cls) => {
    answer = (response) => json(response, status, { why: "because" });
    const error = await failure(call(definition(), {}));
    expect(error).toMatchObject({ code, class: cls, details: { status } });
    expect(error.message).toBe(`it: GET ${base}/items: HTTP ${status}: {"why":"because"}`);
  });

  test.each([
    ["seconds", { "retry-after": "7" }, 7_000],
    [
      "a date, against the server's clock",
      { "retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", date: "Fri, 20 Nov 2026 10:00:00 GMT" },
      30_000,
    ],
  ])("retry-after as %s", async (_, headers, expected) => {
    answer = (response) => json(response, 429, null, headers);
    expect((await failure(call(definition(), {}))).retryAfterMs).toBe(expected);
  });

  test("nobody listens: transient, and certainly not sent", async () => {
    await new Promise((resolve) => void server.close(resolve));
    const error = await failure(call(definition(), {}));
    expect(error).toMatchObject({
      code: "TOOL_UNAVAILABLE",
      class: "transient",
      details: { code: "ECONNREFUSED", sent: false },
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  });

  test("a connection that breaks in the middle: transient, and nobody knows", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-length": "100" }).write("half");
      response.socket?.destroy();
    };
    const error = await failure(call(definition(), {}));
    expect(error).toMatchObject({ code: "TOOL_UNAVAILABLE", class: "transient" });
    expect(error.details.sent).toBe(true);
  });

  test("F3: abort closes the socket", async () => {
    const abort = new AbortController();
    answer = () => abort.abort(new FlotillaError("STEP_TIMEOUT", "too slow"));
    await expect(call(definition(), {}, abort.signal)).rejects.toMatchObject({ code: "STEP_TIMEOUT" });
    await closed;
  });
});

describe("ctx.fetch of a tool", () => {
  test("gives status, headers and body, and says in plain words that nobody listens", async () => {
    answer = (response) => json(response, 418, { tea: true }, { "x-a": "1" });
    const context = toolContext({
      tool: "it",
      fetch,
      secret: () => undefined,
      idempotencyKey: "i",
      signal: new AbortController().signal,
      log: () => {},
    });
    const got = await context.fetch(`${base}/pot`, { method: "PUT", headers: { a: "b" }, body: "leaves" });
    expect([got.status, got.ok, got.headers.get("x-a"), await got.json()]).toEqual([418, false, "1", { tea: true }]);
    expect(seen[0]).toMatchObject({ method: "PUT", url: "/pot", body: "leaves" });
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    const error = await failure(context.fetch(`${base}/x?token=t`));
    expect(error).toMatchObject({ code: "TOOL_UNAVAILABLE", details: { sent: false } });
    expect(error.message).not.toContain("token");
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  });
});
