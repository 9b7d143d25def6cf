import type { FlotillaError } from "../error.ts";
import type { FaultTaken } from "./fault.ts";
import type { DurableEvent } from "./history.ts";

/** Which faults happened and which ways of recovery were taken, each counted. */
export class Coverage {
  readonly counts = new Map<string, number>();

  count(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  event(event: DurableEvent): void {
    this.count(pathOf(event));
  }

  failure(error: FlotillaError): void {
    this.count(`met ${error.code}`);
  }

  faults(taken: readonly FaultTaken[]): void {
    for (const { kind } of taken) this.count(`fault ${kind}`);
  }

  add(other: Coverage): void {
    for (const [name, times] of other.counts) this.count(name, times);
  }
}

function pathOf({ type, data }: DurableEvent): string {
  switch (type) {
    case "task.released":
      return data.suspect ? "task.released suspect" : `task.released ${data.why}`.slice(0, 60);
    case "fact.stale":
      return `fact.stale ${data.action}`;
    case "approval.decided":
      return `approval.decided ${data.decision}`;
    case "escalation.decided":
      return `escalation.decided ${data.choice}`;
    case "step.unknown":
      return `step.unknown ${data.settle}`;
    case "step.settled":
      return `step.settled ${data.outcome}`;
    case "child.ended":
      return `child.ended ${data.status}`;
    case "tasks.assigned":
      return `tasks.assigned ${data.why}`;
    case "step.asked":
      return `step.asked ${data.ask?.ask}`;
    case "step.failed":
    case "task.failed":
    case "task.retried":
    case "run.failed":
      return `${type} ${data.error?.code}`;
    case "hold.placed":
      return `hold.placed ${data.scope}`;
    case "message.refused":
      return `message.refused ${data.what}`;
    case "result.late":
      return `result.late ${data.what}`;
    default:
      return type;
  }
}
