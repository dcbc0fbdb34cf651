-- What makes events easy to find is written behind the tokens, and no longer with each of them. The
-- same column types as in the first migration.

-- The ID of a token says when it was issued (UUIDv7): that event is found by its time. The index leads
-- to what happened to the token later.
DROP INDEX audit_event_jti;
CREATE INDEX audit_event_jti ON audit_event (jti) WHERE jti IS NOT NULL AND kind <> 'token.issued';

-- A client's first and last event of every 256 that follow one another, for whole such spans. Row 3 of
-- statistics_progress names the last event that is in one.
DROP INDEX audit_event_client;
CREATE TABLE audit_client_span (
    span      BIGINT NOT NULL,
    client_id TEXT   NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    PRIMARY KEY (span, client_id)
) {clustered};
INSERT INTO statistics_progress (id, seq) VALUES (3, 0);
