import { accessSync, constants, existsSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FleetDefinition, ProviderDefinition } from "../core/definition.ts";
import { loadFleet } from "../definition/load.ts";
import { catalogue, type FlotillaError, isFlotillaError } from "../error.ts";
import { KEY_FILE } from "../message/key-file.ts";
import { ownerFolder, readOwner } from "../runtime/owner-lock.ts";
import { VERSION } from "../version.ts";
import type { Context } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { plural } from "./format/number.ts";
import { findProject, pathOf, type Project, readStore } from "./project.ts";
import { missingSecrets } from "./strict.ts";

/** One thing that was looked at. */
export interface Diagnosis {
  name: string;
  /** `note`: works, and should be known. */
  state: "good" | "note" | "bad";
  found: string;
  fix: string | null;
  exit: ExitCode;
}

const NODE_MAJOR_MIN = 24;
const DISK_BYTES_MIN = 100 * 1024 * 1024;
const MIB = 1024 * 1024;

/** Looks at everything that a fleet needs here. Changes nothing and connects to nobody. */
export async function diagnose(context: Context): Promise<Diagnosis[]> {
  const general = [node(), good("flotilla", VERSION)];
  const project = await attempt("definition", () => findProject(context, { optional: true }));
  if ("state" in project) return [...general, project];
  const definition = await lookAtDefinition(project);
  const loaded = "agents" in definition ? definition : null;
  return [
    ...general,
    ...(loaded === null ? [definition as Diagnosis] : [describe(project, loaded)]),
    await lookAtStore(context, project),
    lookAtOwner(project),
    lookAtKeys(project),
    await lookAtDisk(project),
    ...(loaded === null ? [] : [...lookAtSecrets(context, project, loaded), ...lookAtPackages(loaded)]),
  ];
}

const good = (name: string, found: string): Diagnosis => ({ name, state: "good", found, fix: null, exit: EXIT.ok });
const note = (name: string, found: string, fix: string | null = null): Diagnosis => ({
  name,
  state: "note",
  found,
  fix,
  exit: EXIT.ok,
});
const bad = (name: string, error: FlotillaError): Diagnosis => {
  const [first = ""] = error.message.split("\n");
  return { name, state: "bad", found: `${error.id} ${first}`, fix: error.hint, exit: catalogue[error.code].exit };
};

async function attempt<T>(name: string, work: () => Promise<T> | T): Promise<T | Diagnosis> {
  try {
    return await work();
  } catch (error) {
    if (isFlotillaError(error)) return bad(name, error);
    throw error;
  }
}

function node(): Diagnosis {
  const major = Number(process.versions.node.split(".")[0]);
  const found = `${process.version} on ${process.platform} ${process.arch}`;
  return major >= NODE_MAJOR_MIN
    ? good("node", found)
    : { ...note("node", found, `Use Node ${NODE_MAJOR_MIN} or newer.`), state: "bad", exit: EXIT.usage };
}

async function lookAtDefinition({ file }: Project): Promise<FleetDefinition | Diagnosis> {
  if (file === null) return note("definition", "none here", "flotilla init demo");
  const looked = await attempt("definition", async () => (await loadFleet(file)).definition);
  if (!("state" in looked)) return looked;
  return { ...looked, fix: "flotilla check" };
}

function describe({ file }: Project, { name, agents, workflows }: FleetDefinition): Diagnosis {
  const counts = [plural(Object.keys(agents).length, "agent"), plural(Object.keys(workflows).length, "workflow")].join(
    ", ",
  );
  return good("definition", `${file}: fleet ${name}, ${counts}`);
}

async function lookAtStore(context: Context, project: Project): Promise<Diagnosis> {
  if (project.store.startsWith("memory:")) return note("store", "in memory: nothing is kept");
  return attempt("store", async () => {
    const path = pathOf(project.store);
    const writable = isWritable(existsSync(path) ? path : nearestFolder(path));
    if (!writable) return unwritable(path);
    return readStore(context, project, async (store) => {
      if (store === null) return good("store", `${path}: will be made at the first start`);
      const { version } = await store.head("fleet");
      const size = (statSync(path).size / MIB).toFixed(1);
      return good("store", `${path}: ${size} MiB, fleet ${store.fleet} at event ${version}`);
    });
  });
}

const unwritable = (path: string): Diagnosis => ({
  name: "store",
  state: "bad",
  found: `${catalogue.STORE_READONLY.id} ${path} cannot be written`,
  fix: catalogue.STORE_READONLY.fix,
  exit: catalogue.STORE_READONLY.exit,
});

function nearestFolder(path: string): string {
  const folder = dirname(path);
  return existsSync(folder) || folder === path ? folder : nearestFolder(folder);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false; // That is the answer.
  }
}

function lookAtOwner(project: Project): Diagnosis {
  const owner = project.store.startsWith("sqlite:") ? readOwner(ownerFolder(pathOf(project.store))) : null;
  if (owner === null) return good("owner", "no process serves this fleet; the next command will");
  return isAlive(owner.pid)
    ? good("owner", `process ${owner.pid} serves this fleet`)
    : good("owner", `process ${owner.pid} is gone and left nothing to remove`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const OTHERS = 0o077;

function lookAtKeys(project: Project): Diagnosis {
  const file = project.store.startsWith("sqlite:") ? join(ownerFolder(pathOf(project.store)), KEY_FILE) : null;
  if (file === null || !existsSync(file)) return good("keys", "will be made at the first start");
  if (process.platform === "win32" || (statSync(file).mode & OTHERS) === 0)
    return good("keys", `${file}, readable by you alone`);
  const { id, meaning, fix, exit } = catalogue.KEYS_EXPOSED;
  return { name: "keys", state: "bad", found: `${id} ${meaning}`, fix, exit };
}

async function lookAtDisk(project: Project): Promise<Diagnosis> {
  const folder = project.store.startsWith("sqlite:") ? nearestFolder(pathOf(project.store)) : project.folder;
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${Math.floor(free / MIB).toLocaleString("en")} MiB free at ${folder}`;
  return free >= DISK_BYTES_MIN
    ? good("disk", found)
    : { ...note("disk", found, catalogue.STORE_FULL.fix), state: "bad", exit: EXIT.unreachable };
}

function lookAtSecrets({ terminal }: Context, { file }: Project, definition: FleetDefinition): Diagnosis[] {
  const missing = missingSecrets(definition, file ?? "", terminal.env);
  return missing.length === 0
    ? [good("secrets", "all that the fleet asks for are set")]
    : missing.map((error) => bad("secrets", error));
}

const PROVIDER_PACKAGES: Readonly<Record<ProviderDefinition["kind"], string | null>> = {
  openai: "@ai-sdk/openai",
  anthropic: "@ai-sdk/anthropic",
  google: "@ai-sdk/google",
  "openai-compatible": "@ai-sdk/openai-compatible",
  scripted: null,
};

function lookAtPackages({ agents, providers, mcpServers }: FleetDefinition): Diagnosis[] {
  const used = Object.values(agents).flatMap(({ model, fallbackModels }) =>
    [model, ...fallbackModels].flatMap((ref) => (ref === null ? [] : [ref.split("/")[0] ?? ""])),
  );
  const kinds = used.map((name) => providers[name]?.kind ?? name);
  const wanted = kinds.flatMap((kind) =>
    Object.hasOwn(PROVIDER_PACKAGES, kind) ? (PROVIDER_PACKAGES[kind as ProviderDefinition["kind"]] ?? []) : [],
  );
  const names = new Set([...wanted, ...(Object.keys(mcpServers).length > 0 ? ["@modelcontextprotocol/client"] : [])]);
  return [...names].map((name) => {
    if (isInstalled(name)) return good("package", `${name} is installed`);
    const { id, exit } = catalogue.PACKAGE_MISSING;
    return { name: "package", state: "bad", found: `${id} ${name} is not installed`, fix: `npm install ${name}`, exit };
  });
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false; // That is the answer.
  }
}
