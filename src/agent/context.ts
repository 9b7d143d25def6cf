import type { Json } from "../core/json.ts";
import type { AgentContext, CallOptions, FactAccess, HandoverOptions, ModelPrompt } from "../definition/context.ts";
import { asJson } from "../definition/as-json.ts";
import { isTool, type Tool, toolParts } from "../definition/tool.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import { sleep } from "../platform/clock.ts";
import { redactJson } from "../telemetry/redact.ts";
import type { TaskScope } from "./environment.ts";
import type { Execution } from "./execution.ts";
import { factAccess } from "./facts.ts";
import { fetchCall } from "./fetch-call.ts";
import { handOver } from "./handover.ts";
import { hire } from "./hire.ts";
import { ModelCalls } from "./model-call.ts";
import { prompt } from "./prompt.ts";
import { recordable } from "./recordable.ts";
import { ToolCalls } from "./tool-call.ts";

/** A sleep that is longer gives its process back. */
const IN_PROCESS_SLEEP_MS_MAX = 1_000;

/** What a code agent's `run` is given; see `AgentContext` for what each call promises. */
export function agentContext(scope: TaskScope, execution: Execution): AgentContext {
  const { steps, port, fleet } = scope;
  // Most tasks are small, and many use neither.
  let madeModels: ModelCalls | null = null;
  let madeTools: ToolCalls | null = null;
  const models = () => (madeModels ??= new ModelCalls(scope));
  const tools = () => (madeTools ??= new ToolCalls(scope));
  const quick = { timeoutMs: null, retry: null };

  const context = {
    step: (name: string, ...rest: unknown[]) => tolerant(effect(scope, name, rest)),
    model: (given: string | ModelPrompt<unknown>) => tolerant(prompt(scope, models(), tools(), given)),
    tool: (tool: string | Tool, input: unknown) => tolerant(callTool(scope, tools(), tool, input)),
    facts: tolerantFacts(factAccess(steps)),
    handover: (agent: unknown, options?: HandoverOptions) => tolerant(handOver(scope, execution, agent, options)),
    handed: port.assignment.handed ?? null,
    call: (agent: unknown, input: unknown, options?: CallOptions) => tolerant(hire(scope, agent, input, options)),
    fetch: (url: string | URL, init?: Parameters<AgentContext["fetch"]>[1]) => tolerant(fetchCall(scope, url, init)),
    now: () =>
      tolerant(
        steps.run({
          kind: "now",
          name: "now",
          input: null,
          ...quick,
          perform: async () => ({ output: port.clock.now() }),
        }),
      ),
    random: () =>
      tolerant(
        steps.run({
          kind: "random",
          name: "random",
          input: null,
          ...quick,
          perform: async () => ({ output: port.random.next() }),
        }),
      ),
    sleep: (ms: number) => tolerant(durableSleep(scope, execution, ms)),
    log(message: string, data?: unknown) {
      if (!steps.catchingUp)
        port.log("info", fleet.redact(message), data === undefined ? undefined : redacted(scope, data));
    },
    status(text: string) {
      if (!steps.catchingUp) port.status(fleet.redact(text));
    },
    signal: port.signal,
  };
  return context as AgentContext;
}

function tolerantFacts({ get, list, propose, update }: FactAccess): FactAccess {
  return {
    get: (key) => tolerant(get(key)),
    list: (prefix) => tolerant(list(prefix)),
    propose: (key, value, options) => tolerant(propose(key, value, options)),
    update: (key, change, options) => tolerant(update(key, change, options)),
  };
}

/** Steps that nobody awaits must not take the process down: the execution reports what became of them. */
function tolerant<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function redacted({ fleet }: TaskScope, data: unknown): Json {
  return redactJson(fleet.redact, asJson(data));
}

async function effect(scope: TaskScope, name: unknown, rest: readonly unknown[]): Promise<Json> {
  const fn = rest.at(-1);
  if (typeof name !== "string" || name === "" || typeof fn !== "function") {
    throw new TypeError("ctx.step takes a name, an input if there is one, and a function");
  }
  const given = rest.length > 1 ? rest[0] : undefined;
  return scope.steps.run({
    kind: "effect",
    name,
    input: recordable(given),
    timeoutMs: scope.agent.stepTimeoutMs,
    // What the function does is unknown; the task's own retries repeat it.
    retry: null,
    perform: async () => ({ output: await (fn as (input: unknown) => unknown)(given) }),
  });
}

async function callTool(scope: TaskScope, tools: ToolCalls, tool: string | Tool, input: unknown): Promise<Json> {
  return tools.call(typeof tool === "string" ? tool : nameOf(scope, tool), input);
}

/** A tool given by value is found by the code that it came with, or by what it declares. */
function nameOf({ fleet, name: asker }: TaskScope, tool: Tool): string {
  if (!isTool(tool)) throw new TypeError("ctx.tool takes a tool, or the name of one");
  for (const [name, code] of fleet.code.tools) if (code.origin === tool) return name;
  const declared = canonicalJson(toolParts(tool).definition);
  for (const [name, definition] of Object.entries(fleet.definition.tools)) {
    if (definition.kind !== "code" && canonicalJson(definition) === declared) return name;
  }
  throw new FlotillaError("TOOL_NOT_GRANTED", `${asker} called a tool that the fleet does not have`, {
    hint: "Add it to the fleet's `tools` and to the agent's.",
  });
}

/** The wake time is on record from the start, so that waking needs no more than the clock. */
async function durableSleep(scope: TaskScope, execution: Execution, ms: number): Promise<void> {
  const { steps, port } = scope;
  if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`ctx.sleep takes milliseconds from 0, not ${ms}`);
  const output = await steps.run({
    kind: "sleep",
    name: "sleep",
    input: { ms },
    timeoutMs: null,
    retry: null,
    perform: async () => ({ output: { wakeAt: port.clock.now() + Math.ceil(ms) } }),
  });
  const { wakeAt } = output as { wakeAt: number };
  const restMs = wakeAt - port.clock.now();
  if (restMs <= 0) return;
  if (restMs > IN_PROCESS_SLEEP_MS_MAX) return execution.sleepUntil(wakeAt);
  await execution.begin(`sleep until ${wakeAt}`, false, (signal) => sleep(port.clock, restMs, signal));
}
