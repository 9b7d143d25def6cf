import { storeConformance } from "../../src/conformance/store.ts";
import { MemoryDisk, openMemoryStore } from "../../src/store/memory.ts";

storeConformance({
  name: "memory",
  async open() {
    const disk = new MemoryDisk();
    return { open: async (options) => openMemoryStore({ ...options, disk }), remove: async () => {} };
  },
});
