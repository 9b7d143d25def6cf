import dns from "node:dns";
import { Socket } from "node:net";
import { FlotillaError } from "../error.ts";

/** Refuses every connection of this process to anywhere, names included, from now on: also those that code makes
 *  without Flotilla. For a process that does nothing but run tests; returns how to allow them again. */
export function refuseNetwork(): () => void {
  const { connect } = Socket.prototype;
  const { lookup } = dns;
  Socket.prototype.connect = function refused(this: Socket, ...args: unknown[]): Socket {
    if (isLocalPath(args)) return (connect as (...given: unknown[]) => Socket).apply(this, args);
    return this.destroy(networkRefused(whereTo(args)));
  } as typeof connect;
  const noLookup = (name: string, ...rest: unknown[]) => {
    const callback = rest.at(-1) as (error: Error) => void;
    process.nextTick(() => callback(networkRefused(name)));
  };
  dns.lookup = Object.assign(noLookup, { __promisify__: lookup.__promisify__ }) as typeof lookup;
  return () => {
    Socket.prototype.connect = connect;
    dns.lookup = lookup;
  };
}

/** Pipes and UNIX sockets stay on this machine. */
function isLocalPath(args: readonly unknown[]): boolean {
  const first = firstOf(args);
  return typeof first === "object" && first !== null && "path" in first && typeof first.path === "string";
}

function whereTo(args: readonly unknown[]): string {
  const first = firstOf(args);
  if (typeof first !== "object" || first === null) return String(first);
  const { host = "localhost", port = "?" } = first as { host?: string; port?: number | string };
  return `${host}:${port}`;
}

/** Node hands normalised arguments on as one list. */
function firstOf(args: readonly unknown[]): unknown {
  const [first] = args;
  return Array.isArray(first) ? (first[0] as unknown) : first;
}

function networkRefused(where: string): FlotillaError {
  return new FlotillaError("UNSUPPORTED", `tests have no network: ${where}`, {
    hint: "Stub the tool: give the case `stubs`.",
  });
}
