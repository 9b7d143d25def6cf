import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "../../src/message/canonical.ts";
import { createIdentity, type Identity } from "../../src/message/identity.ts";
import { FrameSigner, parseSeal, type Seal, SealVerifier, verifySeal } from "../../src/message/seal.ts";

const identities = new Map(
  ["reader", "writer"].map((name, i) => [name, createIdentity(name, Buffer.alloc(32, i + 1))]),
);
const identityOf = (agent: string) => identities.get(agent) as Identity;
const keyOf = (agent: string) => identityOf(agent).publicKey;
const digest = (n: number) => sha256(`frame ${n}`);

/** Reader sends frames 0 to `frames - 1`; returns its seal and a verifier that got `received`. */
function sealed(frames: number, received: readonly number[] = [...Array(frames).keys()]) {
  const signer = new FrameSigner("s1", identityOf);
  for (let n = 0; n < frames; n++) signer.add("reader", digest(n));
  const verifier = new SealVerifier("s1");
  received.forEach((n, seq) => verifier.add("reader", seq, digest(n)));
  return { seal: signer.flush()[0] as Seal, verifier };
}

test("X1: what came as it was sent is covered by its sender's signature", () => {
  const { seal, verifier } = sealed(5);
  expect(seal).toMatchObject({ agent: "reader", session: "s1", from: 0, to: 4 });
  expect(verifier.unsealed()).toEqual([{ agent: "reader", from: 0, frames: 5 }]);
  expect(verifier.check(seal, keyOf("reader"))).toEqual({ ok: true });
  expect(verifier.unsealed()).toEqual([]);
  expect(verifySeal(seal, keyOf("reader"))).toBe(true);
});

const reasonOf = (checked: { ok: true } | { ok: false; reason: string }) => (checked.ok ? "" : checked.reason);

test("a missing frame, an extra one, another one and another order are found", () => {
  const check = (frames: number, received: readonly number[]) => {
    const { seal, verifier } = sealed(frames, received);
    return reasonOf(verifier.check(seal, keyOf("reader")));
  };
  expect(check(3, [0, 1])).toContain("only those before 2 came");
  expect(check(3, [0, 2, 3])).toContain("is not what came");
  expect(check(3, [0, 7, 2])).toContain("is not what came");
  expect(check(3, [1, 0, 2])).toContain("is not what came");
  expect(check(2, [0, 7, 1])).toContain("is not what came");
});

test("frames that come before the seal of earlier ones wait for the next seal", () => {
  const signer = new FrameSigner("s1", identityOf);
  const verifier = new SealVerifier("s1");
  const send = (n: number) =>
    expect(verifier.add("reader", signer.add("reader", digest(n)).seq, digest(n))).toEqual({ ok: true });
  send(0);
  send(1);
  const first = signer.flush()[0] as Seal;
  send(2);
  const second = signer.flush()[0] as Seal;
  expect(reasonOf(verifier.check(second, keyOf("reader")))).toContain("starts at frame 2 where 0 was due");
  expect(verifier.check(first, keyOf("reader")).ok).toBe(true);
  expect(verifier.unsealed()).toEqual([{ agent: "reader", from: 2, frames: 1 }]);
  expect(reasonOf(verifier.check(first, keyOf("reader")))).toContain("where 2 was due");
  expect(verifier.check(second, keyOf("reader")).ok).toBe(true);
  expect(signer.flush()).toEqual([]);
});

test("no field of a seal can be altered, and no other key or session accepts it", () => {
  const altered: Partial<Seal>[] = [
    { agent: "writer" },
    { session: "s2" },
    { from: 1 },
    { to: 1 },
    { to: -1 },
    { to: Number.NaN },
    { root: digest(9).toString("hex") },
    { signature: "" },
    { signature: Buffer.alloc(64).toString("base64url") },
  ];
  for (const fields of altered) {
    const { seal, verifier } = sealed(3);
    expect(verifier.check({ ...seal, ...fields }, keyOf("reader")).ok, JSON.stringify(fields)).toBe(false);
    expect(verifier.check(seal, keyOf("reader")).ok, "a refused seal changes nothing").toBe(true);
  }
  const { seal, verifier } = sealed(3);
  expect(reasonOf(verifier.check(seal, keyOf("writer")))).toContain("does not hold");
});

test("frames out of order are refused, and so are too many without a seal", () => {
  const verifier = new SealVerifier("s1", { unsealedMax: 2 });
  expect(reasonOf(verifier.add("reader", 1, digest(1)))).toContain("where 0 was due");
  expect(verifier.add("reader", 0, digest(0)).ok).toBe(true);
  expect(reasonOf(verifier.add("reader", 0, digest(0)))).toContain("where 1 was due");
  expect(verifier.add("reader", 1, digest(1)).ok).toBe(true);
  expect(reasonOf(verifier.add("reader", 2, digest(2)))).toContain("without signing");
});

test("any sequence of frames by several agents, flushed anywhere, verifies in full", () => {
  const step = fc.oneof(fc.constantFrom("reader", "writer"), fc.constant("flush"));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const signer = new FrameSigner("s1", identityOf);
      const verifier = new SealVerifier("s1");
      [...steps, "flush"].forEach((what, n) => {
        if (what === "flush")
          for (const seal of signer.flush()) expect(verifier.check(seal, keyOf(seal.agent)).ok).toBe(true);
        else verifier.add(what, signer.add(what, digest(n)).seq, digest(n));
        expect(verifier.unsealed().reduce((sum, { frames }) => sum + frames, 0)).toBe(signer.pending);
      });
      expect(signer.pending).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("a seal survives JSON, and whatever else comes is no seal", () => {
  const { seal } = sealed(1);
  expect(parseSeal(JSON.parse(JSON.stringify(seal)))).toEqual(seal);
  for (const value of [null, 1, [], {}, { ...seal, from: "0" }, { ...seal, to: 1.5 }, { ...seal, agent: "\ud800" }]) {
    expect(parseSeal(value)).toBeNull();
  }
});

test.each([1, 63, 64, 65, 128, 129])("of %i frames, one that is another is found wherever it stands", (frames) => {
  const numbers = [...Array(frames).keys()];
  const { seal, verifier } = sealed(frames);
  expect(verifier.check(seal, keyOf("reader")).ok).toBe(true);
  for (const odd of new Set([0, Math.floor(frames / 2), frames - 1])) {
    const { verifier: deceived } = sealed(
      frames,
      numbers.map((n) => (n === odd ? 999 : n)),
    );
    expect(reasonOf(deceived.check(seal, keyOf("reader")))).toContain("is not what came");
  }
});
