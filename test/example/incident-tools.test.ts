import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CATALOGUE, signsIn } from "../../examples/incident/log/catalogue.ts";
import { type Finding, findingOf } from "../../examples/incident/log/finding.ts";
import { readLine } from "../../examples/incident/log/line.ts";
import { openLog } from "../../examples/incident/log/log-index.ts";
import type { Verdict } from "../../examples/incident/log/verdict.ts";
import * as tools from "../../examples/incident/tools.ts";
import {
  badReleaseLog,
  BUNDLED,
  bundledLines,
  diskFullLog,
  FAULTLESS,
  HARMLESS,
  logFolder,
  longLog,
  outOfMemoryLog,
  quietLog,
  SHIFT,
  TRUTH,
} from "./incident-log.ts";

const folder = logFolder();
afterAll(() => folder.remove());

/** What the fleet does with a log, by its tools alone. */
async function investigate(log: string): Promise<{ sides: string[]; verdict: Verdict; finding: Finding }> {
  const { lines } = await tools.logOverview({ log });
  const size = Math.ceil(lines / 12);
  const windows = Array.from({ length: Math.ceil(lines / size) }, (_, n) => ({
    log,
    from: n * size + 1,
    to: Math.min(lines, (n + 1) * size),
  }));
  const findings = await Promise.all(
    windows.map(async (window) => {
      const { harm } = await tools.windowStats(window);
      return { ...window, harm, suspects: (await tools.findAnomalies(window)).found };
    }),
  );
  const sides = tools.shortlist({ log, findings }).sides.map(({ hypothesis }) => hypothesis);
  const verdict = await tools.compareHypotheses({ log, hypotheses: sides });
  return { sides, verdict, finding: findingOf(await openLog(log), verdict.cause) };
}

const citations = ({ evidence, timeline }: Finding): { line: number; text: string }[] =>
  [...evidence, ...timeline].map(({ line, text }) => ({ line, text }));

describe("the tools on the bundled log", () => {
  it("find the cause that the capture put in, and what set it off", async () => {
    const { sides, verdict, finding } = await investigate(BUNDLED);
    expect(verdict).toMatchObject({ verdict: "cause found", cause: TRUTH.cause });
    expect(finding.component).toBe(TRUTH.component);
    expect(finding.trigger?.line).toBe(TRUTH.trigger.line);
    expect(sides).toHaveLength(2);
    expect(TRUTH.notTheCause).toContain(sides.find((side) => side !== TRUTH.cause));
  });

  it("cite lines of the fault only, word for word", async () => {
    const { finding } = await investigate(BUNDLED);
    expect(citations(finding).length).toBeGreaterThan(8);
    for (const { line, text } of citations(finding)) {
      expect(bundledLines[line - 1]?.startsWith(text.replace(/…$/, ""))).toBe(true);
      expect(line).toBeGreaterThanOrEqual(TRUTH.fault.firstLine);
      expect(line).toBeLessThanOrEqual(TRUTH.recovered.line);
    }
  });

  it.each(Object.keys(HARMLESS))(
    "with 1,000 harmless lines in front every citation moves by 1,000: %s",
    async (kind) => {
      const moved = folder.write("moved.log", [...(HARMLESS[kind] ?? []), ...bundledLines]);
      const [before, after] = [await investigate(BUNDLED), await investigate(moved)];
      expect(citations(after.finding)).toEqual(
        citations(before.finding).map(({ line, text }) => ({ line: line + SHIFT, text })),
      );
      expect(after.verdict.cause).toBe(before.verdict.cause);
      expect(after.verdict.table[0]).toEqual(before.verdict.table[0]);
      expect(after.sides).toEqual(before.sides);
      expect(after.finding.component).toBe(before.finding.component);
    },
  );

  it.each(Object.keys(FAULTLESS))("without the fault no cause is found: %s", async (what) => {
    const { verdict, finding } = await investigate(folder.write("faultless.log", FAULTLESS[what] ?? []));
    expect(verdict).toMatchObject({ verdict: "no cause found", cause: null });
    expect(verdict.why).toHaveLength(1);
    expect(finding).toMatchObject({ verdict: "no cause found", evidence: [], timeline: [], lines: null });
  });

  it("find it without any times, by counting lines", async () => {
    const bare = bundledLines.map((line) => line.replace(/^\S+(?: \S+ UTC)?(?= )/, ""));
    const { verdict, finding } = await investigate(
      folder.write(
        "timeless.log",
        bare.map((line) => line.trimStart()),
      ),
    );
    expect(verdict.cause).toBe(TRUTH.cause);
    expect(finding.trigger?.line).toBe(TRUTH.trigger.line);
  });

  it("find it in a log of an hour, in which other rollouts came before", async () => {
    const { lines, before } = longLog(7);
    const { verdict, finding } = await investigate(folder.write("long.log", lines));
    expect(verdict.cause).toBe(TRUTH.cause);
    expect(finding.trigger?.line).toBe(before + TRUTH.trigger.line);
    for (const { line } of citations(finding)) expect(line).toBeGreaterThan(before + TRUTH.fault.firstLine);
  });

  it("search a window for words, and quote what they find", async () => {
    const { from, to } = { from: TRUTH.fault.firstLine, to: TRUTH.fault.lastLine };
    const { matches, lines } = await tools.searchLog({
      log: BUNDLED,
      from,
      to,
      text: "ROLLOUT: orders-worker release",
      limit: 2,
    });
    const expected = bundledLines.flatMap((line, place) =>
      place + 1 >= from && place + 1 <= to && line.includes("rollout: orders-worker release") ? [place + 1] : [],
    );
    expect(matches).toBe(expected.length);
    expect(lines.map(({ line }) => line)).toEqual(expected.slice(0, 2));
    expect(await tools.searchLog({ log: BUNDLED, from: 1e9, to: 2e9, text: "x" })).toMatchObject({ matches: 0 });
  });

  it("answer in a few kilobytes", async () => {
    const window = { log: BUNDLED, from: 1, to: bundledLines.length };
    const answers = [
      await tools.logOverview(window),
      await tools.windowStats(window),
      await tools.findAnomalies(window),
      await tools.searchLog({ ...window, text: "o", limit: 10 }),
      await tools.compareHypotheses({ log: BUNDLED, hypotheses: CATALOGUE.map(({ id }) => id) }),
      ...(await Promise.all(CATALOGUE.map(({ id }) => tools.weighHypothesis({ log: BUNDLED, hypothesis: id })))),
      ...(await Promise.all(CATALOGUE.map(({ id }) => tools.findChange({ log: BUNDLED, hypothesis: id })))),
    ];
    for (const answer of answers) expect(JSON.stringify(answer).length).toBeLessThan(6_000);
  });
});

describe("the tools on other logs", () => {
  it("nginx: a full disk", async () => {
    const { verdict, finding } = await investigate(folder.write("nginx.log", diskFullLog()));
    expect(verdict.cause).toBe("disk-full");
    expect(finding.lines?.from).toBeGreaterThanOrEqual(1_795);
    expect(finding.lines?.to).toBeLessThanOrEqual(3_005);
  });

  it("syslog: a process that the kernel killed for want of memory", async () => {
    const { verdict, finding } = await investigate(folder.write("syslog", outOfMemoryLog()));
    expect(verdict.cause).toBe("out-of-memory");
    expect(finding.evidence[0]?.text).toContain("Out of memory: Killed process");
  });

  it("JSON lines: a release that breaks, over a background of other errors", async () => {
    const { verdict, finding } = await investigate(folder.write("cart.log", badReleaseLog()));
    expect(verdict.cause).toBe("software-defect");
    expect(finding.trigger).toMatchObject({ line: 2_501, from: "1.8.0", to: "1.9.0" });
    expect(finding.action).toContain("from 1.9.0 to 1.8.0");
  });

  it.each([
    ["a service that does well", quietLog()],
    ["one line", ["2026-05-04T12:00:00Z ERROR [a] only this"]],
    ["words without times", Array.from({ length: 300 }, (_, n) => `verse ${n % 7} of a song`)],
    [
      "errors that nothing known explains",
      Array.from(
        { length: 300 },
        (_, n) =>
          `2026-05-04T12:${String(Math.floor(n / 60)).padStart(2, "0")}:${String(n % 60).padStart(2, "0")}Z ${n > 200 ? "ERROR the frobnicator is sad" : "INFO fine"}`,
      ),
    ],
    ["very long lines", Array.from({ length: 20 }, () => "x".repeat(500_000))],
  ])("no cause found: %s", async (_, lines) => {
    const { verdict } = await investigate(folder.write("other.log", lines));
    expect(verdict).toMatchObject({ verdict: "no cause found", cause: null });
    expect(verdict.why[0]).not.toBe("");
  });

  it("reads Windows line ends and a last line without an end", async () => {
    const log = folder.write("crlf.log", "one\r\ntwo\r\nthree");
    expect(await tools.logOverview({ log })).toMatchObject({ lines: 3, to: 3 });
    expect((await tools.searchLog({ log, from: 1, to: 3, text: "t" })).lines).toEqual([
      { line: 2, text: "two" },
      { line: 3, text: "three" },
    ]);
  });

  it("notices that a log has grown", async () => {
    const log = folder.write("grows.log", ["a", "b"]);
    expect((await tools.logOverview({ log })).lines).toBe(2);
    folder.write("grows.log", ["a", "b", "c"]);
    expect((await tools.logOverview({ log })).lines).toBe(3);
  });
});

describe("what is no log", () => {
  const refusal = (log: string) => tools.logOverview({ log }).catch((error: unknown) => error);

  it.each([
    ["missing", () => join(folder.path, "nowhere.log"), /nowhere\.log does not exist/],
    ["below a file", () => join(folder.write("plain.log", "x\n"), "deeper.log"), /deeper\.log does not exist/],
    ["empty", () => folder.write("empty.log", ""), /empty\.log is empty/],
    ["blank", () => folder.write("blank.log", "\n\n  \n"), /blank\.log is empty: it has only blank lines/],
    [
      "binary",
      () => folder.write("binary.log", new Uint8Array([72, 105, 10, 0, 1, 2])),
      /binary\.log is not text: it holds NUL bytes/,
    ],
    [
      "packed",
      () => folder.write("packed.log", new Uint8Array([0x1f, 0x8b, 8, 1, 2, 3])),
      /packed\.log is packed with gzip; unpack it first/,
    ],
  ])("%s: an error that names it, and that trying again does not help", async (_, make, message) => {
    const error = await refusal(make());
    expect(error).toMatchObject({
      name: "UnreadableLog",
      code: "EINVAL",
      message: expect.stringMatching(message) as string,
    });
  });

  it("a folder: the same", async () => {
    mkdirSync(join(folder.path, "logs"), { recursive: true });
    expect(await refusal(join(folder.path, "logs"))).toMatchObject({
      name: "UnreadableLog",
      message: expect.stringMatching(/logs is not a file/) as string,
    });
  });
});

describe("lines of every format", () => {
  it.each([
    [
      "2026-11-20 11:02:27.598 UTC [8673] user=orders_api db=orders app=orders-api ERROR:  canceling statement",
      "orders-api",
      true,
    ],
    ["2026-11-20 11:02:27.598 UTC [8631] user= db= app= LOG:  checkpoint starting: wal", "", false],
    [
      "2026-11-20T11:02:41.165Z WARN  [orders-worker-2] pool: in_use=10 idle=0 waiting=3 max=10",
      "orders-worker",
      false,
    ],
    ["2026-11-20T11:02:41.165Z WARN  [shop-1] client: POST /orders answered 503 after 4002 ms", "shop", true],
    ["2026/11/20 11:02:27 [error] 12#12: *7 open() failed", "", true],
    ["Nov 20 11:02:27 web1 sshd[99]: error: kex protocol", "sshd", true],
    ['192.0.2.1 - - [20/Nov/2026:11:02:27 +0000] "GET /errors HTTP/1.1" 200 12 "-" "x"', "", false],
    ['192.0.2.1 - - [20/Nov/2026:11:02:27 +0000] "GET / HTTP/1.1" 502 12 "-" "x"', "", true],
    ['{"level":50,"time":"2026-11-20T11:02:27.000Z","msg":"x"}', "", true],
    ['time=2026-11-20T11:02:27Z level=info msg="no error here"', "", false],
  ])("%s", (line, source, symptom) => {
    expect(readLine(line)).toMatchObject({ source, symptom, continuation: false });
    expect(readLine(line).time).not.toBeNull();
  });

  it("lines that continue another are neither harm nor sign", () => {
    expect(readLine("\tERROR: out of memory")).toMatchObject({ continuation: true, symptom: false, signs: 0 });
    expect(readLine("2026-11-20 11:02:27.598 UTC [1] user= db= app= HINT:  disk full")).toMatchObject({
      continuation: true,
      signs: 0,
    });
  });

  it("every sign of the catalogue passes the first look", () => {
    const samples: Readonly<Record<string, string[]>> = {
      "connection-pool-exhausted": [
        "pool stats: waiting=3",
        "pool exhausted",
        "no connection after 30 ms",
        "too many clients already",
        "remaining connection slots are reserved",
        "idle in transaction for 31 s",
        "leaked connection",
      ],
      "lock-contention": [
        "process 1 still waiting for ShareLock",
        "deadlock detected",
        "Lock wait timeout exceeded",
        "could not obtain lock on relation",
      ],
      "slow-disk": [
        "checkpoints are occurring too frequently",
        'temporary file: path "x"',
        "slow fsync",
        "I/O error, dev sda",
        "task jbd2 blocked for more than 120 seconds",
        "iowait=87",
      ],
      "disk-full": ["No space left on device", "disk quota exceeded", "filesystem /var is at 100%"],
      "out-of-memory": [
        "Out of memory: Killed process 3",
        "oom-kill:constraint",
        "cannot allocate memory",
        "java.lang.OutOfMemoryError",
      ],
      "cpu-saturation": [
        "cpu usage 99%",
        "load average: 48.10",
        "event loop lag",
        "soft lockup",
        "GC overhead limit exceeded",
      ],
      "network-failure": [
        "connection refused",
        "no route to host",
        "broken pipe",
        "getaddrinfo ENOTFOUND db",
        "link is down",
      ],
      "access-denied": [
        "password authentication failed",
        "certificate has expired",
        "TLS handshake failed",
        "token expired",
      ],
      "software-defect": [
        "TypeError: x",
        "unhandled exception",
        "Traceback (most recent call last)",
        "segfault at 0",
        'column "x" does not exist',
      ],
    };
    for (const [bit, { id }] of CATALOGUE.entries()) {
      for (const text of samples[id] ?? [])
        expect([id, text, (signsIn(text) & (1 << bit)) !== 0]).toEqual([id, text, true]);
      expect(samples[id]?.length).toBeGreaterThan(0);
    }
  });
});

describe("a report", () => {
  it("is written whole, may be written again, and holds every citation", async () => {
    const report = join(folder.path, "out", "report.md");
    const request = {
      log: BUNDLED,
      cause: TRUTH.cause,
      argued: [TRUTH.cause],
      judgement: "so it is",
      debate: [{ side: "a", text: "b" }],
      report,
    };
    const once = await tools.writeReport(request, { idempotencyKey: "k-1" });
    const { readFileSync, readdirSync } = await import("node:fs");
    const text = readFileSync(report, "utf8");
    expect(await tools.writeReport(request, { idempotencyKey: "k-1" })).toEqual(once);
    expect(readFileSync(report, "utf8")).toBe(text);
    expect(readdirSync(join(folder.path, "out"))).toEqual(["report.md"]);
    const finding = findingOf(await openLog(BUNDLED), TRUTH.cause);
    for (const { line } of citations(finding)) expect(text).toContain(`line ${line}: `);
    expect(text).toContain("Nothing has been done.");
  });
});
