// Captures ../data/incident.log: a private PostgreSQL and a small order service under load, with one fault injected.
//
//   sudo apt-get install postgresql-15 python3-psycopg2
//   node capture.ts [--seconds 480] [--out ../data]
//
// The times of the plan below are for 480 seconds; other lengths scale them.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createServer } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const here = import.meta.dirname;
const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "480" },
    out: { type: "string", default: path.join(here, "../data") },
    pgbin: { type: "string", default: "/usr/lib/postgresql/15/bin" },
    python: { type: "string", default: "/usr/bin/python3" },
  },
});
const seconds = Number(options.seconds);

type Step = { at: number; release: string } | { at: number; heavy: number };

/** What is done to the system, and when. `heavy` is a report and an import at once, for so many seconds. */
const faultyRelease = "2.4.0";
const plan: Step[] = [
  { at: 60, heavy: 35 }, // heavy disk work with a healthy pool
  { at: 125, release: "2.3.2" }, // a harmless release
  { at: 165, heavy: 50 }, // heavy disk work that overlaps the start of the fault
  { at: 180, release: faultyRelease }, // the fault
  { at: 345, release: "2.3.2" }, // the fault is taken away
  { at: 390, heavy: 30 }, // heavy disk work with a healthy pool again
];

const postgresSettings: Record<string, string | number> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: 40,
  superuser_reserved_connections: 3,
  shared_buffers: "32MB",
  work_mem: "1MB",
  max_wal_size: "64MB",
  min_wal_size: "32MB",
  checkpoint_timeout: "60s",
  max_parallel_workers_per_gather: 0,
  autovacuum_naptime: "20s",
  deadlock_timeout: "500ms",
  timezone: "UTC",
  log_timezone: "UTC",
  lc_messages: "C",
  log_line_prefix: "%m [%p] user=%u db=%d app=%a ",
  log_connections: "on",
  log_disconnections: "on",
  log_checkpoints: "on",
  log_lock_waits: "on",
  log_temp_files: 0,
  log_min_duration_statement: "200ms",
  log_autovacuum_min_duration: "100ms",
};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "incident-"));
const logs = path.join(folder, "logs");
const desired = path.join(folder, "release");
const database = path.join(folder, "pg");
const children: ChildProcess[] = [];
const dbPort = await freePort();
const httpPort = await freePort();

fs.mkdirSync(logs);
fs.writeFileSync(desired, "2.3.1");
try {
  await capture();
} finally {
  for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true, force: true });
}

async function capture(): Promise<void> {
  await prepareDatabase();
  const server = await startDatabase("postgres.log");
  const began = Date.now();
  const monitor = start("db-monitor", "monitor");
  const api = start("orders-api", "api", "--release", "2.3.1", "--pool", "12", "--http-port", httpPort);
  await sleep(500);
  const deployer = start("deployer", "deployer", "--desired", desired, "--http-port", httpPort);
  const traffic = start("storefront", "traffic", "--threads", 24, "--rate", 11, "--http-port", httpPort);

  const injected = { start: 0, end: 0 };
  for (const step of plan) {
    await sleep(Math.max(0, began + (step.at * seconds * 1000) / 480 - Date.now()));
    console.log(`${Math.round((Date.now() - began) / 1000)} s`, step);
    if ("heavy" in step) {
      const budget = (step.heavy * seconds) / 480;
      start("reporting", "report", "--seconds", budget);
      start("importer", "import", "--seconds", budget);
      continue;
    }
    if (step.release === faultyRelease) injected.start = Date.now();
    else if (injected.start) injected.end = Date.now();
    fs.writeFileSync(desired, step.release);
  }
  await sleep(Math.max(0, began + seconds * 1000 - Date.now()));
  const until = Date.now(); // the shutdown is not part of the record
  for (const child of [traffic, deployer, api, monitor]) await stop(child, "SIGTERM");
  await stop(server, "SIGINT");
  write(injected, until);
}

/** Start one of the programs in worker.py; its output goes to a file of its own. */
function start(name: string, role: string, ...more: (string | number)[]): ChildProcess {
  const out = fs.openSync(path.join(logs, `${name}.log`), "a");
  const common = ["--name", name, "--db-port", dbPort, "--logs", logs];
  const child = spawn(options.python, [path.join(here, "worker.py"), role, ...common, ...more].map(String), {
    stdio: ["ignore", out, out],
  });
  fs.closeSync(out);
  children.push(child);
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null) return;
  child.kill(signal);
  await ended;
}

/** PostgreSQL refuses to run as root; then it runs as the account that Debian made for it. */
function account(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

async function prepareDatabase(): Promise<void> {
  const { uid, gid } = account();
  fs.mkdirSync(database);
  if (uid !== undefined && gid !== undefined) {
    fs.chmodSync(folder, 0o755);
    fs.chownSync(database, uid, gid);
  }
  const initdb = ["-D", database, "-U", "dbadmin", "-A", "trust", "--locale=C.UTF-8"];
  execFileSync(path.join(options.pgbin, "initdb"), initdb, { uid, gid, cwd: database });
  const settings = Object.entries(postgresSettings).map(([name, value]) => `${name} = '${value}'\n`);
  fs.appendFileSync(path.join(database, "postgresql.conf"), `${settings.join("")}port = ${dbPort}\n`);

  const server = await startDatabase("setup.out");
  const psql = ["-h", "127.0.0.1", "-p", String(dbPort), "-U", "dbadmin", "-q", "-v", "ON_ERROR_STOP=1"];
  execFileSync("psql", [...psql, "-d", "postgres", "-c", "CREATE DATABASE orders"]);
  execFileSync("psql", [...psql, "-d", "orders", "-f", path.join(here, "schema.sql")]);
  await stop(server, "SIGINT");
}

async function startDatabase(log: string): Promise<ChildProcess> {
  const out = fs.openSync(path.join(logs, log), "a");
  const child = spawn(path.join(options.pgbin, "postgres"), ["-D", database], {
    ...account(),
    cwd: database,
    stdio: ["ignore", out, out],
  });
  fs.closeSync(out);
  children.push(child);
  for (let tries = 0; tries < 100; tries++) {
    if (fs.readFileSync(path.join(logs, log), "utf8").includes("ready to accept connections")) return child;
    await sleep(100);
  }
  throw new Error(`PostgreSQL did not start:\n${fs.readFileSync(path.join(logs, log), "utf8")}`);
}

type Entry = { time: number; text: string };

/** The entries of one log. A line without a time belongs to the entry above it. */
function entries(file: string): Entry[] {
  const found: Entry[] = [];
  for (const line of fs.readFileSync(file, "utf8").trimEnd().split("\n")) {
    const stamp = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d\.\d{3})(?: UTC|Z) /.exec(line);
    const last = found.at(-1);
    if (stamp) found.push({ time: Date.parse(`${stamp[1]}T${stamp[2]}Z`), text: line });
    else if (last) last.text += `\n${line}`;
    else throw new Error(`${file} begins without a time: ${line}`);
  }
  return found;
}

/** Merge all logs by time, and say where in the result the fault lies. */
function write(injected: { start: number; end: number }, until: number): void {
  const files = fs
    .readdirSync(logs)
    .filter((name) => name.endsWith(".log"))
    .sort();
  const all = files.flatMap((name) => entries(path.join(logs, name)));
  const merged = all.filter(({ time }) => time <= until).sort((a, b) => a.time - b.time);
  const lines = merged.flatMap(({ time, text }) => text.split("\n").map((line) => ({ time, line })));
  const text = `${lines.map(({ line }) => line).join("\n")}\n`;
  const private_ = [folder, here, os.hostname()].filter((name) => text.includes(name));
  if (private_.length) throw new Error(`the log names this machine: ${private_.join(", ")}`);

  const quote = (index: number) => {
    const found = lines[index];
    return found ? { line: index + 1, time: new Date(found.time).toISOString(), text: found.line } : null;
  };
  const first = (pattern: RegExp, from = injected.start) =>
    quote(lines.findIndex(({ time, line }) => time >= from && pattern.test(line)));
  const last = (pattern: RegExp) => quote(lines.findLastIndex(({ line }) => pattern.test(line)));
  const truth = {
    cause: "connection-pool-exhausted",
    label: "Connection pool exhausted: release 2.4.0 of orders-worker leaks connections with an open transaction",
    component: "orders-worker",
    mechanism:
      "For an order whose campaign has ended, the price check of 2.4.0 returns without ending its transaction " +
      "and without giving its connection back. Each such order costs the pool one connection and keeps one row locked.",
    remedy: "Roll orders-worker back to 2.3.2",
    notTheCause: ["slow-disk", "checkpoints", "heavy-report-queries"],
    fault: {
      start: new Date(injected.start).toISOString(),
      end: new Date(injected.end).toISOString(),
      firstLine: lines.findIndex(({ time }) => time >= injected.start) + 1,
      lastLine: lines.findLastIndex(({ time }) => time <= injected.end) + 1,
    },
    trigger: first(new RegExp(`rollout: .*-> ${faultyRelease.replaceAll(".", "\\.")} `)),
    firstSigns: {
      leak: first(/price: order \d+ skipped/),
      poolFull: first(/orders-worker-\d\] pool: in_use=10 /),
      poolTimeout: first(/no connection after/),
      connectionRefused: first(/FATAL:/),
    },
    lastSigns: {
      poolTimeout: last(/no connection after/),
      connectionRefused: last(/FATAL:/),
      idleInTransaction: last(/oldest_idle_in_transaction=[1-9]/),
    },
    recovered: first(/rollout: orders-worker release \S+ complete/, injected.end),
    log: {
      file: "incident.log",
      lines: lines.length,
      bytes: Buffer.byteLength(text),
      sha256: createHash("sha256").update(text).digest("hex"),
    },
  };
  fs.mkdirSync(options.out, { recursive: true });
  fs.writeFileSync(path.join(options.out, "incident.log"), text);
  fs.writeFileSync(path.join(options.out, "truth.json"), `${JSON.stringify(truth, null, 2)}\n`);
  console.log(truth);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") return reject(new Error("no port"));
      server.close(() => resolve(address.port));
    });
  });
}
