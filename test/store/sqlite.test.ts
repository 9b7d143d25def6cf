import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { storeConformance } from "../../src/conformance/store.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";

storeConformance({
  name: "sqlite",
  async open() {
    const folder = await mkdtemp(join(tmpdir(), "flotilla-store-"));
    return {
      open: (options) => openSqliteStore(join(folder, "made", "store.db"), options),
      remove: () => rm(folder, { recursive: true }),
    };
  },
});
