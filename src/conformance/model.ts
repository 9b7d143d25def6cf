import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Json } from "../core/json.ts";
import { type ErrorCode, type FlotillaError, isFlotillaError } from "../error.ts";
import type { Model, ModelRequest, ModelResponse } from "../model/model.ts";

/** An answer in no provider's words: the double says it in its wire format. */
export interface Answer {
  reasoning?: { text: string; signature?: string };
  /** Streamed in as many frames as there are texts. */
  text?: string | readonly string[];
  calls?: readonly { id?: string; tool: string; input: Json }[];
  finish?: "stop" | "length" | "content-filter";
  /** Null where the provider's format lets it out. */
  usage?: { input?: number; output?: number; cached?: number; reasoning?: number } | null;
}

/** What the double does with one request. */
export type Act =
  | { answer: Answer }
  /** An HTTP error with the provider's kind of body. */
  | { status: number; message?: string; code?: string; headers?: Record<string, string> }
  /** The first half of the answer; then the socket is cut, or the stream ends as if it were complete. */
  | { broken: Answer; how: "cut" | "ended" }
  /** The first half of the answer, then the provider's error inside the stream, saying that it is overloaded or broken. */
  | { failing: Answer; message: string }
  /** Nothing at all; or headers and the first half of the answer, and then nothing. */
  | { hang: "silent" | Answer }
  /** A web page with status 200; a stream of frames that are no JSON; frames of JSON that is not the provider's. */
  | { garbage: "page" | "frames" | "shape" };

/** One request as the double saw it. */
export interface ReceivedRequest {
  path: string;
  headers: Record<string, string>;
  body: { [key: string]: Json };
  /** Settles with `complete` when the answer was sent, with `closed` when the other side closed the socket before. */
  ended: Promise<"complete" | "closed">;
}

/** A server that stands in for the provider. */
export interface ProviderDouble {
  readonly requests: readonly ReceivedRequest[];
  /** Queues acts, one for each coming request. */
  script(...acts: readonly Act[]): void;
  /** Settles with the request of this number (from 0) as soon as it has come. */
  request(number: number): Promise<ReceivedRequest>;
  close(): Promise<void>;
}

export interface ModelUnderTest {
  model: Model;
  /** What goes into `ModelRequest.model`. */
  modelName: string;
  provider: ProviderDouble;
  /** The key that the model sends; it must never show in an error. Null when it sends none. */
  key: string | null;
}

export interface ModelConformanceOptions {
  name: string;
  /** A new model and a new double behind it, for each test; the double is closed afterwards. */
  open(): Promise<ModelUnderTest>;
  /** Tests that cannot hold for this provider, by name, with the reason. */
  skip?: Readonly<Record<string, string>>;
}

/** What every `Model` over a network promises (I2, F1, F2, F3): run it in a Vitest file against a double of the provider. */
export function modelConformance(options: ModelConformanceOptions): void {
  describe(`model conformance: ${options.name}`, () => {
    let subject: ModelUnderTest;
    beforeEach(async () => {
      subject = await options.open();
    });
    afterEach(() => subject.provider.close());

    const test = (name: string, run: () => Promise<void>): void => {
      const reason = options.skip?.[name];
      if (reason === undefined) it(name, run);
      else it.skip(`${name} (skipped: ${reason})`, run);
    };
    const call = (
      request: Partial<ModelRequest> = {},
      signal = new AbortController().signal,
      onToken: (text: string) => void = () => {},
    ) =>
      subject.model.call(
        { ...REQUEST, model: subject.modelName, ...request },
        { signal, onToken, sleep: () => Promise.resolve() },
      );

    test("I10: text streams as tokens and is the answer", async () => {
      const tokens: string[] = [];
      subject.provider.script({ answer: { text: ["The tide ", "turns ", "twice."] } });
      const response = await call({}, undefined, (text) => tokens.push(text));
      expect(tokens).toEqual(["The tide ", "turns ", "twice."]);
      expect(textOf(response)).toBe("The tide turns twice.");
      expect(response).toMatchObject({ finish: "stop", simulated: false });
      expect(response.model).not.toBe("");
      expect(subject.provider.requests).toHaveLength(1);
    });

    test("instructions and input are messages of their own", async () => {
      await call();
      const body = JSON.stringify(subject.provider.requests[0]?.body);
      expect(body).toContain(JSON.stringify(REQUEST.system));
      expect(body).toContain(JSON.stringify("When is high water?"));
    });

    test("tool calls carry their input as a value", async () => {
      const input = { place: "Brest", days: 2, deep: { list: [1, "two", null] } };
      subject.provider.script({
        answer: {
          text: "Looking.",
          calls: [
            { id: "a1", tool: "tides", input },
            { id: "a2", tool: "tides", input: {} },
          ],
        },
      });
      const response = await call({ tools: [TIDES] });
      expect(response.finish).toBe("tool-calls");
      expect(callsOf(response)).toEqual([
        { id: "a1", tool: "tides", input },
        { id: "a2", tool: "tides", input: {} },
      ]);
      expect(JSON.stringify(subject.provider.requests[0]?.body)).toContain(TIDES.description);
    });

    const reasonThenReturn = async (signature: string): Promise<string> => {
      const calls = [{ id: "a1", tool: "tides", input: { place: "Brest" } }];
      subject.provider.script({ answer: { reasoning: { text: "I need the table.", signature }, calls } });
      const { content } = await call({ tools: [TIDES] });
      expect(content[0]).toMatchObject({ type: "reasoning", text: "I need the table." });
      await call({
        tools: [TIDES],
        messages: [
          ...REQUEST.messages,
          // through JSON, as a journal keeps it
          { role: "assistant", content: JSON.parse(JSON.stringify(content)) },
          { role: "tool", content: [{ type: "tool-result", id: "a1", tool: "tides", output: { height: 7.25 } }] },
        ],
      });
      return JSON.stringify(subject.provider.requests[1]?.body);
    };

    test("O1: reasoning is given, and the conversation goes on after tools", async () => {
      const body = await reasonThenReturn("c2lnbmVk");
      for (const said of ["When is high water?", "Brest", "7.25"]) expect(body).toContain(said);
    });

    test("the provider's signature of its reasoning goes back as it came", async () => {
      const signature = "c2lnbmVkLWJ5LXRoZS1wcm92aWRlcg==";
      expect(await reasonThenReturn(signature)).toContain(signature);
    });

    test("results of tools go back under their call, failures too", async () => {
      await call({
        tools: [TIDES],
        messages: [
          ...REQUEST.messages,
          { role: "assistant", content: [{ type: "tool-call", id: "a1", tool: "tides", input: { place: "Brest" } }] },
          {
            role: "tool",
            content: [{ type: "tool-result", id: "a1", tool: "tides", output: "no such harbour", error: true }],
          },
        ],
      });
      expect(JSON.stringify(subject.provider.requests[0]?.body)).toContain("no such harbour");
    });

    test("a schema for the answer reaches the provider", async () => {
      subject.provider.script({ answer: { text: '{"height":7.25}' } }, { answer: { text: "[7.25]" } });
      const object = {
        type: "object",
        properties: { height: { type: "number" } },
        required: ["height"],
        additionalProperties: false,
      };
      expect(JSON.parse(textOf(await call({ output: object })))).toEqual({ height: 7.25 });
      expect(JSON.stringify(subject.provider.requests[0]?.body)).toContain("height");
      const list = { type: "array", items: { type: "number", description: "metres-above-datum" } };
      expect(JSON.parse(textOf(await call({ output: list })))).toEqual([7.25]);
      expect(JSON.stringify(subject.provider.requests[1]?.body)).toContain("metres-above-datum");
    });

    test("usage counts cached and reasoning tokens", async () => {
      subject.provider.script({
        answer: { text: "Six.", usage: { input: 120, output: 40, cached: 100, reasoning: 25 } },
      });
      expect((await call()).usage).toEqual({
        inputTokens: 120,
        outputTokens: 40,
        cachedInputTokens: 100,
        reasoningTokens: 25,
      });
    });

    test("an answer that is cut by a limit or a filter says so", async () => {
      subject.provider.script(
        { answer: { text: "The tide", finish: "length" } },
        { answer: { text: "I cannot", finish: "content-filter" } },
      );
      expect((await call()).finish).toBe("length");
      expect((await call()).finish).toBe("content-filter");
    });

    for (const [status, code] of STATUSES) {
      test(`F1: HTTP ${status} is ${code}, after one request`, async () => {
        subject.provider.script({ status, message: "the provider's words" });
        const error = await failure(call());
        expect(error.code).toBe(code);
        expect(error.message).toContain("the provider's words");
        expect(error.details).toMatchObject({ status });
        expect(subject.provider.requests).toHaveLength(1);
      });
    }

    test("F2: retry-after is handed on, in seconds, milliseconds or as a date", async () => {
      const date = "Fri, 20 Nov 2026 10:00:00 GMT";
      const until = "Fri, 20 Nov 2026 10:00:07 GMT";
      const headers: Record<string, string>[] = [
        { "retry-after": "3" },
        { "retry-after-ms": "250" },
        { "retry-after": until, date },
        {},
      ];
      subject.provider.script(...headers.map((each) => ({ status: 429, headers: each })));
      const waits: (number | undefined)[] = [];
      for (const _ of headers) waits.push((await failure(call())).retryAfterMs);
      expect(waits).toEqual([3_000, 250, 7_000, undefined]);
    });

    for (const how of ["cut", "ended"] as const) {
      test(`F1: a stream that is ${how} in the middle is MODEL_UNAVAILABLE`, async () => {
        subject.provider.script({ broken: { text: ["The tide ", "turns ", "twice ", "a day."] }, how });
        expect((await failure(call())).code).toBe("MODEL_UNAVAILABLE");
        expect(subject.provider.requests).toHaveLength(1);
      });
    }

    test("F1: an error inside the stream is MODEL_UNAVAILABLE", async () => {
      subject.provider.script({
        failing: { text: ["The tide ", "turns ", "twice ", "a day."] },
        message: "we are overloaded",
      });
      const error = await failure(call());
      expect(error.code).toBe("MODEL_UNAVAILABLE");
      expect(error.message).toContain("we are overloaded");
    });

    for (const garbage of ["page", "frames", "shape"] as const) {
      test(`F1: garbage (${garbage}) is MODEL_RESPONSE_INVALID`, async () => {
        subject.provider.script({ garbage });
        expect((await failure(call())).code).toBe("MODEL_RESPONSE_INVALID");
      });
    }

    test("F1: a provider that is not there is MODEL_UNAVAILABLE", async () => {
      await subject.provider.close();
      expect((await failure(call())).code).toBe("MODEL_UNAVAILABLE");
    });

    for (const [when, hang] of [
      ["before the answer", "silent"],
      ["in the middle of the answer", { text: ["The tide ", "turns ", "twice ", "a day."] }],
    ] as const) {
      test(`F3: aborting ${when} closes the socket and throws the signal's reason`, async () => {
        const controller = new AbortController();
        const reason = new Error("time is up");
        const begun = Promise.withResolvers<string>();
        subject.provider.script({ hang });
        const called = call({}, controller.signal, begun.resolve);
        const settled = called.then(
          () => "answered",
          (error: unknown) => error,
        );
        const request = await subject.provider.request(0);
        if (hang !== "silent") await begun.promise;
        controller.abort(reason);
        expect(await settled).toBe(reason);
        expect(await request.ended).toBe("closed");
      });
    }

    test("F3: a signal that was aborted before sends nothing", async () => {
      const reason = new Error("stopped");
      await expect(call({}, AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(subject.provider.requests).toHaveLength(0);
    });

    test("calls at the same time keep their answers apart", async () => {
      const names = ["one", "two", "three", "four", "five"];
      subject.provider.script(...names.map((text) => ({ answer: { text } })));
      const answers = await Promise.all(names.map(async () => textOf(await call())));
      expect(answers.sort()).toEqual([...names].sort());
    });

    test("X8: the key is sent, and shows in no error", async () => {
      const { key } = subject;
      if (key === null) return;
      subject.provider.script(
        { status: 401, message: `Incorrect API key provided: ${key}` },
        { status: 500, message: key },
      );
      for (const error of [await failure(call()), await failure(call())]) {
        expect(everythingIn(error)).not.toContain(key);
      }
      expect(JSON.stringify(subject.provider.requests[0]?.headers)).toContain(key);
      expect(subject.provider.requests[0]?.path).not.toContain(key);
    });
  });
}

const REQUEST: ModelRequest = {
  model: "",
  agent: "harbour-master",
  system: "You know the tides.",
  messages: [{ role: "user", content: [{ type: "text", text: "When is high water?" }] }],
  tools: [],
  output: null,
  outputTokensMax: 500,
  temperature: null,
};

const TIDES = {
  name: "tides",
  description: "Tide table of a harbour",
  input: { type: "object", properties: { place: { type: "string" }, days: { type: "integer" } } },
};

const STATUSES: readonly (readonly [number, ErrorCode])[] = [
  [400, "MODEL_REQUEST_INVALID"],
  [401, "MODEL_UNAUTHORISED"],
  [403, "MODEL_UNAUTHORISED"],
  [404, "MODEL_REQUEST_INVALID"],
  [408, "MODEL_RATE_LIMITED"],
  [409, "MODEL_RATE_LIMITED"],
  [429, "MODEL_RATE_LIMITED"],
  [500, "MODEL_UNAVAILABLE"],
  [503, "MODEL_UNAVAILABLE"],
  [529, "MODEL_UNAVAILABLE"],
];

const textOf = (response: ModelResponse): string => {
  return response.content.map((part) => (part.type === "text" ? part.text : "")).join("");
};

const callsOf = (response: ModelResponse) => {
  return response.content.flatMap((part) =>
    part.type === "tool-call" ? [{ id: part.id, tool: part.tool, input: part.input }] : [],
  );
};

async function failure(call: Promise<ModelResponse>): Promise<FlotillaError> {
  const error = await call.then(
    () => new Error("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  if (isFlotillaError(error)) return error;
  throw error;
}

/** All that an error could leak, its causes and stacks included. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? "";
  const own = Object.getOwnPropertyNames(error).map((name) => {
    const value: unknown = (error as unknown as Record<string, unknown>)[name];
    return value instanceof Error ? everythingIn(value) : (JSON.stringify(value) ?? "");
  });
  return own.join("\n");
}
