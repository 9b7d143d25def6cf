import { homedir } from "node:os";
import { dirname } from "node:path";
import type { FleetDefinition } from "../core/definition.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { readSecrets } from "../model/env.ts";
import { modelRegistry } from "../model/registry.ts";
import { namedSecrets } from "./known-secret.ts";

/** What is valid and would yet fail when it runs here: keys and secrets that are not set. Nothing is connected. */
export function missingSecrets(
  definition: FleetDefinition,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): FlotillaError[] {
  const secrets = readSecrets({ directory: dirname(file), env, home: homedir() });
  // Those of models are found by asking for the models.
  const named = [...namedSecrets({ ...definition, providers: {} })]
    .filter(([name]) => secrets.get(name) === undefined)
    .map(([name, where]) => new FlotillaError("SECRET_MISSING", `the secret ${name} is not set (${where})`));
  return [...modelErrors(definition, secrets), ...named];
}

function modelErrors({ agents, providers }: FleetDefinition, secrets: ReturnType<typeof readSecrets>): FlotillaError[] {
  const { get: secret, setting } = secrets;
  const registry = modelRegistry({ providers, secret, setting });
  const errors = new Map<string, FlotillaError>();
  for (const [name, { model, fallbackModels }] of Object.entries(agents)) {
    for (const ref of [model, ...fallbackModels]) {
      const error = ref === null ? null : errorOf(() => registry.resolve(ref, name));
      if (error !== null && !errors.has(error.message)) errors.set(error.message, error);
    }
  }
  return [...errors.values()];
}

function errorOf(work: () => unknown): FlotillaError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (isFlotillaError(error)) return error;
    throw error;
  }
}
