/** Words of harm, with their weight: what people write when somebody was hurt, could have been, or lost much. Change
 *  them to what matters to you. */
export const HARM: readonly { weight: number; words: RegExp }[] = [
  { weight: 5, words: /\b(?:injur\w*|hurt|bleed\w*|blood|bruis\w*|wound\w*|broken (?:arm|leg|wrist)|unconscious)\b/i },
  { weight: 4, words: /\b(?:doctor|ambulance|hospitali[sz]ed|emergency|police)\b/i },
  { weight: 4, words: /\b(?:fire|flames?|smok(?:e|es|ed|ing)|burn\w*|sparks?|explo\w*|overheat\w*|melt\w*)\b/i },
  { weight: 4, words: /\b(?:crash(?:ed)?|fell|fall|threw|thrown|collision|accident|collid\w*)\b/i },
  {
    weight: 3,
    words:
      /\b(?:brakes?|steering|handlebar|wheel) (?:\w+ )?(?:fail\w*|broke|loose|locked|did nothing|came)\b|\bno brakes?\b/i,
  },
  { weight: 3, words: /\b(?:danger\w*|unsafe|not (?:feel )?safe|hazard|toxic|leak\w*)\b/i },
  { weight: 3, words: /\b(?:hacked|breach|stolen|fraud|identity theft|data loss|lost all)\b/i },
  { weight: 2, words: /\b(?:crack(?:ed)?|nearly|almost|broke off|came loose)\b/i },
  { weight: 1, words: /\b(?:dead|died|kill\w*|urgent|immediately)\b/i },
];

/** Expressions in which a word of harm means none. */
export const HARMLESS: readonly { why: string; words: RegExp }[] = [
  {
    why: "says that nobody was hurt",
    words:
      /\b(?:no ?body|no one|not|never|without)\b[^.]{0,20}\b(?:hurt|injur\w*|harmed|accident|danger\w*)\b|\bno (?:accident|injur\w*|harm)\b/i,
  },
  {
    why: "a figure of speech",
    words:
      /\b(?:killed my|killing (?:me|time)|dying to|fire sale|fired up|(?:phone|display|motor|battery|line) (?:is dead|died))\b/i,
  },
  { why: "software crashes", words: /\b(?:app|page|browser|site|program|server|it) (?:\w+ )?crash\w*\b/i },
  {
    why: "names a place",
    words: /\b(?:fire (?:station|brigade street|road)|at the hospital|hospital road|police station)\b/i,
  },
];

/** Words by the team that takes care. The first team with the most hits gets the item. */
export const TEAMS: readonly { team: string; words: readonly RegExp[] }[] = [
  {
    team: "safety",
    words: [
      /\b(?:injur\w*|hurt|bleed\w*|accident|fell|crashed into|threw me|smoke|smoking|burn\w*|sparks?|danger\w*)\b/i,
      /\b(?:brakes?|handlebar|helmet|reflector|bell|light)\b/i,
      /\b(?:brakes? (?:failed|did nothing)|no brake|came loose|broke off)\b/i,
    ],
  },
  {
    team: "money",
    words: [
      /\b(?:charged|billed|refund\w*|invoice|paid|payment|price|discount|receipt)\b/i,
      /\b(?:euros?|dollars?|usd|eur|money|bank|card)\b/i,
    ],
  },
  {
    team: "access",
    words: [/\b(?:log ?in|sign ?in|password|account|hacked|unlock\w*)\b/i, /\b(?:app|code|update|lock)\b/i],
  },
  {
    team: "lost",
    words: [/\b(?:i (?:left|forgot|lost)|hand(?:ed)? it in|lost property)\b/i, /\b(?:bag|jacket|keys|wallet)\b/i],
  },
  {
    team: "fault",
    words: [
      /\b(?:chain|gears?|tyre|tire|motor|display|saddle|frame|squeak\w*|squeal\w*|flat|slips?)\b/i,
      /\b(?:broken|repair|fix|defect\w*|error|bug|does not work|doesn't work)\b/i,
    ],
  },
];
