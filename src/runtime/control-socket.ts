import type { ForkPreview, ForkRequest } from "./fork.ts";
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { z } from "zod";
import type { Hold, HoldTarget } from "../core/hold.ts";
import { type ErrorRecord, FlotillaError, fromErrorRecord, toErrorRecord } from "../error.ts";
import type { FactSetRequest, FleetControl, OwnerInfo, StartRequest } from "./app-contract.ts";
import type { Notice } from "./coordinator.ts";
import type { EraseRequest } from "./erasure.ts";
import type { Imported, ImportRequest } from "./import-run.ts";
import type { DeadLetterAct } from "./dead-letter.ts";
import type { Decision } from "./inbox.ts";
import { CHOICES, type Choice, type InboxItem } from "./inbox-item.ts";

/** The owner's socket: requests and answers as lines of JSON. Only the user can reach it, since its folder is his.
 *  `{ id, method, params }` is answered by `{ id, result }`, `{ id, error }`, or, for `watch`, any number of
 *  `{ id, notice }`, until the client sends `{ id, method: "unwatch" }`. */

const id = z.number().int();
const text = z.string();
const target = z.union([
  z.strictObject({ run: text }),
  z.strictObject({ workflow: text }),
  z.strictObject({ agent: text }),
  z.strictObject({ fleet: z.literal(true) }),
]);
const policy = z.enum(["allow", "stub", "skip"]);
const forkRequest = z.object({
  run: text,
  at: z.number().int().optional(),
  task: text.optional(),
  agents: z
    .record(
      text,
      z.strictObject({ instructions: z.string().optional(), model: text.optional(), tools: z.array(text).optional() }),
    )
    .optional(),
  input: z.json().optional(),
  effects: z.object({ default: policy, tools: z.record(text, policy).optional() }).optional(),
  by: text.optional(),
});

const Request = z.discriminatedUnion("method", [
  z.object({
    id,
    method: z.literal("start"),
    params: z.object({
      workflow: text,
      input: z.json(),
      idempotencyKey: text.optional(),
      limits: z.record(text, z.number().nullable()).optional(),
      priority: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]).optional(),
      by: text.optional(),
    }),
  }),
  z.object({ id, method: z.literal("stop"), params: z.object({ run: text, why: text, by: text }) }),
  z.object({
    id,
    method: z.literal("pause"),
    params: z.object({ target, why: text, by: text, kill: z.boolean() }),
  }),
  z.object({ id, method: z.literal("resume"), params: z.object({ target, why: text, by: text }) }),
  z.object({ id, method: z.literal("holds") }),
  z.object({
    id,
    method: z.literal("settle"),
    params: z.object({
      run: text,
      task: text,
      step: text,
      outcome: z.enum(["done", "not-done"]),
      output: z.json(),
      by: text,
      note: text,
    }),
  }),
  z.object({ id, method: z.enum(["fork", "previewFork"]), params: forkRequest }),
  z.object({
    id,
    method: z.literal("erase"),
    params: z.object({ run: text, versions: z.array(z.number()).nullable(), reason: text, by: text }),
  }),
  z.object({ id, method: z.literal("importRun"), params: z.object({ file: text, by: text }) }),
  z.object({
    id,
    method: z.literal("setFact"),
    params: z.object({
      run: text,
      set: z.object({
        fact: text,
        value: z.json(),
        by: text,
        why: text,
        until: z.number().int().min(0).nullable(),
        base: z.number().int().min(0).optional(),
      }),
    }),
  }),
  z.object({
    id,
    method: z.literal("deadLetter"),
    params: z.object({
      id: text,
      act: z.discriminatedUnion("act", [
        z.object({ act: z.enum(["replay", "drop"]), by: text, note: text }),
        z.object({ act: z.literal("edit"), input: z.json(), by: text, note: text }),
      ]),
    }),
  }),
  z.object({
    id,
    method: z.literal("decide"),
    params: z.object({
      item: text,
      choice: z.enum(Object.values(CHOICES).flat() as [Choice, ...Choice[]]),
      arguments: z.json().optional(),
      output: z.json().optional(),
      agent: text.optional(),
      answer: text.optional(),
      by: text,
      note: text,
    }),
  }),
  z.object({ id, method: z.literal("info") }),
  z.object({ id, method: z.literal("retire"), params: z.object({ process: text, since: z.number() }) }),
  z.object({
    id,
    method: z.literal("watch"),
    params: z.object({ run: text.nullable(), only: z.literal("end").optional() }),
  }),
  z.object({ id, method: z.literal("unwatch") }),
]);
type Request = z.infer<typeof Request>;
type Method = Request["method"];
type Answer =
  | { id: number; result: unknown }
  | { id: number; error: ErrorRecord }
  | { id: number; notice: Notice }
  | { id: number; end: true };

/** Bytes: paths of UNIX sockets are bounded; a longer one gets a name of its own in the folder for temporary files. */
const SOCKET_PATH_MAX = 100;
/** Notices that wait for a slow watcher before it is cut off: it reads on from the journal (M8). */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

export function socketPath(folder: string): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\flotilla-${shortHash(folder)}`;
  const path = join(folder, "owner.sock");
  return Buffer.byteLength(path) <= SOCKET_PATH_MAX ? path : join(tmpdir(), `flotilla-${shortHash(folder)}.sock`);
}

const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** What the owner does for others beside `FleetControl`. */
export interface OwnerControl extends FleetControl {
  /** Gives the store up to an app of the same process that was opened no earlier than this one (hot reload). `since`:
   *  when that was, in milliseconds. Resolves with whether it does. */
  retire(process: string, since: number): Promise<boolean>;
}

/** Serves the owner's control on a socket. */
export async function serveControl(path: string, control: OwnerControl): Promise<{ close(): Promise<void> }> {
  // Whoever holds the lock is the owner; a socket that lies there is a dead one's.
  if (process.platform !== "win32") rmSync(path, { force: true });
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serve(socket, control);
  });
  await listen(server, path);
  server.unref();
  return {
    close: () =>
      new Promise((resolve) => {
        for (const socket of connections) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** The interface passes errors of its input on: without a listener of its own, a client that went away in the middle of
 *  an answer would end the owner's process. The socket's listener has dealt with them. */
function linesOf(socket: Socket): Interface {
  return createInterface({ input: socket }).on("error", () => {});
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path, readableAll: false, writableAll: false }, () => resolve());
  });
}

function serve(socket: Socket, control: OwnerControl): void {
  const watches = new Map<number, AbortController>();
  const send = (answer: Answer) => {
    if (socket.writableLength > WAITING_BYTES_MAX) socket.destroy();
    else if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
  };
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    for (const watch of watches.values()) watch.abort();
  });
  linesOf(socket).on("line", (line) => {
    const { success, data: request } = Request.safeParse(parsed(line));
    if (!success) return socket.destroy();
    if (request.method === "unwatch") return watches.get(request.id)?.abort();
    if (request.method === "watch") {
      const watch = new AbortController();
      watches.set(request.id, watch);
      void stream(request.id, control.watch(request.params.run, watch.signal, request.params.only), send);
      return;
    }
    answer(request, control).then(
      (result) => send({ id: request.id, result: result ?? null }),
      (error: unknown) => send({ id: request.id, error: toErrorRecord(error, "INVARIANT") }),
    );
  });
}

async function stream(id: number, notices: AsyncIterable<Notice>, send: (answer: Answer) => void): Promise<void> {
  try {
    for await (const notice of notices) send({ id, notice });
    send({ id, end: true });
  } catch (error) {
    send({ id, error: toErrorRecord(error, "INVARIANT") });
  }
}

function answer(request: Exclude<Request, { method: "watch" | "unwatch" }>, control: OwnerControl): Promise<unknown> {
  switch (request.method) {
    case "start":
      return control.start(request.params as StartRequest);
    case "stop":
      return control.stop(request.params.run, request.params.why, request.params.by);
    case "pause":
      return control.pause(request.params.target, request.params.why, request.params.by, request.params.kill);
    case "resume":
      return control.resume(request.params.target, request.params.why, request.params.by);
    case "holds":
      return control.holds();
    case "settle": {
      const { run, task, step, outcome, output, by, note } = request.params;
      return control.settle(run, task, step, outcome, output, by, note);
    }
    case "erase":
      return control.erase(request.params);
    case "importRun":
      return control.importRun(request.params);
    case "fork":
      return control.fork(request.params as ForkRequest);
    case "previewFork":
      return control.previewFork(request.params as ForkRequest);
    case "setFact":
      return control.setFact(request.params.run, request.params.set as FactSetRequest);
    case "deadLetter":
      return control.deadLetter(request.params.id, request.params.act as DeadLetterAct);
    case "decide": {
      const { item, ...decision } = request.params;
      return control.decide(item, decision as Decision);
    }
    case "info":
      return control.info();
    default:
      return control.retire(request.params.process, request.params.since);
  }
}

/** Speaks to the owner of a store. @throws {FlotillaError} OWNER_GONE */
export class ControlClient implements OwnerControl {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>();
  readonly #watches = new Map<number, (answer: { notice: Notice } | { end: true } | { error: unknown }) => void>();
  readonly #lost = new AbortController();
  #closed = false;
  #id = 0;

  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path });
      socket.once("error", (error) =>
        reject(new FlotillaError("OWNER_GONE", "the owner of the store does not answer", { cause: error })),
      );
      socket.once("connect", () => resolve(new ControlClient(socket)));
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.removeAllListeners("error");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#gone());
    linesOf(socket).on("line", (line) => this.#receive(line));
  }

  start(request: StartRequest): Promise<string> {
    return this.#ask("start", request);
  }
  stop(run: string, why: string, by: string): Promise<void> {
    return this.#ask("stop", { run, why, by });
  }
  settle(
    run: string,
    task: string,
    step: string,
    outcome: "done" | "not-done",
    output: unknown,
    by: string,
    note: string,
  ): Promise<boolean> {
    return this.#ask("settle", { run, task, step, outcome, output, by, note });
  }
  erase(request: EraseRequest): Promise<number> {
    return this.#ask("erase", request);
  }
  importRun(request: ImportRequest): Promise<Imported> {
    return this.#ask("importRun", request);
  }
  fork(request: ForkRequest): Promise<string> {
    return this.#ask("fork", request);
  }
  previewFork(request: ForkRequest): Promise<ForkPreview> {
    return this.#ask("previewFork", request);
  }
  setFact(run: string, set: FactSetRequest): Promise<number> {
    return this.#ask("setFact", { run, set });
  }
  deadLetter(id: string, act: DeadLetterAct): Promise<string | null> {
    return this.#ask("deadLetter", { id, act });
  }
  decide(item: string, decision: Decision): Promise<InboxItem> {
    return this.#ask("decide", { item, ...decision });
  }
  pause(target: HoldTarget, why: string, by: string, kill = false): Promise<boolean> {
    return this.#ask("pause", { target, why, by, kill });
  }
  resume(target: HoldTarget, why: string, by: string): Promise<boolean> {
    return this.#ask("resume", { target, why, by });
  }
  holds(): Promise<readonly Hold[]> {
    return this.#ask("holds", {});
  }
  info(): Promise<OwnerInfo> {
    return this.#ask("info", {});
  }
  retire(process: string, since: number): Promise<boolean> {
    return this.#ask("retire", { process, since });
  }

  /** Aborted when the owner went away; not by `close`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async *watch(run: string | null, signal: AbortSignal, only?: "end"): AsyncGenerator<Notice> {
    const id = this.#id++;
    const queue = new NoticeQueue();
    this.#watches.set(id, (answer) => {
      if ("notice" in answer) queue.push(answer.notice);
      else if ("error" in answer) queue.fail(answer.error);
      else queue.end();
    });
    const onAbort = () => {
      this.#write({ id, method: "unwatch", params: {} });
      queue.end();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) return;
    this.#write({ id, method: "watch", params: { run, ...(only === undefined ? {} : { only }) } });
    try {
      yield* queue;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#watches.delete(id);
      this.#write({ id, method: "unwatch", params: {} });
    }
  }

  close(): void {
    this.#closed = true;
    this.#socket.end();
    this.#socket.destroy();
  }

  #ask<T>(method: Method, params: object): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(gone());
      const id = this.#id++;
      this.#waiting.set(id, { resolve, reject });
      this.#write({ id, method, params });
    });
  }

  #write(request: { id: number; method: Method; params: object }): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(request)}\n`);
  }

  #receive(line: string): void {
    const answer = parsed(line) as Answer | null;
    if (answer === null) return;
    const watch = this.#watches.get(answer.id);
    if ("error" in answer) {
      watch?.({ error: fromErrorRecord(answer.error) });
      this.#waiting.get(answer.id)?.reject(fromErrorRecord(answer.error));
    } else if ("result" in answer) {
      this.#waiting.get(answer.id)?.resolve(answer.result as never);
    } else {
      watch?.(answer);
    }
    if (!("notice" in answer)) this.#waiting.delete(answer.id);
  }

  #gone(): void {
    if (!this.#closed) this.#lost.abort();
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#waiting.clear();
    for (const watch of this.#watches.values()) watch({ error: gone() });
  }
}

const gone = () => new FlotillaError("OWNER_GONE", "the process that owns the store went away");

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A queue between a producer that pushes and one consumer that iterates. `only`: all that it takes is a run's end. */
export class NoticeQueue implements AsyncIterable<Notice> {
  readonly #endsOnly: boolean;
  #items: Notice[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #error: unknown = null;

  constructor(only?: "end") {
    this.#endsOnly = only === "end";
  }

  get length(): number {
    return this.#items.length;
  }

  push(notice: Notice): void {
    if (this.#ended || (this.#endsOnly && !isEnd(notice))) return;
    this.#items.push(notice);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Notice> {
    for (;;) {
      const items = this.#items;
      this.#items = [];
      yield* items;
      if (this.#items.length > 0) continue;
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}

function isEnd(notice: Notice): boolean {
  if (notice.type !== "event") return false;
  const { type } = notice.event;
  return type === "run.completed" || type === "run.failed" || type === "run.stopped";
}
