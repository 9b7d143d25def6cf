import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";
import { openMemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";
import type { Store, StoreOptions } from "./store.ts";

const OPENERS: Readonly<Record<string, (rest: string, options: StoreOptions) => Promise<Store>>> = {
  memory: async (_rest, options) => openMemoryStore(options),
  sqlite: async (path, options) => {
    if (path === "")
      throw new FlotillaError("USAGE", "The store `sqlite:` names no file.", {
        hint: "Name one: sqlite:.flotilla/store.db",
      });
    return await openSqliteStore(path, options);
  },
};

/** Opens the store that `url` names: `memory:` (gone with the process) or `sqlite:PATH`, the path relative to the
 *  working directory. @throws {FlotillaError} USAGE when it names no kind of store; STORE_* as its kind says */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  const [, scheme = "", rest = ""] = /^([^:]*):?(.*)$/s.exec(url) ?? [];
  const open = Object.hasOwn(OPENERS, scheme) ? OPENERS[scheme] : undefined;
  if (!open) throw unknownScheme(url, scheme);
  return await open(rest, options);
}

function unknownScheme(url: string, scheme: string): FlotillaError {
  const allowed = Object.keys(OPENERS);
  const near = nearest(scheme, allowed);
  const hint = `${near ? `Did you mean ${near}:? ` : ""}Use memory: or sqlite:PATH, for example sqlite:.flotilla/store.db`;
  return new FlotillaError("USAGE", `The store \`${url}\` is of no known kind.`, { hint, details: { url, allowed } });
}
