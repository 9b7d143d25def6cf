import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";

const FIXTURES = join(import.meta.dirname, "fixture");
const LIBRARY = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;

export interface Place {
  readonly folder: string;
  /** The definition's file. */
  readonly fleet: string;
  readonly store: string;
  /** What tools and agents of fixtures append their lines to. */
  readonly diary: string;
  path(name: string): string;
  /** Lines of the diary, in order. */
  lines(): string[];
  remove(): void;
}

/** A folder of its own with a copy of one fixture fleet, which a test may edit, kill and damage. Imports are absolute
 *  there, so that the definition's hash covers the fixture alone. The caller removes it. */
export function makePlace(fixture: string, folder = mkdtempSync(join(tmpdir(), "flotilla-place-"))): Place {
  const fleet = join(folder, "fleet.ts");
  writeFileSync(fleet, absolute(readFileSync(join(FIXTURES, fixture), "utf8")));
  const diary = join(folder, "diary.txt");
  writeFileSync(diary, "");
  return {
    folder,
    fleet,
    store: join(folder, ".flotilla", "store.db"),
    diary,
    path: (name) => join(folder, name),
    lines: () => readFileSync(diary, "utf8").split("\n").slice(0, -1),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** As `makePlace`, gone when the test is over. */
export function placeWith(fixture: string): Place {
  const place = makePlace(fixture);
  onTestFinished(() => place.remove());
  return place;
}

/** A copy of a place's folder, as a crash at this moment leaves it. */
export function copyOf(place: Place, to: string): void {
  cpSync(place.folder, to, { recursive: true });
}

function absolute(text: string): string {
  return text
    .replaceAll('"../../../src/index.ts"', `"${LIBRARY}"`)
    .replaceAll('"zod"', `"${import.meta.resolve("zod")}"`);
}
