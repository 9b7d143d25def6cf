import type { Json } from "../core/json.ts";
import type { Redactor } from "../telemetry/redact.ts";

/** The part of `fetch` that models use; aborting the signal must close the socket. */
export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** One provider as declared, its secrets resolved. */
export interface ProviderSettings {
  /** The name before the slash of `provider/name`, for messages. */
  name: string;
  baseUrl: string;
  /** Null where the server wants none, as Ollama. */
  apiKey: string | null;
  headers: Readonly<Record<string, string>>;
  /** Passed to the provider as they are; the names are the AI SDK's provider options. */
  options: { readonly [key: string]: Json };
  fetch: Fetch;
  /** Removes key and secret headers from what the provider says in its errors. */
  redact: Redactor;
}
