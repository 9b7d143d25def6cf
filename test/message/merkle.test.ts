import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { inclusionProof, MerkleAccumulator, merkleRoot, verifyInclusion } from "../../src/message/merkle.ts";

// The inputs and roots that implementations of Certificate Transparency test against; the definition below agrees.
const INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** RFC 9162, section 2.1.1, word for word. */
function definition(leaves: readonly Uint8Array[]): Buffer {
  const hash = (...parts: Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest();
  if (leaves.length === 0) return hash();
  if (leaves.length === 1) return hash(Buffer.of(0), leaves[0] as Uint8Array);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return hash(Buffer.of(1), definition(leaves.slice(0, k)), definition(leaves.slice(k)));
}

test.each(ROOTS.map((root, size) => [size, root] as const))("known root of %i leaves", (size, root) => {
  const leaves = INPUTS.slice(0, size).map((hex) => Buffer.from(hex, "hex"));
  expect(merkleRoot(leaves).toString("hex")).toBe(root);
  expect(definition(leaves).toString("hex")).toBe(root);
});

const leavesOf = (min: number) =>
  fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: min, maxLength: 70 });

test("the accumulator's root is the defined one after every leaf", () => {
  fc.assert(
    fc.property(leavesOf(0), (leaves) => {
      const accumulator = new MerkleAccumulator();
      leaves.forEach((leaf, index) => {
        accumulator.append(leaf);
        expect(accumulator.root().equals(definition(leaves.slice(0, index + 1)))).toBe(true);
      });
      expect(accumulator.size).toBe(leaves.length);
    }),
    { numRuns: 30 },
  );
});

const proven = leavesOf(1).chain((leaves) =>
  fc.record({ leaves: fc.constant(leaves), index: fc.nat({ max: leaves.length - 1 }) }),
);

test("every leaf can be proven to be where it is", () => {
  fc.assert(
    fc.property(proven, ({ leaves, index }) => {
      const proof = inclusionProof(leaves, index);
      expect(verifyInclusion(merkleRoot(leaves), leaves.length, index, leaves[index] as Uint8Array, proof)).toBe(true);
    }),
  );
});

test("no proof holds for another leaf, place, root, or when it is altered, shortened or extended", () => {
  fc.assert(
    fc.property(proven, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ leaves, index }, at, flip) => {
      const root = merkleRoot(leaves);
      const size = leaves.length;
      const leaf = leaves[index] as Uint8Array;
      const proof = inclusionProof(leaves, index);
      const holds = (r: Uint8Array, i: number, l: Uint8Array, p: readonly Uint8Array[]) =>
        verifyInclusion(r, size, i, l, p);
      expect(holds(flipped(root, at, flip), index, leaf, proof)).toBe(false);
      expect(holds(root, index, flipped(leaf, at, flip), proof)).toBe(false);
      expect(holds(root, index, leaf, [...proof, Buffer.alloc(32)])).toBe(false);
      expect(holds(root, size, leaf, proof)).toBe(false);
      expect(holds(root, -1, leaf, proof)).toBe(false);
      if (proof.length === 0) return;
      const sibling = at % proof.length;
      const altered = proof.map((hash, i) => (i === sibling ? flipped(hash, at, flip) : hash));
      expect(holds(root, index, leaf, altered)).toBe(false);
      expect(holds(root, index, leaf, proof.slice(1))).toBe(false);
      expect(holds(root, index, leaf, proof.slice(0, -1))).toBe(false);
    }),
  );
});

test("a node cannot be passed off as a leaf", () => {
  const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const hashes = [a, b].map((leaf) => definition([leaf]));
  expect(merkleRoot([Buffer.concat(hashes)]).equals(merkleRoot([a, b]))).toBe(false);
});

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at % copy.length] = (copy[at % copy.length] as number) ^ mask;
  return copy;
}
