import { createInterface } from "node:readline/promises";
import { FlotillaError } from "../error.ts";
import { coloured, type Paint, plain } from "./paint.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What is known of an output stream. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Where a command writes: data to stdout, everything else to stderr (ux.md, section 2). */
export interface Terminal {
  readonly env: Environment;
  readonly cwd: string;
  /** Writes one line, or several, of data. */
  out(text: string): void;
  /** Writes a line for people. */
  note(text: string): void;
  /** Writes to stderr as it is: cursor codes of the live view. */
  raw(text: string): void;
  /** Colours for stdout and for stderr. */
  readonly outPaint: Paint;
  readonly notePaint: Paint;
  /** Whether lines on stderr may be redrawn in place. */
  readonly live: boolean;
  /** Whether a person can be asked and can press keys. */
  readonly interactive: boolean;
  readonly columns: number;
  /** Asks a question; the answer without its line end. Only when `interactive`. */
  ask(question: string): Promise<string>;
}

const COLUMNS_DEFAULT = 80;

export function systemTerminal(): Terminal {
  const { env, stdin, stdout, stderr } = process;
  // A reader that went away (`| head`) ends the command without an error.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  return openTerminal({ env, cwd: workingFolder, stdout, stderr, stdinIsTty: stdin.isTTY === true });
}

function workingFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new FlotillaError("USAGE", "the working folder does not exist any more", {
      hint: "Change to one that does: cd",
      cause,
    });
  }
}

export function openTerminal(given: {
  env: Environment;
  /** Asked when it is needed: it may be gone. */
  cwd(): string;
  stdout: Stream;
  stderr: Stream;
  stdinIsTty: boolean;
}): Terminal {
  const { env, cwd, stdout, stderr } = given;
  const live = stderr.isTTY === true && !isSet(env.CI) && env.TERM !== "dumb";
  return {
    env,
    get cwd() {
      return cwd();
    },
    out: (text) => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    raw: (text) => void stderr.write(text),
    outPaint: wantsColour(env, stdout) ? coloured : plain,
    notePaint: wantsColour(env, stderr) ? coloured : plain,
    live,
    interactive: live && given.stdinIsTty,
    get columns() {
      // A terminal that does not know its size says 0.
      return stderr.columns || COLUMNS_DEFAULT;
    },
    ask,
  };
}

/** FORCE_COLOR, NO_COLOR and TERM=dumb, in this order, then whether the stream is a terminal. */
export function wantsColour(env: Environment, stream: Stream): boolean {
  if (isSet(env.FORCE_COLOR)) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  if (isSet(env.NO_COLOR) || env.TERM === "dumb") return false;
  return stream.isTTY === true;
}

const isSet = (value: string | undefined): boolean => value !== undefined && value !== "";

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } finally {
    lines.close();
  }
}
