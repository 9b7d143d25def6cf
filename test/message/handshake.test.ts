import { describe, expect, test } from "vitest";
import { isFlotillaError } from "../../src/error.ts";
import {
  answerWelcome,
  type Certificate,
  certificateFault,
  certify,
  CoordinatorHandshake,
  type Hello,
} from "../../src/message/handshake.ts";
import { identitiesFromSeeds, KeyRing } from "../../src/message/keys.ts";

let drawn = 0;
const random = (count: number) => Buffer.alloc(count, ++drawn);

const ring = new KeyRing();
ring.ensure(["coordinator", "reader", "writer"], random, 0);
const coordinator = ring.identity("coordinator");
const trusted = (agent: string) => ring.publicKey(agent);

/** Both sides of a session, the host running `names`. */
function shakeHands(
  names: readonly string[] = ["reader", "writer"],
  [a, b]: readonly [Uint8Array, Uint8Array] = [random(32), random(32)],
) {
  const handshake = new CoordinatorHandshake(coordinator, a);
  const host = answerWelcome(
    overTheWire(handshake.welcome),
    coordinator.publicKey,
    identitiesFromSeeds(ring.seeds(names)),
    b,
  );
  return { handshake, host, session: handshake.finish(overTheWire(host.hello), trusted) };
}

function overTheWire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const codeOf = (work: () => unknown) => {
  try {
    work();
    return "none";
  } catch (error) {
    return isFlotillaError(error) ? error.code : String(error);
  }
};

test("both sides end with one session, and frames pass in both directions", () => {
  const { host, session } = shakeHands();
  expect([...session.agents]).toEqual(["reader", "writer"]);
  expect(session.refused).toEqual([]);
  expect(host.channel.session).toBe(session.channel.session);
  expect(host.channel.open(session.channel.seal(["down"]))).toEqual({ frames: ["down"], refused: [] });
  expect(session.channel.open(host.channel.seal(["up"]))).toEqual({ frames: ["up"], refused: [] });
});

test("the same random bytes give the same session, byte for byte; others give another", () => {
  const bytes = (): readonly [Uint8Array, Uint8Array] => [Buffer.alloc(32, 101), Buffer.alloc(32, 102)];
  const [one, two] = [shakeHands(["reader"], bytes()), shakeHands(["reader"], bytes())];
  expect(one.host.hello).toEqual(two.host.hello);
  expect(one.session.channel.seal([1]).equals(two.session.channel.seal([1]))).toBe(true);
  const other = shakeHands(["reader"]);
  expect(other.session.channel.session).not.toBe(one.session.channel.session);
  expect(other.session.channel.seal([1]).equals(one.session.channel.seal([1]))).toBe(false);
});

test("the two directions have different keys", () => {
  const { host, session } = shakeHands();
  expect(session.channel.open(session.channel.seal(["echoed"])).refused).toHaveLength(1);
  expect(host.channel.open(host.channel.seal(["echoed"])).refused).toHaveLength(1);
});

describe("a host refuses a welcome", () => {
  const { welcome } = new CoordinatorHandshake(coordinator, random(32));
  const stranger = new CoordinatorHandshake(ring.identity("writer"), random(32)).welcome;
  test.each([
    ["of somebody else", stranger],
    ["of somebody else in the coordinator's name", { ...stranger, identity: welcome.identity }],
    ["with another ephemeral key", { ...welcome, ephemeral: stranger.ephemeral }],
    ["with no signature", { ...welcome, signature: "" }],
    ["that is malformed", { ...welcome, ephemeral: 1 }],
    ["that is nothing", null],
  ])("%s", (_, altered) => {
    expect(codeOf(() => answerWelcome(altered, coordinator.publicKey, [], random(32)))).toBe("MESSAGE_REFUSED");
  });
});

describe("the coordinator does not believe a certificate", () => {
  const finish = (change: (certificates: Certificate[]) => unknown[]) => {
    const handshake = new CoordinatorHandshake(coordinator, random(32));
    const { hello } = answerWelcome(
      handshake.welcome,
      coordinator.publicKey,
      identitiesFromSeeds(ring.seeds(["reader"])),
      random(32),
    );
    return handshake.finish({ ...hello, certificates: change(hello.certificates) }, trusted);
  };
  const writer = new KeyRing();
  writer.ensure(["writer"], random, 0);
  const recorded = shakeHands(["writer"]).host.hello.certificates;

  test("for an agent of another host, signed with this host's key", () => {
    const { agents, refused } = finish(([reader]) => [{ ...(reader as Certificate), agent: "writer" }]);
    expect([...agents]).toEqual([]);
    expect(refused).toEqual([{ agent: "writer", reason: "its public key is not the one on the key ring" }]);
  });

  test("with a key that the host made up", () => {
    const session = "s";
    const certificate = certify(session, writer.identity("writer"));
    expect(certificateFault(session, certificate, trusted)).toContain("not the one on the key ring");
    expect(certificateFault(session, { ...certificate, publicKey: trusted("writer") as string }, trusted)).toContain(
      "does not hold",
    );
  });

  test("recorded in another session", () => {
    const { agents, refused } = finish((own) => [...own, ...recorded]);
    expect([...agents]).toEqual(["reader"]);
    expect(refused).toEqual([{ agent: "writer", reason: "its signature does not hold" }]);
  });

  test("for an agent that does not exist", () => {
    expect(finish(([reader]) => [{ ...(reader as Certificate), agent: "ghost" }]).refused).toEqual([
      { agent: "ghost", reason: "no such agent" },
    ]);
  });

  test("made with a key that was rotated since", () => {
    const rotated = new KeyRing();
    rotated.ensure(["reader"], random, 0);
    const certificate = certify("s", rotated.identity("reader"));
    rotated.rotate("reader", random, 1);
    expect(certificateFault("s", certificate, (agent) => rotated.publicKey(agent))).not.toBeNull();
  });

  test("that is malformed", () => {
    for (const certificate of [null, {}, { agent: "reader", publicKey: 1, signature: "" }]) {
      expect(codeOf(() => finish(() => [certificate]))).toBe("MESSAGE_REFUSED");
    }
  });
});

test("an agent that a host gets later is certified for the running session", () => {
  const { session } = shakeHands(["reader"]);
  const certificate = overTheWire(certify(session.channel.session, ring.identity("writer")));
  expect(certificateFault(session.channel.session, certificate, trusted)).toBeNull();
  expect(certificateFault("another session", certificate, trusted)).toBe("its signature does not hold");
});

test("a hello whose ephemeral key was exchanged on the way opens no channel for any agent", () => {
  const { handshake, host } = shakeHands(["reader"]);
  const stolen: Hello = {
    ...host.hello,
    ephemeral: new CoordinatorHandshake(coordinator, random(32)).welcome.ephemeral,
  };
  const session = handshake.finish(stolen, trusted);
  expect([...session.agents]).toEqual([]);
  expect(session.channel.open(host.channel.seal(["up"])).refused).toHaveLength(1);
});

test.each([
  ["of small order, for which everyone knows the secret", Buffer.alloc(32).toString("base64url")],
  ["of small order 1", Buffer.from("01".padEnd(64, "0"), "hex").toString("base64url")],
  ["too short", "AAAA"],
  ["empty", ""],
])("an ephemeral key %s is refused", (_, ephemeral) => {
  const handshake = new CoordinatorHandshake(coordinator, random(32));
  expect(codeOf(() => handshake.finish({ ephemeral, certificates: [] }, trusted))).toBe("MESSAGE_REFUSED");
});

test.each([null, 1, {}, { ephemeral: "x" }, { ephemeral: "x".repeat(1_000), certificates: [] }])(
  "a hello that is none is refused: %j",
  (hello) => {
    const handshake = new CoordinatorHandshake(coordinator, random(32));
    expect(codeOf(() => handshake.finish(hello, trusted))).toBe("MESSAGE_REFUSED");
  },
);

test("a handshake takes exactly 32 random bytes", () => {
  expect(codeOf(() => new CoordinatorHandshake(coordinator, random(31)))).toBe("USAGE");
});
