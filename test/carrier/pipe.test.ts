import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { Pipe } from "../../src/carrier/pipe.ts";
import type { Json } from "../../src/core/json.ts";
import { Channel } from "../../src/message/channel.ts";

const RECORD_BYTES_MAX = 4_096;
const one = Buffer.alloc(32, 1);
const two = Buffer.alloc(32, 2);

/** Two ends of a pipe; `bend` stands between them and may change what travels from the first to the second. */
function pipes(bend: (chunk: Buffer) => Buffer[] = (chunk) => [chunk]) {
  const [near, middle] = duplexPair();
  const [inner, far] = duplexPair();
  middle.on("data", (chunk: Buffer) => {
    for (const bent of bend(chunk)) inner.write(bent);
  });
  middle.on("end", () => inner.end());
  inner.on("data", (chunk: Buffer) => middle.write(chunk));
  const first = new Pipe(near);
  const second = new Pipe(far);
  const options = { recordBytesMax: RECORD_BYTES_MAX };
  return {
    first,
    second,
    secure() {
      first.secure(new Channel("s", { send: one, receive: two }, options));
      second.secure(new Channel("s", { send: two, receive: one }, options));
    },
  };
}

function heard(pipe: Pipe) {
  const frames: Json[] = [];
  const refused: string[] = [];
  let wake = () => {};
  pipe.onFrame = (frame) => {
    frames.push(frame);
    wake();
  };
  pipe.onRefused = ({ reason }) => {
    refused.push(reason);
    wake();
  };
  const until = async (done: () => boolean) => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { frames, refused, until };
}

test("frames of one turn of the loop arrive in their order, after plain values and however the bytes are cut", async () => {
  const { first, second, secure } = pipes((chunk) => [...chunk].map((byte) => Buffer.from([byte])));
  const plain = second.nextPlain();
  first.sendPlain({ hello: "w" });
  expect(await plain).toEqual({ hello: "w" });
  secure();
  const { frames, until } = heard(second);
  for (let n = 0; n < 600; n++) first.send({ n });
  await until(() => frames.length === 600);
  expect(frames).toEqual(Array.from({ length: 600 }, (_, n) => ({ n })));
});

test("secured bytes that come together with the last plain value are read as frames", async () => {
  const held: Buffer[] = [];
  let open = false;
  const { first, second } = pipes((chunk) => {
    held.push(chunk);
    return open ? [Buffer.concat(held.splice(0))] : [];
  });
  const channel = new Channel("s", { send: one, receive: two });
  first.sendPlain("last");
  first.secure(channel);
  const plain = second.nextPlain();
  first.send({ n: 1 });
  first.flush();
  open = true;
  first.send({ n: 2 });
  first.flush();
  expect(await plain).toBe("last");
  const { frames, until } = heard(second);
  second.secure(new Channel("s", { send: two, receive: one }));
  await until(() => frames.length === 2);
  expect(frames).toEqual([{ n: 1 }, { n: 2 }]);
});

test("M8: frames that are too long together travel apart; one that no record holds is handed back, those around it arrive", async () => {
  const { first, second, secure } = pipes();
  secure();
  const unsendable: [Json, unknown][] = [];
  first.onUnsendable = (frame, error) => void unsendable.push([frame, error]);
  const { frames, refused, until } = heard(second);
  const long = (n: number, length: number) => ({ n, text: "x".repeat(length) });
  const sent = [long(0, 3_000), long(1, 3_000), long(2, 5_000), long(3, 3_000), { n: 4 }];
  for (const frame of sent) first.send(frame);
  await until(() => frames.length === 4);
  expect(frames).toEqual(sent.filter(({ n }) => n !== 2));
  expect(unsendable).toEqual([[sent[2], expect.objectContaining({ code: "UNSUPPORTED" })]]);
  expect(refused).toEqual([]);
});

test.each([
  ["altered", (chunk: Buffer) => [Buffer.concat([chunk.subarray(0, -1), Buffer.from("!")])], /MAC/],
  ["replayed", (chunk: Buffer) => [chunk, chunk], /record 0 came where 1 was due/],
  ["forged", () => [Buffer.concat([Buffer.from([0, 0, 0, 44]), Buffer.alloc(44)])], /MAC/],
  ["endless", () => [Buffer.from([255, 255, 255, 255, 0])], /longer/],
])("X1: a record that was %s is refused, and nothing after it is believed", async (_, bend, reason) => {
  let bending = false;
  const { first, second, secure } = pipes((chunk) => (bending ? bend(chunk) : [chunk]));
  secure();
  bending = true;
  const { frames, refused, until } = heard(second);
  first.send({ n: 0 });
  first.flush();
  await until(() => refused.length === 1);
  bending = false;
  const believed = frames.length;
  first.send({ n: 1 });
  first.flush();
  first.end();
  await new Promise<void>((resolve) => (second.onClose = resolve));
  expect(refused).toEqual([expect.stringMatching(reason)]);
  expect(frames).toHaveLength(believed);
});

test("the end of the other side is told once; what is sent afterwards goes nowhere", async () => {
  const { first, second, secure } = pipes();
  secure();
  let closed = 0;
  const { frames, until } = heard(second);
  const ended = new Promise<void>((resolve) => {
    second.onClose = () => {
      closed += 1;
      resolve();
    };
  });
  first.send({ n: 1 });
  first.end();
  await Promise.all([ended, until(() => frames.length === 1)]);
  second.send({ n: 2 });
  second.flush();
  second.destroy();
  expect(closed).toBe(1);
});

test("a plain value that is no JSON is read as null; the handshake refuses it", async () => {
  const { first, second } = pipes(() => [Buffer.from([0, 0, 0, 2]), Buffer.from("{{")]);
  const plain = second.nextPlain();
  first.sendPlain(1);
  expect(await plain).toBeNull();
});
