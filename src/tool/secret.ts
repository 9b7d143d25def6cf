import type { SecretRef } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";

/** Looks a secret up by name, in the host, at the time of the call (X8). */
export type FindSecret = (name: string) => string | undefined;

/** @throws {FlotillaError} SECRET_MISSING, naming `asker` */
export function secretOf(find: FindSecret, name: string, asker: string): string {
  const value = find(name);
  if (value !== undefined) return value;
  throw new FlotillaError("SECRET_MISSING", `the secret ${name} of ${asker} is not set`, {
    details: { secret: name, asker },
  });
}

/** Headers or variables with their secrets in place. @throws {FlotillaError} SECRET_MISSING */
export function resolved(
  values: Readonly<Record<string, string | SecretRef>>,
  find: FindSecret,
  asker: string,
): Record<string, string> {
  const entries = Object.entries(values).map(([key, value]): [string, string] => {
    return [key, typeof value === "string" ? value : secretOf(find, value.secret, asker)];
  });
  return Object.fromEntries(entries);
}
