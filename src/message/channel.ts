import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { allocateRecord, Mac, RECORD_BYTES_MAX, RecordReader } from "./record.ts";

/** The two secrets of a session, one for each direction, 32 bytes each. */
export interface SessionKeys {
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
}

/** A record that was not acted on. `sequence` is what it claimed; null when it was too damaged to say. */
export interface RefusedRecord {
  readonly sequence: number | null;
  readonly bytes: number;
  readonly reason: string;
}

export interface Opened {
  readonly frames: Json[];
  /** At most one: whatever follows a refused record is not read any more. */
  readonly refused: RefusedRecord[];
}

export interface ChannelOptions {
  /** Bound of one record in either direction. Default 64 MiB. */
  recordBytesMax?: number;
}

const SEQUENCE_BYTES = 8;
const MAC_BYTES = 32;
const HEADER_BYTES = SEQUENCE_BYTES + MAC_BYTES;
const BODY_AT = 4 + HEADER_BYTES;

/** An authenticated stream of frames over any stream of bytes; it does no I/O itself, so it also runs in the
 *  simulator. A record is `[u32 length][u64 sequence][32-byte HMAC-SHA256][body]`, integers big endian, the body a
 *  JSON array of frames, the MAC over `sequence ‖ body`. Sequences go 0, 1, 2… in each direction: a record that was
 *  forged, altered, replayed, reordered or dropped is refused, and nothing after it is believed. */
export class Channel {
  /** Names the session in certificates, seals and logs: hex of the handshake's transcript hash. */
  readonly session: string;
  readonly #send: Mac;
  readonly #receive: Mac;
  readonly #reader: RecordReader;
  readonly #recordBytesMax: number;
  #sent = 0;
  #received = 0;
  #poisoned: string | null = null;

  constructor(session: string, keys: SessionKeys, options: ChannelOptions = {}) {
    this.session = session;
    this.#send = new Mac(keys.send);
    this.#receive = new Mac(keys.receive);
    this.#recordBytesMax = options.recordBytesMax ?? RECORD_BYTES_MAX;
    this.#reader = new RecordReader(this.#recordBytesMax);
  }

  /** Why nothing is read any more; null while the channel is sound. The caller kills the other side. */
  get poisoned(): string | null {
    return this.#poisoned;
  }

  /** One record with all `frames`, in order; batch them, since a record costs more than a frame.
   *  @throws {FlotillaError} UNSUPPORTED when it would pass the bound; the channel stays usable */
  seal(frames: readonly Json[]): Buffer {
    const body = JSON.stringify(frames);
    const bodyBytes = Buffer.byteLength(body);
    const record = allocateRecord(HEADER_BYTES + bodyBytes, this.#recordBytesMax);
    writeSequence(record, this.#sent);
    record.write(body, BODY_AT);
    const mac = this.#send.of(record.subarray(4, 4 + SEQUENCE_BYTES), record.subarray(BODY_AT));
    record.set(mac, 4 + SEQUENCE_BYTES);
    this.#sent++;
    return record;
  }

  /** Takes the next bytes of the stream, cut anywhere, and returns the frames of every record that they complete.
   *  Never throws on what the other side sent. */
  open(chunk: Uint8Array): Opened {
    const opened: Opened = { frames: [], refused: [] };
    if (this.#poisoned !== null) return opened;
    this.#reader.push(chunk);
    for (let content = this.#reader.next(); content !== null; content = this.#reader.next()) {
      const refused = content === "oversized" ? this.#oversized() : this.#accept(content, opened.frames);
      if (refused === null) continue;
      this.#poisoned = refused.reason;
      this.#reader.rest();
      opened.refused.push(refused);
      break;
    }
    return opened;
  }

  #oversized(): RefusedRecord {
    return { sequence: null, bytes: 0, reason: `a record is longer than ${this.#recordBytesMax} bytes` };
  }

  #accept(content: Buffer, frames: Json[]): RefusedRecord | null {
    const bytes = content.length;
    if (bytes < HEADER_BYTES) return { sequence: null, bytes, reason: "a record is shorter than its header" };
    const sequence = Number(content.readBigUInt64BE(0));
    const head = content.subarray(0, SEQUENCE_BYTES);
    const body = content.subarray(HEADER_BYTES);
    if (!this.#receive.matches(head, body, content.subarray(SEQUENCE_BYTES, HEADER_BYTES))) {
      return { sequence, bytes, reason: "the MAC does not match: the record was forged or altered" };
    }
    if (sequence !== this.#received) {
      const reason = `record ${sequence} came where ${this.#received} was due: replayed, reordered or dropped`;
      return { sequence, bytes, reason };
    }
    const parsed = parseFrames(body);
    if (parsed === null) return { sequence, bytes, reason: "the body is not a JSON array of frames" };
    this.#received++;
    for (const frame of parsed) frames.push(frame);
    return null;
  }
}

function writeSequence(record: Buffer, sequence: number): void {
  record.writeUInt32BE(Math.floor(sequence / 2 ** 32), 4);
  record.writeUInt32BE(sequence % 2 ** 32, 8);
}

function parseFrames(body: Buffer): Json[] | null {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    return Array.isArray(parsed) ? (parsed as Json[]) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw new FlotillaError("INVARIANT", "Reading an authenticated record failed.", { cause: error });
  }
}
