import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { isFlotillaError } from "../../src/error.ts";
import { Channel } from "../../src/message/channel.ts";
import { encodeRecord, Mac, RecordReader } from "../../src/message/record.ts";

const keys = { a: Buffer.alloc(32, 1), b: Buffer.alloc(32, 2) };

function pair(options?: { recordBytesMax?: number }) {
  return {
    sender: new Channel("s1", { send: keys.a, receive: keys.b }, options),
    receiver: new Channel("s1", { send: keys.b, receive: keys.a }, options),
  };
}

/** `bytes` cut at the given places, each taken modulo the length. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((x, y) => x - y), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

const batches = fc.array(
  fc.array(
    fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as Json),
    { maxLength: 4 },
  ),
  { maxLength: 8 },
);

test("frames arrive as they were sent, in order, however the stream is cut", () => {
  fc.assert(
    fc.property(batches, fc.array(fc.nat()), (sent, places) => {
      const { sender, receiver } = pair();
      const stream = Buffer.concat(sent.map((frames) => sender.seal(frames)));
      const opened = cut(stream, places).map((chunk) => receiver.open(chunk));
      expect(opened.flatMap(({ frames }) => frames)).toEqual(sent.flat());
      expect(opened.flatMap(({ refused }) => refused)).toEqual([]);
    }),
  );
});

test("M3: a stream with any one bit flipped delivers nothing but what came before, and is refused or waits for ever", () => {
  const original = pair().sender;
  const records = [["one"], ["two", 2], ["three"]].map((frames) => original.seal(frames));
  const stream = Buffer.concat(records);
  for (let bit = 0; bit < stream.length * 8; bit++) {
    const altered = Buffer.from(stream);
    altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
    const { receiver } = pair();
    const { frames } = receiver.open(altered);
    const intact = [0, 1, 2].filter((i) => Buffer.concat(records.slice(0, i + 1)).length <= bit >> 3).length;
    expect(frames).toEqual([["one"], ["two", 2], ["three"]].slice(0, intact).flat());
    // A length that grew makes the receiver wait for bytes; whatever comes then is refused.
    receiver.open(Buffer.alloc(stream.length * 2));
    if (receiver.poisoned === null)
      expect(altered.readUInt32BE(lengthFieldBefore(records, bit >> 3))).toBeGreaterThan(stream.length);
  }
});

function lengthFieldBefore(records: readonly Buffer[], byte: number): number {
  let start = 0;
  for (const record of records) {
    if (byte < start + record.length) return start;
    start += record.length;
  }
  return start;
}

const refusedReason = (receiver: Channel, ...records: Buffer[]) => {
  const { frames, refused } = receiver.open(Buffer.concat(records));
  return { frames, reason: refused[0]?.reason ?? null, poisoned: receiver.poisoned !== null };
};

test("a replayed, dropped, reordered or reflected record is refused, and nothing after it is believed", () => {
  const { sender } = pair();
  const [one, two, three] = [1, 2, 3].map((n) => sender.seal([n])) as [Buffer, Buffer, Buffer];
  const out = "replayed, reordered or dropped";
  expect(refusedReason(pair().receiver, one, one, two)).toMatchObject({
    frames: [1],
    reason: expect.stringContaining(out),
    poisoned: true,
  });
  expect(refusedReason(pair().receiver, one, three)).toMatchObject({
    frames: [1],
    reason: expect.stringContaining("record 2 came where 1 was due"),
  });
  expect(refusedReason(pair().receiver, two, one)).toMatchObject({ frames: [], reason: expect.stringContaining(out) });
  expect(refusedReason(pair().sender, one)).toMatchObject({
    frames: [],
    reason: expect.stringContaining("forged or altered"),
  });

  const { receiver } = pair();
  receiver.open(Buffer.concat([one, one]));
  expect(receiver.open(two)).toEqual({ frames: [], refused: [] });
});

test("a record of another session is refused", () => {
  const other = new Channel("s2", { send: Buffer.alloc(32, 9), receive: keys.b });
  expect(refusedReason(pair().receiver, other.seal(["forged"]))).toMatchObject({ frames: [], poisoned: true });
});

test("an authentic body that is no array of frames is refused", () => {
  for (const body of ['{"a":1}', "null", "[1", "", "\ufffe"]) {
    const content = Buffer.concat([Buffer.alloc(8), Buffer.alloc(32), Buffer.from(body)]);
    new Mac(keys.a).of(content.subarray(0, 8), content.subarray(40)).copy(content, 8);
    expect(refusedReason(pair().receiver, encodeRecord(content)).reason).toContain("not a JSON array");
  }
  expect(refusedReason(pair().receiver, encodeRecord(Buffer.alloc(39))).reason).toContain("shorter than its header");
});

test("records are bounded: one too long is not sent, and one announced too long is refused before it is read", () => {
  const { sender, receiver } = pair({ recordBytesMax: 1_000 });
  expect(errorCode(() => sender.seal(["x".repeat(1_000)]))).toBe("UNSUPPORTED");
  expect(receiver.open(sender.seal(["still usable"])).frames).toEqual(["still usable"]);
  const announced = Buffer.alloc(4);
  announced.writeUInt32BE(1_001);
  expect(receiver.open(announced).refused).toEqual([
    { sequence: null, bytes: 0, reason: "a record is longer than 1000 bytes" },
  ]);
});

test("a large record in many small chunks arrives", () => {
  const { sender, receiver } = pair();
  const text = "€".repeat(500_000);
  const record = sender.seal([text]);
  const frames: Json[] = [];
  for (let at = 0; at < record.length; at += 1_000)
    frames.push(...receiver.open(record.subarray(at, at + 1_000)).frames);
  expect(frames).toEqual([text]);
});

describe("Mac", () => {
  const size = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 65_500, max: 65_600 }));

  test("is the HMAC-SHA256 of RFC 2104, short and long", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.nat({ max: 20 }),
        size,
        fc.nat({ max: 255 }),
        (key, headBytes, bodyBytes, fill) => {
          const [head, body] = [Buffer.alloc(headBytes, 1), Buffer.alloc(bodyBytes, fill)];
          const expected = createHmac("sha256", key).update(head).update(body).digest();
          const mac = new Mac(key);
          expect(mac.of(head, body).equals(expected)).toBe(true);
          expect(mac.of(head, body).equals(expected), "a second time").toBe(true);
          expect(mac.matches(head, body, expected)).toBe(true);
          expect(mac.matches(head, body, expected.subarray(1))).toBe(false);
        },
      ),
    );
  });

  test("RFC 4231, test cases 1 and 2", () => {
    const of = (key: Uint8Array, text: string) => new Mac(key).of(Buffer.alloc(0), Buffer.from(text)).toString("hex");
    expect(of(Buffer.alloc(20, 0x0b), "Hi There")).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    expect(of(Buffer.from("Jefe"), "what do ya want for nothing?")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  test("refuses a key longer than a block", () => {
    expect(() => new Mac(Buffer.alloc(65))).toThrow("64 bytes");
  });
});

describe("RecordReader", () => {
  test("gives back what it did not read", () => {
    const reader = new RecordReader();
    reader.push(encodeRecord(Buffer.from("hello")));
    reader.push(Buffer.from("re"));
    reader.push(Buffer.from("s"));
    expect(String(reader.next())).toBe("hello");
    expect(reader.next()).toBeNull();
    expect(reader.rest().toString()).toBe("res");
    expect(reader.rest()).toHaveLength(0);
  });

  test("an empty record is a record", () => {
    const reader = new RecordReader();
    reader.push(encodeRecord(Buffer.alloc(0)));
    expect(reader.next()).toHaveLength(0);
  });
});

function errorCode(work: () => unknown): string | null {
  try {
    work();
  } catch (error) {
    return isFlotillaError(error) ? error.code : String(error);
  }
  return null;
}
