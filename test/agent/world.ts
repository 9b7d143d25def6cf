import type { AgentEnvironment } from "../../src/agent/environment.ts";
import type { AgentOutcome, PermitRequest, TaskPort } from "../../src/agent/port.ts";
import { runAgent } from "../../src/agent/run.ts";
import type { CallOutcome, RecordedStep } from "../../src/carrier/frame.ts";
import type { StepRecord } from "../../src/core/command.ts";
import { type AgentDefinition, DEFAULT_RETRY, type ToolDefinition } from "../../src/core/definition.ts";
import type { Json } from "../../src/core/json.ts";
import type { AgentContext } from "../../src/definition/context.ts";
import { DEFAULTS } from "../../src/definition/default.ts";
import { FlotillaError } from "../../src/error.ts";
import type { Model, ModelMessage, ModelRequest, ModelResponse } from "../../src/model/model.ts";
import type { Random } from "../../src/platform/random.ts";
import type { ToolRunner } from "../../src/tool/tool.ts";
import { type VirtualClock, virtualClock } from "./virtual-clock.ts";

/** What outlives a crash, and what can be made to crash: every await of an execution passes `point`. */
export class World {
  readonly clock: VirtualClock = virtualClock();
  readonly steps = new Map<string, RecordedStep>();
  readonly records: StepRecord[] = [];
  readonly logs: { level: string; message: string; data: Json | undefined }[] = [];
  readonly statuses: string[] = [];
  readonly permits: PermitRequest[] = [];
  readonly outcomes: ({ call: string } & CallOutcome)[] = [];
  readonly tokens: string[] = [];
  /** Crashes at this point of the current attempt; null: never. */
  crashAt: number | null = null;
  points = 0;
  attempt = 0;
  abort = new AbortController();
  /** Fails the permit or the record that it is asked about. */
  refuse: (what: "permit" | StepRecord) => Error | null = () => null;
  private crash: (() => void) | null = null;

  /** Resolves at once, or never when the process dies here. */
  point(): Promise<void> {
    this.points += 1;
    if (this.points !== this.crashAt)
      return this.points > (this.crashAt ?? Number.POSITIVE_INFINITY) ? new Promise(() => {}) : Promise.resolve();
    this.crash?.();
    return new Promise(() => {});
  }

  /** Runs one attempt; "crashed" when its process died. */
  async run(
    fleet: AgentEnvironment,
    options: { agent?: string; input?: Json; output?: TaskPort["assignment"]["output"] } = {},
  ): Promise<AgentOutcome | "crashed"> {
    this.attempt += 1;
    this.points = 0;
    this.clock.clear();
    this.abort = new AbortController();
    for (const step of this.steps.values()) if (step.status === "started") step.status = "unknown";
    const crashed = new Promise<"crashed">((resolve) => {
      this.crash = () => resolve("crashed");
    });
    const { agent = "worker", input = null, output = null } = options;
    const port = this.portOf({
      run: "r-1",
      task: "t",
      attempt: this.attempt,
      agent,
      input,
      output,
      steps: new Map(structuredClone([...this.steps])),
    });
    return this.clock.until(Promise.race([runAgent(port, fleet), crashed]));
  }

  private portOf(assignment: TaskPort["assignment"]): TaskPort {
    let roll = 7;
    const random: Random = {
      bytes: (length) => new Uint8Array(length).fill(roll++),
      next: () => {
        roll = (roll * 1_103_515_245 + 12_345) % 2_147_483_648;
        return roll / 2_147_483_648;
      },
    };
    return {
      assignment,
      signal: this.abort.signal,
      clock: this.clock,
      random,
      record: async (step): Promise<undefined> => {
        await this.point();
        const refusal = this.refuse(step);
        if (refusal !== null) throw refusal;
        this.apply(structuredClone(step));
        await this.point();
      },
      permit: async (request) => {
        await this.point();
        const refusal = this.refuse("permit");
        if (refusal !== null) throw refusal;
        this.permits.push(request);
      },
      outcome: (call, outcome) => void this.outcomes.push({ call, ...outcome }),
      token: (text) => void this.tokens.push(text),
      log: (level, message, data) => void this.logs.push({ level, message, data }),
      status: (text) => void this.statuses.push(text),
    };
  }

  /** As the engine folds step events. */
  private apply(step: StepRecord): void {
    this.records.push(step);
    const known = this.steps.get(step.key);
    if (known !== undefined && (known.status === "completed" || known.status === "failed")) {
      throw new Error(`${step.key} was recorded twice`);
    }
    const { key, kind, name, inputHash, phase, output, error, settle, idempotencyKey } = step;
    const record = { key, kind, name, inputHash, settle: settle ?? known?.settle ?? "person", outcome: null };
    this.steps.set(key, {
      ...record,
      status: phase,
      idempotencyKey: idempotencyKey ?? known?.idempotencyKey ?? null,
      output,
      error,
    });
  }
}

export function agentDefinition(part: Partial<AgentDefinition> = {}): AgentDefinition {
  return {
    description: "",
    kind: "model",
    module: null,
    model: "fake/one",
    fallbackModels: [],
    instructions: "Do it.",
    tools: [],
    input: null,
    output: null,
    retry: DEFAULT_RETRY,
    timeoutMs: DEFAULTS.agentTimeoutMs,
    stepTimeoutMs: DEFAULTS.stepTimeoutMs,
    limits: DEFAULTS.agentLimits,
    context: DEFAULTS.context,
    facts: { read: [], write: [] },
    temperature: null,
    ...part,
  };
}

/** The declaration of a tool whose runner the test brings. */
export function toolDefinition(part: Partial<Extract<ToolDefinition, { kind: "code" }>> = {}): ToolDefinition {
  return {
    kind: "code",
    description: "A tool",
    effect: "read",
    input: { type: "object" },
    output: null,
    timeoutMs: 30_000,
    retry: DEFAULT_RETRY,
    idempotent: false,
    module: null,
    hasCheck: false,
    ...part,
  };
}

export interface FleetParts {
  agent?: Partial<AgentDefinition>;
  run?: (context: AgentContext, input: Json) => unknown;
  tools?: Record<string, { definition?: Partial<Extract<ToolDefinition, { kind: "code" }>>; runner: ToolRunner }>;
  models?: Record<string, Model>;
  fetch?: AgentEnvironment["fetch"];
  redact?: AgentEnvironment["redact"];
}

export function fleetOf({ agent, run, tools = {}, models = {}, fetch, redact }: FleetParts): AgentEnvironment {
  const worker = agentDefinition({
    ...(run === undefined ? {} : { kind: "code" }),
    tools: Object.keys(tools),
    ...agent,
  });
  const none = () => Promise.reject(new Error("there is no network here"));
  return {
    definition: {
      name: "test",
      providers: {},
      mcpServers: {},
      tools: Object.fromEntries(
        Object.entries(tools).map(([name, { definition }]) => [name, toolDefinition(definition)]),
      ),
      agents: { worker },
      workflows: {},
      modules: {},
    },
    code: {
      tools: new Map(),
      agents: new Map(
        run === undefined ? [] : [["worker", { run: async (context, input) => (await run(context, input)) as Json }]],
      ),
    },
    models: {
      resolve(ref) {
        const model = models[ref];
        if (model === undefined) throw new FlotillaError("MODEL_UNKNOWN", `no model ${ref}`);
        return { model, name: ref.split("/")[1] ?? ref, provider: ref.split("/")[0] ?? ref };
      },
    },
    secret: () => undefined,
    redact: redact ?? ((text) => text),
    fetch: fetch ?? none,
    mcp: { describe: none, call: none, close: async () => {} },
    runners: new Map(Object.entries(tools).map(([name, { runner }]) => [name, runner])),
  };
}

export const toolRunner = (call: ToolRunner["call"], check: ToolRunner["check"] = null): ToolRunner => ({
  call,
  check,
});

type Reply = Partial<ModelResponse> | string | Error;

/** A model that answers by a function of the request; a string is a text answer. */
export function fakeModel(
  answer: (request: ModelRequest, call: number) => Reply | Promise<Reply>,
): Model & { requests: ModelRequest[] } {
  const requests: ModelRequest[] = [];
  return {
    requests,
    async call(request) {
      requests.push(structuredClone(request));
      const reply = await answer(request, requests.length);
      if (reply instanceof Error) throw reply;
      return response(typeof reply === "string" ? { content: [{ type: "text", text: reply }] } : reply);
    },
  };
}

export function response(part: Partial<ModelResponse>): ModelResponse {
  const calls = part.content?.some(({ type }) => type === "tool-call") ?? false;
  return {
    content: [],
    finish: calls ? "tool-calls" : "stop",
    usage: { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0, reasoningTokens: 0 },
    model: "fake",
    simulated: true,
    ...part,
  };
}

/** An answer that calls tools. */
export function calling(...calls: [tool: string, input: Json][]): Partial<ModelResponse> {
  return { content: calls.map(([tool, input], index) => ({ type: "tool-call", id: `c${index}`, tool, input })) };
}

export const resultsIn = (messages: readonly ModelMessage[]) =>
  messages.flatMap((message) => (message.role === "tool" ? message.content : []));

export const completed = (outcome: AgentOutcome | "crashed"): Json => {
  if (outcome === "crashed" || outcome.type !== "completed")
    throw new Error(`not completed: ${JSON.stringify(outcome)}`);
  return outcome.output;
};

export const failed = (outcome: AgentOutcome | "crashed") => {
  if (outcome === "crashed" || outcome.type !== "failed") throw new Error(`not failed: ${JSON.stringify(outcome)}`);
  return outcome.error;
};
