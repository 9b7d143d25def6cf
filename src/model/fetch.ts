import type { Agent, RequestInfo as UndiciRequest, RequestInit as UndiciInit } from "undici";
import type { Fetch } from "./provider.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** A fetch for models, over a pool of connections of its own. It has no time-outs but that of connecting, since a model
 *  may think for minutes: the engine's step time-out aborts the signal, which closes the socket (F3). */
export function modelFetch(): Fetch {
  let pool: Promise<{ agent: Agent; undici: typeof import("undici") }> | undefined;
  return async (url, init) => {
    pool ??= import("undici").then((undici) => ({
      undici,
      agent: new undici.Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: CONNECT_TIMEOUT_MS } }),
    }));
    const { agent, undici } = await pool;
    const response = await undici.fetch(url as UndiciRequest, { ...(init as UndiciInit), dispatcher: agent });
    return response as unknown as Response; // the same standard, declared twice: by undici and by Node
  };
}
