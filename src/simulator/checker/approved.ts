import type { CheckerMaker } from "./checker.ts";

/** A tool that needs approval takes no effect without one, and once under each (F9). */
export const approved: CheckerMaker = ({ definition }, fail) => {
  /** Approvals that are on record and not over, and the idempotency key of the write that used each. */
  const allowed = new Map<string, string | null>();
  /** Writes that were intended under one. */
  const intended = new Set<string>();
  const needs = (tool: string) => definition.tools[tool]?.approval !== undefined;
  return {
    promise: "F9: no effect of a tool that needs approval without one, and one for each",
    event({ journal, type, data }) {
      const { task = "", key = "", name, approval, decision, idempotencyKey = "" } = data;
      const place = `${journal}/${task}`;
      if (type === "approval.decided" && decision === "approved") allowed.set(`${place}/${key}`, null);
      // What is done anew is asked anew.
      if (type === "task.reopened" || type === "escalation.decided")
        for (const known of allowed.keys()) if (known.startsWith(`${place}/`)) allowed.delete(known);
      if (type !== "step.started" || !needs(name ?? "") || intended.has(idempotencyKey)) return;
      const under = `${place}/${approval ?? ""}`;
      const usedBy = allowed.get(under);
      if (usedBy === undefined) fail(`${key} of ${place} was begun without an approval on record`);
      else if (usedBy !== null) fail(`${key} of ${place} was begun under an approval that was used`);
      allowed.set(under, idempotencyKey);
      intended.add(idempotencyKey);
    },
    call({ kind, name, key, run, task, write }) {
      if (kind !== "tool" || !write || !needs(name) || intended.has(key)) return;
      fail(`${name} of ${run}/${task} was called without an approval`);
    },
  };
};
