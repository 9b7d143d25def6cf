import type { z } from "zod";
import type { Handed } from "../core/handover.ts";
import type { Json } from "../core/json.ts";
import type { MessageContent, ModelMessage, ModelUsage } from "../model/model.ts";
import type { Agent, AnyAgent } from "./agent.ts";
import type { Workflow } from "./workflow.ts";
import type { Tool } from "./tool.ts";

/** What `ctx.fetch` takes beside the URL. */
export interface FetchInit {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}

/** What `ctx.fetch` gives: the part of the platform's `Response` that can be put on record. */
export interface FetchResponse {
  readonly status: number;
  /** Whether the status is from 200 to 299. */
  readonly ok: boolean;
  readonly headers: Headers;
  text(): Promise<string>;
  /** Typed as the platform types it; what a tool or agent makes of it is checked against its output schema. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as in the platform's own Response
  json(): Promise<any>;
  bytes(): Promise<Uint8Array>;
}

/** What a tool's `run` and `check` are given. The call around them is a step: recorded before the agent goes on, and
 *  for `effect: "write"` also written ahead (F13). */
export interface ToolContext {
  /** HTTP through the host's own dispatcher; aborted with `signal`. Not a step of its own, since the whole call is one.
   *  @throws {FlotillaError} TOOL_UNAVAILABLE (transient) when the other side cannot be reached */
  fetch(url: string | URL, init?: FetchInit): Promise<FetchResponse>;
  /** The value of a secret, resolved in the host from the environment or `.env`; never stored, logged or hashed (X8).
   *  @throws {FlotillaError} SECRET_MISSING */
  secret(name: string): string;
  /** The same for every attempt at this one call, also after a crash; different for every other call. */
  readonly idempotencyKey: string;
  /** Aborted on time-out, stop and kill; late work is thrown away (F3). */
  readonly signal: AbortSignal;
  /** A structured log line with run, task and trace ids (O4). `data` must be JSON. */
  log(message: string, data?: unknown): void;
}

/** What a tool's `check` finds out about a write that was interrupted between intent and outcome (F13).
 *  `unknown` leaves the question to a retry under the same key, or to a person. */
export type ToolCheck<Output> = { outcome: "done"; output: Output } | { outcome: "not-done" } | { outcome: "unknown" };

/** A question to a model. What is left out is taken from the agent's declaration. */
export interface ModelPrompt<Output = string> {
  /** One message from the user; short for `messages` with that one message. Exactly one of the two is given. */
  prompt?: string;
  messages?: readonly ModelMessage[];
  /** Instructions; default: the agent's. */
  system?: string;
  /** `provider/name`; default: the agent's model. */
  model?: string;
  /** The answer must be one JSON document of this schema; it is asked again when it is not, as often as the agent's
   *  `limits.repairsMax` allows (F7). */
  output?: z.ZodType<Output>;
  /** Names of granted tools that the model may ask for; the calls are in the answer, nothing is called by itself. */
  tools?: readonly string[];
  outputTokensMax?: number;
  temperature?: number;
}

export interface ModelAnswer<Output = string> {
  /** The parsed document when the prompt had `output`, else the text. */
  readonly output: Output;
  readonly text: string;
  /** What the model gave of its reasoning; empty when nothing. */
  readonly reasoning: string;
  /** All parts as they came, tool calls among them. */
  readonly content: readonly MessageContent[];
  readonly usage: ModelUsage;
  /** True for scripted and recorded answers. */
  readonly simulated: boolean;
}

export interface CallOptions {
  /** Milliseconds until it is given up, and what it asked for cancelled. Default and most: 86,400,000, a day (M4). */
  timeoutMs?: number;
}

export interface HandoverOptions {
  /** What the other is to do; absent: what this agent was given. */
  input?: unknown;
  /** What it must know, word for word; the results of this task's steps and the facts that it read go along anyway. */
  messages?: readonly unknown[];
  /** Why it is handed over. */
  note?: string;
}

/** One version of a shared fact (S4). */
export interface Fact {
  readonly value: Json;
  /** From 1, by one. */
  readonly version: number;
  /** The agent or person that set it. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** A run's shared facts (S1, S2). A task sees them as they were when it was first given out, and what it set itself;
 *  what it read is on record, absences too, so that a correction finds it.
 *  @throws {FlotillaError} FACT_NOT_GRANTED, FACT_KEY_INVALID */
export interface FactAccess {
  /** Null: there is none. Keys are words joined by dots. */
  get(key: string): Promise<Fact | null>;
  /** All under a prefix, such as `customer.*`, or `*`; by key. */
  list(prefix: string): Promise<Readonly<Record<string, Fact>>>;
  /** Sets a fact, on top of the version that this task saw, or of `base`; 0: there must be none. Resolves with its
   *  version. `until`, milliseconds since the epoch: it holds no longer than that.
   *  @throws {FlotillaError} FACT_CONFLICT with both versions in its details, when another one came between */
  propose(key: string, value: unknown, options?: { base?: number; why?: string; until?: number }): Promise<number>;
  /** Sets a fact to what `change` makes of the newest version, and of the next newest when another came between. */
  update(key: string, change: (current: Json | null) => unknown, options?: { why?: string }): Promise<number>;
}

/** What a code agent's `run` is given. Each call but `log` and `status` is a step, durable before it resolves.
 *
 *  When the agent resumes, `run` executes again from the top and finished steps return their records at once, matched
 *  by name, ordinal of that name, and hash of the input. So the code between steps must have no effects, and take time
 *  and randomness from here. @throws {FlotillaError} NONDETERMINISTIC when it did not repeat what is on record */
export interface AgentContext {
  /** Runs `fn` once and records what it returns, which must be JSON; `undefined` is recorded as null. After a crash
   *  in the middle `fn` runs again: for effects that must not, use a tool with `effect: "write"`. `input` enters the
   *  record, so that a resumed step with other input is noticed. */
  step<Output>(name: string, fn: () => Output | Promise<Output>): Promise<Output>;
  step<Input, Output>(name: string, input: Input, fn: (input: Input) => Output | Promise<Output>): Promise<Output>;

  /** Asks a model, with the agent's retries, fallback models and limits. A string is a prompt.
   *  @throws {FlotillaError} MODEL_* when retries and fallbacks are used up, OUTPUT_INVALID, LIMIT_* */
  model(prompt: string): Promise<ModelAnswer>;
  model<Output = string>(prompt: ModelPrompt<Output>): Promise<ModelAnswer<Output>>;

  /** Calls a granted tool, by value or by its name in the fleet. @throws {FlotillaError} TOOL_* */
  tool<Input, Output>(tool: Tool<Input, Output>, input: NoInfer<Input>): Promise<Output>;
  tool(name: string, input: unknown): Promise<Json>;

  /** Asks another agent that this one may call (its `calls`), by value or by name. It does it as a task of the same run,
   *  within the run's limits, with no more authority than this task has (C8, X3); resolves with its output. Waiting holds
   *  no process, and outlasts restarts.
   *  @throws {FlotillaError} what the other agent failed with; AGENT_NOT_GRANTED; STEP_TIMEOUT; LIMIT_DEPTH, LIMIT_TASKS */
  call<Input, Output>(agent: Agent<Input, Output>, input: NoInfer<Input>, options?: CallOptions): Promise<Output>;
  /** A workflow runs as a child run, with a journal and a scope of its own. */
  call<Input, Output>(workflow: Workflow<Input, Output>, input: NoInfer<Input>, options?: CallOptions): Promise<Output>;
  /** By name; a workflow as `workflow:NAME`. */
  call(agent: string, input: unknown, options?: CallOptions): Promise<Json>;

  /** Ends this task by handing it to another agent, by value or by name, that this one may hand tasks to (`handover: true`
   *  in its `calls`): the other does it in this one's place, and its output, or its failure, is the task's. With it go
   *  the messages given here, what this task's steps answered and the facts that it read (C14). Never resolves.
   *  @throws {FlotillaError} HANDOVER_REFUSED: not granted, handed on too often, or back to and fro in the same state
   *  (F10); the agent may go on */
  handover(agent: AnyAgent | string, options?: HandoverOptions): Promise<never>;

  /** What came with a task that was handed over to this agent; null: nobody did. */
  readonly handed: Handed | null;

  /** The run's shared facts, as far as this agent was granted them (`facts` of the agent). */
  readonly facts: FactAccess;

  /** HTTP as a recorded step: GET and HEAD are reads; every other method is a write, written ahead and never repeated
   *  silently. The body of the answer is part of the record. */
  fetch(url: string | URL, init?: FetchInit): Promise<FetchResponse>;

  /** A structured log line; not repeated while `run` catches up with its record. `data` must be JSON. */
  log(message: string, data?: unknown): void;
  /** What the agent is doing now, in a few words, for whoever watches (C13). */
  status(text: string): void;

  /** Milliseconds since the epoch, recorded. */
  now(): Promise<number>;
  /** From 0 inclusive to 1 exclusive, recorded. */
  random(): Promise<number>;
  /** A durable timer: the process may end meanwhile, and waiting holds nothing. */
  sleep(ms: number): Promise<void>;

  /** Aborted on time-out, stop and kill. */
  readonly signal: AbortSignal;
}
