import type { AgentDefinition } from "../core/definition.ts";
import type { Ask } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import type { Fact, FactAccess } from "../definition/context.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import { FACTS_HEADING, type ModelTool } from "../model/model.ts";
import { problemsOf } from "../tool/validate.ts";
import type { TaskScope } from "./environment.ts";
import { recordable } from "./recordable.ts";
import type { Steps } from "./step.ts";

type Seen = { version: number } & Partial<Fact>;

/** How often a change is made anew on a newer version before its conflict is the agent's to meet. */
const UPDATES_MAX = 20;

/** `ctx.facts`: each call is a question that the coordinator answers in the commit that records it. */
export function factAccess(steps: Steps): FactAccess {
  const ask = (name: string, input: Json, question: Omit<Ask, "deadline">) =>
    steps.ask({ kind: "fact", name, input, ask: () => ({ ...question, deadline: null }) });

  async function get(fact: string): Promise<Fact | null> {
    const seen = (await ask(`fact ${fact}`, null, { ask: "fact.read", fact })) as unknown as Seen;
    return factOf(seen);
  }

  async function propose(
    fact: string,
    value: unknown,
    { base, why = "", until }: { base?: number; why?: string; until?: number } = {},
  ): Promise<number> {
    const question = { ask: "fact.propose", fact, why, ...(base === undefined ? {} : { base }) } as const;
    const given = recordable(value);
    const answer = await ask(`set ${fact}`, given, until === undefined ? question : { ...question, until });
    return (answer as { version: number }).version;
  }

  async function update(
    fact: string,
    change: (current: Json | null) => unknown,
    options: { why?: string } = {},
  ): Promise<number> {
    const peeked = await ask(`fact ${fact}`, "newest", { ask: "fact.read", fact, peek: true });
    let seen = factOf(peeked as unknown as Seen);
    for (let tries = 1; ; tries++) {
      try {
        return await propose(fact, change(seen?.value ?? null), { ...options, base: seen?.version ?? 0 });
      } catch (error) {
        if (!isFlotillaError(error) || error.code !== "FACT_CONFLICT" || tries >= UPDATES_MAX) throw error;
        seen = factOf(error.details.current as Seen);
      }
    }
  }

  return {
    get,
    list: async (fact) => {
      const found = (await ask(`facts ${fact}`, null, { ask: "fact.list", fact })) as unknown as Record<string, Fact>;
      return found;
    },
    propose,
    update,
  };
}

function factOf({ version, value = null, by = "", at = 0 }: Seen): Fact | null {
  return version === 0 ? null : { version, value, by, at };
}

const PROPOSE = "propose_fact";

/** Shared facts as a declarative agent meets them: what it may read stands in a message of its own, which counts as
 *  read; what it may write it proposes by a tool. */
export class ModelFacts {
  private readonly grants: AgentDefinition["facts"];
  private readonly access: FactAccess;
  /** Versions that the model was told of after a conflict. */
  private readonly told = new Map<string, number>();

  constructor({ agent, steps }: TaskScope) {
    this.grants = agent.facts;
    this.access = factAccess(steps);
  }

  get offers(): ModelTool[] {
    if (this.grants.write.length === 0) return [];
    const description = `Set a fact that this fleet shares. You may set: ${this.grants.write.join(", ")}.`;
    return [{ name: PROPOSE, description, input: PROPOSAL }];
  }

  /** Null: it may read none. */
  async message(): Promise<string | null> {
    if (this.grants.read.length === 0) return null;
    const slices = await Promise.all(this.grants.read.map((pattern) => this.access.list(pattern)));
    const facts = Object.assign({}, ...slices) as Readonly<Record<string, Fact>>;
    const values = Object.entries(facts).map(([key, { value }]) => [key, value]);
    return `${FACTS_HEADING}${canonicalJson(Object.fromEntries(values))}`;
  }

  handles(tool: string): boolean {
    return tool === PROPOSE && this.grants.write.length > 0;
  }

  /** @throws {FlotillaError} TOOL_INPUT_INVALID, FACT_* */
  async propose(input: Json): Promise<Json> {
    const problems = problemsOf(PROPOSAL, input);
    if (problems.length > 0) throw new FlotillaError("TOOL_INPUT_INVALID", `${PROPOSE}: ${problems.join("; ")}`);
    const { key, value, why } = input as { key: string; value: Json; why: string };
    const base = this.told.get(key);
    try {
      const version = await this.access.propose(key, value, { why, ...(base === undefined ? {} : { base }) });
      this.told.delete(key);
      return { version };
    } catch (error) {
      if (!isFlotillaError(error) || error.code !== "FACT_CONFLICT") throw error;
      const current = error.details.current as Seen;
      this.told.set(key, current.version);
      return { conflict: error.message, current: current as unknown as Json };
    }
  }
}

const PROPOSAL = {
  type: "object",
  properties: { key: { type: "string" }, value: {}, why: { type: "string" } },
  required: ["key", "value", "why"],
  additionalProperties: false,
} as const;
