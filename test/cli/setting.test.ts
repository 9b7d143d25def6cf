import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readSettings } from "../../src/cli/setting.ts";

function place(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-setting-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

const read = (folder: string, flags: Record<string, string>, env: Record<string, string> = {}) =>
  readSettings({
    flags,
    env: { XDG_CONFIG_HOME: join(folder, "home"), ...env },
    cwd: folder,
    projectFolder: join(folder, "project"),
  });

test("a flag goes over the environment, that over the project's file, that over the user's", async () => {
  const folder = place({
    "project/flotilla.yaml": "model: project/model\nhosts: 3\nconcurrency: 4",
    "home/flotilla/flotilla.yaml": "model: user/model\nlogLevel: debug\nhosts: 9",
  });
  const { settings, origins } = await read(
    folder,
    { model: "flag/model" },
    { FLOTILLA_MODEL: "env/model", FLOTILLA_HOSTS: "2" },
  );
  expect(settings).toMatchObject({ model: "flag/model", hosts: 2, concurrency: 4, logLevel: "debug", store: null });
  expect(origins).toMatchObject({
    model: "flag",
    hosts: "environment",
    concurrency: "project",
    logLevel: "user",
    store: "default",
  });
});

test("paths are relative to where they are written", async () => {
  const folder = place({ "project/flotilla.yaml": "store: sqlite:data/store.db" });
  expect((await read(folder, {})).settings.store).toBe(`sqlite:${join(folder, "project/data/store.db")}`);
  expect((await read(folder, { store: "sqlite:here.db" })).settings.store).toBe(`sqlite:${join(folder, "here.db")}`);
  expect((await read(folder, { store: "memory:" })).settings.store).toBe("memory:");
});

test("an unknown setting gets the nearest one, a wrong value what it must be", async () => {
  const folder = place({ "project/flotilla.yaml": "modle: x" });
  await expect(read(folder, {})).rejects.toMatchObject({
    code: "USAGE",
    hint: expect.stringContaining('Did you mean "model"?'),
  });
  await expect(read(place({}), {}, { FLOTILLA_HOSTS: "many" })).rejects.toMatchObject({
    message: expect.stringContaining("FLOTILLA_HOSTS must be a whole number"),
  });
  await expect(read(place({}), { logLevel: "loud" })).rejects.toMatchObject({
    message: expect.stringContaining("--log-level must be one of"),
  });
});
