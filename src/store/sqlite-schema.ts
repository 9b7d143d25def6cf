/** "Flot" in the header of every store file (offset 68). */
export const APPLICATION_ID = 0x466c6f74;

/** The steps from an empty file to today's schema, each one transaction; `PRAGMA user_version` counts those applied.
 *  A step that was released is never changed: add another one.
 *
 *  `journal.no` stands for a journal in the rows that stay, which keeps them small; the queue and the timers, whose
 *  rows come and go, hold the ids themselves, since they are sorted by them. Events are kept in the order of commit, with
 *  an index by journal: with hundreds of runs under way, a table sorted by journal has each commit change a page of its
 *  own for each run, and costs twice as much. `status` is null on a journal that is no run. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE fleet (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);

  CREATE TABLE journal (
    no INTEGER PRIMARY KEY,
    fleet INTEGER NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    head BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    created_at INTEGER,
    status TEXT,
    workflow TEXT,
    definition TEXT,
    idempotency_key TEXT,
    input_digest TEXT,
    summary BLOB
  );
  CREATE UNIQUE INDEX journal_by_id ON journal (fleet, id);
  CREATE INDEX journal_by_status ON journal (fleet, status, created_at) WHERE status IS NOT NULL;
  CREATE UNIQUE INDEX journal_by_key ON journal (fleet, idempotency_key) WHERE idempotency_key IS NOT NULL;

  CREATE TABLE event (
    journal INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    bytes BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB
  );
  CREATE UNIQUE INDEX event_by_version ON event (journal, version);

  CREATE TABLE task (
    fleet INTEGER NOT NULL,
    run TEXT NOT NULL,
    task TEXT NOT NULL,
    queue TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    rank REAL NOT NULL,
    ready_at INTEGER NOT NULL,
    expires_at INTEGER,
    worker TEXT,
    lease_until INTEGER,
    PRIMARY KEY (fleet, run, task)
  ) WITHOUT ROWID;
  CREATE INDEX task_by_rank ON task (fleet, queue, rank) WHERE worker IS NULL;
  CREATE INDEX task_by_ready_at ON task (fleet, ready_at) WHERE worker IS NULL;
  CREATE INDEX task_by_expires_at ON task (fleet, expires_at) WHERE worker IS NULL AND expires_at IS NOT NULL;
  CREATE INDEX task_by_lease_until ON task (fleet, lease_until) WHERE worker IS NOT NULL;

  CREATE TABLE timer (
    fleet INTEGER NOT NULL,
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (fleet, run, name)
  ) WITHOUT ROWID;
  CREATE INDEX timer_by_due_at ON timer (fleet, due_at);

  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet INTEGER NOT NULL,
    topic TEXT NOT NULL,
    bytes BLOB NOT NULL
  );

  CREATE TABLE dead_letter (
    fleet INTEGER NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    run TEXT,
    task TEXT,
    bytes BLOB NOT NULL,
    PRIMARY KEY (fleet, id)
  );
  CREATE INDEX dead_letter_by_at ON dead_letter (fleet, at, id);

  CREATE TABLE account (
    fleet INTEGER NOT NULL,
    account TEXT NOT NULL,
    period TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    cost_micro_usd INTEGER NOT NULL,
    PRIMARY KEY (fleet, account, period)
  ) WITHOUT ROWID;

  CREATE TABLE blob (
    fleet INTEGER NOT NULL,
    hash TEXT NOT NULL,
    refs INTEGER NOT NULL,
    unreferenced_at INTEGER,
    bytes BLOB NOT NULL,
    PRIMARY KEY (fleet, hash)
  );
  CREATE INDEX blob_unreferenced ON blob (fleet) WHERE refs = 0;
  CREATE TABLE blob_ref (
    journal INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (journal, hash)
  ) WITHOUT ROWID;

  CREATE TABLE snapshot (
    journal INTEGER NOT NULL,
    version INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (journal, version)
  ) WITHOUT ROWID;
  `,
  `
  CREATE TABLE inbox (
    fleet INTEGER NOT NULL,
    id TEXT NOT NULL,
    run TEXT NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    deadline INTEGER,
    decided_at INTEGER,
    bytes BLOB NOT NULL,
    PRIMARY KEY (fleet, id)
  );
  CREATE INDEX inbox_open ON inbox (fleet, at, id) WHERE decided_at IS NULL;
  CREATE INDEX inbox_decided ON inbox (fleet, decided_at, id) WHERE decided_at IS NOT NULL;
  CREATE INDEX inbox_by_run ON inbox (fleet, run);
  `,
];
