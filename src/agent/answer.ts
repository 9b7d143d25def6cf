import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import type { MessageContent, ModelResponse } from "../model/model.ts";
import { problemsOf } from "../tool/validate.ts";

/** Whether a model's answer will do (F7). `feedback` is what the model is told when it is asked again; null when asking
 *  again cannot help. */
export type Verdict = { ok: true; output: Json } | { ok: false; feedback: string | null; error: FlotillaError };

/** Judges an answer without tool calls: without a schema it is its text, else one JSON document of that schema, which
 *  may stand in a code fence. `further` finds what a schema cannot say. */
export function judge(
  response: ModelResponse,
  schema: JsonSchema | null,
  outputTokensMax: number,
  further: (output: Json) => readonly string[] = () => [],
): Verdict {
  const text = textOf(response.content);
  if (response.finish === "content-filter") return refused(response, "its provider's content filter stopped it");
  if (response.finish === "length") return cutOff(outputTokensMax);
  if (text.trim() === "") {
    return response.finish === "stop"
      ? wrong(["the answer is empty"], schema)
      : refused(response, `it stopped with "${response.finish}"`);
  }
  if (schema === null) return { ok: true, output: text };
  const parsed = parse(text);
  if (parsed === undefined) return wrong(["the answer is not one JSON document"], schema);
  const problems = problemsOf(schema, parsed);
  const all = problems.length > 0 ? problems : further(parsed);
  return all.length > 0 ? wrong(all, schema) : { ok: true, output: parsed };
}

export const textOf = (content: readonly MessageContent[]): string => joined(content, "text");
export const reasoningOf = (content: readonly MessageContent[]): string => joined(content, "reasoning");

function joined(content: readonly MessageContent[], type: "text" | "reasoning"): string {
  return content.map((part) => (part.type === type ? part.text : "")).join("");
}

function parse(text: string): Json | undefined {
  const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?```\s*$/i.exec(text)?.[1];
  try {
    return JSON.parse(fenced ?? text) as Json;
  } catch {
    return undefined; // what does not parse is the model's mistake, and told to it
  }
}

function wrong(problems: readonly string[], schema: JsonSchema | null): Verdict {
  const list = problems.map((problem) => `- ${problem}`).join("\n");
  const wanted =
    schema === null ? "" : "\nAnswer again with one JSON document of the required schema, and nothing else.";
  return {
    ok: false,
    feedback:
      schema === null
        ? `Your answer cannot be used:\n${list}\nAnswer again.`
        : `Your answer does not match the required schema:\n${list}${wanted}`,
    error: new FlotillaError("OUTPUT_INVALID", `the answer does not match the output schema: ${problems.join("; ")}`, {
      details: { problems: [...problems] },
    }),
  };
}

function cutOff(outputTokensMax: number): Verdict {
  return {
    ok: false,
    feedback: `Your answer was cut off after ${outputTokensMax} tokens. Answer again, shorter.`,
    error: new FlotillaError("MODEL_REFUSED", `the answer was cut off at ${outputTokensMax} tokens`, {
      hint: "Raise limits.outputTokensMax, or ask for less.",
      details: { finish: "length", outputTokensMax },
    }),
  };
}

function refused(response: ModelResponse, why: string): Verdict {
  const error = new FlotillaError("MODEL_REFUSED", `${response.model} gave no answer: ${why}`, {
    details: { finish: response.finish },
  });
  return { ok: false, feedback: null, error };
}
