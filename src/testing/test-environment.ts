import type { z } from "zod";
import type { AgentEnvironment } from "../agent/environment.ts";
import type { AgentOutcome, TaskPort } from "../agent/port.ts";
import { runAgent } from "../agent/run.ts";
import type { FleetDefinition, ProviderDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { FleetCode } from "../definition/fleet.ts";
import { FlotillaError } from "../error.ts";
import { bind, language } from "../expression/expression.ts";
import type { Model, ModelResponse } from "../model/model.ts";
import type { ModelRegistry } from "../model/registry.ts";
import type { Script } from "../model/script.ts";
import { scriptedModel } from "../model/scripted.ts";
import { redactor } from "../telemetry/redact.ts";
import type { ToolRunner } from "../tool/tool.ts";
import type { Recording } from "./recording.ts";

/** A script of the scripted model, as its file holds it. */
export type ScriptRules = z.input<typeof Script> | Json;

/** What tools return in a test instead of being called, by name. */
export type Stubs = Readonly<Record<string, Json>>;

export interface TestEnvironmentOptions {
  script?: ScriptRules;
  recording?: Recording;
  stubs?: Stubs;
  secrets?: Readonly<Record<string, string>>;
}

/** Everything around agents in a test: models that answer from a script or a record, stubs for tools, no network. */
export function testEnvironment(
  definition: FleetDefinition,
  code: FleetCode,
  options: TestEnvironmentOptions,
): { run(port: TaskPort): Promise<AgentOutcome> } {
  const secrets = options.secrets ?? {};
  const runners = new Map(
    Object.entries(options.stubs ?? {}).map(([name, output]) => [known(definition, name), stub(name, output)]),
  );
  const given = new Map<string, number>();
  const common: Omit<AgentEnvironment, "models"> = {
    definition,
    code,
    secret: (name) => (Object.hasOwn(secrets, name) ? secrets[name] : undefined),
    redact: redactor(Object.entries(secrets)),
    fetch: (url) => Promise.reject(refused(String(url))),
    mcp: { describe: refuseServer, call: refuseServer, close: async () => {} },
    runners,
  };
  const { recording } = options;
  const scripted = recording === undefined ? scriptedModels(definition, options.script) : null;
  return {
    run: (port) =>
      runAgent(port, {
        ...common,
        models: scripted ?? recordedModels(recording as Recording, port.assignment.task, given),
      }),
  };
}

function known(definition: FleetDefinition, tool: string): string {
  if (Object.hasOwn(definition.tools, tool)) return tool;
  throw new FlotillaError("USAGE", `stubs name a tool "${tool}", which fleet ${definition.name} does not have`, {
    hint: `It has: ${Object.keys(definition.tools).join(", ")}.`,
  });
}

const stubLanguage = language(["input"]);

function stub(name: string, output: Json): ToolRunner {
  const template = stubLanguage.template(output);
  if (!template.ok) throw new FlotillaError("USAGE", `the stub of ${name} does not parse: ${template.problem}`);
  return { call: async (input) => template.value.render({ input: bind(input) }), check: null };
}

/** One script for every agent, or the fleet's own scripts. */
function scriptedModels(definition: FleetDefinition, script: ScriptRules | undefined): ModelRegistry {
  const all = script === undefined ? null : scriptedModel(atOnce(script as Json));
  const own = new Map<string, Model>();
  return {
    resolve(ref) {
      const slash = ref.indexOf("/");
      const [provider, name] = slash < 0 ? [ref, ref] : [ref.slice(0, slash), ref.slice(slash + 1)];
      const model = all ?? own.get(provider) ?? scriptOf(definition.providers[provider], provider, ref);
      own.set(provider, model);
      return { model, name, provider };
    },
  };
}

function scriptOf(definition: ProviderDefinition | undefined, provider: string, ref: string): Model {
  if ((definition?.kind ?? provider) === "scripted") return scriptedModel(atOnce(definition?.script ?? null));
  throw new FlotillaError("UNSUPPORTED", `model ${ref} is live, and tests have no network`, {
    hint: "Give the test a `script`, or a `recorded` run.",
    details: { ref },
  });
}

/** A script that takes no time. */
function atOnce(script: Json): Json {
  if (!isObject(script)) return script;
  const { takeMs: _, agents, ...rest } = script;
  if (!isObject(agents)) return { ...rest, ...(agents === undefined ? {} : { agents }) };
  const quick = Object.entries(agents).map(([name, rules]) => [
    name,
    Array.isArray(rules) ? rules.map(withoutTime) : rules,
  ]);
  return { ...rest, agents: Object.fromEntries(quick) as Json };
}

function withoutTime(rule: Json): Json {
  if (!isObject(rule)) return rule;
  const { takeMs: _, ...rest } = rule;
  return rest;
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Hands a task the answers that it was given when it was recorded, in order. */
function recordedModels({ answers }: Recording, task: string, given: Map<string, number>): ModelRegistry {
  const model: Model = {
    call: async (): Promise<ModelResponse> => {
      const nth = given.get(task) ?? 0;
      const answer = answers[task]?.[nth];
      if (answer === undefined) {
        const had = answers[task]?.length ?? 0;
        throw new FlotillaError(
          "MODEL_SCRIPT_EXHAUSTED",
          `the record has ${had} answers for task ${task}; this is question ${nth + 1}`,
          {
            hint: "The fleet asks more than it did: look at the change, or record it anew.",
          },
        );
      }
      given.set(task, nth + 1);
      return answer;
    },
  };
  return { resolve: (ref) => ({ model, name: ref, provider: "recorded" }) };
}

function refused(what: string): FlotillaError {
  return new FlotillaError("UNSUPPORTED", `tests have no network: ${what}`, {
    hint: "Stub the tool: give the test `stubs`.",
  });
}

function refuseServer(server: string): never {
  throw refused(`MCP server ${server}`);
}
