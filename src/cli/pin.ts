import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, extname } from "node:path";
import type { FleetDefinition } from "../core/definition.ts";
import { readSecrets } from "../model/env.ts";
import { modelFetch } from "../model/fetch.ts";
import { describeMcpTool } from "../tool/mcp.ts";
import { mcpServers } from "../tool/mcp-server.ts";
import type { Fixed } from "./fix.ts";
import { replaceFile } from "./fix.ts";

const ANSWER_MS = 30_000;

/** A tool of an MCP server whose descriptor is not the approved one, or was never looked at. */
export interface Unpinned {
  name: string;
  server: string;
  tool: string;
  /** Null when none is approved yet. */
  approved: string | null;
  now: string;
  description: string;
}

/** Asks the MCP servers of a definition what their tools are today. @throws {FlotillaError} TOOL_*, PACKAGE_MISSING,
 *  SECRET_MISSING when a server cannot be asked */
export async function unpinnedTools(
  definition: FleetDefinition,
  file: string,
  env: NodeJS.ProcessEnv,
): Promise<Unpinned[]> {
  const tools = Object.entries(definition.tools).flatMap(([name, tool]) =>
    tool.kind === "mcp" ? [{ name, ...tool }] : [],
  );
  if (tools.length === 0) return [];
  const directory = dirname(file);
  const secrets = readSecrets({ directory, env, home: homedir() });
  const servers = mcpServers({
    servers: definition.mcpServers,
    secret: (name) => secrets.get(name),
    fetch: modelFetch(),
    path: env.PATH ?? "",
    directory,
  });
  try {
    const found = tools.map(async ({ name, server, tool, pin }): Promise<Unpinned[]> => {
      const { pin: now, descriptor } = await describeMcpTool(servers, server, tool, AbortSignal.timeout(ANSWER_MS));
      return pin === now ? [] : [{ name, server, tool, approved: pin, now, description: descriptor.description ?? "" }];
    });
    return (await Promise.all(found)).flat();
  } finally {
    await servers.close();
  }
}

/** Writes the pins of today into a YAML definition; returns those that it could write. */
export async function writePins(file: string, unpinned: readonly Unpinned[]): Promise<Fixed[]> {
  if (![".yaml", ".yml"].includes(extname(file)) || unpinned.length === 0) return [];
  const { isMap, isScalar, LineCounter, parseDocument } = await import("yaml");
  const fixed: Fixed[] = [];
  for (const { name, approved, now } of unpinned) {
    const text = await readFile(file, "utf8");
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    const mcp: unknown = document.getIn(["tools", name, "mcp"], true);
    if (!isMap(mcp)) continue;
    const pin = mcp.items.find(({ key }) => isScalar(key) && key.value === "pin")?.value;
    const last = mcp.items.at(-1);
    const at =
      isScalar(pin) && pin.range
        ? { from: pin.range[0], to: pin.range[1], text: now }
        : afterKey(text, last?.key, mcp.flow === true, now);
    if (at === null) continue;
    await replaceFile(file, text.slice(0, at.from) + at.text + text.slice(at.to));
    fixed.push({ file, line: lines.linePos(at.from).line, from: approved ?? "(no pin)", to: now });
  }
  return fixed;
}

/** A pin that is not there yet goes in front of the map's last key, which is on a line, or in braces, of its own. */
function afterKey(
  text: string,
  key: unknown,
  flow: boolean,
  pin: string,
): { from: number; to: number; text: string } | null {
  const range = (key as { range?: [number, number, number] } | undefined)?.range;
  if (range === undefined) return null;
  const [from] = range;
  if (flow) return { from, to: from, text: `pin: ${pin}, ` };
  const indent = from - (text.lastIndexOf("\n", from - 1) + 1);
  return { from, to: from, text: `pin: ${pin}\n${" ".repeat(indent)}` };
}
