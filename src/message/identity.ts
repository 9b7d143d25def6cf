import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto";
import { FlotillaError } from "../error.ts";

export const SEED_BYTES = 32;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** DER headers of RFC 8410 in front of a raw Ed25519 seed and a raw public key. */
const PRIVATE_HEADER = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_HEADER = Buffer.from("302a300506032b6570032100", "hex");

/** Public keys whose KeyObject is kept; more agents than this in one process still work, only slower. */
const CACHED_KEYS_MAX = 16_384;

/** Who signs: an agent or the coordinator (X1). The seed stays inside the key object. */
export interface Identity {
  readonly name: string;
  /** Raw Ed25519 public key, 32 bytes, base64url. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

/** The identity that belongs to a 32-byte secret seed (RFC 8032, section 5.1.5); the same seed gives the same keys.
 *  @throws {FlotillaError} USAGE when the seed has another length */
export function createIdentity(name: string, seed: Uint8Array): Identity {
  if (seed.length !== SEED_BYTES)
    throw new FlotillaError("USAGE", `An Ed25519 seed has ${SEED_BYTES} bytes, not ${seed.length}.`);
  const der = Buffer.concat([PRIVATE_HEADER, seed]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  const publicDer = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { name, publicKey: publicDer.subarray(PUBLIC_HEADER.length).toString("base64url"), privateKey };
}

/** An Ed25519 signature, 64 bytes, deterministic. Costs about 40 µs. */
export function sign(identity: Identity, bytes: Uint8Array): Buffer {
  return signBytes(null, bytes, identity.privateKey);
}

/** Whether `signature` over `bytes` was made by the holder of `publicKey` (raw, base64url). False for whatever is
 *  malformed: no input throws. Refuses what lets one signature fit two messages or two keys: S at or above the
 *  group order (RFC 8032, section 5.1.7), public keys of small order, and public keys not in their one encoding. */
export function verify(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const key = publicKeyObject(publicKey);
  return key !== null && verifyBytes(null, bytes, key, signature);
}

const keyObjects = new Map<string, KeyObject>();

function publicKeyObject(publicKey: string): KeyObject | null {
  const cached = keyObjects.get(publicKey);
  if (cached !== undefined) return cached;
  const raw = decodePublicKey(publicKey);
  if (raw === null) return null;
  const key = createPublicKey({ key: Buffer.concat([PUBLIC_HEADER, raw]), format: "der", type: "spki" });
  if (keyObjects.size >= CACHED_KEYS_MAX) keyObjects.delete(keyObjects.keys().next().value as string);
  keyObjects.set(publicKey, key);
  return key;
}

/** The 32 bytes of a public key; null unless it is canonical base64url of a canonical point of large order. */
export function decodePublicKey(publicKey: string): Buffer | null {
  const raw = Buffer.from(publicKey, "base64url");
  if (raw.length !== KEY_BYTES || raw.toString("base64url") !== publicKey) return null;
  return isCanonicalPoint(raw) && !isSmallOrder(raw) ? raw : null;
}

/** y < 2^255 - 19, sign bit aside. */
function isCanonicalPoint(raw: Uint8Array): boolean {
  if (((raw[31] as number) & 0x7f) !== 0x7f) return true;
  for (let i = 30; i >= 1; i--) if (raw[i] !== 0xff) return true;
  return (raw[0] as number) < 0xed;
}

/** y of the eight points whose order divides 8, little endian, sign bit cleared: 1, -1, 0 and the two of order 8. */
const SMALL_ORDER_Y = new Set([
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

function isSmallOrder(raw: Uint8Array): boolean {
  const y = Buffer.from(raw);
  y[31] = (y[31] as number) & 0x7f;
  return SMALL_ORDER_Y.has(y.toString("hex"));
}
