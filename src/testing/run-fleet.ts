import type { FleetDefinition } from "../core/definition.ts";
import type { RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import type { RunState } from "../core/state.ts";
import { loadCode } from "../definition/code.ts";
import { type Fleet, type FleetCode, isFleet } from "../definition/fleet.ts";
import { loadFleet } from "../definition/load.ts";
import { FlotillaError } from "../error.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { KeyRing } from "../message/keys.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { Coordinator, queueName } from "../runtime/coordinator.ts";
import { workflowOf } from "../runtime/definitions.ts";
import { plannerHere } from "../runtime/held-planner.ts";
import { startLocalWorker } from "../runtime/local-worker.ts";
import { readState, resultOf } from "../runtime/read-run.ts";
import { openMemoryStore } from "../store/memory.ts";
import { problemsOf } from "../tool/validate.ts";
import type { Recording } from "./recording.ts";
import { type ScriptRules, type Stubs, testEnvironment } from "./test-environment.ts";
import { type FleetToolCall, toolCalls } from "./tool-call.ts";

export type { ScriptRules } from "./test-environment.ts";

export interface RunFleetOptions {
  /** Rules of the scripted model, as in a script file, for every agent, whatever model it declares. Default: the
   *  agents' own models, which must then be scripted: the network is refused. */
  script?: ScriptRules;
  /** The models' answers of an earlier run, in place of a script. */
  recording?: Recording;
  /** Tools that are not called: what they return, by name; a string may hold `${ input.… }` (CEL). */
  stubs?: Stubs;
  /** Values of secrets, by name; nothing is read from the environment. */
  secrets?: Readonly<Record<string, string>>;
  /** How long the run may take, in milliseconds of real time. Default 60,000. */
  timeoutMs?: number;
}

/** A run of a fleet in a test, when it has come to its end. */
export interface FleetRun {
  status: "completed" | "failed" | "stopped";
  output: Json | null;
  error: { code: string; message: string } | null;
  /** Every call of a tool, in the order in which they ended. */
  tools: FleetToolCall[];
  events: RunEvent[];
  state: RunState;
}

const TIMEOUT_MS = 60_000;

/** Runs a workflow of a fleet in this process: real agents, tools and patterns, a scripted or recorded model, a store
 *  in memory, no network through Flotilla. Scripts answer at once and retries wait a millisecond. The run's own failure
 *  is a result, not an error. @throws {FlotillaError} DEFINITION_*, WORKFLOW_UNKNOWN, INPUT_INVALID; LIMIT_TIME when the
 *  run does not end in time */
export async function runFleet(
  fleet: Fleet | string | URL,
  workflow: string,
  input: Json,
  options: RunFleetOptions = {},
): Promise<FleetRun> {
  const source = await readSource(fleet);
  return runSource(source, workflow, input, options);
}

/** A fleet, ready to be run any number of times. */
export interface TestSource {
  definition: FleetDefinition;
  code: FleetCode;
}

export async function readSource(fleet: Fleet | string | URL): Promise<TestSource> {
  if (isFleet(fleet)) return { definition: fleet.definition, code: fleet.code };
  const { definition, folder } = await loadFleet(fleet);
  return { definition, code: await loadCode(definition, folder) };
}

export async function runSource(
  source: TestSource,
  workflow: string,
  input: Json,
  options: RunFleetOptions,
): Promise<FleetRun> {
  const definition = impatient(source.definition);
  checkInput(definition, workflow, input);
  const store = openMemoryStore({ fleet: definition.name });
  const clock = systemClock({ ref: true });
  const random = systemRandom();
  const keys = new KeyRing();
  keys.ensure([COORDINATOR, ...Object.keys(definition.agents)], (count) => random.bytes(count), clock.now());
  const ended = Promise.withResolvers<void>();
  const events: RunEvent[] = [];
  let root: string | null = null;
  const coordinator = new Coordinator({
    store,
    clock,
    random,
    keys,
    planners: (_definition, pattern) => plannerHere(pattern, source.code.patterns),
    wanted: () => {},
    failed: (error) => ended.reject(error),
    notify: (notice) => {
      if (notice.type !== "event") return;
      events.push(notice.event);
      // The first run that is told of is the one that was started; others are its children.
      root ??= notice.run;
      if (notice.run === root && resultOf(notice.event) !== null) ended.resolve();
      if (notice.event.type === "step.unknown" && notice.event.data.settle === "person")
        ended.reject(undecided(notice.event.data.key));
    },
  });
  const environment = testEnvironment(definition, source.code, options);
  const hash = await coordinator.register(definition);
  const worker = startLocalWorker({
    coordinator,
    clock,
    random,
    keys,
    definition,
    queue: queueName(hash),
    slots: SLOTS,
    run: environment.run,
  });
  const limitMs = options.timeoutMs ?? TIMEOUT_MS;
  const late = clock.after(limitMs, () => ended.reject(tooLate(workflow, limitMs)));
  try {
    const id = await coordinator.start(hash, workflow, input, { by: "test" });
    await ended.promise;
    return await resultFor(events, await readState(store, id));
  } finally {
    late.cancel();
    worker.close("the test is over");
    await coordinator.close();
    await store.close();
  }
}

const SLOTS = 64;

async function resultFor(events: RunEvent[], state: RunState): Promise<FleetRun> {
  const result = events.map(resultOf).find((one) => one !== null);
  if (result === null || result === undefined)
    throw new FlotillaError("INVARIANT", `run ${state.id} ended without saying how`);
  const { status, output, error } = result;
  return {
    status,
    output,
    error: error === null ? null : { code: error.code, message: error.message },
    tools: toolCalls(events),
    events,
    state,
  };
}

/** Waits of retries are no part of what a test is about. */
function impatient(definition: FleetDefinition): FleetDefinition {
  const quick = <T extends { retry: FleetDefinition["agents"][string]["retry"] }>(one: T): T => ({
    ...one,
    retry: { ...one.retry, initialDelayMs: 1, delayMsMax: 1 },
  });
  const map = <T extends { retry: FleetDefinition["agents"][string]["retry"] }>(record: Record<string, T>) =>
    Object.fromEntries(Object.entries(record).map(([name, one]) => [name, quick(one)]));
  return { ...definition, agents: map(definition.agents), tools: map(definition.tools) };
}

function checkInput(definition: FleetDefinition, name: string, input: Json): void {
  const { input: schema } = workflowOf(definition, name);
  const problems = schema === null ? [] : problemsOf(schema, input);
  if (problems.length === 0) return;
  throw new FlotillaError(
    "INPUT_INVALID",
    `the input of workflow "${name}" is not what it takes: ${problems.join("; ")}`,
    {
      details: { workflow: name, problems },
    },
  );
}

function undecided(key: string): FlotillaError {
  return new FlotillaError("OUTCOME_UNKNOWN", `${key} ended without a clear outcome, and nobody is there to settle it`);
}

function tooLate(workflow: string, limitMs: number): FlotillaError {
  return new FlotillaError("LIMIT_TIME", `${workflow} did not end within ${limitMs} ms`, {
    hint: "Raise timeoutMs of the test.",
  });
}
