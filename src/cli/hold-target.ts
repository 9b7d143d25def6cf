import type { HoldTarget } from "../core/hold.ts";
import type { Context } from "./context.ts";
import { usageError } from "./failure.ts";
import { text } from "./option.ts";
import type { Options } from "./program.ts";
import { type Project, readStore } from "./project.ts";
import { findRun } from "./run-id.ts";

/** What `pause` and `resume` are about: one run, agent or workflow, or the fleet.
 *  @throws {FlotillaError} USAGE unless it is exactly one; RUN_UNKNOWN */
export async function holdTarget(
  context: Context,
  project: Project,
  run: string | undefined,
  options: Options,
): Promise<HoldTarget> {
  const agent = text(options.agent);
  const workflow = text(options.workflow);
  const named: (HoldTarget | null)[] = [
    run === undefined ? null : { run },
    agent === undefined ? null : { agent },
    workflow === undefined ? null : { workflow },
    options.fleet === true ? { fleet: true } : null,
  ];
  const [target, ...others] = named.filter((one) => one !== null);
  if (target === undefined)
    throw usageError("what?", "Name a run, such as @last, or give --agent, --workflow or --fleet.");
  if (others.length > 0)
    throw usageError("one at a time", "Name a run, or give one of --agent, --workflow and --fleet.");
  if (!("run" in target)) return target;
  const { row } = await readStore(context, project, (store) => findRun(store, target.run));
  return { run: row.id };
}

/** Why: it goes on record, and is shown wherever something waits for it. @throws {FlotillaError} USAGE without one */
export function reasonOf(options: Options): string {
  const reason = text(options.reason)?.trim() ?? "";
  if (reason !== "") return reason;
  throw usageError("why?", 'Give a reason: --reason "the index is being rebuilt". It is shown until it is resumed.');
}

/** `--fleet` is a flag here, and no fleet's name as where a store is only read. */
export function withoutFleetFlag(context: Context): Context {
  const { fleet: _, ...flags } = context.flags;
  return { ...context, flags };
}
