import { type Item, wordsOf } from "./item.ts";
import { HARM, HARMLESS, TEAMS } from "./vocabulary.ts";

export interface Assessed {
  row: number;
  /** How much harm the words tell of; 0 for none. */
  score: number;
  team: string;
  /** The words that count most, or "". */
  why: string;
}

/** How urgent an item sounds, and whose it is. A first look: every word counts as it stands. */
export function assess(item: Item): Assessed {
  const words = wordsOf(item);
  const hits = HARM.flatMap(({ weight, words: looks }) => {
    const [found] = looks.exec(words) ?? [];
    return found === undefined ? [] : [{ weight, found }];
  });
  const score = hits.reduce((sum, { weight }) => sum + weight, 0);
  const why = hits.toSorted((a, b) => b.weight - a.weight).map(({ found }) => found.toLowerCase());
  return { row: item.row, score, team: teamOf(words), why: why.slice(0, 3).join(", ") };
}

export interface Examined {
  row: number;
  score: number;
  /** Why it counts less than at first sight; "" when it does not. */
  less: string;
}

/** A second look at what sounded urgent: without expressions that only sound like it. */
export function examine(item: Item): Examined {
  const found = HARMLESS.filter(({ words }) => words.test(wordsOf(item)));
  const text = found.reduce((rest, { words }) => rest.replace(words, " "), wordsOf(item));
  const { score } = assess({ ...item, title: "", text });
  return { row: item.row, score, less: found.map(({ why }) => why).join("; ") };
}

function teamOf(words: string): string {
  const counted = TEAMS.map(({ team, words: looks }) => ({
    team,
    hits: looks.filter((one) => one.test(words)).length,
  }));
  const best = counted.reduce((most, one) => (one.hits > most.hits ? one : most));
  return best.hits === 0 ? "other" : best.team;
}
