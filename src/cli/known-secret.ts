import { homedir } from "node:os";
import type { FleetDefinition, SecretRef } from "../core/definition.ts";
import { readSecrets } from "../model/env.ts";
import { KEY_NAMES } from "../model/registry.ts";

/** The values of all secrets that a definition refers to or its providers look for, by name, to be kept out of logs. */
export function knownSecrets(
  definition: FleetDefinition,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): [name: string, value: string][] {
  const secrets = readSecrets({ directory: folder, env, home: homedir() });
  const names = new Set([...Object.values(KEY_NAMES).flat(), ...namedSecrets(definition).keys()]);
  return [...names].flatMap((name) => {
    const value = secrets.get(name);
    return value === undefined ? [] : [[name, value]];
  });
}

/** Every secret that a definition refers to, with where. */
export function namedSecrets({ providers, mcpServers, tools }: FleetDefinition): Map<string, string> {
  const secrets = new Map<string, string>();
  const note = (value: string | SecretRef | null, where: string) => {
    if (typeof value === "object" && value !== null && !secrets.has(value.secret)) secrets.set(value.secret, where);
  };
  for (const [name, { apiKey, headers }] of Object.entries(providers)) {
    for (const value of [apiKey, ...Object.values(headers)]) note(value, `provider ${name}`);
  }
  for (const [name, { env, headers }] of Object.entries(mcpServers)) {
    for (const value of [...Object.values(env), ...Object.values(headers)]) note(value, `MCP server ${name}`);
  }
  for (const [name, tool] of Object.entries(tools)) {
    if (tool.kind === "http") for (const value of Object.values(tool.headers)) note(value, `tool ${name}`);
  }
  return secrets;
}
