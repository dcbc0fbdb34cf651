-- Several servers over one database, and an audit log that can be proven. The same column types as
-- in the first migration.

-- The end of the audit chain, one row: who appends holds it, so that batches follow one another
-- whoever writes them. Where there is one writer only (SQLite) it is not used.
CREATE TABLE audit_head (
    id         BIGINT NOT NULL PRIMARY KEY,
    last_seq   BIGINT NOT NULL,
    batch_hash TEXT   NOT NULL
);
INSERT INTO audit_head (id, last_seq, batch_hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Ends of the chain, signed: what came before one cannot be altered, nor cut off, by whoever can
-- only write to the database. Events up to one with pruned_at are gone, and the chain begins there.
CREATE TABLE audit_checkpoint (
    seq        BIGINT NOT NULL PRIMARY KEY,
    batch_hash TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    signature  TEXT   NOT NULL,
    pruned_at  BIGINT
);

-- How far the audit log was forwarded, by destination.
CREATE TABLE audit_forward (
    destination TEXT   NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL
);
