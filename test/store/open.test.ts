import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { append } from "../../src/conformance/store-sample.ts";
import { openStore } from "../../src/store/open.ts";

it("opens a store in memory, of its own each time", async () => {
  const store = await openStore("memory:", { fleet: "f" });
  await store.commit([append("j", 0)]);
  const other = await openStore("memory:", { fleet: "f" });
  expect(await other.head("j")).toMatchObject({ version: 0 });
  await Promise.all([store.close(), other.close()]);
});

it("opens a store in a file, with its folders", async () => {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-open-"));
  const url = `sqlite:${join(folder, "a", "b: c", "store.db")}`;
  const store = await openStore(url, { fleet: "f" });
  await store.commit([append("j", 0)]);
  await store.close();
  const again = await openStore(url, { fleet: "f" });
  expect(await again.head("j")).toMatchObject({ version: 1 });
  await again.close();
  await rm(folder, { recursive: true });
});

it.each(["sqlit:x.db", "postgres://host/db", "store.db", "", "constructor:"])(
  "refuses %j, naming what is allowed",
  async (url) => {
    const error = {
      code: "USAGE",
      details: { allowed: ["memory", "sqlite"] },
      hint: expect.stringContaining("sqlite:PATH"),
    };
    await expect(openStore(url, { fleet: "f" })).rejects.toMatchObject(error);
  },
);

it("suggests the nearest kind, and wants a path for a file", async () => {
  await expect(openStore("sqlit:x.db", { fleet: "f" })).rejects.toMatchObject({
    hint: expect.stringContaining("Did you mean sqlite:"),
  });
  await expect(openStore("sqlite:", { fleet: "f" })).rejects.toMatchObject({ code: "USAGE" });
});
