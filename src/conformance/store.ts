import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Store, StoreOptions } from "../store/store.ts";
import { journalTests } from "./store-journal.ts";
import { lifeTests } from "./store-life.ts";
import { queueTests } from "./store-queue.ts";
import { recordTests } from "./store-record.ts";
import { runTests } from "./store-run.ts";

/** What some stores can and others cannot: `durable`, what was committed is there when the store is opened again;
 *  `shared`, several handles are open on one place at once, of one fleet and of several. */
export type StoreCapability = "durable" | "shared";

const ALL: readonly StoreCapability[] = ["durable", "shared"];

/** Where stores under test keep their state: a file, a database. Empty at first. */
export interface StorePlace {
  open(options: StoreOptions): Promise<Store>;
  /** Called when all its stores are closed. */
  remove(): Promise<void>;
}

export interface StoreConformanceOptions {
  name: string;
  /** A new, empty place. */
  open(): Promise<StorePlace>;
  /** What the store is capable of; tests that need more are skipped, and say so. Default: all. */
  capabilities?: readonly StoreCapability[];
  /** Tests that the store does not pass, by name, each with the reason. A name that is no test's fails. */
  skip?: Readonly<Record<string, string>>;
}

/** What a test works with. */
export interface StoreBench {
  /** Opens a store at the place of this test; it is closed afterwards. The fleet is "fleet-a" by default. */
  open(options?: Partial<StoreOptions>): Promise<Store>;
}

/** Declares one test, and what a store must be capable of to pass it. */
export type StoreTest = (
  name: string,
  run: (bench: StoreBench) => Promise<void>,
  needs?: readonly StoreCapability[],
) => void;

/** Runs, in a Vitest file, what the contract in `store.ts` promises, against one implementation (D2). */
export function storeConformance({ name, open, capabilities = ALL, skip = {} }: StoreConformanceOptions): void {
  describe(`store conformance: ${name}`, () => {
    let place: StorePlace;
    let opened: Store[];
    const names = new Set<string>();

    beforeEach(async () => {
      place = await open();
      opened = [];
    });
    afterEach(async () => {
      for (const store of opened) await store.close();
      await place.remove();
    });

    const bench: StoreBench = {
      async open(options) {
        const store = await place.open({ fleet: "fleet-a", ...options });
        opened.push(store);
        return store;
      },
    };
    const test: StoreTest = (title, run, needs = []) => {
      names.add(title);
      const lacking = needs.find((capability) => !capabilities.includes(capability));
      const reason = skip[title] ?? (lacking && `the store is not ${lacking}`);
      if (reason === undefined) it(title, () => run(bench));
      else it.skip(`${title} (skipped: ${reason})`);
    };

    journalTests(test);
    runTests(test);
    queueTests(test);
    recordTests(test);
    lifeTests(test);

    it("skips no test that does not exist, and none without a reason", () => {
      expect(Object.keys(skip).filter((title) => !names.has(title))).toEqual([]);
      expect(Object.values(skip).filter((reason) => reason.trim() === "")).toEqual([]);
    });
  });
}
