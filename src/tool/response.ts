import type { FetchResponse } from "../definition/context.ts";

/** An answer as plain data: what goes on record. */
export type RecordedAnswer = {
  status: number;
  headers: [string, string][];
  body: { text: string } | { base64: string };
};

/** Text stays readable in the record; what is no UTF-8 is kept as base64. */
export function recordedAnswer(status: number, headers: Headers, body: Buffer): RecordedAnswer {
  const text = body.toString("utf8");
  const isText = !text.includes("\u0000") && Buffer.from(text, "utf8").equals(body);
  return { status, headers: [...headers], body: isText ? { text } : { base64: body.toString("base64") } };
}

/** The answer as code reads it. */
export function fetchResponse({ status, headers, body }: RecordedAnswer): FetchResponse {
  const bytes = () => ("text" in body ? Buffer.from(body.text, "utf8") : Buffer.from(body.base64, "base64"));
  const text = () => ("text" in body ? body.text : bytes().toString("utf8"));
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: new Headers(headers),
    text: async () => text(),
    json: async () => JSON.parse(text()),
    bytes: async () => new Uint8Array(bytes()),
  };
}
