import type { Agent, Dispatcher } from "undici";
import { FlotillaError } from "../error.ts";

/** The part of `fetch` that tools and agents use; aborting the signal closes the socket. */
export type Fetch = (url: string, init: FetchRequest) => Promise<FetchAnswer>;

export interface FetchRequest {
  method: string;
  headers: Readonly<Record<string, string>>;
  body?: string | Uint8Array<ArrayBuffer>;
  redirect?: "follow" | "manual";
  signal: AbortSignal;
}

export interface FetchAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Bytes of one answer that a tool or agent may read. */
export const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;

const CONNECT_TIMEOUT_MS = 10_000;
const CONNECTIONS_PER_ORIGIN = 64;
const HEADER_BYTES_MAX = 64 * 1024;

/** A fetch over a pool of connections of its own, for one worker host. Time-outs other than that of connecting are the
 *  steps'. `close` closes the pool's sockets. */
export function toolFetch(): { fetch: Fetch; close(): Promise<void> } {
  let opened: Promise<{ undici: typeof import("undici"); pool: Agent }> | undefined;
  const open = async () => {
    const undici = await import("undici");
    const pool = new undici.Agent({
      connections: CONNECTIONS_PER_ORIGIN,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES_MAX,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    return { undici, pool };
  };
  return {
    async fetch(url, init) {
      opened ??= open();
      const { undici, pool } = await opened;
      const response = await undici.fetch(url, { ...init, dispatcher: pool satisfies Dispatcher });
      return response as unknown as FetchAnswer; // the same standard, declared twice: by undici and by Node
    },
    async close() {
      await opened?.then(({ pool }) => pool.destroy());
    },
  };
}

/** All bytes of an answer. @throws {FlotillaError} TOOL_FAILED when they are more than `RESPONSE_BYTES_MAX` */
export async function readBody(answer: FetchAnswer, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > RESPONSE_BYTES_MAX) {
      throw new FlotillaError("TOOL_FAILED", `${url} answered with more than ${RESPONSE_BYTES_MAX} bytes`, {
        details: { bytesMax: RESPONSE_BYTES_MAX },
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
