import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Act, Answer, ProviderDouble, ReceivedRequest } from "../../src/conformance/model.ts";
import type { Json } from "../../src/core/json.ts";
import { errorBody, errorFrame, type Frame, framesOf, type Wire, wireOf } from "./wire.ts";

export type { Act, Answer } from "../../src/conformance/model.ts";
export type { Wire } from "./wire.ts";

/** One request as the double saw it. */
export interface SeenRequest extends ReceivedRequest {
  wire: Wire | null;
}

/** Decides what to do with a request; for `script`. */
export type Reaction = Act | ((request: SeenRequest) => Act);

/** A local server that speaks the wire formats of all providers over real HTTP, on one loopback port. */
export interface Double extends ProviderDouble {
  /** Without a path: see `baseUrl`. */
  url: string;
  /** The base URL under which a provider is reached. */
  baseUrl(wire: Wire): string;
  readonly requests: readonly SeenRequest[];
  script(...reactions: readonly Reaction[]): void;
  /** What answers once the queue is empty; at first a short text. */
  always(reaction: Reaction): void;
  request(number: number): Promise<SeenRequest>;
}

const BASE_PATHS: Record<Wire, string> = {
  openai: "/openai/v1",
  anthropic: "/anthropic/v1",
  google: "/google/v1beta",
  "openai-compatible": "/compatible/v1",
};

export async function startDouble(): Promise<Double> {
  const requests: SeenRequest[] = [];
  const awaited = new Map<number, (request: SeenRequest) => void>();
  const queue: Reaction[] = [];
  let fallback: Reaction = { answer: { text: "Hello." } };

  const server = createServer((incoming, response) => {
    void receive(incoming).then((body) => {
      const seen = look(incoming, response, body);
      requests.push(seen);
      awaited.get(requests.length - 1)?.(seen);
      const reaction = queue.shift() ?? fallback;
      perform(typeof reaction === "function" ? reaction(seen) : reaction, seen.wire, response);
    });
  });
  const url = await listen(server);

  return {
    url,
    baseUrl: (wire) => url + BASE_PATHS[wire],
    requests,
    script: (...reactions) => void queue.push(...reactions),
    always: (reaction) => {
      fallback = reaction;
    },
    request: (number) => {
      const known = requests[number];
      if (known !== undefined) return Promise.resolve(known);
      const { promise, resolve } = Promise.withResolvers<SeenRequest>();
      awaited.set(number, resolve);
      return promise;
    },
    close: () => close(server),
  };
}

function look(incoming: IncomingMessage, response: ServerResponse, body: string): SeenRequest {
  const path = new URL(incoming.url ?? "/", "http://double").pathname;
  const ended = Promise.withResolvers<"complete" | "closed">();
  response.once("close", () => ended.resolve(response.writableFinished ? "complete" : "closed"));
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  return {
    wire: wireOf(path),
    path: incoming.url ?? "/",
    headers,
    body: JSON.parse(body) as { [key: string]: Json },
    ended: ended.promise,
  };
}

function perform(act: Act, wire: Wire | null, response: ServerResponse): void {
  if (wire === null) {
    response.writeHead(404, { "content-type": "application/json" }).end('{"error":{"message":"no such path"}}');
    return;
  }
  if ("status" in act) sendError(act, wire, response);
  else if ("answer" in act) sendFrames(response, framesOf(wire, act.answer)).end();
  else if ("broken" in act) sendBroken(act, wire, response);
  else if ("failing" in act) {
    sendFrames(response, [...half(framesOf(wire, act.failing)), errorFrame(wire, act.message)]).end();
  } else if ("garbage" in act) sendGarbage(act.garbage, response);
  else if (act.hang !== "silent") sendFrames(response, half(framesOf(wire, act.hang)));
}

function sendError(act: Extract<Act, { status: number }>, wire: Wire, response: ServerResponse): void {
  response.writeHead(act.status, { "content-type": "application/json", ...act.headers });
  response.end(JSON.stringify(errorBody(wire, act.status, act.message ?? "no", act.code ?? null)));
}

function sendBroken(act: Extract<Act, { broken: Answer }>, wire: Wire, response: ServerResponse): void {
  sendFrames(response, half(framesOf(wire, act.broken)));
  if (act.how === "ended") response.end();
  // The frames are flushed before the socket goes, so that the client has begun to read the answer.
  else response.write(": cut\n\n", () => response.destroy());
}

function sendGarbage(kind: Extract<Act, { garbage: string }>["garbage"], response: ServerResponse): void {
  if (kind === "page") {
    response.writeHead(200, { "content-type": "text/html" }).end("<html><body>Welcome to the router</body></html>");
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(kind === "frames" ? "data: {{{ no json\n\n" : 'data: {"candidates":7,"choices":7,"type":7}\n\n');
}

/** What a broken answer gets: at least one frame beyond the first, never the last. */
const half = (frames: readonly Frame[]): Frame[] => frames.slice(0, Math.max(2, Math.floor(frames.length / 2)));

function sendFrames(response: ServerResponse, frames: readonly Frame[]): ServerResponse {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const lines = frames.map(({ event, data }) => {
    const text = data === "[DONE]" ? data : JSON.stringify(data);
    return `${event === undefined ? "" : `event: ${event}\n`}data: ${text}\n\n`;
  });
  response.write(lines.join(""));
  return response;
}

async function receive(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

/** May be called again. */
function close(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  server.closeAllConnections();
  return new Promise((resolve, reject) => server.close((error) => (error === undefined ? resolve() : reject(error))));
}
