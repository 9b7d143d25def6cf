// The one command that tests everything: format, lint, types, then all tests. Arguments go to Vitest (a path, -t NAME).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CheckResult, render, summarise, type VitestReport } from "./test-report.ts";

const root = join(import.meta.dirname, "..");

const CHECKS = [
  {
    name: "format",
    covers: "every file is as Biome writes it (npm run format)",
    bin: "@biomejs/biome/bin/biome",
    args: ["format", "."],
  },
  {
    name: "lint",
    covers: "oxlint, with the rules that follow types: no promise is left floating or misused",
    bin: "oxlint/bin/oxlint",
    args: ["--type-aware", "--deny-warnings"],
  },
  {
    name: "types",
    covers: "tsc, strict, over src, test, tools, bench and examples, with the type tests in them",
    bin: "typescript/bin/tsc",
    args: ["-p", "tsconfig.json"],
  },
];

/** A test that loops for ever cannot be timed out from inside its process, so the whole is: milliseconds. */
const TIME_MAX_MS = 20 * 60_000;

/** Runs a package's command on this very Node; its output goes straight to the terminal. */
function runs(bin: string, args: readonly string[]): boolean {
  const command = [join(root, "node_modules", bin), ...args];
  const { status, error } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit", timeout: TIME_MAX_MS });
  if (error) console.error(`${bin}: ${error.message}`);
  return status === 0;
}

function check({ name, covers, bin, args }: (typeof CHECKS)[number]): CheckResult {
  console.log(`\n${name}: ${covers}`);
  return { name, covers, passed: runs(bin, args) };
}

/** All tests, and what Vitest reports of them; null when it could not even start. */
function runTests(folder: string): { report: VitestReport; clean: boolean } | null {
  const file = join(folder, "vitest.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const clean = runs("vitest/vitest.mjs", ["run", ...reporters, ...process.argv.slice(2)]);
  return existsSync(file) ? { report: JSON.parse(readFileSync(file, "utf8")) as VitestReport, clean } : null;
}

const folder = mkdtempSync(join(tmpdir(), "flotilla-test-"));
try {
  const checks = CHECKS.map(check);
  const tests = runTests(folder);
  const summary = summarise(checks, tests?.report ?? { testResults: [] }, root);
  if (summary.byFolder.size === 0) {
    summary.failed += 1;
    summary.failures.push("no test ran");
  } else if (tests?.clean === false && summary.failed === checks.filter(({ passed }) => !passed).length) {
    summary.failed += 1;
    summary.failures.push("Vitest reported an error outside of any test; see above");
  }
  process.stdout.write(render(checks, summary));
  process.exitCode = summary.failed === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
