export * from "./model.ts";
export {
  type StoreBench,
  type StoreCapability,
  type StoreConformanceOptions,
  type StorePlace,
  storeConformance,
} from "./store.ts";
