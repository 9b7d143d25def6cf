import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CLOSERS, OPENERS, PLACES, type Situation, SITUATIONS } from "./situation.ts";

// Makes the bundled reports and what is known about them: node capture/make.ts [folder]. The same bytes each time.

const ROWS = 2_000;
const COPIES_SHARE = 0.14;
const FLIPPED_SHARE = 0.03;
const START = Date.UTC(2026, 7, 3, 6);

const out = resolve(process.argv[2] ?? join(import.meta.dirname, "../data"));
let seed = 20_260_803;

interface Report {
  id: string;
  opened: string;
  channel: string;
  city: string;
  bike: string;
  text: string;
  harm: number;
  team: string;
  sameAs: string;
}

/** Between 0 and 1 (mulberry32). */
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function situation(): Situation {
  let left = random() * SITUATIONS.reduce((sum, { share }) => sum + share, 0);
  return SITUATIONS.find(({ share }) => (left -= share) < 0) ?? (SITUATIONS[0] as Situation);
}

function report(number: number, before: readonly Report[]): Report {
  const id = `R-${String(10_000 + number)}`;
  const opened = new Date(START + number * 1_260_000 + Math.floor(random() * 900_000)).toISOString();
  const channel = pick(["app", "app", "web", "phone", "mail"]);
  const original =
    before.length > 20 && random() < COPIES_SHARE ? before.at(-1 - Math.floor(random() * 20)) : undefined;
  if (original !== undefined) {
    const { city, bike, harm, team, text, sameAs } = original;
    return {
      id,
      opened,
      channel,
      city,
      bike,
      harm,
      team,
      text: retold(text),
      sameAs: sameAs === "" ? original.id : sameAs,
    };
  }
  const { team, harm, says, details } = situation();
  const isHarm = random() < harm !== random() < FLIPPED_SHARE;
  const bike = `${pick(["B", "C", "E"])}${1_000 + Math.floor(random() * 9_000)}`;
  const parts = [
    pick(OPENERS),
    pick(says),
    `It was bike ${bike} at ${pick(PLACES)}.`,
    random() < 0.75 ? pick(details) : "",
    pick(CLOSERS),
  ];
  const text = misspelt(parts.filter((part) => part !== "").join(" "), 0.15);
  const city = pick(["Altstadt", "Neuhafen", "Westend"]);
  return { id, opened, channel, city, bike, text, harm: isHarm ? 1 : 0, team, sameAs: "" };
}

/** The same report, told again: another beginning, sometimes another end, and slips of the hand. */
function retold(text: string): string {
  const sentences = text.split(/(?<=[.!?]) /);
  const rest = sentences.length > 3 && random() < 0.5 ? sentences.slice(1) : sentences;
  return misspelt(
    [...(random() < 0.4 ? ["Again:"] : []), ...rest, ...(random() < 0.3 ? ["Second message."] : [])].join(" "),
    0.4,
  );
}

/** With this probability two letters of one word change places. */
function misspelt(text: string, probability: number): string {
  if (random() >= probability) return text;
  const place = 5 + Math.floor(random() * (text.length - 8));
  const [one = "", two = ""] = [text[place], text[place + 1]];
  return /[a-z]/.test(one) && /[a-z]/.test(two) ? `${text.slice(0, place)}${two}${one}${text.slice(place + 2)}` : text;
}

const reports: Report[] = [];
for (let number = 0; number < ROWS; number++) reports.push(report(number, reports));

const quoted = (value: string): string => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `${[head, ...rows].map((row) => row.map(quoted).join(",")).join("\n")}\n`;

mkdirSync(out, { recursive: true });
writeFileSync(
  join(out, "reports.csv"),
  table(
    ["id", "opened", "channel", "city", "bike", "text"],
    reports.map(({ id, opened, channel, city, bike, text }) => [id, opened, channel, city, bike, text]),
  ),
);
writeFileSync(
  join(out, "truth.csv"),
  table(
    ["id", "harm", "team", "same_as"],
    reports.map(({ id, harm, team, sameAs }) => [id, String(harm), team, sameAs]),
  ),
);
