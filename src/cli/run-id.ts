import { isChild } from "../core/seat.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";
import type { RunRow, Store } from "../store/store.ts";
import { usageError } from "./failure.ts";

/** The newest run. */
export const LAST = "@last";

const SHOWN = 5;
const LOOKED_AT = 10_000;

/** A run, and the store that it was found in. */
export interface Found {
  row: RunRow;
  store: Store;
}

/** The run that somebody means: its id, any unique prefix of it (with or without `r-`), or `@last`.
 *  @throws {FlotillaError} RUN_UNKNOWN, USAGE when a prefix fits several */
export async function findRun(store: Store | null, text: string): Promise<Found> {
  const id = store === null ? null : await idOf(store, text);
  const row = store === null || id === null ? null : await store.run(id);
  if (store !== null && row !== null) return { row, store };
  const recent = store === null ? [] : (await store.runs({ limit: PAGE })).filter(({ id }) => !isChild(id));
  const near = nearest(
    text,
    recent.map(({ id }) => id),
  );
  const hint =
    near !== null
      ? `Did you mean ${near}?`
      : recent.length === 0
        ? "There are no runs yet: flotilla run"
        : "List the runs: flotilla ls";
  throw new FlotillaError("RUN_UNKNOWN", text === LAST ? "there is no run yet" : `there is no run ${text}`, { hint });
}

async function idOf(store: Store, text: string): Promise<string | null> {
  if (text === LAST) return newest(store);
  const [root = "", ...children] = text.split(".");
  const id = await rootOf(store, root);
  return id === null ? null : [id, ...children].join(".");
}

const PAGE = 100;

/** The newest run that nobody's task is. */
async function newest(store: Store): Promise<string | null> {
  for (let page = await store.runs({ limit: PAGE }); ; ) {
    const found = page.find(({ id }) => !isChild(id));
    const last = page.at(-1);
    if (found !== undefined || last === undefined) return found?.id ?? null;
    page = await store.runs({ limit: PAGE, before: { createdAt: last.createdAt, id: last.id } });
  }
}

/** Children share their parent's id and are named after it: `r-7f3a91.1`. */
async function rootOf(store: Store, text: string): Promise<string | null> {
  if (text === "") return null;
  for (const prefix of [text, `r-${text}`]) {
    const found = (await store.runIdsByPrefix(prefix, LOOKED_AT)).filter((id) => !isChild(id)).slice(0, SHOWN + 1);
    const [first, ...others] = found;
    if (first === undefined) continue;
    if (others.length === 0 || first === prefix) return first;
    const shown = found.slice(0, SHOWN).join(", ");
    throw usageError(`${text} fits several runs: ${shown}${found.length > SHOWN ? ", …" : ""}`, "Give more of the id.");
  }
  return null;
}
