import type { ASTNode } from "@marcbachmann/cel-js";

/** Something that an expression reads of a variable `v`: `v.member.field` or `v["member"].field`.
 *  `member` is null when only the values decide which one (`v`, `v[name]`); `field` is null when it is read as a whole. */
export interface Reference {
  member: string | null;
  field: string | null;
}

/** All that an expression reads of a variable, in order of appearance. */
export function references(ast: ASTNode, variable: string): Reference[] {
  const found: Reference[] = [];
  walk(ast, variable, found);
  return found;
}

function walk(node: ASTNode, variable: string, found: Reference[]): void {
  const path = pathOf(node, variable);
  if (path !== null) {
    found.push({ member: path[0] ?? null, field: path[1] ?? null });
    return;
  }
  for (const child of childrenOf(node.args)) walk(child, variable, found);
}

/** The constant keys by which `node` goes down from the variable; null when it does not start there. */
function pathOf(node: ASTNode, variable: string): string[] | null {
  if (node.op === "id") return node.args === variable ? [] : null;
  const key = keyOf(node);
  if (key === null) return null;
  const path = pathOf(key.object, variable);
  return path === null ? null : [...path, key.name];
}

function keyOf(node: ASTNode): { object: ASTNode; name: string } | null {
  if (node.op === "." || node.op === ".?") return { object: node.args[0], name: node.args[1] };
  if (node.op !== "[]" && node.op !== "[?]") return null;
  const [object, index] = node.args;
  return index.op === "value" && typeof index.args === "string" ? { object, name: index.args } : null;
}

function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return isNode(args) ? [args] : [];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}
