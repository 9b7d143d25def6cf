import type { Json } from "../core/json.ts";
import { bind, ExpressionFailure, language } from "../expression/expression.ts";
import type { Expectation } from "./case-file.ts";
import { differences } from "./compare.ts";
import type { FleetRun } from "./run-fleet.ts";
import type { FleetToolCall } from "./tool-call.ts";

const cel = language(["status", "output", "input", "error", "tools", "tasks", "usage"]);

/** What of an expectation a run does not meet, in words; empty when it meets all of it. Without a status it expects
 *  the run to complete, unless it expects an error. */
export function unmet(expect: Expectation, run: FleetRun): string[] {
  const status = expect.status ?? (expect.error === undefined ? "completed" : "failed");
  const why = run.error === null ? "" : ` (${run.error.code}: ${run.error.message})`;
  return [
    ...(run.status === status ? [] : [`the run ${run.status}${why}, expected ${status}`]),
    ...(expect.output === undefined ? [] : differences(expect.output, run.output).map((one) => `output: ${one}`)),
    ...unmetError(expect, run),
    ...unmetCalls(expect, run.tools),
    ...(expect.assert ?? []).flatMap((source) => unmetAssertion(source, run)),
  ];
}

function unmetError({ error }: Expectation, run: FleetRun): string[] {
  if (error === undefined) return [];
  const wrong: string[] = [];
  if (error.code !== undefined && run.error?.code !== error.code)
    wrong.push(`the error is ${run.error?.code ?? "absent"}, expected ${error.code}`);
  if (error.message !== undefined && run.error?.message.includes(error.message) !== true) {
    wrong.push(
      `the error says ${JSON.stringify(run.error?.message ?? null)}, expected it to contain ${JSON.stringify(error.message)}`,
    );
  }
  return wrong;
}

function unmetCalls({ tools = [], toolsNever = [] }: Expectation, calls: readonly FleetToolCall[]): string[] {
  const called = calls.map(({ tool }) => tool);
  const forbidden = toolsNever
    .filter((tool) => called.includes(tool))
    .map((tool) => `tool ${tool} was called, and must not be`);
  let from = 0;
  for (const wanted of tools) {
    const found = calls.findIndex((call, index) => index >= from && fits(wanted, call));
    if (found < 0) {
      const list = called.length === 0 ? "no tool was called" : `called: ${called.join(", ")}`;
      return [
        ...forbidden,
        `tool ${wanted.tool} was not called${wanted.input === undefined ? "" : ` with ${JSON.stringify(wanted.input)}`}${from > 0 ? " after those before" : ""}; ${list}`,
      ];
    }
    from = found + 1;
  }
  return forbidden;
}

function fits(wanted: NonNullable<Expectation["tools"]>[number], call: FleetToolCall): boolean {
  if (wanted.tool !== call.tool || (wanted.agent !== undefined && wanted.agent !== call.agent)) return false;
  return wanted.input === undefined || differences(wanted.input, call.input).length === 0;
}

function unmetAssertion(source: string, run: FleetRun): string[] {
  const compiled = cel.expression(source);
  if (!compiled.ok) return [`assert ${source}: ${compiled.problem}`];
  try {
    const value = compiled.value.evaluate(bindings(run));
    return value === true ? [] : [`assert ${source}: it is ${JSON.stringify(value)}`];
  } catch (error) {
    if (error instanceof ExpressionFailure) return [`assert ${error.message}`];
    throw error;
  }
}

function bindings({ status, output, error, tools, state }: FleetRun) {
  const tasks = Object.fromEntries(
    [...state.tasks.values()].map((task) => [
      task.id,
      { agent: task.agent, status: task.status, attempts: task.attempt, output: task.output ?? null },
    ]),
  );
  const values: Record<string, unknown> = {
    status,
    output,
    error,
    input: state.input,
    tools,
    tasks,
    usage: state.usage,
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, bind(value as Json)]));
}
