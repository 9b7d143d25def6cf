import { type Item, wordsOf } from "./item.ts";

const HASHES = 48;
const BAND = 3;
const SIMILAR_MIN = 0.5;
const SHINGLES_MIN = 3;

interface Profile {
  shingles: ReadonlySet<number>;
  /** Words that hold a digit: numbers of orders, bikes, versions. Items that name different ones are different. */
  marks: ReadonlySet<string>;
}

/** Groups of items that say nearly the same, the first of each group in front. Candidates are found by MinHash in
 *  bands (Broder 1997), and then really compared: word pairs in common, and no contradicting numbers. */
export function duplicatesIn(items: readonly Item[]): { first: number; again: number[] }[] {
  const profiles = items.map(profileOf);
  const leader = items.map((_, index) => index);
  const lead = (index: number): number => {
    const up = leader[index] ?? index;
    return up === index ? index : lead(up);
  };
  const buckets = new Map<string, number[]>();
  for (const [index, profile] of profiles.entries()) {
    if (profile.shingles.size < SHINGLES_MIN) continue;
    for (const band of bandsOf(profile.shingles)) {
      const bucket = buckets.get(band) ?? [];
      const same = bucket.find((other) => lead(other) !== lead(index) && areSame(profiles[other], profile));
      if (same !== undefined) join(leader, lead(same), lead(index));
      bucket.push(index);
      buckets.set(band, bucket);
    }
  }
  const groups = Map.groupBy(leader.keys(), lead);
  return [...groups].flatMap(([first, all]) => {
    const again = all.filter((index) => index !== first);
    return again.length === 0 ? [] : [{ first, again }];
  });
}

function join(leader: number[], one: number, other: number): void {
  leader[Math.max(one, other)] = Math.min(one, other);
}

function profileOf(item: Item): Profile {
  const words =
    wordsOf(item)
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  const pairs = words.slice(1).map((word, index) => hash(`${words[index]} ${word}`));
  return { shingles: new Set(pairs), marks: new Set(words.filter((word) => /\d{2}/.test(word))) };
}

function areSame(one: Profile | undefined, other: Profile): boolean {
  if (one === undefined) return false;
  if (Math.min(one.marks.size, other.marks.size) > shared(one.marks, other.marks)) return false;
  const common = shared(one.shingles, other.shingles);
  return common / Math.min(one.shingles.size, other.shingles.size) >= SIMILAR_MIN && areAlike(one, other, common);
}

/** A short text that is part of a long one is not the same. */
const areAlike = (one: Profile, other: Profile, common: number): boolean =>
  common / (one.shingles.size + other.shingles.size - common) >= SIMILAR_MIN * 0.8;

function shared<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): number {
  let count = 0;
  for (const value of one) if (other.has(value)) count += 1;
  return count;
}

function bandsOf(shingles: ReadonlySet<number>): string[] {
  const least = Array.from({ length: HASHES }, (_, n) => {
    let best = 0xffffffff;
    for (const shingle of shingles) best = Math.min(best, mixed(shingle, n));
    return best;
  });
  return Array.from({ length: HASHES / BAND }, (_, band) =>
    [band, ...least.slice(band * BAND, (band + 1) * BAND)].join(),
  );
}

const mixed = (value: number, n: number): number =>
  (Math.imul(value ^ Math.imul(n + 1, 0x9e3779b1), 0x85ebca6b) ^ (value >>> 13)) >>> 0;

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let place = 0; place < text.length; place++) value = Math.imul(value ^ text.charCodeAt(place), 0x01000193);
  return value >>> 0;
}
