-- With many clients, what one moment writes lies close together, so that it costs no more than with
-- few. {clustered} keeps rows in the order of their key, where a database knows how to. The same
-- column types as in the first migration.

-- By client within every 256 events, and not over the whole log: a batch of events then touches a few
-- neighbouring pages, and not one for each client.
DROP INDEX audit_event_client;
CREATE INDEX audit_event_client ON audit_event ((seq / 256), client_id) WHERE client_id IS NOT NULL;

-- The hour first, for the same reason. What was counted once is not counted again: each row knows the
-- last event that was counted for it.
ALTER TABLE client_hour RENAME TO client_hour_before;
CREATE TABLE client_hour (
    hour        BIGINT NOT NULL,
    client_id   TEXT   NOT NULL,
    issued      BIGINT NOT NULL,
    refused     BIGINT NOT NULL,
    counted_seq BIGINT NOT NULL,
    PRIMARY KEY (hour, client_id)
) {clustered};
INSERT INTO client_hour (hour, client_id, issued, refused, counted_seq)
SELECT hour, client_id, issued, refused, 0 FROM client_hour_before;

CREATE TABLE client_use (
    client_id      TEXT   NOT NULL PRIMARY KEY,
    last_issued_at BIGINT NOT NULL
) {clustered};
INSERT INTO client_use (client_id, last_issued_at)
SELECT client_id, MAX(last_issued_at) FROM client_hour_before
WHERE last_issued_at IS NOT NULL GROUP BY client_id;
DROP TABLE client_hour_before;

-- Not a column of the secret's: secrets are wide, and are written once.
CREATE TABLE secret_use (
    secret_id    TEXT   NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL
) {clustered};
INSERT INTO secret_use (secret_id, last_used_at)
SELECT id, last_used_at FROM client_secret WHERE last_used_at IS NOT NULL;
ALTER TABLE client_secret DROP COLUMN last_used_at;

-- Row 1 counts by minute; row 2 by client, a large part at a time: where `until` is more than `seq`,
-- the events between them are being counted, and whoever goes on counts just these.
ALTER TABLE statistics_progress ADD COLUMN until BIGINT;
INSERT INTO statistics_progress (id, seq) SELECT 2, seq FROM statistics_progress WHERE id = 1;
