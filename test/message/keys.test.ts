import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isFlotillaError } from "../../src/error.ts";
import { sign, verify } from "../../src/message/identity.ts";
import { KEY_FILE, openKeyFile, saveKeyRing } from "../../src/message/key-file.ts";
import { identitiesFromSeeds, KeyRing, parseKeyData } from "../../src/message/keys.ts";

/** Bytes that count up, so that a test can tell who drew them. */
function counter(start: number) {
  let next = start;
  return (count: number) => Buffer.alloc(count, next++);
}

const codeOf = (work: () => unknown) => {
  try {
    work();
    return "none";
  } catch (error) {
    return isFlotillaError(error) ? error.code : String(error);
  }
};

const bytes = Buffer.from("bytes");

describe("KeyRing", () => {
  test("makes a key once for each name", () => {
    const ring = new KeyRing();
    expect(ring.ensure(["coordinator", "reader"], counter(1), 100)).toEqual(["coordinator", "reader"]);
    const before = ring.publicKey("reader");
    expect(ring.ensure(["reader", "writer"], counter(9), 200)).toEqual(["writer"]);
    expect(ring.publicKey("reader")).toBe(before);
    expect(ring.names()).toEqual(["coordinator", "reader", "writer"]);
    expect(ring.publicKey("stranger")).toBeNull();
    expect(codeOf(() => ring.identity("stranger"))).toBe("USAGE");
  });

  test("the same random bytes give the same keys", () => {
    const [a, b] = [new KeyRing(), new KeyRing()];
    for (const ring of [a, b]) ring.ensure(["reader"], counter(1), 100);
    expect(a.data).toEqual(b.data);
  });

  test("hands a host the seeds of its own agents, and no other", () => {
    const ring = new KeyRing();
    ring.ensure(["coordinator", "reader", "writer"], counter(1), 100);
    const seeds = ring.seeds(["reader"]);
    expect(Object.keys(seeds)).toEqual(["reader"]);
    const [identity] = identitiesFromSeeds(seeds);
    expect(
      verify(ring.publicKey("reader") as string, bytes, sign(identity as NonNullable<typeof identity>, bytes)),
    ).toBe(true);
  });

  test("X1: a rotated key signs from then on, and the old one stays valid for its time", () => {
    const ring = new KeyRing();
    ring.ensure(["reader"], counter(1), 100);
    const old = ring.identity("reader").publicKey;
    const fresh = ring.rotate("reader", counter(2), 200).publicKey;
    expect(fresh).not.toBe(old);
    expect(ring.publicKey("reader")).toBe(fresh);
    expect([99, 100, 199, 200].map((at) => ring.wasValid("reader", old, at))).toEqual([false, true, true, false]);
    expect([199, 200].map((at) => ring.wasValid("reader", fresh, at))).toEqual([false, true]);
    expect(ring.data.keys.reader?.retired).toEqual([{ publicKey: old, validFrom: 100, revokedAt: 200 }]);
    expect(ring.wasValid("stranger", old, 150)).toBe(false);
  });

  test("a name may be anything, also what objects have already", () => {
    const ring = new KeyRing();
    ring.ensure(["__proto__", "constructor"], counter(1), 100);
    expect(ring.names()).toEqual(["__proto__", "constructor"]);
    const copy = parseKeyData(JSON.parse(JSON.stringify(ring.data)));
    expect(new KeyRing(copy ?? undefined).publicKey("__proto__")).toBe(ring.publicKey("__proto__"));
    expect(Object.keys(ring.seeds(["__proto__"]))).toEqual(["__proto__"]);
    expect(new KeyRing().publicKey("constructor")).toBeNull();
  });
});

describe("key file", () => {
  let home: string;
  let folder: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "flotilla-keys-"));
    folder = join(home, "keys");
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const open = (names: readonly string[], start = 1) =>
    openKeyFile(folder, { names, randomBytes: counter(start), now: 100 });
  const modeOf = (path: string) => statSync(path).mode & 0o777;

  test("keys are made at first start, readable by the user alone, and found again", () => {
    const first = open(["coordinator", "reader"]);
    expect([modeOf(folder), modeOf(join(folder, KEY_FILE))]).toEqual([0o700, 0o600]);
    const second = open(["coordinator", "reader"], 50);
    expect(second.data).toEqual(first.data);
    expect(readdirSync(folder)).toEqual([KEY_FILE]);
  });

  test("agents that are new get keys; the others keep theirs", () => {
    const first = open(["coordinator"]);
    const second = open(["coordinator", "reader"], 50);
    expect(second.publicKey("coordinator")).toBe(first.publicKey("coordinator"));
    expect(open([], 90).publicKey("reader")).toBe(second.publicKey("reader"));
    expect(modeOf(join(folder, KEY_FILE))).toBe(0o600);
  });

  test("two processes that start at once end with the same keys", () => {
    // The other process creates its file while this one draws the random name of its temporary file.
    let calls = 0;
    let other: KeyRing | undefined;
    const racing = (count: number) => {
      if (++calls === 2) other = open(["coordinator"], 200);
      return Buffer.alloc(count, calls);
    };
    const mine = openKeyFile(folder, { names: ["coordinator"], randomBytes: racing, now: 100 });
    expect(mine.data).toEqual(other?.data);
    expect(readdirSync(folder)).toEqual([KEY_FILE]);
  });

  test("a rotation is kept", () => {
    const ring = open(["reader"]);
    const key = ring.rotate("reader", counter(5), 200).publicKey;
    saveKeyRing(folder, ring, counter(6));
    expect(open(["reader"], 90).publicKey("reader")).toBe(key);
  });

  test.skipIf(process.platform === "win32").each([0o640, 0o604, 0o660, 0o644])(
    "a key file of mode %o is refused",
    (mode) => {
      open(["reader"]);
      chmodSync(join(folder, KEY_FILE), mode);
      expect(codeOf(() => open(["reader"]))).toBe("KEYS_EXPOSED");
    },
  );

  test.skipIf(process.platform === "win32")(
    "a folder that others can write to is refused; one that they can only look into is any project's folder",
    () => {
      open(["reader"]);
      for (const mode of [0o777, 0o775, 0o757]) {
        chmodSync(folder, mode);
        expect(codeOf(() => open(["reader"]))).toBe("KEYS_EXPOSED");
      }
      chmodSync(folder, 0o755);
      expect(codeOf(() => open(["reader"]))).toBe("none");
      expect(modeOf(join(folder, KEY_FILE))).toBe(0o600);
    },
  );

  test("a damaged or altered file is refused, left untouched, and never quoted", () => {
    const ring = open(["reader", "writer"]);
    const { reader, writer } = ring.data.keys;
    const contents = [
      "",
      "not JSON",
      `{"seed": "${reader?.seed}"`,
      "[]",
      JSON.stringify({ version: 2, keys: {} }),
      JSON.stringify({ version: 1, keys: { reader: { ...reader, publicKey: writer?.publicKey } } }),
      JSON.stringify({ version: 1, keys: { reader: { ...reader, seed: "AAAA" } } }),
      JSON.stringify({ version: 1, keys: { reader: { ...reader, retired: [{}] } } }),
    ];
    for (const content of contents) {
      writeFileSync(join(folder, KEY_FILE), content);
      expect(
        codeOf(() => open(["reader"])),
        content,
      ).toBe("KEYS_DAMAGED");
      expect(readFileSync(join(folder, KEY_FILE), "utf8")).toBe(content);
    }
    writeFileSync(join(folder, KEY_FILE), `{"seed": "${reader?.seed}"`);
    let shown = "";
    try {
      open(["reader"]);
    } catch (error) {
      shown = `${(error as Error).stack} ${JSON.stringify(error)} ${String((error as Error).cause)}`;
    }
    expect(shown).not.toContain(reader?.seed);
  });

  test("a folder that cannot be made is a clear error", () => {
    writeFileSync(folder, "a file is in the way");
    expect(codeOf(() => open(["reader"]))).toBe("STORE_READONLY");
  });
});
