import type { AgentOutcome } from "../agent/port.ts";
import type { FleetDefinition, ToolDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { AgentCode } from "../definition/agent.ts";
import type { AgentContext, ToolContext } from "../definition/context.ts";
import type { FleetCode } from "../definition/fleet.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import { bind, language } from "../expression/expression.ts";
import type { Model, ModelCallOptions, ModelRequest, ModelResponse } from "../model/model.ts";
import type { ModelRegistry } from "../model/registry.ts";
import { scriptedModel } from "../model/scripted.ts";
import { recordable } from "../agent/recordable.ts";
import type { ToolRunner } from "../tool/tool.ts";
import { type Attempt, callerOf, hang, type SimulatedCode } from "./agents.ts";
import { generate } from "./generate.ts";
import { garbledAnswer, modelFault } from "./model-fault.ts";
import type { CodeParts } from "./simulation.ts";

export interface UserCodeOptions {
  code: FleetCode;
  /** Rules of the scripted model for every agent; null: the agents' own models, which must then be scripted. */
  script: Json | null;
  /** What tools return instead of being called, by name. */
  tools: Readonly<Record<string, Json>>;
}

/** A user's own fleet in a simulation: its agents and patterns as they are, its models scripted, its tools scripted.
 *  A tool that is not scripted and only reads runs for real when it is code, as it changes nothing; of any other the
 *  result is made up from its output schema, and nothing is sent anywhere. */
export function userCode({ code, script, tools }: UserCodeOptions): (parts: CodeParts) => SimulatedCode {
  const scripted = new Map(Object.entries(tools).map(([name, output]) => [name, template(name, output)]));
  return (parts) => {
    const { world, faults, definition } = parts;
    const models = scriptedModels(definition, script);
    return {
      definition,
      patterns: code.patterns,
      tools: code.tools,
      agents: code.agents,
      agent: (attempt, name) => heldAgent(parts, attempt, code.agents.get(name)),
      tool: (attempt, name) => toolOf(parts, attempt, name, code, scripted.get(name)),
      models: (attempt) => faultyModels(parts, attempt, models),
      ambush(attempt) {
        if (parts.mayDie && faults.take("host.block") !== null) {
          attempt.process.blocked = true;
          return hang();
        }
        if (faults.take("agent.hang") !== null) return hang();
        if (faults.take("agent.throw") === null) return null;
        return Promise.resolve({
          type: "failed",
          error: toErrorRecord(new FlotillaError("AGENT_FAILED", "a simulated failure", { class: "transient" })),
        });
      },
      garble(_attempt, outcome): AgentOutcome {
        if (outcome.type !== "completed" || faults.take("agent.garbage") === null) return outcome;
        world.note("garbage");
        return { type: "completed", output: Number.NaN as unknown as Json };
      },
    };
  };
}

/** What an agent's own steps do for real takes no virtual time. */
function heldAgent(
  { world, outside, faults, definition }: CodeParts,
  attempt: Attempt,
  agent: AgentCode | undefined,
): AgentCode | undefined {
  if (agent === undefined) return undefined;
  const { run, task } = attempt.port.assignment;
  const ordinals = new Map<string, number>();
  return {
    async run(context, input) {
      const slow = faults.take("agent.slow");
      if (slow !== null) await world.wait(slow.int(50, 4_000), attempt.process, "slow agent");
      const step = (name: string, ...rest: unknown[]) => {
        const fn = rest.at(-1) as (input: unknown) => unknown;
        const ordinal = (ordinals.get(name) ?? 0) + 1;
        ordinals.set(name, ordinal);
        const held = (given: unknown) => {
          // A tool of the same name shares the ordinals of its steps.
          const key = Object.hasOwn(definition.tools, name) ? "?" : `${run}/${task}/${name}#${ordinal}`;
          outside.note({ ...callerOf(attempt), kind: "effect", name, key, write: false });
          return world.hold(async () => fn(given));
        };
        return (context.step as (...values: unknown[]) => Promise<unknown>)(name, ...rest.slice(0, -1), held);
      };
      return agent.run({ ...context, step: step as AgentContext["step"] }, input);
    },
  };
}

function toolOf(
  parts: CodeParts,
  attempt: Attempt,
  name: string,
  code: FleetCode,
  scripted: ((input: Json) => Json) | undefined,
): ToolRunner {
  const { world, faults, outside, definition } = parts;
  const declared = definition.tools[name] as ToolDefinition;
  const caller = callerOf(attempt);
  const own = code.tools.get(name);
  const answer = async (input: Json, context: ToolContext): Promise<Json> => {
    if (scripted !== undefined) return scripted(input);
    if (declared.effect === "read" && own !== undefined)
      return world.hold(async () => recordable(await own.run(input, context)));
    return generate(declared.output, `${world.seed} ${name} ${JSON.stringify(input)}`);
  };
  const hasCheck = declared.kind === "code" && declared.hasCheck;
  return {
    async call(input, context) {
      const { idempotencyKey, signal } = context;
      const output = await answer(input, context);
      if (declared.effect === "read") await outside.read(caller, name, idempotencyKey, signal, () => null);
      const written =
        declared.effect === "write"
          ? await outside.write(caller, name, idempotencyKey, signal, declared.idempotent, output)
          : output;
      return faults.take("tool.garbage") === null ? written : 10n;
    },
    check: hasCheck ? (_input, { idempotencyKey }) => outside.find(caller, idempotencyKey) : null,
  };
}

const inputLanguage = language(["input"]);

function template(name: string, output: Json): (input: Json) => Json {
  const compiled = inputLanguage.template(output);
  if (!compiled.ok)
    throw new FlotillaError("USAGE", `the scripted result of ${name} does not parse: ${compiled.problem}`);
  return (input) => compiled.value.render({ input: bind(input) });
}

function scriptedModels(definition: FleetDefinition, script: Json | null): ModelRegistry {
  const known = new Map<string, Model>();
  return {
    resolve(ref) {
      const [provider = "", ...rest] = ref.split("/");
      const model = known.get(provider) ?? scriptedModel(script ?? scriptOf(definition, provider, ref));
      known.set(provider, model);
      return { model, name: rest.join("/") || provider, provider };
    },
  };
}

function scriptOf(definition: FleetDefinition, provider: string, ref: string): Json {
  const declared = definition.providers[provider];
  if (declared?.kind === "scripted" && declared.script !== null) return declared.script;
  throw new FlotillaError("UNSUPPORTED", `model ${ref} is live, and a simulation has no network`, {
    hint: "Give it a script of the scripted model.",
    details: { ref },
  });
}

function faultyModels(parts: CodeParts, attempt: Attempt, models: ModelRegistry): ModelRegistry {
  return {
    resolve(ref, agent) {
      const resolved = models.resolve(ref, agent);
      return {
        ...resolved,
        model: { call: (request, options) => answer(parts, attempt, resolved.model, request, options) },
      };
    },
  };
}

async function answer(
  parts: CodeParts,
  attempt: Attempt,
  model: Model,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelResponse> {
  options.signal.throwIfAborted();
  const { run, task } = attempt.port.assignment;
  parts.outside.note({
    ...callerOf(attempt),
    kind: "model",
    name: request.model,
    key: `${run}/${task}/?`,
    write: false,
  });
  await modelFault(parts.faults);
  const response = await model.call(request, options);
  return parts.faults.take("model.garbage") === null ? response : garbledAnswer(response);
}
