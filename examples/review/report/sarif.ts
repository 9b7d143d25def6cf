import { type Judged, RULES } from "../check/finding.ts";
import type { Review } from "./markdown.ts";

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";

/** The review as SARIF 2.1.0 (OASIS), for code hosts and editors. What was struck out is there too, suppressed, with
 *  the reason as its justification. */
export function sarifOf({ base, head, subject, findings }: Review) {
  const used = Object.entries(RULES).filter(([id]) => findings.some(({ rule }) => rule === id));
  return {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "flotilla-review",
            semanticVersion: "1.0.0",
            rules: used.map(([id, { kind, level, says }]) => ({
              id,
              shortDescription: { text: says },
              defaultConfiguration: { level },
              properties: { kind },
            })),
          },
        },
        columnKind: "utf16CodeUnits",
        originalUriBaseIds: { SRCROOT: { description: { text: "The root of the repository" } } },
        properties: { base, head, subject },
        results: findings.map((finding) =>
          resultOf(
            finding,
            used.findIndex(([id]) => id === finding.rule),
          ),
        ),
      },
    ],
  };
}

function resultOf({ id, rule, level, message, why, holds, file, line }: Judged, ruleIndex: number) {
  return {
    ruleId: rule,
    ...(ruleIndex === -1 ? {} : { ruleIndex }),
    level,
    message: { text: `${message}. ${holds ? `Reproduced: ${why}` : why}.` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: file.split("/").map(encodeURIComponent).join("/"), uriBaseId: "SRCROOT" },
          ...(line === null ? {} : { region: { startLine: line } }),
        },
      },
    ],
    partialFingerprints: { "flotillaReview/v1": id },
    ...(holds ? {} : { suppressions: [{ kind: "external", status: "accepted", justification: why }] }),
  };
}
