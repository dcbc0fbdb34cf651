-- What clients were refused for, so that the dashboard can say who is broken, why and since when. The same column
-- types as in the first migration; counted from the audit log as client_hour is, and kept as long.

CREATE TABLE client_refusal_hour (
    hour        BIGINT NOT NULL,
    client_id   TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    refused     BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    counted_seq BIGINT NOT NULL,
    PRIMARY KEY (hour, client_id, reason)
) {clustered};
