import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FlotillaError } from "../error.ts";
import { KEY_FILE } from "../message/key-file.ts";
import { parseKeyData } from "../message/keys.ts";
import { ownerFolder } from "../runtime/owner-lock.ts";
import type { PublicKeys } from "../runtime/verify-head.ts";

/** The public keys of the key file beside a store, today's and retired ones; null when there is none here.
 *  @throws {FlotillaError} KEYS_DAMAGED */
export async function trustedKeys(storePath: string): Promise<PublicKeys | null> {
  const file = join(ownerFolder(storePath), KEY_FILE);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    // Whoever may read the store but not the secrets verifies with the keys that the fleet's journal records.
    if (error.code === "ENOENT" || error.code === "EACCES") return null;
    throw error;
  });
  if (text === null) return null;
  const data = parseKeyData(parsed(text));
  if (data === null)
    throw new FlotillaError("KEYS_DAMAGED", `${file} is not a key file, or a key in it was altered.`, {
      details: { file },
    });
  return (name) => {
    const entry = Object.hasOwn(data.keys, name) ? data.keys[name] : undefined;
    return entry === undefined ? [] : [entry.publicKey, ...entry.retired.map((key) => key.publicKey)];
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
