import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The example's folder, and what is known about its log. */
export const EXAMPLE = resolve(import.meta.dirname, "../../examples/incident");
export const BUNDLED = join(EXAMPLE, "data/incident.log");
export const TRUTH = JSON.parse(readFileSync(join(EXAMPLE, "data/truth.json"), "utf8")) as {
  cause: string;
  component: string;
  notTheCause: string[];
  fault: { firstLine: number; lastLine: number };
  trigger: { line: number };
  recovered: { line: number };
};

export const bundledLines: readonly string[] = readFileSync(BUNDLED, "utf8").trimEnd().split("\n");

/** A folder for logs that a test makes, gone when `remove` is called. */
export function logFolder(): {
  write(name: string, content: string | Uint8Array | readonly string[]): string;
  path: string;
  remove(): void;
} {
  const path = mkdtempSync(join(tmpdir(), "flotilla-incident-"));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      writeFileSync(
        file,
        typeof content === "string" || content instanceof Uint8Array ? content : `${content.join("\n")}\n`,
      );
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export const SHIFT = 1_000;

/** Harmless lines to put in front: each list is another kind. */
export const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  "plain words": Array.from({ length: SHIFT }, (_, n) => `harmless line ${n}`),
  "blank lines": Array.from({ length: SHIFT }, () => ""),
  "times just before": Array.from(
    { length: SHIFT },
    (_, n) => `2026-11-20T10:58:${String(n % 60).padStart(2, "0")}.000Z INFO  [padding] all is well ${n}`,
  ),
  "times years before": Array.from(
    { length: SHIFT },
    (_, n) => `2019-01-01T00:00:00.000Z INFO  [padding] all is well ${n}`,
  ),
  "times long after": Array.from(
    { length: SHIFT },
    (_, n) => `2031-01-01T00:00:00.000Z INFO  [padding] all is well ${n}`,
  ),
  "the log's own first lines": bundledLines.slice(0, SHIFT),
};

const HARM = /\b(?:ERROR|FATAL|WARN)\b/;
const { fault, recovered } = TRUTH;

/** The bundled log without its fault, in ways that leave nothing to be found. */
export const FAULTLESS: Readonly<Record<string, readonly string[]>> = {
  "the time of the fault": bundledLines.filter((_, place) => place + 1 < fault.firstLine || place + 1 > fault.lastLine),
  "fault and recovery": bundledLines.filter((_, place) => place + 1 < fault.firstLine || place + 1 > recovered.line),
  "the symptoms alone": bundledLines.filter((line) => !HARM.test(line)),
  "all that comes after its beginning": bundledLines.slice(0, fault.firstLine),
  "all that comes before its end": bundledLines.slice(recovered.line),
};

const at = (start: number, seconds: number): Date => new Date(start + seconds * 1_000);
const two = (value: number): string => String(value).padStart(2, "0");
const NOON = Date.UTC(2026, 4, 4, 12);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May"];

const common = (time: Date): string =>
  `${two(time.getUTCDate())}/${MONTHS[time.getUTCMonth()]}/${time.getUTCFullYear()}:${time.toISOString().slice(11, 19)} +0000`;
const nginx = (time: Date): string =>
  `${time.toISOString().slice(0, 10).replaceAll("-", "/")} ${time.toISOString().slice(11, 19)}`;
const syslog = (time: Date): string =>
  `${MONTHS[time.getUTCMonth()]} ${String(time.getUTCDate()).padStart(2)} ${time.toISOString().slice(11, 19)}`;

/** An hour of nginx, access and error log in one, whose disk is full from minute 30 to 50. */
export function diskFullLog(): string[] {
  return Array.from({ length: 3_600 }, (_, second) => {
    const time = at(NOON, second);
    const full = second >= 1_800 && second < 3_000;
    if (full && second % 4 === 0) {
      return `${nginx(time)} [crit] 812#812: *${second} pwrite() "/var/lib/nginx/body/00000${second}" failed (28: No space left on device), client: 192.0.2.7, server: shop, request: "POST /upload HTTP/1.1"`;
    }
    if (second === 1_700) return `${nginx(time)} [notice] 811#811: signal 1 (SIGHUP) received from 900, reconfiguring`;
    const failed = full && second % 3 === 0;
    return `192.0.2.${second % 50} - - [${common(time)}] "${failed ? "POST /upload" : "GET /item"} HTTP/1.1" ${failed ? 500 : 200} ${100 + (second % 900)} "-" "curl/8.0"`;
  });
}

/** A syslog in which the kernel kills a service twice for want of memory, and its proxy answers 502 for minutes. */
export function outOfMemoryLog(): string[] {
  const kills = [2_000, 4_400];
  return Array.from({ length: 7_200 }, (_, second) => {
    const time = syslog(at(NOON, second));
    const since = Math.min(...kills.map((kill) => (second >= kill ? second - kill : Number.POSITIVE_INFINITY)));
    if (since === 0)
      return `${time} web1 kernel: [${second}.120] Out of memory: Killed process 4242 (java) total-vm:8123456kB, anon-rss:4123456kB`;
    if (since === 1) return `${time} web1 systemd[1]: shop.service: Main process exited, code=killed, status=9/KILL`;
    if (since === 2) return `${time} web1 systemd[1]: shop.service: Failed with result 'signal'.`;
    if (since < 90 && second % 2 === 0)
      return `${time} web1 haproxy[77]: backend shop has no server available, request failed`;
    if (since === 91) return `${time} web1 systemd[1]: Started shop.service - Shop.`;
    return second % 60 === 0
      ? `${time} web1 CRON[${second}]: (root) CMD (run-parts /etc/cron.hourly)`
      : `${time} web1 shop[4242]: order ${second} accepted`;
  });
}

/** JSON lines of a service that breaks with a release, beside a background of rare errors. */
export function badReleaseLog(): string[] {
  return Array.from({ length: 4_000 }, (_, n) => {
    const time = at(NOON, n / 2).toISOString();
    const line = (level: string, msg: string) => JSON.stringify({ time, level, service: "cart", msg });
    if (n === 2_500) return line("info", "deploy: cart 1.8.0 -> 1.9.0 done");
    if (n > 2_540 && n % 3 === 0)
      return line("error", `GET /cart/${n} failed: TypeError: Cannot read properties of undefined (reading 'price')`);
    if (n % 500 === 0) return line("error", `GET /cart/${n} failed: client went away`);
    return line("info", `GET /cart/${n} 200 in ${n % 30} ms`);
  });
}

/** A service that does well. */
export function quietLog(): string[] {
  return Array.from(
    { length: 500 },
    (_, n) => `${at(NOON, n).toISOString()} INFO  [api-1] http: GET /stock/${n} 200 ${n % 9}ms`,
  );
}

const STAMP = /^(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)/;
const SPAN_MS = 480_000;

/** The bundled log after hours of itself without its fault: times go on, and `before` lines come first. */
export function longLog(repeats: number): { lines: string[]; before: number } {
  const quiet = FAULTLESS["fault and recovery"] ?? [];
  const later = (list: readonly string[], times: number) =>
    list.map((line) =>
      line.replace(STAMP, (_, day: string, between: string, time: string) => {
        const moved = new Date(Date.parse(`${day}T${time}Z`) + times * SPAN_MS).toISOString();
        return `${moved.slice(0, 10)}${between}${moved.slice(11, 19)}`;
      }),
    );
  const first = Array.from({ length: repeats }, (_, times) => later(quiet, times)).flat();
  return { lines: [...first, ...later(bundledLines, repeats)], before: first.length };
}
