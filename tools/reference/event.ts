import { z } from "zod";
import { type EventType, eventSchemas } from "../../src/core/event.ts";
import { fleetEventSchemas, type FleetEventType } from "../../src/runtime/fleet-journal.ts";
import { code, table } from "./markdown.ts";

/** When each event of a run is written, and what its payload holds. */
const RUN: Readonly<Record<EventType, readonly [when: string, payload: string]>> = {
  "run.started": ["A run was accepted.", "`input`"],
  "run.forked": [
    "The run begins with the events of another one and goes on from here.",
    "`stubs`: what writes returned there",
  ],
  "plan.revised": ["The pattern added or cancelled tasks.", "the input of each new task that has one, by task"],
  "tasks.bound": ["Tasks whose needs are met got their inputs.", "the input of each, by task"],
  "task.routed": [
    "It was chosen who does a task: by its pattern, or by a route. `candidates`: who was considered.",
    "",
  ],
  "tasks.assigned": ["Attempts at tasks were given to a worker.", ""],
  "task.completed": ["A task's result was accepted.", "`output`; none for a group, whose members have theirs"],
  "task.failed": ["A task failed for good.", ""],
  "task.escalated": ["A task failed for good, and a person is asked what is done about it.", ""],
  "escalation.decided": ["Somebody said what is done about a task that failed for good.", ""],
  "task.retried": ["An attempt failed and the task is tried again from `readyAt`.", ""],
  "task.released": ["An attempt was taken back: its worker is gone. `suspect`: its process died with it.", ""],
  "task.suspended": ["A task waits until `wakeAt`, or for an answer to one of `waits`, and holds no process.", ""],
  "task.woken": ["Its time came, or an answer.", ""],
  "task.reused": [
    "A task takes over the result of another one, which did the same. `saved`: what that one was charged with.",
    "",
  ],
  "task.skipped": ["A task can no longer start, or its condition is false.", ""],
  "task.cancelled": ["A group of the task was skipped.", ""],
  "task.expired": ["A task waited for a worker longer than `limits.queueMs`.", ""],
  "child.requested": ["A task is the work of a child run, which is to be started with these limits.", ""],
  "child.ended": ["The child run of a task ended. `used`: by it and its own children.", ""],
  "step.started": ["A write was intended; it is about to be made.", "`input`"],
  "step.asked": ["A question was asked that another agent, a person or the coordinator answers.", "`input`"],
  "task.handed": [
    "An agent handed its task over to another, which does it in its place.",
    "`handed`: the working context",
  ],
  "step.completed": ["A step has its outcome.", "`output`; `input`, unless the intent has it"],
  "step.failed": ["A step failed, and that is its outcome.", "`input`, unless the intent has it"],
  "approval.decided": [
    "Somebody decided on a call that waits for approval; the answer of its question follows.",
    "`arguments`, when they were edited",
  ],
  "step.unknown": ["An attempt ended between intent and outcome of a write.", ""],
  "step.settled": ["Somebody said what became of the write.", "`output`"],
  "fact.committed": ["A new version of a shared fact holds.", "`value`"],
  "fact.conflicted": ["A fact was proposed on another version than the newest; it was not taken.", "`value`"],
  "fact.stale": ["A task rests on a fact or an outcome that holds no longer.", ""],
  "task.reopened": ["A task is done anew, from its start.", "`input`, when it is another one"],
  "call.reserved": ["A model is about to be asked; its worst case counts as spent until the call has its record.", ""],
  "call.settled": [
    "A call ended without a record. `free`: it cost nothing; `unsettled`: nobody knows, what was reserved stays charged.",
    "",
  ],
  "budget.returned": ["The run gave back what it had drawn from accounts and does not need.", ""],
  "budget.exceeded": ["A provider billed more than was reserved. No model is asked any more in this run.", ""],
  "budget.alerted": ["Four fifths of a budget are used.", ""],
  "result.late": ["Something came from an attempt that is over; it was not acted on.", ""],
  "run.completed": ["The run ended with an output.", "`output`"],
  "run.failed": ["The run failed. `task`: where, if it was a task.", ""],
  "run.stopped": ["The run was stopped.", ""],
  "run.paused": ["The run was paused: nothing of it starts until it is resumed.", ""],
  "run.resumed": ["The run goes on.", ""],
};

const FLEET: Readonly<Record<FleetEventType, string>> = {
  "fleet.opened": "A process took the store over.",
  "fleet.closed": "A process gave the store back in good order.",
  "key.created": "A participant got a key; its public half.",
  "key.replaced":
    "A participant got another key, since the one before is lost; what that signed is still checked with it.",
  "definition.registered": "A definition was stored under its hash.",
  "definition.missing": "A run waits for code that is not here.",
  "breaker.changed": "A model, provider or tool failed too often and is left alone (`open`), is tried, or used again.",
  "worker.started": "A worker is attached.",
  "worker.stopped": "A worker is gone. `crashed`: those that ran in it are suspects.",
  "messages.sealed": "An agent signed the Merkle root of what it sent in a session, messages `from` to `to`.",
  "message.refused": "Something did not verify and was not acted on.",
  "heads.signed": "The coordinator signed version and head of every run that grew, and of this journal.",
  "content.erased": "Content of an ended run was erased on request; pairs of first and last version.",
  "run.imported":
    "An ended run of another store was taken in as a record, with its child runs; recorded before it is done.",
  "journal.cut":
    "This journal was found shorter than, or other than, the head that had been signed and kept outside of the store.",
  "run.removed": "A finished run was removed; its last head stays here. Not written today: nothing removes runs.",
  "dead-letter.replayed": "A dead letter was taken up again, as the run `run`.",
  "dead-letter.dropped": "A dead letter was given up.",
  "dead-letter.edited": "A dead letter got another input.",
  "hold.placed": "A workflow, an agent or the fleet (`name` is null) was paused, or the fleet was killed.",
  "hold.lifted": "It was resumed.",
  "schedule.set": "A schedule was declared, or declared anew; its times count from here on.",
  "schedule.removed": "A schedule is not declared any more.",
  "schedule.due": "Times of a schedule came: each in `start` is to start a run; `passed` others start nothing.",
  "schedule.ran": "A run was started for a time; or none (`run` is null), and `why` says why.",
};

/** The events of both kinds of journal, with their fields. */
export function eventTables(): string {
  const runs = (Object.keys(RUN) as EventType[]).map((type) => {
    const [when, payload] = RUN[type];
    return [code(type), when, fieldsOf(eventSchemas[type]), payload];
  });
  const fleet = (Object.keys(FLEET) as FleetEventType[]).map((type) => [
    code(type),
    FLEET[type],
    fieldsOf(fleetEventSchemas[type]),
  ]);
  return [
    "## Events of a run",
    table(["Type", "When", "Data", "Payload"], runs),
    "## Events of the fleet",
    table(["Type", "When", "Data"], fleet),
  ].join("\n\n");
}

/** Names of an event's fields; those that may be absent with a question mark. */
function fieldsOf(schema: z.ZodType): string {
  const { properties = {}, required = [] } = z.toJSONSchema(schema) as {
    properties?: Record<string, unknown>;
    required?: string[];
  };
  return Object.keys(properties)
    .map((name) => code(required.includes(name) ? name : `${name}?`))
    .join(" ");
}
