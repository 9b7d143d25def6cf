import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createIdentity, decodePublicKey, sign, verify } from "../../src/message/identity.ts";

// Two sources. The vectors of RFC 8032, section 7.1, and cases made here for each class of mistake that Wycheproof's
// Ed25519 vectors look for (malleability, truncation, garbage, encodings, edge values, forged keys) are always run.
// Wycheproof's own file is not part of this repository and no npm package carries it: it is run when WYCHEPROOF names a
// folder with its `ed25519_test.json` (C2SP/wycheproof, or the `data` folder of the crate `wycheproof`).

const hex = (text: string) => Buffer.from(text, "hex");
const publicKeyOf = (raw: Uint8Array) => Buffer.from(raw).toString("base64url");

const RFC_8032 = [
  {
    name: "test 1",
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    name: "test 2",
    seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature:
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
  {
    name: "test 3",
    seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature:
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
  {
    name: "test SHA(abc)",
    seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    message: createHash("sha512").update("abc").digest("hex"),
    signature:
      "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  },
];

test.each(RFC_8032)("RFC 8032 section 7.1, $name", ({ seed, publicKey, message, signature }) => {
  const identity = createIdentity("agent", hex(seed));
  expect(identity.publicKey).toBe(publicKeyOf(hex(publicKey)));
  expect(sign(identity, hex(message)).toString("hex")).toBe(signature);
  expect(verify(identity.publicKey, hex(message), hex(signature))).toBe(true);
});

const identity = createIdentity("agent", Buffer.alloc(32, 7));
const message = Buffer.from("a message between agents");
const signature = sign(identity, message);
const R = signature.subarray(0, 32);
const S = signature.subarray(32);

/** Order of the group (RFC 8032, section 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;

const toNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
const toBytes = (value: bigint) => hex(value.toString(16).padStart(64, "0")).reverse();
const join2 = (r: Uint8Array, s: Uint8Array) => Buffer.concat([r, s]);
const s = toNumber(S);

const FORGED: readonly [string, Uint8Array][] = [
  ["S + L, which a lax verifier takes for S", join2(R, toBytes(s + L))],
  ["S + 2L", join2(R, toBytes(s + 2n * L))],
  ["S + 8L", join2(R, toBytes(s + 8n * L))],
  ["S = L", join2(R, toBytes(L))],
  ["S = L - 1", join2(R, toBytes(L - 1n))],
  ["S = L - S", join2(R, toBytes(L - s))],
  ["S = 0", join2(R, toBytes(0n))],
  ["S = 1", join2(R, toBytes(1n))],
  ["S of all ones", join2(R, Buffer.alloc(32, 0xff))],
  ["the top bit of S set", join2(R, toBytes(s + 2n ** 255n))],
  ["R = 0", join2(Buffer.alloc(32), S)],
  ["R = the neutral point", join2(toBytes(1n), S)],
  ["R = the neutral point, S = 0", join2(toBytes(1n), toBytes(0n))],
  ["R = the neutral point with its sign bit set, S = 0", join2(toBytes(1n + 2n ** 255n), toBytes(0n))],
  ["R = p", join2(toBytes(P), S)],
  ["R not reduced: the neutral point as p + 1", join2(toBytes(P + 1n), toBytes(0n))],
  ["R of all ones", join2(Buffer.alloc(32, 0xff), S)],
  ["R with the other sign", join2(toBytes(toNumber(R) ^ (2n ** 255n)), S)],
  ["R and S exchanged", join2(S, R)],
  ["S twice", join2(S, S)],
  ["all zeros", Buffer.alloc(64)],
  ["empty", Buffer.alloc(0)],
  ["R alone", R],
  ["one byte short", signature.subarray(0, 63)],
  ["a leading zero cut from S", signature.subarray(1)],
  ["one byte more", Buffer.concat([signature, Buffer.of(0)])],
  ["one byte in front", Buffer.concat([Buffer.of(0), signature])],
  ["the message appended", Buffer.concat([signature, message])],
  ["as hex text", Buffer.from(signature.toString("hex"))],
];

test.each(FORGED)("refuses a signature with %s", (_, forged) => {
  expect(verify(identity.publicKey, message, forged)).toBe(false);
});

test("refuses a signature with any one bit flipped, over any other message, and by any other key", () => {
  for (let bit = 0; bit < 512; bit++) {
    const flipped = Buffer.from(signature);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(verify(identity.publicKey, message, flipped), `bit ${bit}`).toBe(false);
  }
  const other = createIdentity("other", Buffer.alloc(32, 8));
  expect(verify(other.publicKey, message, signature)).toBe(false);
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(verify(identity.publicKey, bytes, signature)).toBe(message.equals(bytes));
    }),
  );
});

test("whatever is signed verifies, and the same bytes have one signature", () => {
  const cases = fc.tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 200 }));
  fc.assert(
    fc.property(cases, ([seed, bytes]) => {
      const signer = createIdentity("agent", seed);
      expect(verify(signer.publicKey, bytes, sign(signer, bytes))).toBe(true);
      expect(sign(signer, bytes).equals(sign(createIdentity("agent", seed), bytes))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

describe("public keys", () => {
  // Under such a key one signature fits many messages: OpenSSL 3.0 still accepts that, and 3.5 refuses it as we do.
  // y of the points whose order divides 8, and the ways to write them with y not reduced.
  const order8 = [
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ];
  const small = [...[0n, 1n, P - 1n, P, P + 1n].map(toBytes), ...order8.map(hex)];
  const withSigns = small.flatMap((y) => [y, toBytes(toNumber(y) | (2n ** 255n))]);
  const universal = join2(toBytes(1n), toBytes(0n));

  test.each(withSigns.map((raw) => [raw.toString("hex"), raw] as const))("of small order are refused: %s", (_, raw) => {
    expect(decodePublicKey(publicKeyOf(raw))).toBeNull();
    for (let i = 0; i < 16; i++) expect(verify(publicKeyOf(raw), Buffer.of(i), universal)).toBe(false);
  });

  const raw = Buffer.from(identity.publicKey, "base64url");
  test.each([
    ["y not reduced", publicKeyOf(toBytes(P + 5n))],
    ["y of all ones", publicKeyOf(Buffer.alloc(32, 0xff))],
    ["31 bytes", publicKeyOf(raw.subarray(1))],
    ["33 bytes", publicKeyOf(Buffer.concat([raw, Buffer.of(0)]))],
    ["nothing", ""],
    ["padding", `${identity.publicKey}=`],
    ["white space", ` ${identity.publicKey}`],
    ["base64 instead of base64url", Buffer.alloc(32, 0xfb).toString("base64")],
    ["hex", raw.toString("hex")],
  ])("not in their one form are refused: %s", (_, text) => {
    expect(decodePublicKey(text)).toBeNull();
    expect(verify(text, message, signature)).toBe(false);
  });

  test("that are no point on the curve verify nothing", () => {
    expect(verify(publicKeyOf(toBytes(2n)), message, signature)).toBe(false);
  });
});

test("a seed of another length is refused", () => {
  expect(() => createIdentity("agent", Buffer.alloc(31))).toThrow("32 bytes");
});

interface Wycheproof {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }[];
}

const folder = process.env.WYCHEPROOF ?? "";
const file = join(folder, "ed25519_test.json");

describe.skipIf(folder === "" || !existsSync(file))("Wycheproof's own vectors (set WYCHEPROOF to their folder)", () => {
  test("all agree", () => {
    const { testGroups } = JSON.parse(readFileSync(file, "utf8")) as Wycheproof;
    for (const { publicKey, tests } of testGroups) {
      for (const { tcId, comment, msg, sig, result } of tests) {
        const accepted = verify(publicKeyOf(hex(publicKey.pk)), hex(msg), hex(sig));
        expect(accepted, `case ${tcId}: ${comment}`).toBe(result === "valid");
      }
    }
  });
});
