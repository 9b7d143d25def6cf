import type { EventData, RunEvent } from "../../core/event.ts";
import type { Json } from "../../core/json.ts";
import { brief, oneLine } from "./brief.ts";
import { duration, money, plural } from "./number.ts";

/** What a sentence knows beside the event: who does which task. */
export interface Cast {
  agentOf(task: string): string | null;
}

const NAMES_SHOWN = 3;

/** One event of a run in one sentence (show, replay, watch). */
export function sentence(event: RunEvent, cast: Cast): string {
  const who = (task: string): string => {
    const agent = cast.agentOf(task);
    return agent === null || agent === task ? task : `${agent} (${task})`;
  };
  switch (event.type) {
    case "run.started": {
      const { workflow, pattern, by } = event.data;
      const input = brief(event.payload?.input, 60);
      return `${workflow} started by ${by}, as ${pattern}${input === "" ? "" : `, with ${input}`}`;
    }
    case "plan.revised":
      return planned(event.data);
    case "tasks.bound":
      return event.data.tasks
        .map((task) => `${who(task)} got its input: ${brief(event.payload?.[task], 60)}`)
        .join("; ");
    case "task.routed":
      return `${event.data.task} goes to ${event.data.agent}: ${event.data.why}${considered(event.data)}`;
    case "tasks.assigned": {
      const { tasks, attempt, worker, why } = event.data;
      const was = tasks.length === 1 ? "was" : "were";
      return `${tasks.map(who).join(", ")} ${was} given to ${worker}${attempt > 1 ? `, attempt ${attempt}` : ""} (${why})`;
    }
    case "task.completed": {
      const result = brief(event.payload?.output);
      return `${who(event.data.task)} finished${result === "" ? "" : `: ${result}`}`;
    }
    case "task.failed":
      return `${who(event.data.task)} failed: ${errorText(event.data.error)}`;
    case "task.escalated":
      if (event.data.choices !== undefined)
        return `a person chooses between the answers of ${event.data.choices.join(", ")}: ${errorText(event.data.error)}`;
      return `${who(event.data.task)} failed and waits for a person: ${errorText(event.data.error)}`;
    case "escalation.decided": {
      const { task, choice, agent, answer, by, note } = event.data;
      const chose = answer === undefined ? choice : `the answer of ${answer}`;
      const what = `${by} chose ${chose}${agent === null ? "" : ` to ${agent}`} for ${who(task)}`;
      return note === "" ? what : `${what}: ${note}`;
    }
    case "task.retried": {
      const { task, attempt, delayMs, error } = event.data;
      return `${who(task)} is tried again in ${duration(delayMs)} after attempt ${attempt}: ${errorText(error)}`;
    }
    case "task.released": {
      const { task, why, suspect } = event.data;
      return `${who(task)} was taken back: ${why}${suspect ? "; it goes on alone, as a suspect" : ""}`;
    }
    case "task.suspended":
      return `${who(event.data.task)} waits ${untilWhat(event.data)}`;
    case "task.woken":
      return `${who(event.data.task)} goes on after its wait`;
    case "task.reused": {
      const { task, from, saved } = event.data;
      const spared = saved.tokens === 0 ? "" : `, which saved ${saved.tokens} tokens, ${money(saved.costMicroUsd)}`;
      return `${who(task)} takes over the result of ${from.task}, which did the same${spared}`;
    }
    case "task.skipped":
      return `${who(event.data.task)} was skipped: ${event.data.why}`;
    case "task.cancelled":
      return `${who(event.data.task)} was cancelled: ${event.data.why}`;
    case "task.expired":
      return `${who(event.data.task)} waited longer than its time to live`;
    case "child.requested":
      return `${who(event.data.task)} is the work of a run of its own: ${event.data.child}`;
    case "child.ended":
      return `run ${event.data.child} of ${event.data.task} ${event.data.status}`;
    case "step.started":
      return `${who(event.data.task)} intends ${event.data.key} ${brief(event.payload?.input, 60)}`.trimEnd();
    case "step.asked":
      return `${who(event.data.task)} asks: ${event.data.name} ${brief(event.payload?.input, 60)}`.trimEnd();
    case "step.completed":
      return `${who(event.data.task)} ${stepText(event.data.kind, event.data.key, event.payload)} in ${duration(event.data.durationMs)}`;
    case "step.failed":
      return `${who(event.data.task)} failed at ${event.data.key}: ${errorText(event.data.error)}`;
    case "approval.decided": {
      const { task, key, decision, edited, by, note } = event.data;
      const what = `${by} ${decision} “${key}” of ${who(task)}${edited ? ` with ${brief(event.payload?.arguments, 60)}` : ""}`;
      return note === "" ? what : `${what}: ${note}`;
    }
    case "step.unknown":
      return `${who(event.data.task)} was interrupted inside ${event.data.key}: whether it happened is not known (settled by ${event.data.settle})`;
    case "step.settled": {
      const { key, outcome, by, note } = event.data;
      return `${key} was settled as ${outcome} by ${by}${note === "" ? "" : `: ${note}`}`;
    }
    case "run.forked": {
      const { from, at, changes } = event.data;
      return `forked from ${from} after event ${at}${changes.length === 0 ? "" : `, with ${changes.join(", ")}`}`;
    }
    case "fact.committed": {
      const { fact, version, by, why } = event.data;
      return `${by} set ${fact} (version ${version}) to ${brief(event.payload?.value, 60)}${why === "" ? "" : `: ${why}`}`;
    }
    case "fact.conflicted": {
      const { fact, base, by, version } = event.data;
      return `${by} proposed ${fact} on version ${base}, which is at version ${version}: not taken`;
    }
    case "fact.stale": {
      const { task, fact, action, why } = event.data;
      const rests = fact === null ? "rests on an old outcome" : `rests on an old version of ${fact}`;
      return `${who(task)} ${rests}: ${action === "rerun" ? "it is done anew" : `flagged, ${why}`}`;
    }
    case "task.handed": {
      const { from, by, agent, hop, why } = event.data;
      const times = hop === 1 ? "" : ` (hand-over ${hop})`;
      return `${by} handed ${from} over to ${agent}${times}${why === "" ? "" : `: ${why}`}`;
    }
    case "task.reopened":
      return `${who(event.data.task)} is done anew: ${event.data.why}`;
    case "call.reserved": {
      const { task, call, model, tokens, costMicroUsd } = event.data;
      const most = costMicroUsd === null ? `${tokens} tokens` : `${tokens} tokens, ${money(costMicroUsd)}`;
      return `${who(task)} may ask ${model} (${call}), for ${most} at most`;
    }
    case "call.settled": {
      const { task, call, outcome } = event.data;
      return outcome === "free"
        ? `${call} of ${who(task)} cost nothing`
        : `what ${call} of ${who(task)} cost is not known: what was reserved stays charged`;
    }
    case "budget.returned":
      return `gave back what it had drawn and does not need: ${event.data.accounts.map(({ account, tokens, costMicroUsd }) => `${tokens} tokens, ${money(costMicroUsd)} to ${account}`).join("; ")}`;
    case "budget.exceeded": {
      const { task, call, billed, reserved } = event.data;
      const bill = `${billed.tokens} tokens, ${money(billed.costMicroUsd)}`;
      return `the provider billed ${bill} for ${call} of ${who(task)}, more than the ${reserved.tokens} tokens, ${money(reserved.costMicroUsd)} that were reserved; no model is asked any more`;
    }
    case "budget.alerted": {
      const { scope, unit, charged, max, window } = event.data;
      const used = unit === "tokens" ? `${charged} of ${max} tokens` : `${money(charged)} of ${money(max)}`;
      return `${scope}${window === undefined ? "" : ` (${window})`} used ${used} (${Math.floor((100 * charged) / max)} %)`;
    }
    case "result.late": {
      const { task, what, why } = event.data;
      return `a ${what} for ${task} came too late and was not used: ${why}`;
    }
    case "run.completed": {
      const result = brief(event.payload?.output);
      return `completed${result === "" ? "" : `: ${result}`}`;
    }
    case "run.failed":
      return `failed: ${errorText(event.data.error)}`;
    case "run.stopped":
      return `stopped by ${event.data.by}: ${event.data.why}`;
    case "run.paused":
      return `paused by ${event.data.by}: ${event.data.why}`;
    case "run.resumed":
      return `resumed by ${event.data.by}${event.data.why === "" ? "" : `: ${event.data.why}`}`;
  }
}

function planned({ add, cancel, why }: EventData["plan.revised"]): string {
  const names = add
    .slice(0, NAMES_SHOWN)
    .map(({ task, agent }) => (agent === null || agent === task ? task : `${task} for ${agent}`));
  const more = add.length > NAMES_SHOWN ? ` and ${add.length - NAMES_SHOWN} more` : "";
  const added = add.length === 0 ? "" : `planned ${plural(add.length, "task")}: ${names.join(", ")}${more}`;
  const dropped = cancel.length === 0 ? "" : `cancelled ${cancel.map(({ task }) => task).join(", ")}`;
  return `${[added, dropped].filter((part) => part !== "").join("; ")} (${why})`;
}

/** Who else was looked at, and what spoke against each. */
function considered({ agent, candidates = [] }: EventData["task.routed"]): string {
  const others = candidates
    .filter((candidate) => candidate.agent !== agent)
    .map(({ agent: name, load, why }) => `${name} ${why ?? `has ${plural(load, "open task")}`}`);
  return others.length === 0 ? "" : ` (${others.join(", ")})`;
}

function stepText(kind: EventData["step.completed"]["kind"], key: string, payload: RunEvent["payload"]): string {
  const output = payload?.output;
  if (kind === "model" || kind === "compaction") return `asked ${modelOf(payload?.input)}${said(output)}`;
  if (kind === "tool" || kind === "fetch") {
    const result = brief(output, 60);
    return `called ${key} ${brief(payload?.input, 40)}${result === "" ? "" : ` → ${result}`}`.trimEnd();
  }
  if (kind === "call") return `was answered: ${key} → ${brief(output, 60)}`;
  return `did ${key}`;
}

function modelOf(input: Json | undefined): string {
  const model = typeof input === "object" && input !== null && "model" in input ? input.model : null;
  return typeof model === "string" ? model : "a model";
}

/** What a model answered: words or calls. */
function said(output: Json | undefined): string {
  const content = contentOf(output);
  const calls = partsOf(content, "tool-call", "tool");
  const words = partsOf(content, "text", "text").join(" ");
  const parts = [words === "" ? "" : `“${oneLine(words, 60)}”`, calls.length === 0 ? "" : `calls ${calls.join(", ")}`];
  const text = parts.filter((part) => part !== "").join(" and ");
  return text === "" ? "" : `: ${text}`;
}

/** The reasoning that a model gave with an answer (O1); empty when none. */
export function reasoningOf(output: Json | undefined): string {
  return partsOf(contentOf(output), "reasoning", "text").join(" ");
}

/** The text under `key` of every part of a type. */
function partsOf(content: readonly { readonly [key: string]: Json }[], type: string, key: string): string[] {
  return content.flatMap((part) => {
    const text = part.type === type ? part[key] : null;
    return typeof text === "string" ? [text] : [];
  });
}

function contentOf(output: Json | undefined): readonly { readonly [key: string]: Json }[] {
  if (typeof output !== "object" || output === null || !("content" in output)) return [];
  const { content } = output;
  return Array.isArray(content)
    ? (content.filter((part) => typeof part === "object" && part !== null) as { [key: string]: Json }[])
    : [];
}

/** `CODE: message`, in one line. */
export function errorText({ code, message }: { code: string; message: string }): string {
  return `${code}: ${oneLine(message, 200)}`;
}

/** A time of day, in the machine's time zone. */
export function time(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB");
}

/** Date and time, in the machine's time zone. */
export function dateTime(at: number): string {
  const date = new Date(at);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()]
    .map((part) => String(part).padStart(2, "0"))
    .join("-");
  return `${day} ${time(at)}`;
}

function untilWhat({ wakeAt, waits = [] }: EventData["task.suspended"]): string {
  const until = wakeAt === null ? "" : `until ${time(wakeAt)}`;
  if (waits.length === 0) return until || "until it is woken";
  return `for ${waits.join(", ")}${until === "" ? "" : `, or ${until}`}`;
}
