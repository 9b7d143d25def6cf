import { flushCompileCache } from "node:module";
import { Socket } from "node:net";
import type { CoordinatorFrame } from "../carrier/frame.ts";
import { Pipe } from "../carrier/pipe.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import { answerWelcome } from "../message/handshake.ts";
import { identitiesFromSeeds } from "../message/keys.ts";
import { provideOwnPackage } from "../platform/own-package.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { openAgents } from "./agents.ts";
import { redactOutput } from "./host-output.ts";
import { endWithGroup, startWatchdog } from "./watchdog.ts";
import { Worker } from "./worker.ts";

// The process in which users' code runs. It is given code by path, keys and secrets over its pipe, and nothing in its
// environment; it ends with its pipe.

/** What the coordinator says first, in the clear: the pipe is the parent's alone. */
export interface HostBoot {
  worker: string;
  definition: FleetDefinition;
  folder: string | null;
  seeds: Record<string, string>;
  coordinatorKey: string;
  welcome: unknown;
  slots: number;
  env: Record<string, string>;
  model: string | null;
}

/** The pipe's file descriptor, beside stdin, stdout and stderr. */
const PIPE_FD = 3;

provideOwnPackage();
startWatchdog(Number(process.argv[2]));
const pipe = new Pipe(new Socket({ fd: PIPE_FD, readable: true, writable: true }));
let drained = false;
pipe.onClose = () => {
  if (!drained) endWithGroup();
  process.exit(0);
};
pipe.onRefused = () => process.exit(1);
// The terminal's Ctrl-C reaches the whole group; the coordinator decides what it means.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

await boot((await pipe.nextPlain()) as HostBoot);

async function boot(given: HostBoot): Promise<void> {
  const random = systemRandom();
  const clock = systemClock({ ref: true });
  const identities = identitiesFromSeeds(given.seeds);
  const byName = new Map(identities.map((identity) => [identity.name, identity]));
  try {
    const agents = await openAgents({
      definition: given.definition,
      folder: given.folder,
      env: given.env,
      model: given.model,
    });
    redactOutput(agents.redact);
    const { hello, channel } = answerWelcome(given.welcome, given.coordinatorKey, identities, random.bytes(32));
    const worker = new Worker({
      clock,
      random,
      session: channel.session,
      slots: given.slots,
      definition: given.definition,
      identityOf(agent) {
        const identity = byName.get(agent);
        if (identity === undefined)
          throw new FlotillaError("MESSAGE_REFUSED", `this host does not hold the key of ${agent}`);
        return identity;
      },
      send: (frame) => pipe.send(frame as unknown as Json),
      redact: agents.redact,
      run: agents.run,
      drained() {
        drained = true;
        agents.close().then(
          () => pipe.end(),
          () => pipe.end(),
        );
      },
    });
    pipe.onFrame = (frame) => worker.receive(frame as unknown as CoordinatorFrame);
    pipe.sendPlain({ hello });
    pipe.secure(channel);
    // Whoever sets NODE_COMPILE_CACHE has the next host start in a third of the time; one that is killed saves nothing.
    flushCompileCache();
  } catch (error) {
    pipe.sendPlain({ failed: toErrorRecord(error) });
    pipe.end();
  }
}
