import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redactJson, redactor } from "../../src/telemetry/redact.ts";

describe("the redactor", () => {
  const secret = 'k"y/with+odd chars\\n=1';
  const redact = redactor([["MY_KEY", secret]]);

  it("X8: finds a secret as it is and in every encoding", () => {
    const json = JSON.stringify({ deep: secret });
    const forms = [
      secret,
      json,
      JSON.stringify(json),
      encodeURIComponent(secret),
      new URLSearchParams({ q: secret }).toString(),
    ];
    forms.push(Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("base64url"));
    forms.push(Buffer.from(secret).toString("hex"), Buffer.from(secret).toString("hex").toUpperCase());
    for (const form of forms) expect(redact(`before ${form} after`)).toContain("[secret MY_KEY]");
    expect(redact(`a ${secret} b ${secret}`)).toBe("a [secret MY_KEY] b [secret MY_KEY]");
  });

  it("X8: finds a secret in base64 at any alignment", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 8, maxLength: 40 }),
        fc.string({ maxLength: 9 }),
        fc.string({ maxLength: 9 }),
        (value, head, tail) => {
          const encoded = Buffer.from(head + value + tail).toString("base64");
          return redactor([["S", value]])(encoded).includes("[secret S]");
        },
      ),
    );
  });

  it("prefers the longer of two secrets, and leaves texts without any alone", () => {
    const both = redactor([
      ["SHORT", "abcd"],
      ["LONG", "abcdefgh"],
      ["TINY", "abc"],
    ]);
    expect(both("abcdefgh abcd abc")).toBe("[secret LONG] [secret SHORT] abc");
    expect(redactor([])("abc")).toBe("abc");
  });

  it("goes through a value, keys included", () => {
    expect(redactJson(redact, { [secret]: [1, null, { a: `x${secret}` }] })).toEqual({
      "[secret MY_KEY]": [1, null, { a: "x[secret MY_KEY]" }],
    });
  });
});
