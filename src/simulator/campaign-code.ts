import type { AgentOutcome } from "../agent/port.ts";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { AgentCode } from "../definition/agent.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import type { MessageContent, Model, ModelRequest, ModelResponse } from "../model/model.ts";
import type { ModelRegistry } from "../model/registry.ts";
import { sleep } from "../platform/clock.ts";
import type { ToolRunner } from "../tool/tool.ts";
import { type Attempt, callerOf, die, hang, type SimulatedCode } from "./agents.ts";
import { HOSTED_PATTERNS } from "./fleet.ts";
import { garbledAnswer, modelFault } from "./model-fault.ts";
import { Prng } from "./prng.ts";
import { perform, programOf } from "./program.ts";
import type { CodeParts } from "./simulation.ts";

type Parts = CodeParts;

/** The code of a campaign's fleet: agents that follow a program of the seed, tools that reach the simulated outside,
 *  and a model that thinks in rules. */
export function campaignCode(parts: Parts): SimulatedCode {
  const { world, faults, definition } = parts;
  return {
    definition,
    patterns: HOSTED_PATTERNS,
    tools: new Map(),
    agents: new Map(),
    agent: (attempt, name) => codeOf(parts, attempt, name),
    tool: (attempt, name) => toolOf(parts, attempt, name),
    models: (attempt) => modelsOf(parts, attempt),
    ambush(attempt) {
      if (parts.mayDie && faults.take("host.block") !== null) {
        attempt.process.blocked = true;
        return hang();
      }
      if (faults.take("agent.hang") !== null) return hang();
      if (faults.take("agent.throw") === null) return null;
      return Promise.resolve({
        type: "failed",
        error: toErrorRecord(new FlotillaError("AGENT_FAILED", "it threw", { class: "transient" })),
      });
    },
    garble: (attempt, outcome) =>
      outcome.type === "completed" && faults.take("agent.garbage") !== null ? garbage(attempt) : outcome,
  };

  function garbage({ port }: Attempt): AgentOutcome {
    world.note(`garbage from ${port.assignment.agent}`);
    return { type: "completed", output: Number.NaN as unknown as Json };
  }
}

function codeOf({ world, faults, outside, mayDie }: Parts, attempt: Attempt, name: string): AgentCode | undefined {
  const { port, process } = attempt;
  const { run, task } = port.assignment;
  if (name === "muse") return undefined;
  return {
    async run(context, input) {
      const slow = faults.take("agent.slow");
      if (slow !== null) await world.wait(slow.int(50, 4_000), process, "slow agent");
      if (name === "lead") return leadAct(world.seed, input);
      if (asksForMove(port.assignment.output)) return moveIn(world.seed, task, input);
      const program = programOf(world.seed, `${run}/${task}`);
      const results = await perform(context, program.acts, async (step) => {
        await world.wait(1, process, step);
        outside.note({
          ...callerOf(attempt),
          kind: "effect",
          name: step,
          key: `${run}/${task}/${step}#1`,
          write: false,
        });
        return 1;
      });
      if (program.end === "refuse")
        throw new FlotillaError("AGENT_FAILED", "it will not do this", { class: "permanent" });
      if (program.end === "poison" && mayDie) return die(process, "is poisoned");
      if (asksForMore(port.assignment.output)) return { result: results, more: moreWork(world.seed, task, name) };
      return { task, results };
    },
  };
}

/** A supervisor's lead: plans by the seed, is hard to please at times, concludes. */
function leadAct(seed: number, input: Json): Json {
  if (typeof input === "object" && input !== null && "intents" in input) return classify(seed, input as Classified);
  const { act, request, task, round } = input as { act: string; request: Json; task?: { id: string }; round?: number };
  const random = new Prng(seed, `lead ${act} ${JSON.stringify(request)} ${task?.id} ${round}`);
  if (act === "synthesise" || act === "conclude") return "done";
  if (act === "revise") return revision(random, input as Revised);
  if (act === "review")
    return {
      verdict: random.chance(0.7) ? "accept" : random.pick(["retry", "reassign"]),
      feedback: "again",
      agent: "ada",
    };
  const count = random.int(1, 3);
  const tasks = Array.from({ length: count }, (_, i) => ({
    id: `p${i}`,
    agent: random.pick(["ada", "muse"]),
    instruction: "do",
    needs: i > 0 && random.chance(0.5) ? [`p${random.chance(0.1) ? i : i - 1}`] : [],
  }));
  return { tasks };
}

/** Whether an output is that of a swarm's member who may add to the board. */
function asksForMore(output: JsonSchema | null | undefined): boolean {
  const { properties } = (output ?? {}) as { properties?: object };
  return properties !== undefined && "more" in properties;
}

function asksForMove(output: JsonSchema | null | undefined): boolean {
  const { properties } = (output ?? {}) as { properties?: object };
  return properties !== undefined && "move" in properties;
}

/** What a side says in a negotiation. */
function moveIn(seed: number, task: string, input: Json): Json {
  const random = new Prng(seed, `move ${task}`);
  const { others } = input as { others: { side: string }[] };
  const move = random.pick(["hold", "concede", "counter"]);
  const why = "it is so";
  if (move === "concede") return { move, to: random.pick(others).side, why };
  return move === "counter" ? { move, answer: { task, results: [1] }, why } : { move, why };
}

function moreWork(seed: number, task: string, agent: string): Json {
  const random = new Prng(seed, `more ${task}`);
  return Array.from({ length: random.int(0, 2) }, () => ({
    type: agent === "bob" ? "lift" : random.pick(["dig", "lift", "odd"]),
    content: random.int(0, 9),
    ...(random.chance(0.3) ? { key: random.pick(["k", "l"]) } : {}),
  }));
}

type Revised = {
  because: { task: string }[];
  plan: { id: string; state: string; needs: string[] }[];
  revision: number;
};

/** A patch: what failed is done otherwise, or given up with what needs it; at times it makes no sense. */
function revision(random: Prng, { because, plan, revision: number }: Revised): Json {
  const failed = because.map(({ task }) => task);
  const needsOf = (id: string) => plan.find((task) => task.id === id)?.needs ?? [];
  const again = (id: string): Json => ({
    id,
    agent: random.pick(["ada", "muse"]),
    instruction: "again",
    needs: needsOf(id),
  });
  if (random.chance(0.1)) return { why: "nonsense", replace: plan.map(({ id }) => again(id)) };
  const add = random.chance(0.3) ? [{ id: `more${number}`, agent: "ada", instruction: "do" }] : [];
  return { why: "it failed", replace: failed.map(again), add };
}

type Classified = { request: Json; intents: { name: string }[] };

/** A classifier: knows most things, and is not always sure. */
function classify(seed: number, { request, intents }: Classified): Json {
  const random = new Prng(seed, `classify ${JSON.stringify(request)}`);
  const { name } = random.pick(intents);
  return random.chance(0.8) ? { intent: name, confidence: random.next() } : { intent: "none" };
}

function toolOf({ faults, outside }: Parts, attempt: Attempt, tool: string): ToolRunner {
  const caller = callerOf(attempt);
  const output = { tool };
  return {
    async call(input, { idempotencyKey, signal }) {
      if (tool !== "look") {
        const written = await outside.write(caller, tool, idempotencyKey, signal, tool === "post", output);
        return faults.take("tool.garbage") === null ? written : 10n;
      }
      const answer = await outside.read(caller, tool, idempotencyKey, signal, () => ({
        seen: JSON.stringify(input).length,
      }));
      return faults.take("tool.garbage") === null ? answer : { nonsense: true };
    },
    check: tool === "pay" ? (_input, { idempotencyKey }) => outside.find(caller, idempotencyKey) : null,
  };
}

function modelsOf(parts: Parts, attempt: Attempt): ModelRegistry {
  parts.outside.metered = true;
  const model: Model = { call: (request, options) => answer(parts, attempt, request, options.signal) };
  return { resolve: (ref) => ({ model, name: ref, provider: ref.split("/")[0] ?? "" }) };
}

async function answer(
  { world, faults, outside }: Parts,
  attempt: Attempt,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<ModelResponse> {
  signal.throwIfAborted();
  const { run, task } = attempt.port.assignment;
  const turn = request.messages.filter((message) => message.role === "assistant").length;
  outside.note({
    ...callerOf(attempt),
    kind: "model",
    name: request.model,
    key: `${run}/${task}/${request.model}/${turn}`,
    write: false,
  });
  const random = new Prng(world.seed, `model ${run}/${task} ${turn}`);
  await sleep(attempt.port.clock, random.int(5, 400), signal);
  const { attempt: number } = attempt.port.assignment;
  try {
    await modelFault(faults);
  } catch (error) {
    outside.bill({ run, task, attempt: number, tokens: null });
    throw error;
  }
  const usage = { inputTokens: 10 + turn, outputTokens: 5, cachedInputTokens: 0, reasoningTokens: 0 };
  outside.bill({ run, task, attempt: number, tokens: usage.inputTokens + usage.outputTokens });
  const content = say(random, turn, task);
  const response: ModelResponse = {
    content,
    finish: content.some((part) => part.type === "tool-call") ? "tool-calls" : "stop",
    usage,
    model: request.model,
    simulated: true,
  };
  return faults.take("model.garbage") === null ? response : garbledAnswer(response);
}

function say(random: Prng, turn: number, task: string): MessageContent[] {
  if (turn >= 3 || random.chance(0.4)) return [{ type: "text", text: JSON.stringify({ task, results: [turn] }) }];
  const calls = Array.from({ length: random.int(1, 2) }, (_, i): MessageContent => {
    const tool = random.pick(["look", "look", "look", "post", "post", "pay", "pay", "vault", "bob"]);
    const id = `c${turn}-${i}`;
    if (tool === "bob") return { type: "tool-call", id, tool, input: { input: "Help." } };
    return { type: "tool-call", id, tool, input: { at: `${turn}.${i}`, amount: random.int(1, 9) } };
  });
  return [{ type: "text", text: "Let me see." }, ...calls];
}
