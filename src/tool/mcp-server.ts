import type { Client } from "@modelcontextprotocol/client";
import type { McpServerDefinition } from "../core/definition.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { Fetch } from "./fetch.ts";
import { descriptorOf, type McpDescriptor, pinOf } from "./mcp-descriptor.ts";
import { networkFailure } from "./network-error.ts";
import { type FindSecret, resolved } from "./secret.ts";

/** The MCP servers of a fleet: connected when first needed, again after they died; closed together (I3). */
export interface McpServers {
  /** What the server says of the tool now, and its pin. @throws {FlotillaError} TOOL_UNKNOWN, TOOL_UNAVAILABLE, PACKAGE_MISSING */
  describe(server: string, tool: string, signal: AbortSignal): Promise<{ descriptor: McpDescriptor; pin: string }>;
  call(server: string, tool: string, input: Record<string, unknown>, options: McpCallOptions): Promise<McpResult>;
  /** Ends connections and child processes. */
  close(): Promise<void>;
}

export interface McpCallOptions {
  signal: AbortSignal;
  /** Given to the server as `_meta.idempotencyKey`, for servers that look at it. */
  idempotencyKey: string;
}

export type McpResult = Awaited<ReturnType<Client["callTool"]>>;

export interface McpServersOptions {
  servers: Readonly<Record<string, McpServerDefinition>>;
  secret: FindSecret;
  fetch: Fetch;
  /** The PATH that servers over stdio get; they get nothing else of the host's environment. */
  path: string;
  /** The folder in which servers over stdio run. */
  directory?: string;
}

/** The SDK's own time-outs are out of the way: a step aborts its signal when its time is up. */
const NO_TIMEOUT_MS = 2_147_483_647;
/** A server that does not answer the first question is an old one; over stdio that is found out by waiting. */
const PROBE_TIMEOUT_MS = { stdio: 2_000, http: 10_000 };
/** For each message of the handshake. */
const CONNECT_TIMEOUT_MS = 20_000;
const HIDDEN_VARIABLES = ["HOME", "LOGNAME", "SHELL", "TERM", "USER"];

export function mcpServers(options: McpServersOptions): McpServers {
  const connections = new Map<string, Promise<Client>>();

  function connected(server: string): Promise<Client> {
    const known = connections.get(server);
    if (known !== undefined) return known;
    const connection = connect(server, options, () => forget(connection));
    const forget = (gone: Promise<Client>) => {
      if (connections.get(server) === gone) connections.delete(server);
    };
    connections.set(server, connection);
    connection.catch(() => forget(connection));
    return connection;
  }

  async function using<T>(server: string, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      const client = await abortable(connected(server), signal);
      return await work(client);
    } catch (error) {
      signal.throwIfAborted();
      throw toToolError(server, error);
    }
  }

  return {
    describe: (server, tool, signal) =>
      using(server, signal, async (client) => {
        const { tools } = await client.listTools(undefined, { signal, timeout: NO_TIMEOUT_MS });
        const listed = tools.find(({ name }) => name === tool);
        if (listed === undefined)
          throw unknownTool(
            server,
            tool,
            tools.map(({ name }) => name),
          );
        const descriptor = descriptorOf(listed);
        return { descriptor, pin: pinOf(descriptor) };
      }),
    call: (server, tool, input, { signal, idempotencyKey }) =>
      using(server, signal, (client) => {
        const params = { name: tool, arguments: input, _meta: { idempotencyKey } };
        return client.callTool(params, { signal, timeout: NO_TIMEOUT_MS });
      }),
    async close() {
      const open = [...connections.values()];
      connections.clear();
      await Promise.allSettled(open.map(async (connection) => (await connection).close()));
    },
  };
}

async function connect(server: string, options: McpServersOptions, onClose: () => void): Promise<Client> {
  const definition = options.servers[server];
  if (definition === undefined) {
    throw new FlotillaError("DEFINITION_REFERENCE", `MCP server "${server}" is not declared`, {
      details: { server, known: Object.keys(options.servers) },
    });
  }
  const { Client } = await packaged(server, () => import("@modelcontextprotocol/client"));
  const client = new Client(
    { name: "flotilla", version: "1" },
    { versionNegotiation: { mode: "auto", probe: { timeoutMs: PROBE_TIMEOUT_MS[definition.transport] } } },
  );
  client.onclose = onClose;
  const transport =
    definition.transport === "stdio"
      ? await stdio(server, definition, options)
      : await http(server, definition, options);
  try {
    await client.connect(transport, { timeout: CONNECT_TIMEOUT_MS });
    return client;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

async function stdio(server: string, definition: McpServerDefinition, { secret, path, directory }: McpServersOptions) {
  const { StdioClientTransport } = await packaged(server, () => import("@modelcontextprotocol/client/stdio"));
  // The SDK adds some of the host's own variables unless they are there, as undefined at least.
  const hidden = Object.fromEntries(HIDDEN_VARIABLES.map((name) => [name, undefined]));
  const declared = resolved(definition.env, secret, `MCP server ${server}`);
  return new StdioClientTransport({
    command: definition.command ?? "",
    args: [...definition.args],
    env: { ...hidden, PATH: path, ...declared } as Record<string, string>,
    stderr: "ignore",
    ...(directory === undefined ? {} : { cwd: directory }),
  });
}

async function http(server: string, definition: McpServerDefinition, { secret, fetch }: McpServersOptions) {
  const { StreamableHTTPClientTransport } = await packaged(server, () => import("@modelcontextprotocol/client"));
  return new StreamableHTTPClientTransport(new URL(definition.url ?? ""), {
    requestInit: { headers: resolved(definition.headers, secret, `MCP server ${server}`) },
    fetch: fetch as unknown as typeof globalThis.fetch,
  });
}

async function packaged<T>(server: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new FlotillaError(
      "PACKAGE_MISSING",
      `MCP server "${server}" needs the package @modelcontextprotocol/client`,
      {
        hint: "npm install @modelcontextprotocol/client",
        cause,
      },
    );
  }
}

function unknownTool(server: string, tool: string, offered: string[]): FlotillaError {
  const suggestion = nearest(tool, offered);
  const question = suggestion === null ? "" : `  Did you mean "${suggestion}"?`;
  return new FlotillaError(
    "TOOL_UNKNOWN",
    `MCP server "${server}" offers no tool "${tool}"\n  offered: ${offered.join(", ")}.${question}`,
    {
      details: { server, tool, offered },
    },
  );
}

/** A refusal by the server is permanent; all else is a connection that failed. The SDK's errors are known by name,
 *  since the package is imported late. */
function toToolError(server: string, error: unknown): FlotillaError {
  if (isFlotillaError(error)) return error;
  const said = error instanceof Error ? error.message : String(error);
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  if (error instanceof Error && error.name === "ProtocolError") {
    return new FlotillaError("TOOL_FAILED", `MCP server "${server}": ${said}`, {
      details: { server, code: String(code) },
    });
  }
  if (code === "ENOENT" || code === "EACCES") {
    return new FlotillaError("TOOL_FAILED", `MCP server "${server}" cannot be started: ${said}`, {
      details: { server, code },
    });
  }
  const network = networkFailure(error);
  return new FlotillaError("TOOL_UNAVAILABLE", `MCP server "${server}": ${network?.message ?? said}`, {
    cause: error,
    details: { server, ...network },
  });
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
