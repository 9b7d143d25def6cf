import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const BIN = join(import.meta.dirname, "../../src/cli/bin.ts");

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A new folder, removed when the test is over; with the fixture's fleet in it unless it is to be empty. */
export function newProject({ empty = false } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  if (!empty) cpSync(join(import.meta.dirname, "fixture"), folder, { recursive: true });
  return folder;
}

/** The real command line in a process of its own, killed when the test is over if it still runs. */
export class CommandLine {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  #looks: (() => void)[] = [];

  constructor(args: readonly string[], { cwd, env = {} }: { cwd: string; env?: Record<string, string> }) {
    const { FORCE_COLOR: _, NO_COLOR: __, CI: ___, ...inherited } = process.env;
    // The machine's own settings and secrets are none of the tests' business.
    const own = { XDG_CONFIG_HOME: join(cwd, "no-settings"), HOME: cwd };
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd,
      env: { ...inherited, ...own, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void this.child.kill("SIGKILL"));
    const take = (stream: "stdout" | "stderr") => (data: Buffer) => {
      this[stream] += data.toString("utf8");
      for (const look of this.#looks) look();
    };
    this.child.stdout?.on("data", take("stdout"));
    this.child.stderr?.on("data", take("stderr"));
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** Resolves when stderr holds this; rejects when the process ends before. */
  async says(wanted: string | RegExp): Promise<void> {
    const found = () => (typeof wanted === "string" ? this.stderr.includes(wanted) : wanted.test(this.stderr));
    const said = new Promise<void>((resolve) => {
      this.#looks.push(() => found() && resolve());
      if (found()) resolve();
    });
    const over = this.ended.then(({ code, stderr }) => {
      if (!found()) throw new Error(`it ended with ${code} without saying ${String(wanted)}:\n${stderr}`);
    });
    await Promise.race([said, over]);
  }
}

/** Runs a command to its end. */
export function flotilla(cwd: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new CommandLine(args, { cwd, env }).ended;
}
