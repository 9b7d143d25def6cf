import type { AgentDefinition, JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type ErrorCode, FlotillaError } from "../error.ts";
import { redactJson } from "../telemetry/redact.ts";
import { problemsOf } from "../tool/validate.ts";
import { agentContext } from "./context.ts";
import type { AgentEnvironment, TaskScope } from "./environment.ts";
import { Execution } from "./execution.ts";
import { failureOf, recordOf } from "./failure.ts";
import { runModelAgent } from "./loop.ts";
import type { AgentOutcome, TaskPort } from "./port.ts";
import { recordable } from "./recordable.ts";
import { Steps } from "./step.ts";

/** Runs one attempt at one task to its outcome; never rejects. Steps of earlier attempts are handed back from the
 *  record, each new one is durable before the agent goes on (F8). What the agent throws becomes a failed outcome with
 *  the class that decides the retry (F1).
 *
 *  On abort it settles at once with the signal's reason, whatever the agent does (F3). The task's own time-out is the
 *  caller's, who aborts `port.signal`. */
export async function runAgent(port: TaskPort, fleet: AgentEnvironment): Promise<AgentOutcome> {
  const { agent: name } = port.assignment;
  try {
    const agent = agentOf(fleet, name);
    const execution = new Execution(port, fleet.redact);
    const steps = new Steps(execution, { redact: fleet.redact, stepsMax: agent.limits.stepsMax });
    const outcome = await execution.run(() => perform({ port, steps, fleet, name, agent }, execution));
    if (outcome.type === "completed" && steps.leftOver.length > 0) {
      port.log(
        "warn",
        `${name} completed without repeating ${steps.leftOver.join(", ")}, which earlier attempts recorded`,
      );
    }
    return clean(fleet, outcome);
  } catch (error) {
    return { type: "failed", error: recordOf(failureOf(error, "agent", name), fleet.redact) };
  }
}

function agentOf(fleet: AgentEnvironment, name: string): AgentDefinition {
  const agent = Object.hasOwn(fleet.definition.agents, name) ? fleet.definition.agents[name] : undefined;
  if (agent !== undefined) return agent;
  throw new FlotillaError("DEFINITION_MISSING", `agent "${name}" is not in the fleet's definition`, {
    details: { agent: name },
  });
}

async function perform(scope: TaskScope, execution: Execution): Promise<Json> {
  const { agent, name, port } = scope;
  const input = recordable(port.assignment.input);
  const output = port.assignment.output ?? agent.output;
  conform(agent.input, input, "INPUT_INVALID", `the input of ${name}`);
  if (agent.kind === "model") return runModelAgent(scope, execution, input, output);
  return conformed(await codeOf(scope).run(agentContext(scope, execution), input), output, `the output of ${name}`);
}

function codeOf({ fleet, name }: TaskScope) {
  const code = fleet.code.agents.get(name);
  if (code !== undefined) return code;
  throw new FlotillaError("DEFINITION_MISSING", `the code of agent "${name}" is not here`, {
    details: { agent: name },
  });
}

function conformed(value: unknown, schema: JsonSchema | null, what: string): Json {
  try {
    const json = recordable(value);
    conform(schema, json, "OUTPUT_INVALID", what);
    return json;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new FlotillaError("OUTPUT_INVALID", `${what}: ${cause.message}`, { cause });
  }
}

function conform(schema: JsonSchema | null, value: Json, code: ErrorCode, what: string): void {
  const problems = schema === null ? [] : problemsOf(schema, value);
  if (problems.length === 0) return;
  throw new FlotillaError(code, `${what} does not match its schema: ${problems.join("; ")}`, {
    details: { problems: [...problems] },
  });
}

/** No secret leaves the host in a result (X8). */
function clean({ redact }: AgentEnvironment, outcome: AgentOutcome): AgentOutcome {
  return outcome.type === "completed" ? { ...outcome, output: redactJson(redact, outcome.output) } : outcome;
}
