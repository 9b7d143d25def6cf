import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { canonicalBytes } from "../message/canonical.ts";
import { type Identity, sign, verify } from "../message/identity.ts";
import type { Clock, Timer } from "../platform/clock.ts";

/** How far the fleet's journal had come when the coordinator signed last, kept outside of the database: whoever cuts that
 *  journal's end, or removes it with all that it says, is found out by it (X6). */
export interface SignedHead {
  fleet: string;
  version: number;
  /** Of the event with that version, base64url. */
  head: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** The coordinator's, over all of the above. */
  signature: string;
}

/** The name of the file, beside the keys. It holds one head for each fleet of the store. */
export const SIGNED_HEAD_FILE = "signed-head.json";

const fileSchema = z.strictObject({
  version: z.literal(1),
  heads: z.array(
    z.strictObject({
      fleet: z.string(),
      version: z.number().int(),
      head: z.string(),
      at: z.number(),
      signature: z.string(),
    }),
  ),
});

export function signHead(signer: Identity, head: Omit<SignedHead, "signature">): SignedHead {
  return { ...head, signature: sign(signer, statementOf(head)).toString("base64url") };
}

/** Whether one of these keys signed it. */
export function isSigned({ signature, ...head }: SignedHead, keys: readonly string[]): boolean {
  return keys.some((key) => verify(key, statementOf(head), Buffer.from(signature, "base64url")));
}

function statementOf({ fleet, version, head, at }: Omit<SignedHead, "signature">): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.signed-head.1", fleet, version, head, at });
}

/** What the file in `folder` says of a fleet. `unknown`: it knows only others. `damaged`: it is none of ours. Null when
 *  there is no file, or it may not be read here. */
export function readSignedHead(folder: string, fleet: string): SignedHead | "unknown" | "damaged" | null {
  const heads = headsIn(folder);
  if (heads === null || heads === "damaged") return heads;
  return heads.find((head) => head.fleet === fleet) ?? "unknown";
}

function headsIn(folder: string): SignedHead[] | "damaged" | null {
  const file = join(folder, SIGNED_HEAD_FILE);
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EACCES") return null;
    if (code === "EISDIR") return "damaged";
    throw error;
  }
  const { success, data } = fileSchema.safeParse(parsed(content));
  return success ? data.heads : "damaged";
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Written at most this often: what is cut off within that time shows nowhere. */
const SAVE_EVERY_MS = 1_000;

/** Keeps the newest signed head in its file. What it is given is durable in the store already, so the file may lag behind
 *  the store and never runs ahead of it. Each write replaces the file whole: a crash leaves the old one or the new one. */
export class SignedHeadFile {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #failed: (error: unknown) => void;
  #newest: SignedHead | null = null;
  #writing: Promise<void> | null = null;
  #timer: Timer | null = null;
  /** What is left is written at once, and by `close` alone. */
  #closing = false;
  #savedAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string, clock: Clock, failed: (error: unknown) => void) {
    this.#folder = folder;
    this.#clock = clock;
    this.#failed = failed;
  }

  read(fleet: string): ReturnType<typeof readSignedHead> {
    return readSignedHead(this.#folder, fleet);
  }

  /** Soon; the newest of several is written. */
  save(head: SignedHead): void {
    this.#newest = head;
    if (this.#writing !== null || this.#timer !== null || this.#closing) return;
    const waitMs = Math.min(SAVE_EVERY_MS, Math.max(0, this.#savedAt + SAVE_EVERY_MS - this.#clock.now()));
    if (waitMs === 0) return this.#start();
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = null;
      this.#start();
    });
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (await this.#writing; this.#newest !== null; await this.#writing) this.#start();
  }

  #start(): void {
    const head = this.#newest;
    if (head === null) return;
    this.#newest = null;
    this.#savedAt = this.#clock.now();
    this.#writing = this.#write(head)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#writing = null;
        if (this.#newest !== null && this.#timer === null && !this.#closing) this.save(this.#newest);
      });
  }

  async #write(head: SignedHead): Promise<void> {
    const there = headsIn(this.#folder);
    // One that is damaged was told of when the fleet was opened.
    const others = Array.isArray(there) ? there.filter(({ fleet }) => fleet !== head.fleet) : [];
    const content = `${JSON.stringify({ version: 1, heads: [...others, head] }, null, 2)}\n`;
    const file = join(this.#folder, SIGNED_HEAD_FILE);
    const temporary = `${file}.new`;
    const handle = await open(temporary, "w", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(this.#folder);
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // Windows can neither open nor flush a folder.
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
