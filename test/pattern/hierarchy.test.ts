import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { hierarchyPattern } from "../../src/pattern/hierarchy.ts";
import { type Outcome, permanent, run } from "./engine.ts";

type Assignment = { domain: string; instruction: string; needs: string[] };
const part = (domain: string, ...needs: string[]): Assignment => ({ domain, instruction: `do ${domain}`, needs });

/** Runs a hierarchy over three domains. `plans`: what the orchestrator answers, one after the other. */
function hierarchy(plans: readonly Json[], domain: (name: string, input: Json) => Outcome, onFailure = "report") {
  let asked = 0;
  return run({
    pattern: hierarchyPattern,
    options: { orchestrator: "chief", domains: { a: "ada", b: "bob", c: "cy" }, onFailure },
    input: "the whole",
    script: ({ id, input }) => {
      if (id.startsWith("plan/")) return { output: plans[asked++] ?? null };
      if (id === "conclude") return { output: (input as { reports: Json }).reports };
      return domain(id.split("/")[1] ?? "", input);
    },
  });
}
const done = (name: string): Outcome => ({ output: `report of ${name}` });
const plan = (...assignments: Assignment[]): Json => ({ assignments });

describe("C3: a hierarchy", () => {
  it("divides the request, runs domains in the order of their needs, and concludes from their reports", () => {
    const { state, inputs, started } = hierarchy([plan(part("a"), part("b", "a"), part("c"))], done);
    expect(started).toEqual(["plan/1", "domain/a", "domain/c", "domain/b", "conclude"]);
    expect(inputs.get("plan/1")).toMatchObject({
      act: "plan",
      request: "the whole",
      domains: [{ name: "a", description: "what ada does" }, { name: "b" }, { name: "c" }],
    });
    expect(state.output).toMatchObject([{ domain: "a", result: "report of a" }, { domain: "b" }, { domain: "c" }]);
  });

  it("shows each domain its own part and nothing else", () => {
    const { inputs } = hierarchy([plan(part("a"), part("b", "a"), part("c"))], done);
    expect(inputs.get("domain/a")).toEqual({ instruction: "do a", reports: {} });
    expect(inputs.get("domain/b")).toEqual({ instruction: "do b", reports: { a: "report of a" } });
  });

  it("contains a failure and reports it upwards; what needs it is not started", () => {
    const fails = (name: string): Outcome => (name === "a" ? { error: permanent("broken") } : done(name));
    const { state, started } = hierarchy([plan(part("a"), part("b", "a"), part("c"))], fails);
    expect(started).not.toContain("domain/b");
    expect(state.output).toMatchObject([
      { domain: "a", error: { code: "AGENT_FAILED", message: "broken" } },
      { domain: "b", error: { code: "DEPENDENCY_FAILED" } },
      { domain: "c", result: "report of c" },
    ]);
    expect(hierarchy([plan(part("a"))], fails, "fail").state.error?.message).toBe("broken");
  });

  it.each([
    ["a domain that is not there", plan(part("x")), 'there is no domain "x"'],
    ["two instructions for one", plan(part("a"), part("a")), '"a" has two instructions'],
    ["a need of what is not done", plan(part("a", "b")), '"a" needs "b", which has none'],
    ["a cycle", plan(part("a", "b"), part("b", "a")), "domains need each other: a → b → a"],
    ["no plan at all", "words", "expected object"],
  ])("C4: sends %s back with what is wrong, before any of it runs", (_, wrong, problem) => {
    const { state, inputs, started } = hierarchy([wrong, plan(part("a"))], done);
    expect(JSON.stringify(inputs.get("plan/2"))).toContain(JSON.stringify(problem).slice(1, -1));
    expect(started).toEqual(["plan/1", "plan/2", "domain/a", "conclude"]);
    expect(state.status).toBe("completed");
    expect(hierarchy([wrong, wrong, wrong], done).state.error?.code).toBe("PLAN_INVALID");
  });
});
