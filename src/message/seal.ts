import { invariant } from "../error.ts";
import { canonicalBytes } from "./canonical.ts";
import { type Identity, sign, verify } from "./identity.ts";
import { MerkleAccumulator } from "./merkle.ts";

/** A sender's signature over its frames `from` to `to` of a session, both included (X1). Journaled as it is. */
export type Seal = {
  readonly agent: string;
  readonly session: string;
  readonly from: number;
  readonly to: number;
  /** `sealRoot` of the frames' digests, hex. */
  readonly root: string;
  /** Ed25519 over the canonical JSON of all the other fields and a purpose, base64url. */
  readonly signature: string;
};

const DIGEST_BYTES = 32;
/** Digests in one leaf: it costs what two of its own would cost with a leaf for each frame. */
const LEAF_DIGESTS = 64;

/** The Merkle root (RFC 9162) over digests of frames, 64 to a leaf, one after the other; the last leaf may hold fewer.
 *  Where digests are kept, as the journal does, that proves as much as a leaf for each, at a fiftieth of the hashes. */
export function sealRoot(digests: Iterable<Uint8Array>): Buffer {
  const tree = new SealTree();
  for (const digest of digests) tree.append(digest);
  return tree.close();
}

class SealTree {
  readonly #tree = new MerkleAccumulator();
  readonly #leaf = Buffer.allocUnsafe(LEAF_DIGESTS * DIGEST_BYTES);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  append(digest: Uint8Array): void {
    invariant(digest.length === DIGEST_BYTES, "A digest of a frame has 32 bytes.");
    this.#leaf.set(digest, (this.#size % LEAF_DIGESTS) * DIGEST_BYTES);
    this.#size++;
    if (this.#size % LEAF_DIGESTS === 0) this.#tree.append(this.#leaf);
  }

  /** The root; nothing is appended afterwards. */
  close(): Buffer {
    const rest = this.#size % LEAF_DIGESTS;
    if (rest > 0) this.#tree.append(this.#leaf.subarray(0, rest * DIGEST_BYTES));
    return this.#tree.root();
  }
}

export type Checked = { ok: true } | { ok: false; reason: string };

/** Signs what the agents of this side send. Frames of each agent are numbered 0, 1, 2… in the session; memory is
 *  logarithmic in the number of frames since the last flush, with 2 KiB for each agent that sends. */
export class FrameSigner {
  readonly #session: string;
  readonly #identityOf: (agent: string) => Identity;
  readonly #open = new Map<string, { from: number; tree: SealTree }>();
  readonly #next = new Map<string, number>();

  /** `identityOf` throws when this side does not hold the agent's key. */
  constructor(session: string, identityOf: (agent: string) => Identity) {
    this.#session = session;
    this.#identityOf = identityOf;
  }

  /** Frames that no seal covers yet; flush within 100 ms while there are any. */
  get pending(): number {
    let frames = 0;
    for (const { tree } of this.#open.values()) frames += tree.size;
    return frames;
  }

  /** Takes note of a frame that is being sent; `digest` is 32 bytes. */
  add(agent: string, digest: Uint8Array): { seq: number } {
    const seq = this.#next.get(agent) ?? 0;
    let open = this.#open.get(agent);
    if (open === undefined) {
      open = { from: seq, tree: new SealTree() };
      this.#open.set(agent, open);
    }
    open.tree.append(digest);
    this.#next.set(agent, seq + 1);
    return { seq };
  }

  /** One seal for each agent that sent since the last flush, in order of its first frame. */
  flush(): Seal[] {
    const seals: Seal[] = [];
    for (const [agent, { from, tree }] of this.#open) {
      const statement = {
        agent,
        session: this.#session,
        from,
        to: from + tree.size - 1,
        root: tree.close().toString("hex"),
      };
      const signature = sign(this.#identityOf(agent), sealBytes(statement)).toString("base64url");
      seals.push({ ...statement, signature });
    }
    this.#open.clear();
    return seals;
  }
}

/** Frames that one agent may have sent without a seal before `SealVerifier.add` refuses more. */
export const UNSEALED_FRAMES_MAX = 65_536;

/** Checks, on the receiving side, that each agent signed exactly what came in its name. Holds only what is not
 *  sealed yet. */
export class SealVerifier {
  readonly #session: string;
  readonly #unsealedMax: number;
  readonly #agents = new Map<string, { from: number; digests: Uint8Array[] }>();

  constructor(session: string, options: { unsealedMax?: number } = {}) {
    this.#session = session;
    this.#unsealedMax = options.unsealedMax ?? UNSEALED_FRAMES_MAX;
  }

  /** Frames that wait for their seal, by agent, so that the caller can see who does not sign in time. */
  unsealed(): { agent: string; from: number; frames: number }[] {
    const waiting: { agent: string; from: number; frames: number }[] = [];
    for (const [agent, { from, digests }] of this.#agents) {
      if (digests.length > 0) waiting.push({ agent, from, frames: digests.length });
    }
    return waiting;
  }

  /** Takes note of a frame that came; refuses one out of order, and more than may wait unsealed. */
  add(agent: string, seq: number, digest: Uint8Array): Checked {
    const state = this.#stateOf(agent);
    const due = state.from + state.digests.length;
    if (seq !== due) return fault(`frame ${seq} of ${agent} came where ${due} was due`);
    if (state.digests.length >= this.#unsealedMax) {
      return fault(`${agent} sent ${this.#unsealedMax} frames without signing any`);
    }
    state.digests.push(digest);
    return { ok: true };
  }

  /** Checks a seal against what came since the last one, and forgets what it covers. Frames after `to` may have come
   *  already and wait for the next seal. A refused seal changes nothing. */
  check(seal: Seal, publicKey: string): Checked {
    const reason = this.#faultOf(seal, publicKey);
    if (reason !== null) return fault(reason);
    const state = this.#stateOf(seal.agent);
    state.digests.splice(0, seal.to - seal.from + 1);
    state.from = seal.to + 1;
    return { ok: true };
  }

  #faultOf(seal: Seal, publicKey: string): string | null {
    const { agent, session, from, to } = seal;
    if (session !== this.#session) return `the seal of ${agent} belongs to another session`;
    const state = this.#agents.get(agent) ?? { from: 0, digests: [] };
    if (from !== state.from) return `the seal of ${agent} starts at frame ${from} where ${state.from} was due`;
    if (!Number.isSafeInteger(to) || to < from) return `the seal of ${agent} covers no frames`;
    const received = state.from + state.digests.length;
    if (to >= received) return `${agent} signed frames up to ${to}, and only those before ${received} came`;
    if (sealRoot(state.digests.slice(0, to - from + 1)).toString("hex") !== seal.root) {
      return `what ${agent} signed as frames ${from} to ${to} is not what came`;
    }
    if (!verifySeal(seal, publicKey)) return `the signature of ${agent} over frames ${from} to ${to} does not hold`;
    return null;
  }

  #stateOf(agent: string): { from: number; digests: Uint8Array[] } {
    let state = this.#agents.get(agent);
    if (state === undefined) {
      state = { from: 0, digests: [] };
      this.#agents.set(agent, state);
    }
    return state;
  }
}

/** A seal as it came from the other side; null when it is not one. */
export function parseSeal(value: unknown): Seal | null {
  if (typeof value !== "object" || value === null) return null;
  const { agent, session, from, to, root, signature } = value as Record<string, unknown>;
  if (!isText(agent) || !isText(session) || !isText(root) || !isText(signature)) return null;
  if (typeof from !== "number" || typeof to !== "number" || !Number.isSafeInteger(from) || !Number.isSafeInteger(to))
    return null;
  return { agent, session, from, to, root, signature };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= 512 && value.isWellFormed();
}

/** Whether the signature of a seal holds, also long afterwards, from the journal. */
export function verifySeal(seal: Seal, publicKey: string): boolean {
  return verify(publicKey, sealBytes(seal), Buffer.from(seal.signature, "base64url"));
}

function sealBytes({ agent, session, from, to, root }: Omit<Seal, "signature">): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.seal.1", agent, session, from, to, root });
}

function fault(reason: string): Checked {
  return { ok: false, reason };
}
