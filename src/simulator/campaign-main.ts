import { simulateSeed } from "./campaign-seed.ts";
const seed = Number(process.argv[2] ?? 1);
const n = Number(process.argv[3] ?? 1);
let bad = 0, events = 0; const t0 = performance.now();
for (let s = seed; s < seed + n; s++) {
  const report = await simulateSeed(s, { store: process.argv[4] === "sqlite" ? "sqlite" : "memory" });
  events += report.happenings;
  if (report.violations.length) { bad++; console.log(s, JSON.stringify(report.configuration.mode), report.simulatedMs, report.happenings, report.violations[0]); }
  if (n === 1) { console.log(report.trace.slice(-Number(process.env.TAIL ?? 40)).join("\n")); console.log(report.configuration, report.simulatedMs, report.happenings, report.faults, report.coverage.counts, report.digest, report.violations); }
}
console.log({ bad, n, events, ms: performance.now() - t0 });
