import { approvalPolicy } from "../core/approval.ts";
import type { ApprovalPolicy, ToolDefinition, FleetDefinition } from "../core/definition.ts";
import type { SettlePolicy } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { toolContext } from "../tool/context.ts";
import { openTool } from "../tool/open.ts";
import type { ToolRunner } from "../tool/tool.ts";
import { problemsOf } from "../tool/validate.ts";
import type { TaskScope } from "./environment.ts";
import { recordable } from "./recordable.ts";
import { inputHashOf } from "./step.ts";
import type { Attempt, StepSpec } from "./step-spec.ts";

const NAME_CHARACTERS_MAX = 64;

/** Calls tools as steps: granted ones only (X3), with input and output checked against their schemas. A refused call
 *  is on record too, as a failed step. */
export class ToolCalls {
  private readonly scope: TaskScope;
  private readonly open = new Map<string, ToolRunner>();

  constructor(scope: TaskScope) {
    this.scope = scope;
  }

  /** The definition of a granted tool, or null. */
  granted(name: string): ToolDefinition | null {
    const { agent, fleet, port } = this.scope;
    // One that was hired has no more than it was passed on (X3).
    const withheld = !(port.assignment.tools ?? agent.tools).includes(name);
    if (withheld || !agent.tools.includes(name) || !Object.hasOwn(fleet.definition.tools, name)) return null;
    return fleet.definition.tools[name] ?? null;
  }

  /** @throws {FlotillaError} TOOL_NOT_GRANTED, TOOL_INPUT_INVALID, TOOL_OUTPUT_INVALID, APPROVAL_REJECTED and
   *  APPROVAL_EXPIRED (the tool was not called), and what the tool failed with */
  call(name: string, input: unknown): Promise<Json> {
    const asked = recordable(input);
    const tool = this.granted(name);
    const { steps } = this.scope;
    if (tool === null) return steps.run(refused(name, asked, this.notGranted(name)));
    const problems = problemsOf(tool.input, asked);
    if (problems.length > 0) return steps.run(refused(name, asked, wrongInput(name, problems)));
    const policy = approvalPolicy(this.scope.fleet.definition, this.scope.name, name);
    return policy === null ? steps.run(this.stepOf(name, tool, asked)) : this.callApproved(name, tool, asked, policy);
  }

  /** Asks a person first; what then runs is what was approved (F9). */
  private async callApproved(name: string, tool: ToolDefinition, asked: Json, policy: ApprovalPolicy): Promise<Json> {
    const { steps } = this.scope;
    let approval = "";
    const answer = await steps.ask({
      kind: "approval",
      name: `approve ${name}`,
      input: { arguments: asked, tool: name },
      key: (key) => {
        approval = key;
      },
      ask: (now) => ({
        ask: "approval",
        tool: name,
        argumentsHash: inputHashOf(asked),
        deadline: policy.deadlineMs === null ? null : now + policy.deadlineMs,
        onDeadline: policy.onDeadline,
        ...(policy.to.length === 0 ? {} : { to: [...policy.to] }),
      }),
    });
    const edited = (answer as { arguments?: Json }).arguments ?? null;
    return steps.run({ ...this.stepOf(name, tool, edited ?? asked), approval });
  }

  private stepOf(name: string, tool: ToolDefinition, input: Json): StepSpec {
    const { port, fleet } = this.scope;
    const runner = () => this.runnerOf(name, tool);
    const contextOf = (attempt: Attempt) =>
      toolContext({
        tool: name,
        fetch: fleet.fetch,
        secret: fleet.secret,
        ...attempt,
        log: (message, data) => port.log("info", fleet.redact(message), data === null ? undefined : data),
      });
    const check = hasCheck(tool) ? (attempt: Attempt) => checked(runner(), input, contextOf(attempt)) : null;
    return {
      kind: "tool",
      name,
      input,
      timeoutMs: tool.timeoutMs,
      retry: tool.retry,
      ...(isGuarded(fleet.definition, name) ? { gate: () => ({ kind: "tool" as const, tool: name }) } : {}),
      ...(tool.effect === "read" ? {} : { write: { settle: settleOf(tool), idempotent: tool.idempotent, check } }),
      perform: async (attempt) => {
        const output = await runner().call(input, contextOf(attempt));
        return { output: checkOutput(name, tool, output) };
      },
    };
  }

  private runnerOf(name: string, tool: ToolDefinition): ToolRunner {
    const known = this.open.get(name);
    if (known !== undefined) return known;
    const { fleet, port } = this.scope;
    const { fetch, secret, mcp } = fleet;
    const runner =
      fleet.runners?.get(name) ??
      openTool(name, tool, { code: fleet.code.tools, fetch, secret, mcp, now: () => port.clock.now() });
    this.open.set(name, runner);
    return runner;
  }

  private notGranted(name: string): FlotillaError {
    const { agent, name: asker } = this.scope;
    const granted = agent.tools.filter((tool) => this.granted(tool) !== null);
    const has = granted.length === 0 ? "no tools" : granted.join(", ");
    const details = { agent: asker, tool: shorten(name), granted };
    if (!agent.tools.includes(name)) {
      const message = `${asker} called tool "${shorten(name)}", which it was not granted; it has ${has}`;
      return new FlotillaError("TOOL_NOT_GRANTED", message, { details });
    }
    const message = `${asker} called tool "${name}", which the agent that called it does not pass on; here it has ${has}`;
    const hint = `Grant the tool to the caller too, or pass it on: calls: [{ agent: ${asker}, tools: [${name}] }].`;
    return new FlotillaError("TOOL_NOT_GRANTED", message, { hint, details });
  }

  /** Puts a call that is not made on record. @throws {FlotillaError} TOOL_INPUT_INVALID */
  refuse(name: string, input: Json, problems: readonly string[]): Promise<never> {
    return this.scope.steps.run(refused(name, input, wrongInput(name, problems))) as Promise<never>;
  }
}

/** A call that is not made: the refusal is the step's outcome. It is no write, since nothing is begun. */
function refused(name: string, input: Json, error: FlotillaError): StepSpec {
  return {
    kind: "tool",
    name: shorten(name),
    input,
    timeoutMs: null,
    retry: null,
    perform: () => Promise.reject(error),
  };
}

const shorten = (name: string): string => (name === "" ? "(no name)" : name.slice(0, NAME_CHARACTERS_MAX));

function wrongInput(name: string, problems: readonly string[]): FlotillaError {
  return new FlotillaError(
    "TOOL_INPUT_INVALID",
    `the input of ${name} does not match its schema: ${problems.join("; ")}`,
    {
      details: { tool: name, problems },
    },
  );
}

function checkOutput(name: string, tool: ToolDefinition, output: unknown): Json {
  const result = outputProblems(tool, output);
  if ("json" in result) return result.json;
  const done = tool.effect === "write" ? "; it did run, and must not be called again for that" : "";
  throw new FlotillaError(
    "TOOL_OUTPUT_INVALID",
    `the output of ${name} does not match its schema: ${result.wrong.join("; ")}${done}`,
    {
      details: { tool: name, problems: result.wrong },
    },
  );
}

function outputProblems(tool: ToolDefinition, output: unknown): { json: Json } | { wrong: readonly string[] } {
  try {
    const json = recordable(output);
    const wrong = tool.output === null ? [] : problemsOf(tool.output, json);
    return wrong.length === 0 ? { json } : { wrong };
  } catch (error) {
    if (error instanceof TypeError) return { wrong: [error.message] };
    throw error;
  }
}

const isGuarded = ({ guards }: FleetDefinition, tool: string): boolean =>
  guards !== undefined && Object.hasOwn(guards.tools, tool);

const hasCheck = (tool: ToolDefinition): boolean => tool.kind === "code" && tool.hasCheck;

/** How an interrupted write is settled (F13): by the tool itself, by a repeat under the same key, or by a person. */
function settleOf(tool: ToolDefinition): SettlePolicy {
  if (hasCheck(tool)) return "check";
  return tool.idempotent ? "retry" : "person";
}

function checked(runner: ToolRunner, input: Json, context: Parameters<ToolRunner["call"]>[1]): Promise<unknown> {
  return runner.check === null ? Promise.resolve({ outcome: "unknown" }) : runner.check(input, context);
}
