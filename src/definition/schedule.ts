import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { ScheduleDefinition } from "../core/schedule.ts";
import { parseCron } from "../schedule/cron.ts";
import { momentOf } from "../schedule/due.ts";
import { isZone } from "../schedule/zone.ts";
import { type Finding, missingReference } from "./finding.ts";
import { checkJsonSchema, schemaCheck } from "./json-schema.ts";
import { nearest } from "./nearest.ts";
import { JsonValue } from "./shape.ts";
import { isRecord } from "./zod-problem.ts";

const CATCH_UP_MAX = 10;

/** The keys of a schedule, in YAML and in `fleet({ schedules })`. */
export const ScheduleShape = z
  .strictObject({
    workflow: z.string().min(1).describe("The workflow that is started."),
    input: JsonValue.optional().describe("What each run is given. Default {}."),
    cron: z
      .string()
      .optional()
      .describe(
        "Minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly, @yearly.",
      ),
    at: z
      .string()
      .optional()
      .describe("Once, at this time: 2027-01-31T09:00Z, or without an offset as a clock in `zone` shows it."),
    zone: z.string().optional().describe("Time zone by its IANA name, such as Europe/Berlin. Default UTC."),
    catchUp: z
      .enum(["skip", "last", "all"])
      .optional()
      .describe("Which of the times are made up for that passed while nothing could start. Default last."),
    catchUpMax: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(`With catchUp all: the newest so many. Default ${CATCH_UP_MAX}.`),
    overlap: z
      .enum(["allow", "skip", "queue"])
      .optional()
      .describe("What happens at a time at which the run before it has not ended. Default skip."),
  })
  .describe("When a workflow is started by itself: cron, or at.");

export type ScheduleGiven = z.output<typeof ScheduleShape>;

/** A schedule with its defaults. */
export function scheduleDefinition(given: ScheduleGiven): ScheduleDefinition {
  return {
    workflow: given.workflow,
    input: (given.input ?? {}) as Json,
    cron: given.cron ?? null,
    at: given.at ?? null,
    zone: given.zone ?? "UTC",
    catchUp: given.catchUp ?? "last",
    catchUpMax: given.catchUpMax ?? CATCH_UP_MAX,
    overlap: given.overlap ?? "skip",
  };
}

/** Mistakes in what the keys of a schedule mean together; values of the wrong type are passed over. Paths are relative to
 *  the schedule. `workflows` holds what each takes, as a JSON Schema; what is none says nothing of an input. */
export function scheduleFindings(
  name: string,
  given: Readonly<Record<string, unknown>>,
  workflows: Readonly<Record<string, unknown>>,
): Finding[] {
  const { workflow, cron, at, zone = "UTC" } = given;
  const findings: Finding[] = [];
  if (typeof workflow === "string" && !Object.hasOwn(workflows, workflow)) {
    const missing = missingReference(`schedule "${name}"`, "workflow", workflow, Object.keys(workflows));
    findings.push({ ...missing, path: ["workflow"], part: "value" });
  }
  const isKnownZone = typeof zone === "string" && isZone(zone);
  if (typeof zone === "string" && !isKnownZone) findings.push(wrongZone(name, zone));
  if (typeof cron === "string") {
    const parsed = parseCron(cron);
    if (!parsed.ok) findings.push(wrong(name, "cron", parsed.problem, "such as 30 2 * * mon-fri, or @daily"));
  }
  if (typeof at === "string" && momentOf(at, isKnownZone ? zone : "UTC") === null)
    findings.push(
      wrong(name, "at", `"${at}" is no time`, "such as 2027-01-31T09:00, or with an offset: 2027-01-31T09:00+01:00"),
    );
  if (cron === undefined && at === undefined) {
    const message = `schedule "${name}" does not say when`;
    const hint = "add cron: 0 2 * * *, or at: 2027-01-31T09:00";
    findings.push({ code: "DEFINITION_MISSING_KEY", message, path: [], part: "key", missing: ["cron", "at"], hint });
  } else if (cron !== undefined && at !== undefined) {
    const message = `schedule "${name}" has both cron and at`;
    findings.push({ code: "DEFINITION_INVALID", message, path: ["at"], part: "key", hint: "keep one of them" });
  }
  return [...findings, ...inputFindings(name, given, workflows)];
}

/** An input that its workflow does not take would start nothing, each time. */
function inputFindings(
  name: string,
  { workflow, input }: Readonly<Record<string, unknown>>,
  workflows: Readonly<Record<string, unknown>>,
): Finding[] {
  const schema = typeof workflow === "string" && Object.hasOwn(workflows, workflow) ? workflows[workflow] : null;
  if (!isRecord(schema) || checkJsonSchema(schema, []).length > 0) return [];
  const faults = schemaCheck(schema as JsonSchema)(input ?? {});
  if (faults === null) return [];
  const message = `schedule "${name}": its input is not what workflow "${String(workflow)}" takes: ${faults.join("; ")}`;
  const hint = "give it the input that each run is to have";
  const path = [input === undefined ? "workflow" : "input"];
  return [{ code: "DEFINITION_INVALID", message, path, part: "value", hint }];
}

function wrong(name: string, key: string, problem: string, hint: string): Finding {
  const message = `schedule "${name}": ${problem}`;
  return { code: "DEFINITION_INVALID", message, path: [key], part: "value", hint };
}

function wrongZone(name: string, zone: string): Finding {
  const near = nearest(zone, Intl.supportedValuesOf("timeZone"));
  return wrong(
    name,
    "zone",
    `there is no time zone "${zone}"`,
    near === null ? "such as Europe/Berlin" : `did you mean ${near}?`,
  );
}
