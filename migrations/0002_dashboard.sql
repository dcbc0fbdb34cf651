-- People who use the dashboard, their sessions, and what the pages count. The same column types as
-- in the first migration.

CREATE TABLE admin (
    id              TEXT   NOT NULL PRIMARY KEY,
    name            TEXT   NOT NULL,
    email           TEXT   NOT NULL,
    email_key       TEXT   NOT NULL UNIQUE,
    role            TEXT   NOT NULL,
    password_hash   TEXT,
    created_at      BIGINT NOT NULL,
    last_sign_in_at BIGINT
);

CREATE TABLE admin_session (
    digest     TEXT   NOT NULL PRIMARY KEY,
    admin_id   TEXT   NOT NULL REFERENCES admin (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
CREATE INDEX admin_session_admin ON admin_session (admin_id);

CREATE TABLE admin_invitation (
    id         TEXT   NOT NULL PRIMARY KEY,
    digest     TEXT   NOT NULL UNIQUE,
    role       TEXT   NOT NULL,
    note       TEXT   NOT NULL,
    first      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);

-- Counted from the audit log, up to the event that statistics_progress names.
CREATE TABLE token_minute (
    minute  BIGINT NOT NULL PRIMARY KEY,
    issued  BIGINT NOT NULL,
    refused BIGINT NOT NULL
);
CREATE TABLE client_hour (
    client_id      TEXT   NOT NULL,
    hour           BIGINT NOT NULL,
    issued         BIGINT NOT NULL,
    refused        BIGINT NOT NULL,
    last_issued_at BIGINT,
    PRIMARY KEY (client_id, hour)
);
CREATE INDEX client_hour_hour ON client_hour (hour);
CREATE TABLE client_refusal (
    client_id TEXT   NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    reason    TEXT
);
CREATE TABLE statistics_progress (
    id  BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO statistics_progress (id, seq) VALUES (1, 0);

-- Secrets that will expire are asked for by when.
CREATE INDEX client_secret_expiry ON client_secret (expires_at) WHERE expires_at IS NOT NULL;
