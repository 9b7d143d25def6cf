import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import { readOwner } from "../../src/runtime/owner-lock.ts";
import { openSqliteReader } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import type { Place } from "../runtime/place.ts";
import { exitOf, until } from "../runtime/process.ts";

const COMMAND = join(import.meta.dirname, "../../src/cli/bin.ts");

/** The command `flotilla dev` on a place, seen from another process. */
export interface Server {
  readonly pid: number;
  readonly control: ControlClient;
  /** For reading only. */
  readonly store: Store;
  output(): string;
  /** Sends a signal and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export async function startServer(place: Place, fleet: string, args: readonly string[] = []): Promise<Server> {
  const child = spawn(process.execPath, [COMMAND, "dev", ...args], {
    cwd: place.folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  const said = outputOf(child);
  const died = exitOf(child).then(({ code, signal }) =>
    Promise.reject(new Error(`dev ended (${signal ?? code}): ${said()}`)),
  );
  died.catch(() => {});
  const control = await Promise.race([died, connected(place, child.pid ?? 0)]);
  const store = await openSqliteReader(place.store, { fleet });
  return {
    pid: child.pid ?? 0,
    control,
    store,
    output: said,
    async end(signal) {
      child.kill(signal);
      await exitOf(child);
      control.close();
      await store.close();
    },
  };
}

async function connected(place: Place, pid: number): Promise<ControlClient> {
  await until(() => readOwner(place.state)?.pid === pid, "the new owner to say where it is", 60_000);
  return ControlClient.connect(readOwner(place.state)?.socket ?? "");
}

function outputOf(child: ChildProcess): () => string {
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output += text));
  return () => output;
}
