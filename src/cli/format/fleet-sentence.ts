import { targetName, targetOf } from "../../core/hold.ts";
import type { JournalEvent } from "../../runtime/journal.ts";
import type { FleetEventData, FleetEventType } from "../../runtime/fleet-journal.ts";
import { plural } from "./number.ts";
import { scheduleText } from "./schedule.ts";
import { dateTime } from "./sentence.ts";

type FleetEvent = { [K in FleetEventType]: { type: K; data: FleetEventData[K] } }[FleetEventType];

/** One event of the fleet's journal in one sentence. */
export function fleetSentence(given: JournalEvent): string {
  const event = given as unknown as FleetEvent;
  switch (event.type) {
    case "fleet.opened":
      return `fleet ${event.data.fleet} opened by Flotilla ${event.data.version}, definition ${event.data.definition.slice(0, 12)}`;
    case "fleet.closed":
      return `fleet closed: ${event.data.why}`;
    case "key.created":
      return `key of ${event.data.name} created: ${event.data.publicKey}`;
    case "key.replaced":
      return `key of ${event.data.name} replaced by ${event.data.publicKey}: ${event.data.why}`;
    case "breaker.changed": {
      const { gate, to, why } = event.data;
      return `the circuit breaker of ${gate} is ${to}: ${why}`;
    }
    case "definition.registered":
      return `definition ${event.data.definition.slice(0, 12)} of ${event.data.name} registered`;
    case "definition.missing":
      return `run ${event.data.run} waits for the code of definition ${event.data.definition.slice(0, 12)}, which is not here any more`;
    case "worker.started":
      return `worker ${event.data.worker} started with ${plural(event.data.agents, "agent")}`;
    case "worker.stopped":
      return `worker ${event.data.worker} ${event.data.crashed ? "crashed" : "stopped"}: ${event.data.why}`;
    case "messages.sealed": {
      const { agent, from, to, worker } = event.data;
      return `${agent} signed messages ${from} to ${to} of ${worker}`;
    }
    case "message.refused":
      return `a ${event.data.what} of ${event.data.sender} from ${event.data.worker} was refused: ${event.data.why}`;
    case "heads.signed":
      return `heads of ${plural(event.data.heads.length, "run")} signed`;
    case "content.erased":
      return `content of ${event.data.run} erased by ${event.data.by} (events ${event.data.versions.map(spanOf).join(", ")}): ${event.data.reason}`;
    case "run.imported":
      return `${event.data.run} imported by ${event.data.by} from fleet ${event.data.fleet} (${plural(event.data.runs.length, "run")})`;
    case "journal.cut":
      return `this journal is not the one that was signed up to event ${event.data.version}: it was found with ${plural(event.data.found, "event")}`;
    case "run.removed":
      return `run ${event.data.run} removed at version ${event.data.version}`;
    case "dead-letter.replayed":
    case "dead-letter.dropped":
    case "dead-letter.edited": {
      const { id, run, by, note } = event.data;
      const what = `dead letter ${id} was ${event.type.slice("dead-letter.".length)} by ${by}`;
      return `${what}${run === null ? "" : ` as ${run}`}${note === "" ? "" : `: ${note}`}`;
    }
    case "hold.placed": {
      const { by, why, kill } = event.data;
      return `${targetName(targetOf(event.data))} was ${kill ? "killed" : "paused"} by ${by}: ${why}`;
    }
    case "hold.lifted": {
      const { by, why } = event.data;
      return `${targetName(targetOf(event.data))} was resumed by ${by}${why === "" ? "" : `: ${why}`}`;
    }
    case "schedule.set": {
      const { schedule, spec } = event.data;
      return `schedule ${schedule} of ${spec.workflow} was declared: ${scheduleText(spec)}`;
    }
    case "schedule.removed":
      return `schedule ${event.data.schedule} is not declared any more`;
    case "schedule.due": {
      const { schedule, start, passed, until } = event.data;
      const passing = passed === 0 ? "" : `${start.length === 0 ? "" : ", and "}${plural(passed, "time")} passed by`;
      const starting = start.length === 0 ? "" : plural(start.length, "run");
      return `schedule ${schedule} is due for ${dateTime(until)}: ${starting}${passing}`;
    }
    case "schedule.ran": {
      const { schedule, time, run, why } = event.data;
      return run === null
        ? `schedule ${schedule} started nothing for ${dateTime(time)}: ${why}`
        : `schedule ${schedule} started ${run} for ${dateTime(time)}`;
    }
    default:
      event satisfies never;
      return given.type;
  }
}

const spanOf = ([from, to]: readonly [number, number]): string => (from === to ? String(from) : `${from}-${to}`);
