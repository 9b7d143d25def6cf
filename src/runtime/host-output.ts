import { inspect } from "node:util";
import type { Redactor } from "../telemetry/redact.ts";

/** Takes secrets out of whatever this process prints from now on, also as its last words (X8): it becomes lines of the
 *  fleet's log. What is written to a descriptor past `process.stdout` and `process.stderr` is users' code's own doing. */
export function redactOutput(redact: Redactor): void {
  for (const stream of [process.stdout, process.stderr]) redactStream(stream, redact);
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${inspect(error)}\n`);
    process.exit(1);
  });
}

function redactStream(stream: NodeJS.WriteStream, redact: Redactor): void {
  const write = stream.write.bind(stream) as (text: string, callback?: (error?: Error | null) => void) => boolean;
  const redacted = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const callback = rest.find((argument) => typeof argument === "function");
    const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
    return write(redact(text), callback as () => void);
  };
  stream.write = redacted as typeof stream.write;
}
