-- What is asked after the password. The same column types as in the first migration.

-- The secret of one-time codes (RFC 6238), sealed. last_step is the newest step whose code was taken: each is
-- taken once.
CREATE TABLE admin_one_time_code (
    admin_id     TEXT   NOT NULL PRIMARY KEY REFERENCES admin (id) ON DELETE CASCADE,
    sealed       TEXT   NOT NULL,
    last_step    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);

CREATE TABLE admin_recovery_code (
    admin_id TEXT   NOT NULL REFERENCES admin (id) ON DELETE CASCADE,
    digest   TEXT   NOT NULL,
    used_at  BIGINT,
    PRIMARY KEY (admin_id, digest)
);
