import type { EventData, Payload, Proof } from "../core/event.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import { sealRoot, UNSEALED_FRAMES_MAX, verifySeal } from "../message/seal.ts";
import { FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import { DigestTable } from "./digest-table.ts";
import type { FleetEventData } from "./fleet-journal.ts";
import type { JournalEvent } from "./journal.ts";
import { broken, type JournalProblem, readableEvents, type WalkedEvent } from "./verify-journal.ts";
import type { PublicKeys } from "./verify-head.ts";

/** How far agents' signatures reach. */
export interface ProofCounts {
  /** Messages of agents on record. */
  messages: number;
  /** Those that a seal covers; the others came within a moment before their sender ended. */
  sealed: number;
  /** Seals of agents whose signature and root hold over everything they cover. */
  seals: number;
  /** Seals whose signature holds, but of whose messages some are in runs that were not read or were removed, or came
   *  too late to be acted on: their root cannot be computed. */
  sealsInPart: number;
}

/** Checks that what the journals hold in an agent's name is what that agent signed (X1). */
export class Proofs {
  readonly #keys: PublicKeys;
  readonly #digests = new DigestTable();
  /** The frame that the next seal of a sender must start with. */
  readonly #next = new Map<string, number>();
  #seals = 0;
  #sealsInPart = 0;
  #sealed = 0;
  /** Seals of agents of which no key is known. */
  unchecked = 0;

  constructor(keys: PublicKeys) {
    this.#keys = keys;
  }

  /** A witness for one run: give it the run's events in order. */
  run(id: JournalId): RunWitness {
    return new RunWitness(id, this.#digests);
  }

  counts(): ProofCounts {
    return { messages: this.#digests.size, sealed: this.#sealed, seals: this.#seals, sealsInPart: this.#sealsInPart };
  }

  /** Reads the fleet's journal for seals; returns the first one that does not hold. */
  async checkSeals(store: Store): Promise<JournalProblem | null> {
    let problem: JournalProblem | null = null;
    for await (const { version, event } of readableEvents(store, FLEET_JOURNAL)) {
      if (event.type !== "messages.sealed") continue;
      const wrong = this.#sealProblem(event.data as FleetEventData["messages.sealed"]);
      if (wrong !== null) problem ??= broken("signature", { journal: FLEET_JOURNAL }, version, wrong);
    }
    return problem;
  }

  #sealProblem({ worker, ...seal }: FleetEventData["messages.sealed"]): string | null {
    const { agent, from, to } = seal;
    const sender = senderOf(worker, agent);
    const due = this.#next.get(sender) ?? 0;
    // Recorded again after a commit whose outcome was unknown.
    if (to < due) return null;
    if (from !== due)
      return `seals messages ${from} to ${to} of ${agent}, where message ${due} was due: a seal is missing`;
    if (to < from || to - from >= UNSEALED_FRAMES_MAX) return `seals no messages of ${agent}`;
    this.#next.set(sender, to + 1);
    const keys = this.#keys(agent);
    if (keys.length === 0) this.unchecked += 1;
    else if (!keys.some((key) => verifySeal(seal, key))) {
      return `is not signed by ${agent}: its signature over messages ${from} to ${to} does not hold`;
    }
    const digests = this.#digests.range(sender, from, to);
    this.#sealed += digests.filter((digest) => digest !== null).length;
    if (digests.some((digest) => digest === null)) {
      this.#sealsInPart += 1;
      return null;
    }
    if (sealRoot(digests as Uint8Array[]).toString("hex") !== seal.root) {
      return `says that ${agent} signed other messages ${from} to ${to} than the runs hold`;
    }
    this.#seals += 1;
    return null;
  }
}

/** Collects the proofs of one run, and checks each step against the digest that its agent signed. */
export class RunWitness {
  readonly #run: JournalId;
  readonly #digests: DigestTable;
  readonly #agents = new Map<string, string>();
  problem: JournalProblem | null = null;

  constructor(run: JournalId, digests: DigestTable) {
    this.#run = run;
    this.#digests = digests;
  }

  see({ row, event, erased }: WalkedEvent): void {
    if (event.type === "plan.revised") {
      for (const { task, agent } of (event.data as EventData["plan.revised"]).add) this.#agents.set(task, agent ?? "");
    }
    if (event.type === "task.routed") {
      const { task, agent } = event.data as EventData["task.routed"];
      this.#agents.set(task, agent);
    }
    const { proof, task } = event.data as { proof?: Proof; task?: string };
    if (proof === undefined || task === undefined) return;
    const agent = this.#agents.get(task) ?? "";
    const digest = Buffer.from(proof.digest, "base64url");
    const wrong = this.#problemOf(agent, digest, proof, erased ? null : event);
    if (wrong !== null) this.problem ??= broken("signature", { journal: this.#run }, row.version, wrong);
  }

  #problemOf(agent: string, digest: Buffer, { session, seq }: Proof, event: JournalEvent | null): string | null {
    if (digest.length !== 32 || !Number.isSafeInteger(seq)) return "carries no digest of a message";
    if (!this.#digests.put(senderOf(session, agent), seq, digest)) {
      return `claims message ${seq} of ${agent}, which another event holds`;
    }
    const sent = event === null ? null : stepFrame(this.#run, agent, event);
    if (sent === null || sha256(canonicalJson(sent)).equals(digest)) return null;
    return `is not what ${agent} sent: its digest is another`;
  }
}

const senderOf = (session: string, agent: string): string => `${session} ${agent}`;

/** The frame that a step's event was made from, as its sender signed it; null for other events. */
function stepFrame(run: JournalId, agent: string, event: JournalEvent): unknown {
  const phase = /^step\.(started|completed|failed)$/.exec(event.type)?.[1];
  if (phase === undefined) return null;
  const { task, attempt, proof: _, ...data } = event.data as EventData["step.completed"];
  const payload: Payload = event.payload ?? {};
  return { f: "step", run, task, attempt, agent, step: { phase, ...data, ...payload } };
}
