import { signsIn } from "./catalogue.ts";

/** What one line of a log says, as far as any format tells. */
export interface Line {
  /** Milliseconds; null when the line has no time. Only differences mean something: some formats name no year. */
  time: number | null;
  /** Whether the line tells of harm: an error or worse, an HTTP 5xx, or in a log without levels a word for failure. */
  symptom: boolean;
  /** Signs of hypotheses, as bits in the catalogue's order. */
  signs: number;
  /** The program that speaks, without its instance's number; empty when the line does not say. */
  source: string;
  /** What is said, without time, level and source. */
  text: string;
  /** It belongs to the line above: indented, or PostgreSQL's DETAIL, HINT, CONTEXT and STATEMENT. */
  continuation: boolean;
}

/** Only the beginning of a very long line is looked at. */
const CHARACTERS_MAX = 2_000;

const ISO =
  /(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(?:Z|UTC|GMT|([+-]\d\d):?(\d\d)))?/;
const COMMON = /\[(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)\]/;
const SYSLOG =
  /^(?:<\d+>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (?:\S+ )?([\w./-]+?)(?:\[\d+\])?: /;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
/** Where a time is looked for in a line that does not begin with it. */
const TIME_WITHIN = 160;

const POSTGRES = /^ ?(?:\[\d+\])? ?user=(\S*) db=\S* app=(\S*) ([A-Z]+\d?): {1,2}/;
const SERVICE = /^\s*\[?([A-Za-z]+)\]? +\[([^\]]{1,60})\]:? /;
const LEVELLED = /^[\s|:-]*[[(]?([A-Za-z]+)[\])]?[\s|:-]+/;
const ACCESS = /"[A-Z]+ [^"]*" (\d{3}) /;

const CONTINUES = new Set(["DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION"]);
const SEVERE = new Set(["ERROR", "ERR", "FATAL", "PANIC", "CRITICAL", "CRIT", "SEVERE", "ALERT", "EMERG", "EMERGENCY"]);
const MILD = new Set(["WARN", "WARNING", "NOTICE", "INFO", "INFORMATION", "LOG", "DEBUG", "TRACE", "FINE", "VERBOSE"]);
const KEYED_LEVEL = /\b"?(?:level|severity|lvl)"?\s*[=:]\s*"?([A-Za-z]+|[1-6]0\b)/;
const PINO_ERROR = 50;

const STATUS_5XX =
  /\b(?:answered|status(?:code)?|returned|responded|response|HTTP\/[\d.]+"?)["']?[ =:]{1,3}["']?5\d\d\b|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \/\S* 5\d\d\b/i;
const HARM =
  /\b(?:error|errors|fail(?:ed|ure|ures|ing)?|fatal|panic|timed out|refused|segfault|killed process|out of memory|cannot|could not|unable to|core dumped|exit-code|denied|no space left)\b/i;

/** Reads one line of any format: PostgreSQL, syslog, nginx, access logs, services that print time and level, JSON. */
export function readLine(whole: string): Line {
  const line = whole.length > CHARACTERS_MAX ? whole.slice(0, CHARACTERS_MAX) : whole;
  const first = line.charCodeAt(0);
  if (first === 9 || first === 32 || line === "") return continued(line);
  const stamp = timeOf(line);
  const { level, source, text } = partsOf(line, stamp);
  if (CONTINUES.has(level)) return { ...continued(text), time: stamp.time };
  return {
    time: stamp.time,
    symptom: isSymptom(level, line, text),
    signs: signsIn(text),
    source,
    text,
    continuation: false,
  };
}

function continued(text: string): Line {
  return { time: null, symptom: false, signs: 0, source: "", text, continuation: true };
}

interface Stamp {
  time: number | null;
  /** Where the rest of the line begins; 0 when the time does not stand at the beginning. */
  end: number;
  /** Syslog names the program with the time. */
  program: string | null;
}

function timeOf(line: string): Stamp {
  const head = line.length > TIME_WITHIN ? line.slice(0, TIME_WITHIN) : line;
  const iso = ISO.exec(head);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, fraction = "0", zone = "0", zoneMinutes = "0"] = iso;
    const utc = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
    const milliseconds = Number(`0.${fraction}`) * 1_000;
    return {
      time: utc + milliseconds - offsetMs(zone, zoneMinutes),
      end: iso.index <= 1 ? iso.index + iso[0].length : 0,
      program: null,
    };
  }
  const syslog = SYSLOG.exec(head);
  if (syslog !== null) {
    const [all, month = "", day, hour, minute, second, program = ""] = syslog;
    return {
      time: Date.UTC(2000, monthOf(month), Number(day), Number(hour), Number(minute), Number(second)),
      end: all.length,
      program,
    };
  }
  const common = COMMON.exec(head);
  if (common !== null) {
    const [, day, month = "", year, hour, minute, second, zone = "0", zoneMinutes = "0"] = common;
    const utc = Date.UTC(Number(year), monthOf(month), Number(day), Number(hour), Number(minute), Number(second));
    return { time: utc - offsetMs(zone, zoneMinutes), end: 0, program: null };
  }
  return { time: null, end: 0, program: null };
}

const monthOf = (name: string): number => Math.max(0, MONTHS.indexOf(name) / 3);

function offsetMs(hours: string, minutes: string): number {
  const sign = hours.startsWith("-") ? -1 : 1;
  return (Number(hours) * 60 + sign * Number(minutes)) * 60_000;
}

/** Level in capitals (empty when there is none), program and text. */
function partsOf(line: string, stamp: Stamp): { level: string; source: string; text: string } {
  const rest = stamp.end === 0 ? line : line.slice(stamp.end);
  const postgres = POSTGRES.exec(rest);
  if (postgres !== null) {
    const [all, user = "", app = "", level = ""] = postgres;
    return { level, source: baseName(app === "" || app === "[unknown]" ? user : app), text: rest.slice(all.length) };
  }
  if (stamp.program !== null) return { level: "", source: baseName(stamp.program), text: rest };
  const service = SERVICE.exec(rest);
  if (service !== null && isLevel(service[1])) {
    return {
      level: (service[1] ?? "").toUpperCase(),
      source: baseName(service[2] ?? ""),
      text: rest.slice(service[0].length),
    };
  }
  const levelled = LEVELLED.exec(rest);
  if (levelled !== null && isLevel(levelled[1]))
    return { level: (levelled[1] ?? "").toUpperCase(), source: "", text: rest.slice(levelled[0].length) };
  return { level: keyedLevel(rest), source: "", text: rest };
}

const isLevel = (word: string | undefined): boolean => {
  const level = (word ?? "").toUpperCase();
  return SEVERE.has(level) || MILD.has(level);
};

function keyedLevel(text: string): string {
  const [, level = ""] = KEYED_LEVEL.exec(text) ?? [];
  if (/^\d/.test(level)) return Number(level) >= PINO_ERROR ? "ERROR" : "INFO";
  return isLevel(level) ? level.toUpperCase() : "";
}

/** `web_api-2` and `web-api` are one program. */
function baseName(name: string): string {
  if (name === "[unknown]") return "";
  return name.replaceAll("_", "-").replace(/[-.#]\d+$/, "");
}

function isSymptom(level: string, line: string, text: string): boolean {
  if (SEVERE.has(level)) return true;
  const access = ACCESS.exec(line);
  if (access !== null) return access[1]?.startsWith("5") === true;
  if (STATUS_5XX.test(text)) return true;
  return level === "" && HARM.test(text);
}
