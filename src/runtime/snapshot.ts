import { deserialize, serialize } from "node:v8";
import { emptyFleet } from "../core/fleet-state.ts";
import { emptyRun, type RunState } from "../core/state.ts";
import { canonicalBytes, sha256 } from "../message/canonical.ts";
import { type Identity, sign, verify } from "../message/identity.ts";
import type { JournalId, Snapshot, Store } from "../store/store.ts";
import { VERSION } from "../version.ts";

/**
 * Snapshots of what a journal folds to, so that reading it anew stays as quick as it was when the journal was short.
 * They are derived, and never believed on their own: each is signed by the coordinator over its content and the chain's
 * hash at its version. One that does not hold, or is of another build, is passed over, and the journal is read from its
 * start; verifying a journal never looks at one.
 */

/** What a snapshot must be of to be taken: this build, and states of this shape. */
const BUILD = [VERSION, ...Object.keys(emptyRun("")), ...Object.keys(emptyFleet())].join(" ");
const HEADER_BYTES_MAX = 4_096;
const LINE_END = 0x0a;

interface Header {
  build: string;
  head: string;
  signature: string;
}

/** The snapshot of a journal whose event `version` has the hash `head`. `state` may hold maps and sets. */
export function sealSnapshot(
  coordinator: Identity,
  journal: JournalId,
  { version, head, state }: { version: number; head: Uint8Array; state: unknown },
): Snapshot {
  const content = serialize(state);
  const at = Buffer.from(head).toString("base64url");
  const signature = sign(coordinator, statement(journal, version, at, content)).toString("base64url");
  const header: Header = { build: BUILD, head: at, signature };
  return { version, bytes: Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), content]) };
}

/** The newest snapshot of a journal that one of these keys of the coordinator signed, and that the journal bears out;
 *  null when there is none. Without keys the signature is not looked at: for what is only shown. */
export async function openSnapshot<T>(
  store: Pick<Store, "events" | "snapshot">,
  journal: JournalId,
  keys: readonly string[] | null,
): Promise<{ version: number; head: Uint8Array; state: T } | null> {
  const snapshot = await store.snapshot(journal);
  if (snapshot === null) return null;
  const { version } = snapshot;
  const parts = partsOf(snapshot);
  if (parts === null || parts.header.build !== BUILD) return null;
  const { content, header } = parts;
  const said = statement(journal, version, header.head, content);
  const signature = Buffer.from(header.signature, "base64url");
  if (keys !== null && !keys.some((key) => verify(key, said, signature))) return null;
  const [row] = await store.events(journal, version - 1, 1);
  if (row?.version !== version || Buffer.from(row.hash).toString("base64url") !== header.head) return null;
  return { version, head: row.hash, state: deserialize(content) as T };
}

/** What a snapshot says, whoever signed it; `foreign`: it is another build's, and is passed over. Null: it says nothing. */
export function snapshotState(snapshot: Snapshot): { foreign: true } | { foreign: false; state: unknown } | null {
  const parts = partsOf(snapshot);
  if (parts === null) return null;
  if (parts.header.build !== BUILD) return { foreign: true };
  try {
    return { foreign: false, state: deserialize(parts.content) };
  } catch {
    return null; // Altered: nothing can be read of it.
  }
}

/** Whether a run has grown enough since its last snapshot: by as much as another one costs. */
export function isSnapshotDue({ version, tasks }: RunState, last: number, every: number): boolean {
  return version - last >= Math.max(every, 2 * tasks.size);
}

function statement(journal: JournalId, version: number, head: string, content: Uint8Array): Uint8Array {
  const digest = sha256(content).toString("base64url");
  return canonicalBytes({ purpose: "flotilla.snapshot.1", build: BUILD, content: digest, head, journal, version });
}

function partsOf(snapshot: Snapshot): { header: Header; content: Uint8Array } | null {
  // A database lets anything stand in any column.
  if (!(snapshot.bytes instanceof Uint8Array)) return null;
  const bytes = Buffer.from(snapshot.bytes);
  const end = bytes.subarray(0, HEADER_BYTES_MAX).indexOf(LINE_END);
  const header = headerIn(bytes.subarray(0, Math.max(0, end)));
  return header === null ? null : { header, content: bytes.subarray(end + 1) };
}

function headerIn(bytes: Uint8Array): Header | null {
  try {
    const header = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<Header>;
    const { build, head, signature } = header;
    const isSound = typeof build === "string" && typeof head === "string" && typeof signature === "string";
    return isSound ? { build, head, signature } : null;
  } catch {
    return null; // Not one of ours, or altered: it is passed over.
  }
}
