import { createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from "node:crypto";
import { FlotillaError } from "../error.ts";
import { canonicalBytes, sha256 } from "./canonical.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { decodePublicKey, type Identity, sign, verify } from "./identity.ts";

/** The coordinator's first word to a worker host. Keys and signatures are base64url. */
export type Welcome = { ephemeral: string; identity: string; signature: string };

/** An agent's word that a session speaks for it. */
export type Certificate = { agent: string; publicKey: string; signature: string };

/** The host's answer. */
export type Hello = { ephemeral: string; certificates: Certificate[] };

/** A certificate that was not believed, and why. */
export type RefusedCertificate = { agent: string; reason: string };

/** The public key that an agent must have now; null when there is no such agent (`KeyRing.publicKey`). */
export type TrustedKey = (agent: string) => string | null;

export interface CoordinatorSession {
  readonly channel: Channel;
  /** Agents that the host proved to run; only these may send on the channel. */
  readonly agents: ReadonlySet<string>;
  readonly refused: readonly RefusedCertificate[];
}

export interface HostSession {
  readonly hello: Hello;
  readonly channel: Channel;
}

const PRIVATE_HEADER = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_HEADER = Buffer.from("302a300506032b656e032100", "hex");
const KEY_BYTES = 32;

/** The coordinator's side of a session. Both sides give an ephemeral X25519 key; the coordinator signs its own, each
 *  agent of the host signs the hash of both (`transcript`), and HKDF-SHA256 (RFC 5869) turns the shared secret into
 *  one key for each direction. A recorded welcome or hello is of no use in another session.
 *  `random` is 32 fresh random bytes, never used for anything else. */
export class CoordinatorHandshake {
  readonly welcome: Welcome;
  readonly #ephemeralSeed: Uint8Array;

  constructor(coordinator: Identity, random: Uint8Array) {
    this.#ephemeralSeed = random;
    const ephemeral = ephemeralPublicKey(random);
    const statement = welcomeStatement(ephemeral, coordinator.publicKey);
    const signature = sign(coordinator, statement).toString("base64url");
    this.welcome = { ephemeral, identity: coordinator.publicKey, signature };
  }

  /** Opens the channel on the host's answer. Agents whose certificate does not hold are left out and named.
   *  @throws {FlotillaError} MESSAGE_REFUSED when `hello` is malformed */
  finish(hello: unknown, trusted: TrustedKey, options?: ChannelOptions): CoordinatorSession {
    const { ephemeral, certificates } = parseHello(hello);
    const transcript = transcriptHash(this.welcome, ephemeral);
    const keys = sessionKeys(this.#ephemeralSeed, ephemeral, transcript);
    const channel = new Channel(transcript.toString("hex"), { send: keys.down, receive: keys.up }, options);
    const agents = new Set<string>();
    const refused: RefusedCertificate[] = [];
    for (const certificate of certificates) {
      const reason = certificateFault(channel.session, certificate, trusted);
      if (reason === null) agents.add(certificate.agent);
      else refused.push({ agent: certificate.agent, reason });
    }
    return { channel, agents, refused };
  }
}

/** The host's side: checks the welcome against the coordinator's public key, which came with the agents' keys, and
 *  certifies the session for each of `agents`. `random` as above.
 *  @throws {FlotillaError} MESSAGE_REFUSED when the welcome is malformed or not the coordinator's */
export function answerWelcome(
  welcome: unknown,
  coordinatorKey: string,
  agents: readonly Identity[],
  random: Uint8Array,
  options?: ChannelOptions,
): HostSession {
  const checked = parseWelcome(welcome, coordinatorKey);
  const ephemeral = ephemeralPublicKey(random);
  const transcript = transcriptHash(checked, ephemeral);
  const keys = sessionKeys(random, checked.ephemeral, transcript);
  const channel = new Channel(transcript.toString("hex"), { send: keys.up, receive: keys.down }, options);
  const certificates = agents.map((agent) => certify(channel.session, agent));
  return { hello: { ephemeral, certificates }, channel };
}

/** An agent's certificate for a session; also for agents that a host gets later, sent on the channel itself. */
export function certify(session: string, agent: Identity): Certificate {
  const signature = sign(agent, certificateStatement(session, agent.name, agent.publicKey)).toString("base64url");
  return { agent: agent.name, publicKey: agent.publicKey, signature };
}

/** Why a certificate does not hold; null when it does. Nothing that the other side sends makes it throw. */
export function certificateFault(session: string, certificate: Certificate, trusted: TrustedKey): string | null {
  const { agent, publicKey, signature } = certificate;
  const expected = trusted(agent);
  if (expected === null) return "no such agent";
  if (expected !== publicKey) return "its public key is not the one on the key ring";
  const statement = certificateStatement(session, agent, publicKey);
  return verify(publicKey, statement, Buffer.from(signature, "base64url")) ? null : "its signature does not hold";
}

function welcomeStatement(ephemeral: string, identity: string): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.welcome.1", ephemeral, identity });
}

function certificateStatement(session: string, agent: string, publicKey: string): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.certificate.1", session, agent, publicKey });
}

function transcriptHash(welcome: Welcome, hostEphemeral: string): Buffer {
  return sha256(canonicalBytes({ purpose: "flotilla.transcript.1", welcome, hostEphemeral }));
}

function sessionKeys(seed: Uint8Array, theirs: string, transcript: Buffer): { up: Uint8Array; down: Uint8Array } {
  const shared = sharedSecret(seed, theirs);
  const derived = Buffer.from(hkdfSync("sha256", shared, transcript, "flotilla.channel.1", 2 * KEY_BYTES));
  return { down: derived.subarray(0, KEY_BYTES), up: derived.subarray(KEY_BYTES) };
}

function sharedSecret(seed: Uint8Array, theirs: string): Buffer {
  const raw = Buffer.from(theirs, "base64url");
  if (raw.length !== KEY_BYTES) throw refused("its ephemeral key does not have 32 bytes");
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([PUBLIC_HEADER, raw]), format: "der", type: "spki" });
    return diffieHellman({ privateKey: ephemeralKey(seed), publicKey });
  } catch (cause) {
    // OpenSSL refuses points of small order, whose shared secret would be known to everyone (RFC 7748, section 6.1).
    throw refused("its ephemeral key is not usable", cause);
  }
}

function ephemeralKey(seed: Uint8Array) {
  if (seed.length !== KEY_BYTES)
    throw new FlotillaError("USAGE", `A handshake takes ${KEY_BYTES} random bytes, not ${seed.length}.`);
  return createPrivateKey({ key: Buffer.concat([PRIVATE_HEADER, seed]), format: "der", type: "pkcs8" });
}

function ephemeralPublicKey(seed: Uint8Array): string {
  const der = createPublicKey(ephemeralKey(seed)).export({ format: "der", type: "spki" });
  return der.subarray(PUBLIC_HEADER.length).toString("base64url");
}

function parseWelcome(value: unknown, coordinatorKey: string): Welcome {
  if (!isRecord(value) || !isText(value.ephemeral) || !isText(value.identity) || !isText(value.signature)) {
    throw refused("the welcome is malformed");
  }
  const { ephemeral, identity, signature } = value;
  if (identity !== coordinatorKey || decodePublicKey(identity) === null)
    throw refused("it is not the coordinator's key");
  const holds = verify(identity, welcomeStatement(ephemeral, identity), Buffer.from(signature, "base64url"));
  if (!holds) throw refused("the coordinator's signature does not hold");
  return { ephemeral, identity, signature };
}

function parseHello(value: unknown): Hello {
  if (!isRecord(value) || !isText(value.ephemeral) || !Array.isArray(value.certificates)) {
    throw refused("the hello is malformed");
  }
  return { ephemeral: value.ephemeral, certificates: value.certificates.map(parseCertificate) };
}

/** @throws {FlotillaError} MESSAGE_REFUSED when it is malformed */
export function parseCertificate(value: unknown): Certificate {
  if (!isRecord(value) || !isText(value.agent) || !isText(value.publicKey) || !isText(value.signature)) {
    throw refused("a certificate is malformed");
  }
  return { agent: value.agent, publicKey: value.publicKey, signature: value.signature };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Texts of the handshake are names, keys and signatures: short and well formed. */
function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= 512 && value.isWellFormed();
}

function refused(reason: string, cause?: unknown): FlotillaError {
  return new FlotillaError("MESSAGE_REFUSED", `The handshake was refused: ${reason}.`, { cause });
}
