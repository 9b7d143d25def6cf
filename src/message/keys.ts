import { FlotillaError } from "../error.ts";
import { createIdentity, decodePublicKey, type Identity, SEED_BYTES } from "./identity.ts";

/** A public key of an agent's past; what it signed in its time still verifies unless it was revoked as compromised. */
export type RetiredKey = { publicKey: string; validFrom: number; revokedAt: number };

/** One participant's keys as kept in the key file. `seed` is secret, base64url. Times in milliseconds. */
export type KeyEntry = { seed: string; publicKey: string; validFrom: number; retired: RetiredKey[] };

/** The content of the key file. */
export type KeyData = {
  version: 1;
  keys: { [name: string]: KeyEntry };
  /** Names whose keys the fleet's journal has yet to record. */
  unrecorded?: string[];
};

/** Public keys by name that were in use before, oldest first. */
export type FormerKeys = ReadonlyMap<string, readonly string[]>;

/** Fresh random bytes; comes from the platform, or from the seed of a simulation. */
export type RandomBytes = (count: number) => Uint8Array;

/** The keys of the coordinator and of every agent, on the coordinator's side (X1). Knows no files: `openKeyFile`
 *  keeps one on disk, the simulator makes one from its seed. Every change is in `data` at once; saving it is the
 *  caller's. */
export class KeyRing {
  readonly data: KeyData;
  readonly #identities = new Map<string, Identity>();

  constructor(data: KeyData = { version: 1, keys: {} }) {
    this.data = data;
  }

  /** Those of `names` that have no key. */
  missing(names: Iterable<string>): string[] {
    return [...new Set(names)].filter((name) => this.#entry(name) === undefined);
  }

  /** Makes keys for the names that have none; returns the names that were new. `former`: public keys that they had and
   *  whose secret halves are lost; they stay as retired, so that what they signed can be checked. */
  ensure(names: Iterable<string>, randomBytes: RandomBytes, now: number, former: FormerKeys = new Map()): string[] {
    const made = this.missing(names);
    for (const name of made) {
      const retired = (former.get(name) ?? []).map((publicKey) => ({ publicKey, validFrom: 0, revokedAt: now }));
      this.#put(name, freshEntry(name, randomBytes, now, retired));
    }
    if (made.length > 0) this.data.unrecorded = [...this.unrecorded, ...made];
    return made;
  }

  /** Names whose keys the fleet's journal has yet to record. */
  get unrecorded(): readonly string[] {
    return this.data.unrecorded ?? [];
  }

  /** Their keys are on record. */
  recorded(names: readonly string[]): void {
    const left = this.unrecorded.filter((name) => !names.includes(name));
    if (left.length === 0) delete this.data.unrecorded;
    else this.data.unrecorded = left;
  }

  /** Replaces the key of `name`; the old one stays on record as retired. @throws {FlotillaError} USAGE for an unknown name */
  rotate(name: string, randomBytes: RandomBytes, now: number): Identity {
    const { publicKey, validFrom, retired } = this.#known(name);
    this.#put(name, freshEntry(name, randomBytes, now, [...retired, { publicKey, validFrom, revokedAt: now }]));
    return this.identity(name);
  }

  /** Who signs as `name`. @throws {FlotillaError} USAGE for an unknown name */
  identity(name: string): Identity {
    const known = this.#identities.get(name);
    if (known !== undefined) return known;
    const identity = createIdentity(name, Buffer.from(this.#known(name).seed, "base64url"));
    this.#identities.set(name, identity);
    return identity;
  }

  /** The key that `name` signs with now; null when there is no such name. */
  publicKey(name: string): string | null {
    return this.#entry(name)?.publicKey ?? null;
  }

  /** Every key that `name` signs with or signed with, today's first. */
  publicKeys(name: string): string[] {
    const entry = this.#entry(name);
    return entry === undefined ? [] : [entry.publicKey, ...entry.retired.map(({ publicKey }) => publicKey)];
  }

  /** Whether `publicKey` was the key of `name` at the time `at`: for verifying what is in a journal. */
  wasValid(name: string, publicKey: string, at: number): boolean {
    const entry = this.#entry(name);
    if (entry === undefined) return false;
    if (entry.publicKey === publicKey) return at >= entry.validFrom;
    return entry.retired.some((key) => key.publicKey === publicKey && at >= key.validFrom && at < key.revokedAt);
  }

  /** The secret seeds of just these names, to be handed to the host that runs them, over its pipe and nowhere else.
   *  @throws {FlotillaError} USAGE for an unknown name */
  seeds(names: Iterable<string>): Record<string, string> {
    const seeds: [string, string][] = [];
    for (const name of names) seeds.push([name, this.#known(name).seed]);
    return Object.fromEntries(seeds);
  }

  names(): string[] {
    return Object.keys(this.data.keys);
  }

  #entry(name: string): KeyEntry | undefined {
    return Object.hasOwn(this.data.keys, name) ? this.data.keys[name] : undefined;
  }

  #known(name: string): KeyEntry {
    const entry = this.#entry(name);
    if (entry === undefined) throw new FlotillaError("USAGE", `There is no key for ${name}.`);
    return entry;
  }

  #put(name: string, entry: KeyEntry): void {
    // An agent may be called __proto__; plain assignment would lose its key.
    Object.defineProperty(this.data.keys, name, { value: entry, enumerable: true, configurable: true, writable: true });
    this.#identities.delete(name);
  }
}

/** The identities that belong to seeds handed over by `KeyRing.seeds`, on the host's side. */
export function identitiesFromSeeds(seeds: Readonly<Record<string, string>>): Identity[] {
  return Object.entries(seeds).map(([name, seed]) => createIdentity(name, Buffer.from(seed, "base64url")));
}

/** The content of a key file as data; null when it is not one, or when a seed and its public key do not belong together. */
export function parseKeyData(value: unknown): KeyData | null {
  if (!isFields(value) || value.version !== 1 || !isFields(value.keys)) return null;
  const { unrecorded = [] } = value;
  if (!Array.isArray(unrecorded) || !unrecorded.every((name) => typeof name === "string")) return null;
  return Object.entries(value.keys).every(([name, entry]) => isEntry(name, entry)) ? (value as KeyData) : null;
}

function freshEntry(name: string, randomBytes: RandomBytes, now: number, retired: RetiredKey[]): KeyEntry {
  const seed = Buffer.from(randomBytes(SEED_BYTES));
  return { seed: seed.toString("base64url"), publicKey: createIdentity(name, seed).publicKey, validFrom: now, retired };
}

function isEntry(name: string, entry: unknown): boolean {
  if (!isFields(entry) || typeof entry.seed !== "string" || typeof entry.validFrom !== "number") return false;
  const seed = Buffer.from(entry.seed, "base64url");
  if (seed.length !== SEED_BYTES || createIdentity(name, seed).publicKey !== entry.publicKey) return false;
  return Array.isArray(entry.retired) && entry.retired.every(isRetired);
}

function isRetired(key: unknown): boolean {
  return (
    isFields(key) &&
    typeof key.publicKey === "string" &&
    decodePublicKey(key.publicKey) !== null &&
    typeof key.validFrom === "number" &&
    typeof key.revokedAt === "number"
  );
}

type Fields = { readonly [key: string]: unknown };

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
