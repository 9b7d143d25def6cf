import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSecrets } from "../../src/model/env.ts";

describe("secrets", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-env-"));
    await mkdir(join(folder, "home", ".config", "flotilla"), { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("come from the environment, then .env, then the user's file", async () => {
    await writeFile(join(folder, ".env"), "A=from-dotenv\nB=from-dotenv\nEMPTY=\n");
    await writeFile(
      join(folder, "home", ".config", "flotilla", "env"),
      "A=from-home\nB=from-home\nC='from home'\nEMPTY=from-home\n",
    );
    const secrets = readSecrets({ directory: folder, env: { A: "from-process", C: "" }, home: join(folder, "home") });
    expect(["A", "B", "C", "EMPTY", "D"].map(secrets.get)).toEqual([
      "from-process",
      "from-dotenv",
      "from home",
      "from-home",
      undefined,
    ]);
    expect(process.env).not.toHaveProperty("B");
  });

  it("need no file", () => {
    const secrets = readSecrets({ directory: join(folder, "absent"), env: {}, home: null });
    expect(secrets.get("A")).toBeUndefined();
  });

  it("are not passed over when a file cannot be read", async () => {
    await mkdir(join(folder, ".env"));
    expect(() => readSecrets({ directory: folder, env: {}, home: null })).toThrow(
      expect.objectContaining({ code: "DEFINITION_FILE" }) as Error,
    );
  });

  it("X8: are redacted once they were handed out; settings never", () => {
    const secrets = readSecrets({ directory: null, env: { KEY: "canary-1", URL: "http://host" }, home: null });
    expect(secrets.setting("URL")).toBe("http://host");
    expect(secrets.redact("canary-1 http://host")).toBe("canary-1 http://host");
    expect(secrets.get("KEY")).toBe("canary-1");
    expect(secrets.redact("canary-1 http://host")).toBe("[secret KEY] http://host");
  });
});
