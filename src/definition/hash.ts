import type { FleetDefinition } from "../core/definition.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";

/** SHA-256, in hex, of the definition's canonical JSON. It covers the declarations and the content of local modules,
 *  which is what a run is pinned to; secrets are in it by name only. */
export function definitionHash(definition: FleetDefinition): string {
  return sha256(canonicalJson(definition)).toString("hex");
}
