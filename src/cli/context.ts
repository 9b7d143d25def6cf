import type { Terminal } from "./terminal.ts";

/** What every command is given beside its own arguments. */
export interface Context {
  readonly terminal: Terminal;
  /** One JSON document (or a stream of them) instead of words. */
  readonly json: boolean;
  readonly debug: boolean;
  /** Flags that many commands share, as they were typed. */
  readonly flags: SharedFlags;
}

export interface SharedFlags {
  file?: string | undefined;
  store?: string | undefined;
  fleet?: string | undefined;
  model?: string | undefined;
  hosts?: string | undefined;
  concurrency?: string | undefined;
  logLevel?: string | undefined;
}

/** A list or an object as the one document that `--json` promises; on stdout, as data. */
export function printJson({ terminal }: Context, document: unknown): void {
  terminal.out(JSON.stringify(document, null, 2));
}

/** One line of a stream: `type`, `seq` and `time` first (NDJSON). */
export function printRecord(
  { terminal }: Context,
  record: { type: string; seq: number; time: number } & Record<string, unknown>,
): void {
  const { type, seq, time, ...rest } = record;
  terminal.out(JSON.stringify({ type, seq, time: new Date(time).toISOString(), ...rest }));
}
