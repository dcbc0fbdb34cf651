-- An audit log whose servers remember outside the database how far it came. The same column types as in
-- the first migration.

-- The hash of a batch is followed by a dot and an authenticator from here on, which only a server can make;
-- batches of before have none. A server of an earlier version, which would append without one, no longer
-- finds this column.
ALTER TABLE audit_head RENAME COLUMN batch_hash TO head_hash;

-- Keys of the audit log, sealed: 'checkpoint' keys sign checkpoints, the 'batch' key authenticates batches.
CREATE TABLE audit_key (
    id         TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Checkpoints, which take the place of those in audit_checkpoint: signed notes (C2SP), numbered without a
-- gap, over a Merkle tree whose leaves they are. The leaf hashes stay; the notes of old ones go, but for
-- those to keep. Events up to pruned_seq are gone, and the chain begins there.
CREATE TABLE audit_note (
    number      {row_number} NOT NULL,
    seq         BIGINT NOT NULL,
    batch_hash  TEXT   NOT NULL,
    pruned_seq  BIGINT NOT NULL,
    pruned_hash TEXT   NOT NULL,
    leaf        TEXT   NOT NULL,
    note        TEXT,
    keep        BIGINT NOT NULL
);
CREATE INDEX audit_note_seq ON audit_note (seq);

-- How far checkpoints were forwarded, by destination.
CREATE TABLE audit_note_forward (
    destination TEXT   NOT NULL PRIMARY KEY,
    number      BIGINT NOT NULL
);

-- Events that are older by more than a minute than one before them: there, somebody set the clock back.
-- Between two of these the log is in the order of time. The one row of audit_clock says how far this was
-- looked at, and the latest time since the last of them.
CREATE TABLE audit_clock (
    id     BIGINT NOT NULL PRIMARY KEY,
    seq    BIGINT NOT NULL,
    latest BIGINT NOT NULL
);
INSERT INTO audit_clock (id, seq, latest) VALUES (1, 0, 0);
CREATE TABLE audit_clock_step (
    seq {row_number} NOT NULL
);
