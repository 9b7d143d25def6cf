/** A span of time as people say it: `0.8 s`, `12 s`, `2 min 5 s`, `3 h 10 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

const two = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;

/** A span as a clock: `0:08`, `12:40`, `1:02:03`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const tail = `${padded(seconds % 60)}`;
  return hours === 0 ? `${minutes}:${tail}` : `${hours}:${padded(minutes)}:${tail}`;
}

const padded = (number: number): string => String(number).padStart(2, "0");

/** A count, shortened from 10,000 on: `9,480`, `61k`, `2.4M`. */
export function count(value: number): string {
  if (value < 10_000) return grouped(value);
  if (value < 999_500) return `${Math.round(value / 1_000)}k`;
  return `${(value / 1_000_000).toFixed(value < 9_950_000 ? 1 : 0)}M`;
}

/** A whole number with its thousands apart: `21,480`. */
export function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** Money: `$1.20`, and below a cent as many digits as it takes to be no $0.00. */
export function money(microUsd: number): string {
  const usd = microUsd / 1_000_000;
  if (microUsd === 0 || usd >= 0.01) return `$${usd.toFixed(2)}`;
  return `$${usd.toFixed(6).replace(/0+$/, "")}`;
}

/** `1 step`, `2 steps`. */
export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${grouped(amount)} ${amount === 1 ? one : many}`;
}

/** A time span that somebody writes: `500ms`, `90s`, `5m`, `2h`, `1d`; a bare number is seconds. Null when it is none. */
export function parseSpan(text: string): number | null {
  const [, digits, unit = "s"] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(text.trim()) ?? [];
  return digits === undefined ? null : Math.round(Number(digits) * (UNIT_MS[unit] ?? 0));
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
