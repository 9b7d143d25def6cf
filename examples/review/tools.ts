import { extname, resolve } from "node:path";
import { findApiBreaks } from "./check/api.ts";
import { exportsOf } from "./check/export.ts";
import { findChurn } from "./check/churn.ts";
import { type Finding, tallyOf } from "./check/finding.ts";
import { reproduce as findAgain } from "./check/reproduce.ts";
import { findRisks } from "./check/risk.ts";
import { isSource, isTest } from "./check/source.ts";
import { findUntested } from "./check/untested.ts";
import { Change, type Scope } from "./git/change.ts";
import { FOLDER, git } from "./git/git.ts";
import { findRange } from "./git/repository.ts";
import { replaceFile } from "./report/file.ts";
import { renderReview, type Review } from "./report/markdown.ts";
import { sarifOf } from "./report/sarif.ts";

// The tools of the fleet. Each really asks git, reads only, and gives a small JSON value.

const FINDINGS_MAX = 60;
const FILES_NAMED = 40;

/** What changed between two commits, and what about it may be worth a look.
 *  @throws {Unreviewable} when there is no such repository or range */
export async function changeOverview({ repo, range = "" }: { repo: string; range?: string }) {
  const { chosen, ...scope } = await findRange(repo, range);
  const change = await Change.open(scope);
  const { files } = change;
  const source = files.filter(({ path }) => isSource(path));
  const old = source.filter(({ status }) => status !== "added");
  const before = await Promise.all(
    old.map(async (file) => exportsOf((await change.read("base", file.before)) ?? "", file.before).length),
  );
  return {
    ...scope,
    chosen,
    subject: (await git(change.folder, ["log", "-1", "--format=%s", scope.head, "--"])).trim(),
    files: files.length,
    leftOut: change.leftOut,
    named: files
      .slice(0, FILES_NAMED)
      .map(({ path, status, added, removed }) => `${path} (${status}, +${added.length} -${removed})`),
    linesAdded: files.reduce((sum, { added }) => sum + added.length, 0),
    sourceFiles: source.length,
    testFiles: files.filter(({ path }) => isTest(path)).length,
    exportsBefore: before.reduce((sum, count) => sum + count, 0),
    commits: Number(await git(change.folder, ["rev-list", "--count", scope.head, "--"])),
    languages: [...new Set(source.map(({ path }) => extname(path).slice(1)))],
  };
}

/** Findings of one kind. More than 60 are counted, and the first given. */
const found = (findings: readonly Finding[]) => ({ found: findings.length, findings: findings.slice(0, FINDINGS_MAX) });

/** Added lines that look risky. */
export const riskyLines = async (scope: Scope) => found(findRisks(await Change.open(scope)));

/** Exported functions that changed while their tests did not. */
export const untestedChanges = async (scope: Scope) => found(await findUntested(await Change.open(scope)));

/** Exported names that are gone or want other arguments. */
export const apiBreaks = async (scope: Scope) => found(await findApiBreaks(await Change.open(scope)));

/** Changed files that were changed unusually often before. */
export const churn = async (scope: Scope) => found(await findChurn(await Change.open(scope)));

/** Tries to find one finding again by other means; says why when that fails. */
export async function reproduce({ finding, ...scope }: Scope & { finding: Finding }) {
  return { id: finding.id, ...(await findAgain(await Change.open(scope), finding)) };
}

interface ReviewRequest extends Review {
  /** Where to write. */
  review: string;
  sarif: string;
}

/** Writes the review for people and for programs. The same request writes the same files, so it may be repeated after
 *  a crash. */
export function writeReview({ review, sarif, ...rest }: ReviewRequest, context: { idempotencyKey: string }) {
  const [markdown, json] = [resolve(FOLDER, review), resolve(FOLDER, sarif)];
  replaceFile(markdown, renderReview(rest), context.idempotencyKey);
  replaceFile(json, `${JSON.stringify(sarifOf(rest), null, 2)}\n`, context.idempotencyKey);
  return { review: markdown, sarif: json, summary: tallyOf(rest.findings).summary };
}
