import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";

// These tests start some hundred processes from source; compiled once, each starts in a third of the time.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), "flotilla-test-cache");

const FIXTURES = join(import.meta.dirname, "fixture");
const LIBRARY = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;

export interface Place {
  /** Where the definition is, and where its hosts run. */
  readonly folder: string;
  /** The definition's file. */
  readonly fleet: string;
  /** Where the store, its keys and its owner's socket are. */
  readonly state: string;
  readonly store: string;
  /** What tools and agents of fixtures append their lines to; outside the folder, since `dev` watches that. */
  readonly diary: string;
  /** Lines of the diary, in order. */
  lines(): string[];
  remove(): void;
}

/** A folder of its own with a copy of one fixture fleet, which a test may edit, kill and damage. Imports are absolute
 *  there, so that the definition's hash covers the fixture alone. The caller removes it. */
export function makePlace(fixture: string): Place {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "flotilla-place-")));
  const folder = join(root, "fleet");
  mkdirSync(folder);
  const place: Place = {
    folder,
    fleet: join(folder, "fleet.ts"),
    state: join(folder, ".flotilla"),
    store: join(folder, ".flotilla", "store.db"),
    diary: join(root, "diary.txt"),
    lines: () => readFileSync(place.diary, "utf8").split("\n").slice(0, -1),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  writeFileSync(place.diary, "");
  writeFileSync(place.fleet, fixtureText(fixture));
  return place;
}

/** The text of a fixture as it works anywhere. */
export function fixtureText(fixture: string): string {
  const text = readFileSync(join(FIXTURES, fixture), "utf8");
  return text
    .replaceAll('"../../../src/index.ts"', `"${LIBRARY}"`)
    .replaceAll('"zod"', `"${import.meta.resolve("zod")}"`);
}

/** As `makePlace`, gone when the test is over. */
export function placeWith(fixture: string): Place {
  const place = makePlace(fixture);
  onTestFinished(() => place.remove());
  return place;
}
