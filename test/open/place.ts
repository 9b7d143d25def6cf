import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type App, open, type OpenOptions } from "../../src/index.ts";
import { desk } from "./desk.ts";

/** A folder that goes when the test is over. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "flotilla-open-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The desk, opened until the test is over. */
export async function opened(options: OpenOptions = {}): Promise<App<typeof desk>> {
  const app = await open(desk, { store: "memory:", ...options });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

/** What a promise rejected with. @throws when it resolved */
export async function rejection(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error as Record<string, unknown> }),
  );
  if ("value" in outcome) throw new Error(`resolved with ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}
