import type { Finding, Path } from "./finding.ts";

/** An expression that is not CEL, pointed at where it goes wrong. */
export function expressionFinding(path: Path, problem: string, within?: Finding["within"]): Finding {
  const which = within === undefined ? "an expression" : `the expression "${within.text}"`;
  return {
    code: "DEFINITION_EXPRESSION",
    message: `${which} does not parse: ${problem.charAt(0).toLowerCase()}${problem.slice(1)}`,
    path,
    part: "value",
    ...(within === undefined ? {} : { within }),
  };
}

const COMPLAINT = /(?:^|; )([^"]*?) at character (\d+) of "([\s\S]*?)"(?=; |$)/g;

/** What a schema that compiles expressions itself says of them, as findings that point into each; `otherwise` when it
 *  says something else. */
export function expressionFindings(otherwise: Finding, complaint: string): Finding[] {
  const found = [...complaint.matchAll(COMPLAINT)].map(([, problem = "", character, source = ""]) =>
    expressionFinding(otherwise.path, problem, { text: source, offset: Number(character) - 1 }),
  );
  return found.length === 0 ? [otherwise] : found;
}
