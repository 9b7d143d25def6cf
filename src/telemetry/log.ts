import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { pino } from "pino";
import type { Json } from "../core/json.ts";
import { type Redactor, redactJson } from "./redact.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A structured log (O4): what happened, in words, and the run, task and trace ids it belongs to, as data. */
export interface Log {
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
  /** Secrets that became known are taken out of every line from now on (X8). */
  redactWith(redact: Redactor): void;
  /** Everything written so far is handed to the system. */
  close(): void;
}

export interface LogOptions {
  /** A file, made with its folder and added to, readable by the user alone; `stderr` for lines there. */
  to: string | "stderr";
  /** Default `info`. */
  level?: LogLevel;
  /** Told once when lines cannot be written (a full disk, a folder that cannot be): the work goes on without them. */
  failed?(error: Error): void;
}

/** Opens a log of JSON lines: `{ level, time, message, …data }`, times in ISO 8601. Lines are written at once, so that
 *  a crash keeps them. */
export function openLog({ to, level = "info", failed = () => {} }: LogOptions): Log {
  const destination = openDestination(to, failed);
  if (destination === null) return silent();
  const lines = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  let redact: Redactor = (text) => text;
  const write = (at: LogLevel) => (message: string, data?: Record<string, unknown>) => {
    if (!lines.isLevelEnabled(at)) return;
    lines[at](data === undefined ? {} : redactJson(redact, plainOf(data)), redact(message));
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    redactWith(next) {
      redact = next;
    },
    close: () => destination.flushSync(),
  };
}

function openDestination(to: string, failed: (error: Error) => void): ReturnType<typeof pino.destination> | null {
  try {
    if (to !== "stderr") mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    const destination = pino.destination({ dest: to === "stderr" ? 2 : to, sync: true, append: true, mode: 0o600 });
    let told = false;
    destination.on("error", (error: Error) => {
      if (!told) failed(error);
      told = true;
    });
    return destination;
  } catch (error) {
    failed(error as Error);
    return null;
  }
}

function silent(): Log {
  const nothing = () => {};
  return { debug: nothing, info: nothing, warn: nothing, error: nothing, redactWith: nothing, close: nothing };
}

/** What JSON cannot hold (errors, functions, cycles) as the text it has: a log never fails for what it is given. */
function plainOf(data: Record<string, unknown>): Json {
  try {
    return JSON.parse(
      JSON.stringify(data, (_key, value: unknown) => (value instanceof Error ? value.message : value)),
    ) as Json;
  } catch (error) {
    return { unloggable: error instanceof Error ? error.message : String(error) };
  }
}
