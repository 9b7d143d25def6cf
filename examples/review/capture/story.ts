import { readFileSync } from "node:fs";
import { resolve } from "node:path";

// What happens in the made-up repository: its first state, its history, and the change with the defects in it.

/** Texts by path; null removes the file. */
export type Files = Readonly<Record<string, string | null>>;

interface Commit {
  subject: string;
  files: Files;
}

const LICENSE = readFileSync(resolve(import.meta.dirname, "../../../LICENSE"), "utf8");

const PACKAGE = (version: string): string =>
  `${JSON.stringify({ name: "parcel-example", version, type: "module", license: "Apache-2.0", main: "src/index.js" }, null, 2)}\n`;

const LOCK = (n: number): string =>
  `${JSON.stringify({ name: "parcel-example", lockfileVersion: 3, packages: { "node_modules/pad": { version: `1.0.${n}` } } }, null, 2)}\n`;

const ZONES = (fixes: readonly string[]): string => `// Which zone a country is in.
const ZONES = new Map([
  ["DE", 1],
  ["AT", 1],
${fixes.map((country, n) => `  ["${country}", ${2 + (n % 3)}],`).join("\n")}
]);

export function zoneOf(country) {
  return ZONES.get(country.toUpperCase()) ?? 4;
}
`;

const COUNTRIES = ["FR", "NL", "BE", "PL", "CZ", "DK", "SE", "IT", "ES"];

const TABLE = (indent: string): string => `// Prices by zone and weight.
export const TABLE = [
${[1, 2, 3, 4].map((zone) => `${indent}{ zone: ${zone}, base: ${300 + zone * 150}, perKg: ${80 + zone * 35} },`).join("\n")}
];
`;

const QUOTE = `import { TABLE } from "./table.js";
import { roundUp } from "./internal/rounding.js";

/** Cents that a parcel costs. */
export function quote(parcel, zone) {
  const row = TABLE.find((one) => one.zone === zone);
  return row.base + roundUp(parcel.grams / 1000) * row.perKg;
}

/** The cheaper of two carriers. */
export function cheaper(a, b) {
  return a.cents <= b.cents ? a : b;
}
`;

const WEIGHT = `/** Grams in a text such as "1.5 kg". */
export function parseWeight(text) {
  const [, number, unit] = /^([\\d.]+)\\s*(kg|g)$/.exec(text.trim());
  return unit === "kg" ? Number(number) * 1000 : Number(number);
}

/** Grams of so many pounds. */
export function poundsToGrams(pounds) {
  return Math.round(pounds * 453.592);
}
`;

const ROUNDING = `export function roundUp(value) {
  return Math.ceil(value);
}

export function roundDown(value) {
  return Math.floor(value);
}
`;

const STORE = `import { readFileSync } from "node:fs";

/** Parcels that were kept. */
export function loadParcels(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
`;

const FORMAT = `/** Cents as people write them. */
export function formatCents(cents) {
  return (cents / 100).toFixed(2);
}
`;

const SCAN = `import { createHash } from "node:crypto";

/** The name under which a scanned label is cached; nothing rests on it being hard to guess. */
export function cacheName(text) {
  return createHash("md5").update(text).digest("hex");
}
`;

const INDEX = `export * from "./quote.js";
export * from "./weight.js";
export * from "./zones.js";
export * from "./format.js";
export * from "./store.js";
export { cacheName } from "./scan.js";
`;

const PACK = `/** How many parcels a pallet takes. */
export function perPallet({ width, depth }, layers) {
  return Math.floor(120 / width) * Math.floor(80 / depth) * layers;
}
`;

const TEST_QUOTE = `import assert from "node:assert";
import { test } from "node:test";
import { cheaper, quote } from "../src/quote.js";

test("a quote", () => assert.equal(quote({ grams: 900 }, 1), 565));
test("cheaper", () => assert.equal(cheaper({ cents: 1 }, { cents: 2 }).cents, 1));
`;

const TEST_ALL = `import assert from "node:assert";
import { test } from "node:test";
import { cacheName, formatCents, perPallet, zoneOf } from "../src/index.js";

test("money", () => assert.equal(formatCents(1234), "12.34"));
test("zones", () => assert.equal(zoneOf("de"), 1));
test("names", () => assert.equal(cacheName("a"), cacheName("a")));
test("pallets", () => assert.equal(perPallet({ width: 40, depth: 40 }, 2), 12));
`;

export const BEFORE: Files = {
  LICENSE,
  "README.md": "# parcel-example\n\nA made-up library, written to be reviewed.\n",
  "package.json": PACKAGE("1.0.0"),
  "package-lock.json": LOCK(0),
  "src/index.js": `${INDEX}export * from "./pack.js";\n`,
  "src/quote.js": QUOTE,
  "src/table.js": TABLE("  "),
  "src/zones.js": ZONES([]),
  "src/weight.js": WEIGHT,
  "src/internal/rounding.js": ROUNDING,
  "src/store.js": STORE,
  "src/format.js": FORMAT,
  "src/scan.js": SCAN,
  "src/pack.js": PACK,
  "test/quote.test.js": TEST_QUOTE,
  "test/all.test.js": TEST_ALL,
};

const zoneFixes: Commit[] = COUNTRIES.map((country, n) => ({
  subject: n % 3 === 2 ? `Zones: ${country} too` : `Fix the zone of ${country}, which was wrong`,
  files: { "src/zones.js": ZONES(COUNTRIES.slice(0, n + 1)) },
}));
const locks: Commit[] = Array.from({ length: 9 }, (_, n) => {
  return { subject: `Dependencies, week ${n + 1}`, files: { "package-lock.json": LOCK(n + 1) } };
});
const spaces: Commit[] = Array.from({ length: 8 }, (_, n) => {
  return {
    subject: `Fix indentation of the table (${n + 1})`,
    files: { "src/table.js": TABLE(n % 2 === 0 ? "\t" : "  ") },
  };
});

export const HISTORY: readonly Commit[] = Array.from({ length: 9 }, (_, n) =>
  [zoneFixes[n], locks[n], spaces[n]].filter((one) => one !== undefined),
).flat();

/** What the defects of the change are, and what only looks like one. `truth.json` is made of it. */
export const TRUTH = {
  defects: [
    {
      kind: "risk",
      rule: "shell-injection",
      file: "src/labels.js",
      subject: "file name in a command",
      what: "A file name from outside becomes part of a command for a shell.",
    },
    {
      kind: "risk",
      rule: "hard-coded-secret",
      file: "src/carrier.js",
      subject: "API token",
      what: "The carrier's token stands in the code.",
    },
    {
      kind: "risk",
      rule: "swallowed-error",
      file: "src/store.js",
      subject: "catch",
      what: "Parcels that cannot be saved are lost without a word.",
    },
    {
      kind: "risk",
      rule: "off-by-one",
      file: "src/quote.js",
      subject: "cheaper",
      what: "Of two equal offers the second is taken: <= became <.",
    },
    {
      kind: "tests",
      rule: "untested-change",
      file: "src/discount.js",
      subject: "loyaltyDiscount",
      what: "New, public, and no test calls it.",
    },
    {
      kind: "tests",
      rule: "untested-change",
      file: "src/store.js",
      subject: "saveParcels",
      what: "New, public, and no test calls it.",
    },
    {
      kind: "tests",
      rule: "untested-change",
      file: "src/labels.js",
      subject: "printLabel",
      what: "New, public, and no test calls it.",
    },
    {
      kind: "tests",
      rule: "untested-change",
      file: "src/carrier.js",
      subject: "track",
      what: "New, public, and no test calls it.",
    },
    {
      kind: "api",
      rule: "export-removed",
      file: "src/weight.js",
      subject: "parseWeight",
      what: "A public function is gone.",
    },
    {
      kind: "api",
      rule: "signature-changed",
      file: "src/quote.js",
      subject: "quote",
      what: "A third argument is required.",
    },
    {
      kind: "churn",
      rule: "hot-spot",
      file: "src/zones.js",
      subject: "src/zones.js",
      what: "Most of its many changes repaired it.",
    },
  ],
  decoys: [
    { rule: "shell-injection", file: "src/labels.js", what: "The words stand in a comment." },
    { rule: "hard-coded-secret", file: "src/config.js", what: "A placeholder." },
    { rule: "hard-coded-secret", file: "test/carrier.test.js", what: "A test." },
    { rule: "tls-not-verified", file: "src/config.js", what: "The words stand in a text that warns of it." },
    { rule: "weak-hash", file: "src/cache.js", what: "Moved, not new." },
    {
      rule: "untested-change",
      file: "src/format.js",
      subject: "formatCents",
      what: "A test of another name calls it.",
    },
    { rule: "untested-change", file: "src/zones.js", subject: "zoneOf", what: "A test of another name calls it." },
    { rule: "untested-change", file: "src/cache.js", subject: "cacheName", what: "A test of another name calls it." },
    { rule: "untested-change", file: "src/pack.js", subject: "perPallet", what: "A test of another name calls it." },
    { rule: "export-removed", file: "src/internal/rounding.js", subject: "roundDown", what: "Never public." },
    {
      rule: "export-removed",
      file: "src/weight.js",
      subject: "poundsToGrams",
      what: "Moved; the package still exports it.",
    },
    { rule: "export-removed", file: "src/scan.js", subject: "cacheName", what: "Moved; the package still exports it." },
    {
      rule: "signature-changed",
      file: "src/pack.js",
      subject: "perPallet",
      what: "Two parts more of one argument, and both may be left out.",
    },
    { rule: "hot-spot", file: "src/table.js", what: "Only white space was moved." },
    { rule: "hot-spot", file: "package-lock.json", what: "A tool writes it." },
  ],
};

export const CHANGE: readonly Commit[] = [
  {
    subject: "Quotes in several currencies",
    files: {
      "src/quote.js": QUOTE.replace("quote(parcel, zone)", "quote(parcel, zone, currency)")
        .replace(
          "  return row.base",
          "  if (!CURRENCIES.includes(currency)) throw new Error(`unknown currency ${currency}`);\n  return row.base",
        )
        .replace("/** Cents that", 'const CURRENCIES = ["EUR", "CHF"];\n\n/** Cents that')
        .replace("a.cents <= b.cents", "a.cents < b.cents"),
      "test/quote.test.js": TEST_QUOTE.replace("}, 1), 565", '}, 1, "EUR"), 565'),
      "src/table.js": `${TABLE("  ")}\nexport const ZONES_KNOWN = TABLE.length;\n`,
      "src/internal/rounding.js": ROUNDING.replace(/\nexport function roundDown[\s\S]*/, ""),
    },
  },
  {
    subject: "Weights in their own file",
    files: {
      "src/weight.js": null,
      "src/unit.js": `/** Grams of so many pounds. */
export function poundsToGrams(pounds) {
  return Math.round(pounds * 453.592);
}
`,
      "src/scan.js": null,
      "src/cache.js": `${SCAN}
// What is scanned twice is read once: the cache holds the newest labels by name.
const LABELS_MAX = 500;
const labels = new Map();

function remember(name, label) {
  labels.set(name, label);
  if (labels.size <= LABELS_MAX) return label;
  const [oldest] = labels.keys();
  labels.delete(oldest);
  return label;
}

export const cached = { labels, remember };
`,
      "test/unit.test.js": `import assert from "node:assert";
import { test } from "node:test";
import { poundsToGrams } from "../src/unit.js";

test("pounds", () => assert.equal(poundsToGrams(1), 454));
`,
      "src/index.js": `${INDEX.replace("./weight.js", "./unit.js").replace("./scan.js", "./cache.js")}export * from "./pack.js";
export * from "./labels.js";
export * from "./carrier.js";
export * from "./discount.js";
`,
      "src/pack.js": PACK.replace("{ width, depth }, layers", "{ width, depth, rim, lid }, layers")
        .replace("120 / width", "(120 - (rim ?? 0)) / width")
        .replace("* layers", "* (layers - (lid ?? 0))"),
    },
  },
  {
    subject: "Print labels",
    files: {
      "src/labels.js": `import { execSync } from "node:child_process";

/** Prints a label. Put together by hand, since the printer's library is gone. */
export function printLabel(file, copies = 1) {
  // It was exec(\`lpr \${file}\`) once, which waited for nobody.
  return execSync(\`lpr -# \${copies} \${file}\`).toString();
}
`,
      "src/carrier.js": `import { ENDPOINT } from "./config.js";

const API_TOKEN = "pk_live_9fQ2xV7mRt4LzW8sKd31";

/** Where a parcel is. */
export async function track(id, get = fetch) {
  const answer = await get(\`\${ENDPOINT}/track/\${encodeURIComponent(id)}\`, { headers: { authorization: API_TOKEN } });
  return (await answer.json()).place;
}
`,
      "src/config.js": `export const ENDPOINT = "https://carrier.example.invalid";

// Set in production by the environment.
export const WEBHOOK_SECRET = process.env.WEBHOOK_SECRET ?? "";
export const DEMO_TOKEN = "changeme-changeme";

export const WARNING = "never set rejectUnauthorized: false, whatever a forum says";
`,
      "test/carrier.test.js": `import assert from "node:assert";
import { test } from "node:test";
import { ENDPOINT } from "../src/config.js";

const token = "Zk3v9QmT1xRb7LpW2sYd";

test("where the carrier is", () => assert.ok(ENDPOINT.startsWith("https://") && token.length === 20));
`,
    },
  },
  {
    subject: "Loyalty discount, saving, and nicer money",
    files: {
      "src/discount.js": `/** Cents off for customers who come back. */
export function loyaltyDiscount(cents, orders) {
  if (orders < 5) return 0;
  return Math.min(500, Math.round(cents * 0.05));
}
`,
      "src/store.js": `${STORE.replace("{ readFileSync }", "{ readFileSync, writeFileSync }")}
/** Keeps parcels for later. */
export function saveParcels(path, parcels) {
  try {
    writeFileSync(path, JSON.stringify(parcels));
  } catch {}
}
`,
      "src/format.js": FORMAT.replace(
        "(cents / 100).toFixed(2)",
        '(Math.round(cents) / 100).toFixed(2).replace("-0.00", "0.00")',
      ),
      "src/zones.js": ZONES(COUNTRIES).replace("country.toUpperCase()", "country.trim().toUpperCase()"),
      "package.json": PACKAGE("1.1.0"),
      "package-lock.json": LOCK(10),
    },
  },
];
