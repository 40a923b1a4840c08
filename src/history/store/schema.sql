-- The run history, version 1. Times are microseconds since 1970, UTC; documents are JSON of the wire model.
-- The columns beside a document are for finding it; where they disagree with it, the record is unreadable.

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT,
    state TEXT NOT NULL,
    launched_at INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_launch ON runs (launched_at DESC, id);

-- `nth` counts equal lines of one moment within one delivery, so that a delivery that comes twice adds nothing and
-- a line that was truly written twice is kept twice.
CREATE TABLE logs (
    seq INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    at INTEGER NOT NULL,
    stream TEXT,
    text TEXT NOT NULL,
    digest TEXT NOT NULL,
    nth INTEGER NOT NULL,
    UNIQUE (run, at, digest, nth)
) STRICT;
CREATE INDEX logs_by_time ON logs (run, at, seq);

CREATE TABLE comments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL REFERENCES runs (id),
    key TEXT,
    document TEXT NOT NULL,
    UNIQUE (run, key)
) STRICT;

CREATE TABLE trust_marks (
    seq INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- The record of what happened to freezes; nothing in it is ever changed or removed.
CREATE TABLE freeze_events (
    seq INTEGER PRIMARY KEY,
    freeze TEXT NOT NULL REFERENCES freezes (id),
    kind TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX freeze_event_once ON freeze_events (freeze, kind) WHERE kind IN ('taken', 'released');
CREATE TRIGGER freeze_events_stay BEFORE UPDATE ON freeze_events
BEGIN SELECT RAISE(ABORT, 'the record of freezes is append-only'); END;
CREATE TRIGGER freeze_events_remain BEFORE DELETE ON freeze_events
BEGIN SELECT RAISE(ABORT, 'the record of freezes is append-only'); END;

-- What that record comes to, written in the same transaction. The indexes are what makes taking atomic.
CREATE TABLE freezes (
    id TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    claim TEXT NOT NULL,
    fence INTEGER NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (scope, fence)
) STRICT;
CREATE UNIQUE INDEX freeze_one_per_scope ON freezes (scope) WHERE state <> 'released';
CREATE INDEX freeze_open ON freezes (state) WHERE state <> 'released';
CREATE TRIGGER freezes_only_released BEFORE UPDATE ON freezes
WHEN old.state = 'released' OR new.state <> 'released' OR new.id <> old.id OR new.scope <> old.scope
    OR new.claim <> old.claim OR new.fence <> old.fence
BEGIN SELECT RAISE(ABORT, 'a freeze can only be released'); END;
CREATE TRIGGER freezes_remain BEFORE DELETE ON freezes
BEGIN SELECT RAISE(ABORT, 'a freeze is never removed'); END;
