import type { Duplex } from "node:stream";
import type { Json } from "../core/json.ts";
import type { Channel, RefusedRecord } from "../message/channel.ts";
import { encodeRecord, RecordReader } from "../message/record.ts";

/** Frames that one record holds at most: large batches cost latency, small ones a MAC each (W5). */
const FRAMES_MAX = 256;

/** The pipe carrier: plain records until the session is there, then authenticated ones, over a stream of bytes.
 *  Frames sent in one turn of the loop travel in one record. */
export class Pipe {
  readonly #stream: Duplex;
  readonly #reader = new RecordReader();
  #channel: Channel | null = null;
  #plain: ((value: unknown) => void) | null = null;
  #outgoing: Json[] = [];
  #scheduled = false;
  #closed = false;
  onFrame: (frame: Json) => void = () => {};
  onRefused: (refused: RefusedRecord) => void = () => {};
  /** A frame that no record can hold: it is not sent, and those around it are. */
  onUnsendable: (frame: Json, error: unknown) => void = () => {};
  onClose: () => void = () => {};

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("close", () => this.#ended());
    stream.on("end", () => this.#ended());
    // A broken pipe is the other side's end; `close` follows.
    stream.on("error", () => this.#ended());
  }

  /** Sends a value in the clear: boot and handshake only. */
  sendPlain(value: unknown): void {
    if (!this.#closed) this.#stream.write(encodeRecord(Buffer.from(JSON.stringify(value))));
  }

  /** The next plain value of the other side. */
  nextPlain(): Promise<unknown> {
    return new Promise((resolve) => {
      this.#plain = resolve;
      this.#readPlain();
    });
  }

  /** From now on every record is authenticated. */
  secure(channel: Channel): void {
    this.#channel = channel;
    const rest = this.#reader.rest();
    if (rest.length > 0) this.#open(rest);
  }

  send(frame: Json): void {
    if (this.#closed) return;
    this.#outgoing.push(frame);
    if (this.#outgoing.length >= FRAMES_MAX) return this.flush();
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the microtasks of this turn, before the loop goes on to wait: what they send travels together.
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#channel === null || this.#closed || this.#outgoing.length === 0) return;
    const frames = this.#outgoing;
    this.#outgoing = [];
    this.#write(this.#channel, frames);
  }

  #write(channel: Channel, frames: Json[]): void {
    let record: Buffer;
    try {
      record = channel.seal(frames);
    } catch (error) {
      // Too long together, perhaps not one by one.
      const middle = frames.length >> 1;
      if (middle === 0) return this.onUnsendable(frames[0] as Json, error);
      this.#write(channel, frames.slice(0, middle));
      this.#write(channel, frames.slice(middle));
      return;
    }
    this.#stream.write(record);
  }

  /** Sends what is waiting and closes. */
  end(): void {
    this.flush();
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
    this.#ended();
  }

  #receive(chunk: Buffer): void {
    if (this.#channel !== null) return this.#open(chunk);
    this.#reader.push(chunk);
    this.#readPlain();
  }

  #readPlain(): void {
    if (this.#plain === null || this.#channel !== null) return;
    const content = this.#reader.next();
    if (content === null) return;
    const resolve = this.#plain;
    this.#plain = null;
    if (content === "oversized") return this.onRefused({ sequence: null, bytes: 0, reason: "a record is too long" });
    resolve(parsed(content));
  }

  #open(chunk: Uint8Array): void {
    const { frames, refused } = (this.#channel as Channel).open(chunk);
    for (const frame of frames) this.onFrame(frame);
    for (const record of refused) this.onRefused(record);
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose();
  }
}

function parsed(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
