import { chain, genesis } from "../../runtime/journal.ts";
import { walkJournal } from "../../runtime/verify-journal.ts";
import type { CheckerMaker } from "./checker.ts";

/** Every journal's chain holds as it grows, and the product's own verification finds nothing at the end. */
export const chained: CheckerMaker = ({ disk, history }, fail) => {
  const heads = new Map<string, Uint8Array>();
  return {
    promise: "8: the hash chain of every journal verifies",
    event({ journal, row }) {
      const head = chain(heads.get(journal) ?? genesis(journal), row.bytes);
      if (Buffer.compare(head, row.hash) !== 0) fail(`the hash of event ${row.version} of ${journal} does not follow`);
      heads.set(journal, row.hash);
    },
    async end() {
      for (const journal of history.journals.keys()) {
        const { problem, version } = await walkJournal(disk, journal);
        if (problem !== null) fail(`verification: ${problem.message}`);
        if (version < history.version(journal))
          fail(`${journal} ends at ${version}; ${history.version(journal)} became durable`);
      }
    },
  };
};
