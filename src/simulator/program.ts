import type { Json } from "../core/json.ts";
import { workflowSeat } from "../core/seat.ts";
import type { AgentContext } from "../definition/context.ts";
import { Prng } from "./prng.ts";

/** One thing that a simulated code agent does. */
export type Act =
  | { act: "look" }
  | { act: "post" | "pay" | "send"; amount: number }
  | { act: "effect" }
  /** Reads a shared fact; adds one to another. */
  | { act: "read" | "count" }
  | { act: "now" | "random" }
  | { act: "sleep"; ms: number }
  | { act: "both"; acts: readonly Act[] }
  /** Asks another agent, or has a workflow run, and goes on whatever comes of it. */
  | { act: "call"; of: string; timeoutMs: number | null }
  /** Calls what it was not granted, and goes on. */
  | { act: "trespass" };

/** What a simulated code agent does in one task: the same in every attempt, since it must repeat its record. */
export interface Program {
  readonly acts: readonly Act[];
  /** How it ends by its nature; faults come on top. `poison` kills its process each time. */
  readonly end: "output" | "refuse" | "poison";
}

/** The program of a task, from names alone. */
export function programOf(seed: number, name: string): Program {
  const random = new Prng(seed, `program ${name}`);
  const acts = Array.from({ length: random.int(1, 4) }, () => actOf(random, 1));
  if (random.chance(0.12)) acts.push(callOf(random));
  const roll = random.next();
  return { acts, end: roll < 0.03 ? "refuse" : roll < 0.042 ? "poison" : "output" };
}

function actOf(random: Prng, depth: number): Act {
  const roll = random.next();
  if (roll < 0.2) return { act: "look" };
  if (roll < 0.3) return { act: random.chance(0.6) ? "read" : "count" };
  if (roll < 0.42) return { act: "post", amount: random.int(1, 100) };
  if (roll < 0.52) return { act: "pay", amount: random.int(1, 100) };
  if (roll < 0.58) return { act: "send", amount: random.int(1, 100) };
  if (roll < 0.7) return { act: "effect" };
  if (roll < 0.78) return { act: random.chance(0.5) ? "now" : "random" };
  if (roll < 0.83) return { act: "sleep", ms: random.int(1, 900) };
  if (roll < 0.89) return { act: "sleep", ms: random.int(1_500, 20_000) };
  if (roll < 0.91) return { act: "trespass" };
  return depth === 0 ? { act: "look" } : { act: "both", acts: [actOf(random, 0), actOf(random, 0)] };
}

function callOf(random: Prng): Act {
  const of = random.pick(["ada", "bob", "bob", "muse", "lead", workflowSeat("fan")]);
  return { act: "call", of, timeoutMs: random.chance(0.2) ? random.int(500, 5_000) : null };
}

/** Carries a program out with a code agent's own means. `effect` is what a declared effect does to the world. */
export async function perform(
  context: AgentContext,
  acts: readonly Act[],
  effect: (name: string) => Promise<Json>,
): Promise<Json> {
  const results: Json[] = [];
  for (const [i, act] of acts.entries()) results.push(await performOne(context, act, `${i}`, effect));
  return results;
}

async function performOne(
  context: AgentContext,
  act: Act,
  at: string,
  effect: (name: string) => Promise<Json>,
): Promise<Json> {
  switch (act.act) {
    case "look":
      return context.tool("look", { at });
    case "post":
    case "pay":
    case "send":
      return context.tool(act.act, { at, amount: act.amount });
    case "read":
      return (await context.facts.get("city"))?.value ?? null;
    case "count":
      return context.facts.update("visits", (visits) => Number(visits ?? 0) + 1);
    case "effect":
      return context.step(`effect-${at}`, () => effect(`effect-${at}`));
    case "now":
      return (await context.now()) > 0;
    case "random":
      return (await context.random()) < 1;
    case "sleep":
      await context.sleep(act.ms);
      return "slept";
    case "both":
      return Promise.all(act.acts.map((one, i) => performOne(context, one, `${at}.${i}`, effect)));
    case "call": {
      const options = act.timeoutMs === null ? {} : { timeoutMs: act.timeoutMs };
      return context.call(act.of, { at }, options).then(
        () => "answered",
        () => "not answered",
      );
    }
    case "trespass":
      return context.tool("vault", { at }).catch(() => "refused");
  }
}
