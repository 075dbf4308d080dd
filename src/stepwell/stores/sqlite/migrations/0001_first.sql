-- Version 1: the first schema.

CREATE TABLE instances (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, so a stale lease never fits
    workflow TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    ready_ms INTEGER,
    wait_types TEXT,  -- JSON array: event types that wake it
    paused_ms INTEGER,
    crashes INTEGER NOT NULL DEFAULT 0,
    crash_fact INTEGER NOT NULL DEFAULT 0,  -- newest fact of progress at the last crash
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    expires_ms INTEGER,
    success_ms INTEGER NOT NULL,
    error_ms INTEGER NOT NULL,
    trigger TEXT NOT NULL,
    UNIQUE (workflow, id)
) STRICT;

-- Every index ends with its table's number, so rows of one entry are in order of key or id.
CREATE INDEX instances_ready ON instances (workflow, started_ms IS NULL, ready_ms)
WHERE owner IS NULL AND ready_ms IS NOT NULL;
CREATE INDEX instances_owner ON instances (owner) WHERE owner IS NOT NULL;
CREATE INDEX instances_expires ON instances (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX instances_workflow ON instances (workflow);
CREATE INDEX instances_status ON instances (workflow, status);

CREATE TABLE facts (
    id INTEGER PRIMARY KEY,
    key INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    step_kind TEXT,
    name TEXT,
    count INTEGER,
    ordinal INTEGER,
    attempt INTEGER,
    began_ms INTEGER,
    due_ms INTEGER,
    payload TEXT,
    detail TEXT
) STRICT;

CREATE INDEX facts_key ON facts (key);

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key INTEGER NOT NULL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX events_key ON events (key);

CREATE TABLE chunks (
    key INTEGER NOT NULL,
    step_kind TEXT NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    position INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (key, step_kind, name, count, attempt, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    expires_ms INTEGER NOT NULL,
    is_reaped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
