import type { ErrorRecord } from "../error.ts";
import type { JsonSchema, Priority } from "./definition.ts";
import type { Candidate } from "./event.ts";
import type { Json } from "./json.ts";

/**
 * Routing (C6): a route stands where an agent would. When the task is ready for an agent, the run's definition is asked
 * who that is, once or, if a classifier is to say first what the task is about, twice. The choice is on record with all
 * who were considered (O1), so that nothing of it has to be found out again.
 */

/** What a route is asked. */
export interface RouteQuestion {
  input: Json;
  /** Open tasks of an agent. */
  load(agent: string): number;
  /** What the classifier made of it; absent while it was not asked. */
  classified?: { output: Json } | { error: ErrorRecord };
}

export type RouteChoice =
  | { agent: string; why: string; candidates: readonly Candidate[]; priority?: Priority }
  /** The classifier first. */
  | { classify: { agent: string; input: Json; output: JsonSchema } }
  | { fail: ErrorRecord };

/** Decides for one route; pure. */
export type Router = (question: RouteQuestion) => RouteChoice;

/** The end of the id of the task in which a classifier is asked. */
export const CLASSIFY = "$route";
