import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { FleetDefinition } from "../core/definition.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import type { Fleet } from "../definition/fleet.ts";
import { isFleet } from "../definition/fleet.ts";
import { type LoadedFleet, loadFleet } from "../definition/load.ts";
import { FlotillaError } from "../error.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { namesWithoutKey, openKeyFile, saveKeyRing } from "../message/key-file.ts";
import { KeyRing } from "../message/keys.ts";
import { type Clock, sleep, systemClock } from "../platform/clock.ts";
import { type Random, systemRandom } from "../platform/random.ts";
import { openStore } from "../store/open.ts";
import { openSqliteReader } from "../store/sqlite.ts";
import type { Store } from "../store/store.ts";
import type { OpenFleet } from "./app-contract.ts";
import { keysOnRecord } from "./key-record.ts";
import { ControlClient, serveControl, socketPath } from "./control-socket.ts";
import { FleetView } from "./fleet-view.ts";
import type { HostOptions } from "./host-pool.ts";
import { Hub } from "./hub.ts";
import { isUnowned, type OwnerLock, ownerFolder, readOwner, takeOwnership, thisProcess } from "./owner-lock.ts";
import { type Opened, Owner } from "./owner.ts";
import { SignedHeadFile } from "./signed-head.ts";

/** Where what went wrong without anybody waiting for it is reported (O4). */
export interface FleetLog {
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
}

export interface OpenFleetOptions extends Partial<HostOptions> {
  /** A definition file (or its folder), whose code runs in hosts, or a fleet made by `fleet()`, which runs here. */
  fleet: string | URL | Fleet;
  /** Default: `sqlite:.flotilla/store.db` beside the definition, or in the working folder for a value. */
  store?: string;
  /** Default: `hosts` for files, `library` for values. */
  mode?: "hosts" | "library";
  /** Replaces every agent's model. */
  model?: string;
  /** Tasks that may wait or run before new runs are refused with QUEUE_FULL (M8). Default 1,000,000. */
  queueDepthMax?: number;
  /** `only`: speak to the owner or fail, never own. `prefer` (default): own the store when nobody does. */
  join?: "only" | "prefer";
  /** When the app was opened, in milliseconds; default: now. Where one process opens a store twice, the later app takes
   *  it over. */
  since?: number;
  log?: FleetLog;
  /** Called with what whoever runs this process must know at once; it is in the log too. */
  alarm?: (message: string) => void;
}

const SILENT: FleetLog = { debug() {}, info() {}, warn() {}, error() {} };
/** How long an owner may take to answer, or to give up its store. */
const OWNER_WAIT_MS = 5_000;
const OWNER_LOOK_MS = 50;
/** How long a store may be without an owner while one app of a process gives it to the next. */
const OWNER_GAP_MS = 1_000;

/** Opens a fleet on this machine: owns its store, with all roles, or joins the process that does.
 *  @throws {FlotillaError} DEFINITION_*, STORE_*, KEYS_* */
export async function openFleet(options: OpenFleetOptions): Promise<OpenFleet> {
  const clock = systemClock({ ref: true });
  const since = options.since ?? clock.now();
  const source = await readSource(options);
  const location = storeLocation(options.store, source.folder);
  if (location.folder === null) return own({ ...options, since }, source, location, null);
  for (const began = clock.now(); ; ) {
    const lock = options.join === "only" ? null : takeOwnership(location.folder);
    if (lock !== null) return own({ ...options, since }, source, location, lock);
    // Who would not own the store has no use for it being given up.
    const heir = options.join === "only" ? null : since;
    const joined = await join({ ...location, folder: location.folder }, source, heir);
    if (joined !== null) return joined;
    const waitedMs = clock.now() - began;
    if (waitedMs > OWNER_WAIT_MS) throw unreachable(location.folder);
    if (options.join === "only" && waitedMs > OWNER_GAP_MS && isUnowned(location.folder))
      throw ownerless(location.folder);
    await sleep(clock, OWNER_LOOK_MS);
  }
}

/** Looks at a store without an owner, a definition or keys. @throws {FlotillaError} STORE_* */
export function openReader(store: string, fleet: string): Promise<Store> {
  const { path } = storeLocation(store, null);
  if (path === null) throw new FlotillaError("USAGE", `${store} cannot be read from another process`);
  return openSqliteReader(path, { fleet });
}

interface Source {
  definition: FleetDefinition;
  folder: string | null;
  value: Fleet | null;
  loaded: LoadedFleet | null;
}

async function readSource({ fleet, mode }: OpenFleetOptions): Promise<Source> {
  if (isFleet(fleet)) {
    if (mode === "hosts") {
      throw new FlotillaError(
        "UNSUPPORTED",
        "a fleet opened as a value runs in this process; open its file to run it in hosts",
      );
    }
    return { definition: fleet.definition, folder: null, value: fleet, loaded: null };
  }
  const loaded = await loadFleet(fleet as string | URL);
  return { definition: loaded.definition, folder: loaded.folder, value: null, loaded };
}

interface StoreLocation {
  url: string;
  path: string | null;
  /** Where its owner's lock, socket and keys are; null for a store in memory. */
  folder: string | null;
}

export function storeLocation(store: string | undefined, folder: string | null): StoreLocation {
  const url = store ?? `sqlite:${resolve(folder ?? process.cwd(), ".flotilla", "store.db")}`;
  const [, file = ""] = /^sqlite:(.*)$/s.exec(url) ?? [];
  // What names no file is told of where stores are opened.
  if (file === "") return { url, path: null, folder: null };
  const path = resolve(file);
  return { url: `sqlite:${path}`, path, folder: ownerFolder(path) };
}

function ownerless(folder: string): FlotillaError {
  return new FlotillaError("OWNER_GONE", `no process owns the store in ${folder}`);
}

function unreachable(folder: string): FlotillaError {
  const owner = readOwner(folder);
  const who = owner === null ? "another process" : `process ${owner.pid}`;
  return new FlotillaError("STORE_OWNED", `${who} owns the store in ${folder} and does not answer`);
}

/** Joins the owner, unless it is gone. An earlier app of this very process gives its store up (hot reload). */
async function join(
  { folder, path }: StoreLocation & { folder: string },
  source: Source,
  heirSince: number | null,
): Promise<OpenFleet | null> {
  const owner = readOwner(folder);
  if (owner === null) return null;
  const client = await ControlClient.connect(owner.socket).catch(() => null);
  if (client === null) return null;
  // One that is stopped or hangs still takes connections.
  const clock = systemClock({ ref: true });
  const patience = clock.after(OWNER_WAIT_MS, () => client.close());
  try {
    const { fleet, definition } = await client.info();
    if (fleet !== source.definition.name) throw anotherFleets(path, owner.pid, fleet);
    if (heirSince !== null && owner.process === thisProcess && (await client.retire(thisProcess, heirSince))) {
      client.close();
      return null;
    }
    patience.cancel();
    const store = await openSqliteReader(path as string, { fleet });
    return new FleetView({
      control: client,
      store,
      definitionHash: definition,
      owner: false,
      lost: client.lost,
      reload: () =>
        Promise.reject(unloadable(`process ${owner.pid} owns the store; it reads its definition again by itself`)),
      close: async () => {
        client.close();
        await store.close();
      },
    });
  } catch (error) {
    client.close();
    if (error instanceof FlotillaError && error.code === "OWNER_GONE") return null;
    throw error;
  } finally {
    patience.cancel();
  }
}

function anotherFleets(path: string | null, pid: number, fleet: string): FlotillaError {
  const who = pid === process.pid ? "this process" : `process ${pid}`;
  return new FlotillaError("STORE_OWNED", `${who} has the store ${path} open for another fleet, "${fleet}"`, {
    class: "permanent",
    hint: 'Give each fleet a store of its own, for example { store: "sqlite:.flotilla/NAME.db" }.',
    details: { store: path, pid, fleet },
  });
}

async function own(
  options: OpenFleetOptions,
  source: Source,
  location: StoreLocation,
  lock: OwnerLock | null,
): Promise<OpenFleet> {
  const log = options.log ?? SILENT;
  const clock = systemClock({ ref: true });
  const random = systemRandom();
  const openedAt = clock.now();
  const failed = (error: unknown) => log.error(error instanceof Error ? error.message : String(error));
  const undo: (() => void | Promise<void>)[] = [() => lock?.release()];
  try {
    const store = await openStore(location.url, {
      fleet: source.definition.name,
      ...(options.queueDepthMax === undefined ? {} : { queueDepthMax: options.queueDepthMax }),
    });
    undo.push(() => store.close());
    const keys = await openKeys(location.folder, source.definition, { store, clock, random });
    const owner = new Owner({
      store,
      clock,
      random,
      keys: keys.ring,
      saveKeys: keys.save,
      since: options.since ?? openedAt,
      signedHead: location.folder === null ? null : new SignedHeadFile(location.folder, clock, failed),
      log,
      alarm: (message) => {
        log.error(message);
        options.alarm?.(message);
      },
      hub: new Hub(),
      mode: source.value === null && options.mode !== "library" ? "hosts" : "library",
      model: options.model ?? null,
      hostOptions: { hosts: Math.min(2, availableParallelism()), ...hostOptions(options) },
    });
    undo.push(() => owner.close({ drain: false }));
    await owner.open(openedOf(source));
    if (location.folder !== null && lock !== null) {
      const socket = socketPath(location.folder);
      const server = await serveControl(socket, owner);
      lock.publish({ pid: process.pid, process: thisProcess, socket });
      owner.onClose(async () => {
        await server.close();
        if (process.platform !== "win32") rmSync(socket, { force: true });
      });
    }
    owner.onClose(() => store.close());
    owner.onClose(() => lock?.release());
    return owner.view(async () => {
      if (source.value !== null)
        throw unloadable("a fleet that was opened as a value cannot be read again; open the new one");
      return openedOf(await readSource(options));
    });
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

function openedOf({ definition, folder, value }: Source): Opened {
  return { definition, folder, code: value?.code ?? null };
}

function unloadable(message: string): FlotillaError {
  return new FlotillaError("UNSUPPORTED", message);
}

function hostOptions({
  hosts,
  concurrency,
  hangMs,
  memoryBytesMax,
  heapMbMax,
  suspectHostsMax,
}: OpenFleetOptions): Partial<HostOptions> {
  const given = { hosts, concurrency, hangMs, memoryBytesMax, heapMbMax, suspectHostsMax };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Keys of the coordinator, of every agent, and of the tasks in which users' patterns plan (X1). */
async function openKeys(
  folder: string | null,
  definition: FleetDefinition,
  { store, clock, random }: { store: Store; clock: Clock; random: Random },
) {
  const names = [COORDINATOR, PLAN_AGENT, ...Object.keys(definition.agents)];
  const randomBytes = (count: number) => random.bytes(count);
  if (folder !== null) {
    // Keys that are made now may stand in for others that are lost.
    const former = namesWithoutKey(folder, names).length === 0 ? new Map() : await keysOnRecord(store);
    const ring = openKeyFile(folder, { names, randomBytes, now: clock.now(), former });
    return { ring, save: () => saveKeyRing(folder, ring, randomBytes) };
  }
  const ring = new KeyRing();
  ring.ensure(names, randomBytes, clock.now());
  return { ring, save: () => {} };
}
