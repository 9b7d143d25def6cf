import { type Hold, type HoldTarget, targetName, targetOf } from "../core/hold.ts";
import type { RunState } from "../core/state.ts";
import { type FleetState, holdsInForce, type ImportedFrom } from "../core/fleet-state.ts";
import { foldFleet } from "../runtime/fleet-journal.ts";
import type { Store } from "../store/store.ts";
import { oneLine } from "./format/brief.ts";
import { dateTime } from "./format/sentence.ts";
import { shortId } from "./format/status.ts";

/** Something that is held, as commands tell of it. */
export interface Held {
  target: HoldTarget;
  why: string;
  by: string;
  at: number;
  kill: boolean;
}

const WHY_WIDTH = 200;

/** Workflows, agents and the fleet itself as they are held now. */
export async function heldInFleet(store: Store | null): Promise<Held[]> {
  return (await lookAtFleet(store)).held;
}

/** What is held now, and which runs are records of other stores. */
export async function lookAtFleet(store: Store | null): Promise<{ held: Held[]; imports: Imports }> {
  if (store === null) return { held: [], imports: {} };
  const { state } = await foldFleet(store, null);
  return { held: holdsInForce(state).map(heldOf), imports: state.imports ?? {} };
}

type Imports = NonNullable<FleetState["imports"]>;

export function heldOf(hold: Hold): Held {
  const { why, by, at, kill } = hold;
  return { target: targetOf(hold), why, by, at, kill };
}

/** What keeps a whole run, or agents that still have work in it, from going on. */
export function heldInRun(state: RunState, inFleet: readonly Held[]): Held[] {
  if (state.status !== "running") return [];
  const own = state.hold === null ? [] : [{ target: { run: state.id }, ...state.hold, kill: false }];
  return [...own, ...inFleet.filter(({ target }) => concerns(target, state))];
}

function concerns(target: HoldTarget, state: RunState): boolean {
  if ("fleet" in target) return true;
  if ("workflow" in target) return target.workflow === state.workflow;
  if ("run" in target) return target.run === state.id;
  for (const { agent, status } of state.tasks.values())
    if (agent === target.agent && status !== "completed" && status !== "failed" && status !== "skipped") return true;
  return false;
}

/** What is held, why, by whom, and the command that lets it go on. */
export function heldLine({ target, why, by, at, kill }: Held): string {
  const what = `${shortName(target)} ${kill ? "was killed" : "is paused"}`;
  return `‖ ${what} by ${by} since ${dateTime(at)}: ${oneLine(why, WHY_WIDTH)}\n  let it go on: ${resumeCommand(target)}`;
}

export function resumeCommand(target: HoldTarget): string {
  if ("run" in target) return `flotilla resume ${shortId(target.run)}`;
  if ("workflow" in target) return `flotilla resume --workflow ${target.workflow}`;
  return "agent" in target ? `flotilla resume --agent ${target.agent}` : "flotilla resume --fleet";
}

export const shortName = (target: HoldTarget): string =>
  targetName("run" in target ? { run: shortId(target.run) } : target);

/** Where an imported run came from, in words. */
export const importedLine = ({ fleet, at }: ImportedFrom): string => `imported from fleet ${fleet} on ${dateTime(at)}`;

/** As `--json` shows where an imported run came from; null for a run of this store. */
export const importedDocument = (from: ImportedFrom | undefined) =>
  from === undefined ? null : { fleet: from.fleet, at: new Date(from.at).toISOString() };

/** As `--json` shows it; times in ISO 8601. */
export function heldDocument({ target, at, ...rest }: Held) {
  return { ...target, ...rest, at: new Date(at).toISOString() };
}
