import type { Ask } from "./event.ts";
import type { Json } from "./json.ts";

/**
 * Shared facts of a run (S1, S2, S4, C10): a versioned map that only the coordinator commits. Agents propose, on the
 * version that they saw; who comes second is told of both versions. Each task reads one snapshot, and what it read is
 * on record, absences too. A new version finds what rests on an older one by index and re-runs it or flags it; an equal
 * output stops the propagation, and work whose input did not change is not redone.
 */

/** One version of a fact. */
export interface FactVersion {
  /** From 1, by one. */
  version: number;
  value: Json;
  /** The agent or the person that said so, and the task in which. */
  by: string;
  task: string | null;
  why: string;
  at: number;
  /** It holds until then; null: until it is replaced. */
  until: number | null;
  /** How many facts of this run had been committed before it. */
  place: number;
}

/** A fact as a reader sees it. */
export type FactView = { version: number; value: Json; by: string; at: number };

/** Keys of facts are words joined by dots. */
const KEY = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const KEY_CHARACTERS_MAX = 200;

export const isFactKey = (key: string): boolean => key.length <= KEY_CHARACTERS_MAX && KEY.test(key);

/** Whether `pattern` (a key, or a prefix and `.*`, or `*`) stands for `key`. */
export function coversFact(pattern: string, key: string): boolean {
  if (pattern === "*" || pattern === key) return true;
  return pattern.endsWith(".*") && key.startsWith(pattern.slice(0, -1));
}

/** What agents may do with which facts, and what follows when one is corrected. */
export interface FactPolicy {
  may(agent: string, right: "read" | "write", fact: string): boolean;
  onCorrection: "flag" | "rerun";
}

/** What a run knows of its facts. */
export interface FactState {
  /** All versions, oldest first, by key. */
  facts: Map<string, FactVersion[]>;
  /** Tasks by the keys and prefixes that they read. */
  readers: Map<string, Set<string>>;
}

interface Reader {
  readonly id: string;
  readonly reads: Map<string, number>;
}

/** The newest version, if it holds. */
export function newest(state: FactState, fact: string, now: number): FactVersion | null {
  const last = state.facts.get(fact)?.at(-1);
  return last === undefined || !holds(last, now) ? null : last;
}

/** The facts that hold at `now`, by key. */
export function factsOf(state: FactState, now: number): Record<string, FactView> {
  const facts: [string, FactView][] = [];
  for (const fact of [...state.facts.keys()].sort()) {
    const last = newest(state, fact, now);
    if (last !== null) facts.push([fact, viewOf(last)]);
  }
  return Object.fromEntries(facts);
}

export const holds = ({ until }: FactVersion, now: number): boolean => until === null || until > now;
export const viewOf = ({ version, value, by, at }: FactVersion): FactView => ({ version, value, by, at });

/** Notes what a question of a task was answered with: its reads are the index by which corrections find it. */
export function noteRead(state: FactState, task: Reader, ask: Ask, output: Json): void {
  const { fact } = ask;
  if (fact === undefined) return;
  if (ask.peek === true) return;
  if (ask.ask === "fact.propose") {
    task.reads.set(fact, (output as { version: number }).version);
  } else if (ask.ask === "fact.read") {
    task.reads.set(fact, (output as { version: number }).version);
    addReader(state, fact, task.id);
  } else if (ask.ask === "fact.list") {
    for (const [key, { version }] of Object.entries(output as Record<string, { version: number }>))
      task.reads.set(key, version);
    addReader(state, fact, task.id);
  }
}

function addReader(state: FactState, pattern: string, task: string): void {
  const readers = state.readers.get(pattern);
  if (readers === undefined) state.readers.set(pattern, new Set([task]));
  else readers.add(task);
}

/** A task that is done anew has read nothing yet. */
export function forgetReads(state: FactState, task: Reader): void {
  task.reads.clear();
  for (const readers of state.readers.values()) readers.delete(task.id);
}
