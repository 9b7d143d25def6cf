import { describe, expect, it } from "vitest";
import { approvalPolicy } from "../../src/core/approval.ts";
import type { ApprovalPolicy, FleetDefinition } from "../../src/core/definition.ts";
import type { RunEvent } from "../../src/core/event.ts";
import { timersOf } from "../../src/core/state.ts";
import { type Desk, desk, work } from "./desk.ts";

const REJECT: ApprovalPolicy = { deadlineMs: 5_000, onDeadline: "reject", to: [] };
const KEY = "approve publish#1";

/** A run in which the agent of task `a` has asked whether it may call `publish`. */
function asking(onDeadline: "approve" | "reject" = "reject"): Desk {
  const at = desk([work("a")], { approval: { publish: { ...REJECT, onDeadline } } });
  at.assign("a");
  at.step("a", {
    phase: "asked",
    key: KEY,
    kind: "approval",
    name: "approve publish",
    input: { arguments: { to: "all" }, tool: "publish" },
    ask: { ask: "approval", tool: "publish", argumentsHash: "h1", deadline: 6_000, onDeadline },
  });
  at.send({ type: "task.suspend", task: "a", attempt: 1, wakeAt: null, waits: [KEY] });
  return at;
}

const decided = { task: "a", key: KEY, action: "x", argumentsHash: "h1", edited: null, by: "ann", note: "" };
const approve = (at: Desk, more = {}) => at.send({ type: "approval.decide", ...decided, approved: true, ...more });
const reject = (at: Desk, more = {}) => at.send({ type: "approval.decide", ...decided, approved: false, ...more });
const call = (at: Desk, more = {}) =>
  at.step("a", { phase: "started", key: "publish#1", name: "publish", inputHash: "h1", approval: KEY, ...more });
const stepOf = (at: Desk, key: string) => at.task("a").steps.get(key);
const lastLate = (at: Desk) => at.events.findLast((event: RunEvent) => event.type === "result.late")?.data;

describe("F9: a call that needs approval", () => {
  it("waits at no cost, and goes on when somebody approves", () => {
    const at = asking();
    expect(at.task("a").status).toBe("suspended");
    expect(approve(at)).toEqual(["approval.decided", "step.completed", "task.woken"]);
    at.assign("a");
    expect(call(at)).toEqual(["step.started"]);
    expect(stepOf(at, KEY)?.approved).toEqual({ argumentsHash: "h1", usedBy: "publish#1" });
    expect(at.complete("a")).toContain("run.completed");
    at.check();
  });

  it("fails for the agent when somebody rejects, with who and why", () => {
    const at = asking();
    expect(reject(at, { note: "not today" })).toEqual(["approval.decided", "step.failed", "task.woken"]);
    expect(stepOf(at, KEY)?.error).toMatchObject({
      code: "APPROVAL_REJECTED",
      message: expect.stringContaining("ann rejected the call of publish: not today") as string,
    });
    at.check();
  });

  it("is decided once, and only about the arguments that were shown", () => {
    const at = asking();
    expect(approve(at, { argumentsHash: "other" })).toEqual([]);
    expect(approve(at, { key: "approve publish#2" })).toEqual([]);
    expect(approve(at, { task: "nobody" })).toEqual([]);
    expect(approve(at)).toHaveLength(3);
    expect(reject(at)).toEqual([]);
    at.check();
  });

  it.each([
    ["reject", ["approval.decided", "step.failed", "task.woken"], "APPROVAL_EXPIRED"],
    ["approve", ["approval.decided", "step.completed", "task.woken"], undefined],
  ] as const)("is decided by its default at the deadline: %s", (onDeadline, types, code) => {
    const at = asking(onDeadline);
    const [name = "", due] = [...timersOf(at.task("a"))][0] ?? [];
    expect(due).toBe(6_000);
    at.now = 6_000;
    expect(at.send({ type: "timer.fire", name })).toEqual(types);
    expect(stepOf(at, KEY)?.error?.code).toBe(code);
    expect(timersOf(at.task("a")).size).toBe(0);
    expect(approve(at)).toEqual([]);
    at.check();
  });

  it("may be edited: what then runs is what was approved", () => {
    const at = asking();
    approve(at, { edited: { arguments: { to: "ann" }, argumentsHash: "h2" } });
    expect(stepOf(at, KEY)?.output).toMatchObject({ arguments: { to: "ann" } });
    at.assign("a");
    expect(call(at, { inputHash: "h2" })).toEqual(["step.started"]);
    at.check();
  });

  it.each([
    ["without approval", { approval: undefined }, "was not approved"],
    ["with other arguments", { inputHash: "h2" }, "approves other arguments"],
    ["under an approval that is no approval", { approval: "x" }, "was not approved"],
  ])("is not believed %s: the task ends before it goes on", (_, more, why) => {
    const at = asking();
    approve(at);
    at.assign("a");
    expect(call(at, more)).toEqual(expect.arrayContaining(["result.late", "task.failed"]));
    expect(lastLate(at)).toMatchObject({ why: expect.stringContaining(why) as string });
    expect(at.task("a").error?.code).toBe("APPROVAL_MISSING");
    at.check();
  });

  it("is not believed under the approval of an earlier call", () => {
    const at = asking();
    approve(at);
    at.assign("a");
    call(at);
    at.step("a", { phase: "completed", key: "publish#1", name: "publish", approval: KEY });
    expect(call(at, { key: "publish#2" })).toContain("task.failed");
    expect(lastLate(at)).toMatchObject({ why: `${KEY} was used by publish#1` });
    at.check();
  });

  it("is refused before it begins without anybody being asked", () => {
    const at = asking();
    approve(at);
    at.assign("a");
    expect(at.step("a", { phase: "failed", key: "publish#1", name: "publish" })).toEqual(["step.failed"]);
    at.check();
  });

  it("is over with its run: nobody's decision counts then", () => {
    const at = asking();
    at.send({ type: "run.stop", why: "enough", by: "ann" });
    expect(approve(at)).toEqual([]);
    at.check();
  });
});

describe("a grant can only tighten what its tool declares", () => {
  const policy = (tool: ApprovalPolicy | undefined, grant: ApprovalPolicy | undefined) => {
    const approvals = grant === undefined ? {} : { approvals: { publish: grant } };
    const definition = {
      tools: { publish: tool === undefined ? {} : { approval: tool } },
      agents: { a: approvals },
    } as unknown as FleetDefinition;
    return approvalPolicy(definition, "a", "publish");
  };
  const open: ApprovalPolicy = { deadlineMs: null, onDeadline: "approve", to: [] };

  it.each([
    ["neither asks", undefined, undefined, null],
    ["the tool asks", REJECT, undefined, REJECT],
    ["the grant asks", undefined, REJECT, REJECT],
    ["the grant asks for less", REJECT, open, REJECT],
    ["the grant asks for more", open, { ...REJECT, to: ["ann"] }, { ...REJECT, to: ["ann"] }],
  ])("%s", (_, tool, grant, expected) => {
    expect(policy(tool, grant)).toEqual(expected);
  });
});
