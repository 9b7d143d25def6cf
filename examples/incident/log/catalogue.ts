/** A kind of trouble that services run into, and how it shows in logs. General knowledge: nothing here is about one log. */
export interface Hypothesis {
  /** Stable name, as agents and reports use it. */
  id: string;
  label: string;
  /** Troubles of one family bring each other about, so they do not argue against each other. */
  family: "concurrency" | "storage" | "memory" | "processor" | "network" | "access" | "software";
  /** `state`: its signs are printed for as long as it lasts. `event`: it happens once, and the harm comes after. */
  lasts: "state" | "event";
  /** Signs that it is there, in lines of any level. Each is enough by itself. */
  signs: readonly RegExp[];
  /** What to do about it first. */
  aid: string;
}

export const CATALOGUE: readonly Hypothesis[] = [
  {
    id: "connection-pool-exhausted",
    label: "Connection pool exhausted",
    family: "concurrency",
    lasts: "state",
    signs: [
      /\bpool\b.{0,60}\b(?:waiting|pending|queued)\W{1,3}[1-9]/i,
      /\bpool\b.{0,40}\b(?:exhausted|is full|timed? ?out|limit reached|reached its)/i,
      /\bno (?:free |available )?connections? (?:after|available|within)\b/i,
      /\bconnection is not available, request timed out/i,
      /\btoo many (?:clients|connections)\b/i,
      /\bremaining connection slots\b/i,
      /\bconnection checked out\b.{0,60}\bnot (?:been )?returned\b/i,
      /\b(?:connection leak|leaked connection)/i,
      // Seconds, not milliseconds: a session that holds its connection and does nothing with it.
      /(?<![a-z])idle.in.transaction\W{1,3}(?:for )?(?:[2-9]|\d\d+)(?:\.\d+)? ?s/i,
    ],
    aid: "end the sessions that hold connections without using them, then look for a path in the code that returns without giving its connection back",
  },
  {
    id: "lock-contention",
    label: "Lock contention",
    family: "concurrency",
    lasts: "state",
    signs: [
      /\bstill waiting for \w*lock\b/i,
      /\bdeadlock (?:detected|found)\b/i,
      /\block wait timeout\b|\bdue to lock timeout\b/i,
      /\b(?:could not|failed to|cannot) (?:obtain|acquire|get) (?:\w+ )?lock\b/i,
    ],
    aid: "find the transaction that holds the lock longest and end it; keep transactions short",
  },
  {
    id: "slow-disk",
    label: "Slow or overloaded disk",
    family: "storage",
    lasts: "state",
    signs: [
      /\bcheckpoints are occurring too frequently\b/i,
      /\btemporary file: path\b/i,
      /\b(?:slow|stalled|delayed) (?:fsync|write|flush|disk|sync)\b/i,
      /\b(?:fsync|disk|i\/o|io)\b.{0,30}\b(?:took too long|is slow|stall|latency is high)/i,
      /\bi\/o error\b|\bblk_update_request\b|\bmedium error\b/i,
      /\btask \S+ blocked for more than \d+ seconds\b/i,
      /\biowait\W{1,3}[3-9]\d/i,
    ],
    aid: "find what writes or sorts so much and move it away from busy hours; give checkpoints and sorting more room",
  },
  {
    id: "disk-full",
    label: "Disk full",
    family: "storage",
    lasts: "state",
    signs: [
      /\bno space left on device\b|\bENOSPC\b/i,
      /\bdisk quota exceeded\b|\bdisk (?:is )?full\b/i,
      /\b(?:disk|filesystem|volume)\b.{0,40}\b(?:9[89]|100) ?%/i,
    ],
    aid: "free space on the volume, rotate what grows, and add an alert well before it is full",
  },
  {
    id: "out-of-memory",
    label: "Out of memory",
    family: "memory",
    lasts: "event",
    signs: [
      /\bout of memory\b|\boutofmemory/i,
      /\boom[-_ ]?kill/i,
      /\bcannot allocate memory\b|\bENOMEM\b|\bheap out of memory\b|\bmemory allocation failed\b/i,
      /\bmemory cgroup\b.{0,40}\b(?:limit|out of)\b/i,
    ],
    aid: "raise the memory limit or lower the load of the process that was killed, then find what makes it grow",
  },
  {
    id: "cpu-saturation",
    label: "Processor saturated",
    family: "processor",
    lasts: "state",
    signs: [
      /\bcpu\b.{0,30}\b(?:9\d|100)(?:\.\d+)? ?%/i,
      /\bload average\W{1,3}[1-9]\d\d?\./i,
      /\b(?:event loop|scheduler)\b.{0,30}\b(?:blocked|lag|stalled|delayed)/i,
      /\b(?:cpu|processor)\b.{0,20}\b(?:throttl|starv|saturat)|\bsoft lockup\b|\bthread pool\b.{0,30}\b(?:exhausted|full)/i,
      /\bgc (?:pause|overhead limit)\b/i,
    ],
    aid: "find the hottest process and what it computes; shed load or add processors",
  },
  {
    id: "network-failure",
    label: "Network failure",
    family: "network",
    lasts: "state",
    signs: [
      /\bconnection (?:refused|reset|timed out|aborted)\b|\bECONN(?:REFUSED|RESET|ABORTED)\b|\bETIMEDOUT\b/i,
      /\b(?:network|host) is unreachable\b|\bno route to host\b/i,
      /\bbroken pipe\b|\bEPIPE\b/i,
      /\b(?:name or service not known|temporary failure in name resolution|NXDOMAIN|ENOTFOUND|EAI_AGAIN|could not resolve)\b/i,
      /\blink is down\b|\bnetdev watchdog\b|\bpacket loss\b/i,
    ],
    aid: "check name resolution, routes and firewalls between the two ends that are named",
  },
  {
    id: "access-denied",
    label: "Credentials or certificates refused",
    family: "access",
    lasts: "state",
    signs: [
      /\b(?:password )?authentication failed\b|\binvalid (?:credentials|token|api key)\b|\btoken (?:has )?expired\b/i,
      /\bcertificate\b.{0,40}\b(?:expired|not yet valid|verify failed|unknown)/i,
      /\bhandshake fail(?:ed|ure)\b/i,
    ],
    aid: "renew what has expired, and check what was rotated last",
  },
  {
    id: "software-defect",
    label: "Defect in the software",
    family: "software",
    lasts: "state",
    signs: [
      /\b(?:TypeError|ReferenceError|NullPointerException|NullReferenceException|AttributeError|KeyError|IndexError)\b/,
      /\b(?:unhandled|uncaught) (?:exception|rejection|error)\b|\bunhandledrejection\b/i,
      /\bTraceback \(most recent call last\)|\bgoroutine \d+ \[running\]|\bpanic: /,
      /\bsegfault at\b|\bsegmentation fault\b|\bcore dumped\b/i,
      /\b(?:column|relation|table) \S+ does not exist\b|\bno such (?:method|column|table)\b|\bundefined (?:method|symbol|function)\b/i,
    ],
    aid: "undo the newest release, and read the first of the errors",
  },
];

/** Every sign holds one of these: cheap to look for, so that most lines are done with after one look. */
const HINT =
  /pool|connection|ECONN|transaction|lock|checkpoint|temporary|fsync|write|disk|flush|sync|i\/o|\bio\b|blk_|medium|blocked|iowait|space|ENOSPC|quota|filesystem|volume|memory|ENOMEM|\boom|cpu|load average|event loop|scheduler|processor|gc |unreachable|route|TIMEDOUT|pipe|resol|NXDOMAIN|ENOTFOUND|EAI_|not known|link is|netdev|packet|authentication|invalid|token|certificate|handshake|too many|Error\b|Exception|unhandled|uncaught|Traceback|goroutine|panic|segfault|segmentation|core dumped|does not exist|no such|undefined|thread/i;

/** The hypotheses of which the text holds a sign, as bits in the catalogue's order. */
export function signsIn(text: string): number {
  if (!HINT.test(text)) return 0;
  let bits = 0;
  for (const [index, { signs }] of CATALOGUE.entries()) {
    if (signs.some((sign) => sign.test(text))) bits |= 1 << index;
  }
  return bits;
}

/** The sign in a text, and the words that are it; null when there is none. */
export function signIn(id: string, text: string): { sign: string; words: string } | null {
  for (const sign of hypothesis(id).signs) {
    const found = sign.exec(text);
    if (found !== null) return { sign: sign.source, words: found[0] };
  }
  return null;
}

/** @throws {RangeError} naming those that there are */
export function hypothesis(id: string): Hypothesis {
  const found = CATALOGUE.find((one) => one.id === id);
  if (found !== undefined) return found;
  throw new RangeError(`there is no hypothesis "${id}"; there are: ${CATALOGUE.map((one) => one.id).join(", ")}`);
}

export const bitOf = (id: string): number => 1 << CATALOGUE.indexOf(hypothesis(id));
