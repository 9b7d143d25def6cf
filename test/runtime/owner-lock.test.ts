import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { open } from "../../src/index.ts";
import { sums } from "./altered-store.ts";

test.each(["owner.json", "owner.lock"])("F14: a folder in the place of %s is said to be there", async (name) => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-owner-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "store.db.owner", name), { recursive: true });
  await expect(open(sums, { store: `sqlite:${join(folder, "store.db")}` })).rejects.toMatchObject({
    code: "STORE_READONLY",
    message: expect.stringContaining(`${name} is a folder`),
  });
});
