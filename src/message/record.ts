import { createHmac, timingSafeEqual } from "node:crypto";
import { FlotillaError, invariant } from "../error.ts";
import { sha256 } from "./canonical.ts";

/** Bytes of one record's content, length field excluded, when the caller names no other bound: 64 MiB. */
export const RECORD_BYTES_MAX = 64 * 1024 * 1024;

const LENGTH_BYTES = 4;

/** One record on the wire: its length as u32, big endian, then its content. @throws {FlotillaError} UNSUPPORTED
 *  when the content is longer than `bytesMax` */
export function encodeRecord(content: Uint8Array, bytesMax = RECORD_BYTES_MAX): Buffer {
  const record = allocateRecord(content.length, bytesMax);
  record.set(content, LENGTH_BYTES);
  return record;
}

/** A record whose content, from byte 4 on, is still to be written. @throws {FlotillaError} UNSUPPORTED */
export function allocateRecord(contentBytes: number, bytesMax: number): Buffer {
  if (contentBytes > bytesMax) {
    throw new FlotillaError(
      "UNSUPPORTED",
      `A record of ${contentBytes} bytes is longer than the channel's ${bytesMax}.`,
      {
        hint: "Pass large content as a file or in several messages.",
      },
    );
  }
  const record = Buffer.allocUnsafe(LENGTH_BYTES + contentBytes);
  record.writeUInt32BE(contentBytes, 0);
  return record;
}

/** Cuts a stream of bytes into records, however the stream was cut into chunks. Holds at most one record. */
export class RecordReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax = RECORD_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Takes the next bytes of the stream, which must not change afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#bytes += chunk.length;
  }

  /** The content of the next whole record, null when more bytes are needed, "oversized" when its announced length
   *  passes the bound: the stream cannot be read any further. */
  next(): Buffer | null | "oversized" {
    if (this.#bytes < LENGTH_BYTES) return null;
    const length = this.#peek(LENGTH_BYTES).readUInt32BE(0);
    if (length > this.#bytesMax) return "oversized";
    if (this.#bytes < LENGTH_BYTES + length) return null;
    return this.#take(LENGTH_BYTES + length).subarray(LENGTH_BYTES);
  }

  /** Removes and returns what was not read as a record, to be read by another reader. */
  rest(): Buffer {
    return this.#take(this.#bytes);
  }

  #peek(count: number): Buffer {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= count) return first;
    // Short chunks are joined at most LENGTH_BYTES times for each record, never once for each chunk of a long one.
    return this.#join();
  }

  #take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0);
    const first = this.#chunks[0] as Buffer;
    const all = first.length >= count ? first : this.#join();
    const taken = all.subarray(0, count);
    if (all.length === count) this.#chunks.shift();
    else this.#chunks[0] = all.subarray(count);
    this.#bytes -= count;
    return taken;
  }

  #join(): Buffer {
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

const BLOCK_BYTES = 64;
const MAC_BYTES = 32;

/** Longer messages go through node's streaming HMAC, whose fixed cost no longer shows and which copies nothing. */
const ONE_SHOT_BYTES_MAX = 64 * 1024;

/** HMAC-SHA256 (RFC 2104) under one key. Short messages take two one-shot hashes: several times faster than creating
 *  a node Hmac for each. */
export class Mac {
  readonly #key: Buffer;
  /** The padded key, then room for the message. */
  readonly #inner = Buffer.alloc(BLOCK_BYTES + ONE_SHOT_BYTES_MAX);
  readonly #outer = Buffer.alloc(BLOCK_BYTES + MAC_BYTES);

  /** @throws {FlotillaError} INVARIANT when the key is longer than 64 bytes: session keys have 32 */
  constructor(key: Uint8Array) {
    invariant(key.length <= BLOCK_BYTES, `A key of Mac has at most ${BLOCK_BYTES} bytes.`);
    this.#key = Buffer.from(key);
    for (let i = 0; i < BLOCK_BYTES; i++) {
      this.#inner[i] = (key[i] ?? 0) ^ 0x36;
      this.#outer[i] = (key[i] ?? 0) ^ 0x5c;
    }
  }

  /** 32 bytes over `head ‖ body`. */
  of(head: Uint8Array, body: Uint8Array): Buffer {
    const length = head.length + body.length;
    if (length > ONE_SHOT_BYTES_MAX) return createHmac("sha256", this.#key).update(head).update(body).digest();
    this.#inner.set(head, BLOCK_BYTES);
    this.#inner.set(body, BLOCK_BYTES + head.length);
    this.#outer.set(sha256(this.#inner.subarray(0, BLOCK_BYTES + length)), BLOCK_BYTES);
    return sha256(this.#outer);
  }

  /** Compares in constant time. */
  matches(head: Uint8Array, body: Uint8Array, mac: Uint8Array): boolean {
    return mac.length === MAC_BYTES && timingSafeEqual(this.of(head, body), mac);
  }
}
