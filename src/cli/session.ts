import { dirname, join } from "node:path";
import type { FleetDefinition } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";
import type { OpenFleet } from "../runtime/app-contract.ts";
import { openFleet, type OpenFleetOptions } from "../runtime/open-fleet.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { redactor } from "../telemetry/redact.ts";
import type { Context } from "./context.ts";
import { knownSecrets } from "./known-secret.ts";
import { fileOf, pathOf, type Project } from "./project.ts";

/** A fleet that a command opened: as the owner of its store, or through the process that is. */
export interface Session {
  app: OpenFleet;
  definition: FleetDefinition;
  log: Log;
  /** Takes known secrets out of what a person says beside a command, since it goes on record (X8). Names, ids and inputs
   *  are what they are. */
  clean(text: string): string;
  /** Ends this process's part; tasks under way may end first when it drains. */
  close(options?: { drain?: boolean }): Promise<void>;
}

/** Opens the project's fleet. `hosts: 0` starts no workers: for commands that only decide.
 *  @throws {FlotillaError} DEFINITION_*, STORE_*, KEYS_* */
export async function openSession(
  context: Context,
  project: Project,
  more: Partial<OpenFleetOptions> = {},
): Promise<Session> {
  const { settings } = project;
  const { terminal } = context;
  const opened = Promise.withResolvers<void>();
  const tell = (error: Error) => terminal.note(terminal.notePaint.dim(`the log is not written: ${error.message}`));
  const log = openLog({
    to: logFileOf(project),
    ...(settings.logLevel === null ? {} : { level: settings.logLevel }),
    // That the log cannot be written matters only where the store can be.
    failed: (error) => void opened.promise.then(() => tell(error)),
  });
  const given = { model: settings.model, hosts: settings.hosts, concurrency: settings.concurrency };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  const alarm = (message: string) => terminal.note(terminal.notePaint.red(message));
  const app = await openFleet({ fleet: fileOf(project), store: project.store, log, alarm, ...options, ...more });
  try {
    const definition = await definitionOf(app);
    opened.resolve();
    const redact = redactor(knownSecrets(definition, project.folder, terminal.env));
    log.redactWith(redact);
    return {
      app,
      definition,
      clean: redact,
      log,
      close: async (closing) => {
        await app.close(closing);
        log.close();
      },
    };
  } catch (error) {
    await app.close({ drain: false });
    throw error;
  }
}

/** The definition that new runs are pinned to: the owner's, which may differ from the file's of today. */
export async function definitionOf(app: OpenFleet): Promise<FleetDefinition> {
  const bytes = await app.store.blob(app.definitionHash);
  if (bytes === null)
    throw new FlotillaError("DEFINITION_MISSING", `definition ${app.definitionHash.slice(0, 12)} is not in the store`);
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as FleetDefinition;
}

/** Beside the store, or beside the definition when the store is in memory. */
export function logFileOf({ store, folder }: Project): string {
  return store.startsWith("sqlite:") ? join(dirname(pathOf(store)), "log") : join(folder, ".flotilla", "log");
}
