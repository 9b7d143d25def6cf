import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { nearest } from "../definition/nearest.ts";
import { usageError } from "./failure.ts";

/** Which fleet of a store is meant: the definition's, or the only one that the store holds; null when it holds none.
 *  Does not load the definition's code, so that a broken one does not keep anybody from looking at the record.
 *  @throws {FlotillaError} USAGE when several could be meant */
export async function fleetName(path: string, definition: string | null): Promise<string | null> {
  const fleets = fleetsIn(path);
  const declared = definition === null ? null : await declaredName(definition);
  if (declared !== null && (fleets === null || fleets.includes(declared))) return declared;
  if (fleets === null || fleets.length === 0) return declared;
  const [only, ...others] = fleets;
  if (only !== undefined && others.length === 0) return only;
  const near = declared === null ? null : nearest(declared, fleets);
  throw usageError(
    `the store holds ${fleets.length} fleets: ${fleets.join(", ")}`,
    `Name one: --fleet ${near ?? only}`,
  );
}

/** Null when the file cannot be asked: opening it properly tells why. */
function fleetsIn(path: string): string[] | null {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    return db
      .prepare("SELECT id FROM fleet ORDER BY id")
      .all()
      .map(({ id }) => String(id));
  } catch {
    return null;
  } finally {
    db?.close();
  }
}

async function declaredName(definition: string): Promise<string | null> {
  if (![".yaml", ".yml"].includes(extname(definition))) return null;
  const { parseDocument } = await import("yaml");
  try {
    const name: unknown = parseDocument(readFileSync(definition, "utf8")).get("name");
    return typeof name === "string" ? name : null;
  } catch {
    return null; // Unreadable or no map: whoever needs the definition itself is told.
  }
}
