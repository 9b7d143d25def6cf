import { closeSync, createReadStream, openSync, readSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

/** Where paths of logs and reports start from: the folder of the example. */
export const FOLDER = resolve(import.meta.dirname, "..");

const NEWLINE = 0x0a;
const CHUNK_BYTES = 256 * 1024;
const PACKED = [
  { name: "gzip", magic: [0x1f, 0x8b] },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58] },
  { name: "zip", magic: [0x50, 0x4b, 0x03, 0x04] },
] as const;

/** A log that cannot be read. Trying again does not help: `code` says so to the runtime. */
export class UnreadableLog extends Error {
  override readonly name = "UnreadableLog";
  readonly code = "EINVAL";
}

export interface LogFile {
  path: string;
  bytes: number;
  modifiedMs: number;
}

/** @throws {UnreadableLog} naming the file */
export function findLog(log: string): LogFile {
  const path = resolve(FOLDER, log);
  try {
    const found = statSync(path);
    if (!found.isFile()) throw new UnreadableLog(`${path} is not a file; give the path of a log`);
    if (found.size === 0) throw new UnreadableLog(`the log ${path} is empty`);
    return { path, bytes: found.size, modifiedMs: found.mtimeMs };
  } catch (error) {
    throw unreadable(path, error, isAbsolute(log) ? "" : `; relative paths start from ${FOLDER}`);
  }
}

/** Gives every line with its place in bytes, in order, reading the file piece by piece. A line is what `sed -n Np`
 *  prints. `start` and `end` are bytes, `end` excluded.
 *  @throws {UnreadableLog} when the file cannot be read or is no text */
export async function eachLine(
  file: LogFile,
  take: (line: string, offset: number) => void,
  { start = 0, end = file.bytes } = {},
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  let offset = start;
  try {
    for await (const chunk of createReadStream(file.path, { highWaterMark: CHUNK_BYTES, start, end: end - 1 })) {
      if (offset === 0 && rest.length === 0) refusePacked(file.path, chunk as Buffer);
      const piece: Buffer = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      if ((chunk as Buffer).includes(0))
        throw new UnreadableLog(`the log ${file.path} is not text: it holds NUL bytes`);
      let begin = 0;
      for (let stop = piece.indexOf(NEWLINE); stop !== -1; stop = piece.indexOf(NEWLINE, begin)) {
        take(textOf(piece, begin, stop), offset + begin);
        begin = stop + 1;
      }
      rest = piece.subarray(begin);
      offset += begin;
    }
  } catch (error) {
    throw unreadable(file.path, error);
  }
  if (rest.length > 0) take(textOf(rest, 0, rest.length), offset);
}

/** The lines that begin at these places, each up to `charactersMax`. */
export function linesAt(
  path: string,
  places: readonly { offset: number; bytes: number }[],
  charactersMax: number,
): string[] {
  const descriptor = openSync(path, "r");
  try {
    return places.map(({ offset, bytes }) => {
      // A character takes up to four bytes.
      const buffer = Buffer.alloc(Math.min(bytes, charactersMax * 4));
      const text = textOf(buffer, 0, readSync(descriptor, buffer, 0, buffer.length, offset));
      return text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
    });
  } finally {
    closeSync(descriptor);
  }
}

function textOf(buffer: Buffer, start: number, end: number): string {
  return buffer.toString("utf8", start, buffer[end - 1] === 0x0d ? end - 1 : end);
}

function refusePacked(path: string, head: Buffer): void {
  const packed = PACKED.find(({ magic }) => magic.every((byte, index) => head[index] === byte));
  if (packed !== undefined) throw new UnreadableLog(`the log ${path} is packed with ${packed.name}; unpack it first`);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  EACCES: "may not be read by this user",
  EISDIR: "is a folder",
  ENOTDIR: "does not exist: a part of its path is a file",
};

function unreadable(path: string, error: unknown, more = ""): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof UnreadableLog ? undefined : REASONS[code];
  return reason === undefined ? error : new UnreadableLog(`the log ${path} ${reason}${more}`);
}
