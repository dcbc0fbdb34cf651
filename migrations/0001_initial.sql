-- Portable between SQLite and PostgreSQL: TEXT and BIGINT only. {row_number} is a primary key of 64
-- bits, which SQLite keeps without an index of its own if it is called INTEGER PRIMARY KEY.
-- Times are milliseconds since the Unix epoch; truth values are 0 and 1; lists are JSON;
-- digests are hexadecimal text.

CREATE TABLE mcp_server (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    url           TEXT   NOT NULL,
    url_key       TEXT   NOT NULL UNIQUE,
    scopes        TEXT   NOT NULL,
    token_ttl     BIGINT NOT NULL,
    signing_alg   TEXT   NOT NULL,
    token_profile TEXT   NOT NULL,
    own_issuer    BIGINT NOT NULL,
    system        BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);

CREATE TABLE client (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    status        TEXT   NOT NULL,
    token_ttl     BIGINT,
    custom_claims TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);

CREATE TABLE client_grant (
    client_id     TEXT   NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    mcp_server_id TEXT   NOT NULL REFERENCES mcp_server (id) ON DELETE CASCADE,
    scopes        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (client_id, mcp_server_id)
);
CREATE INDEX client_grant_mcp_server ON client_grant (mcp_server_id, client_id);

-- The owner is a client or an MCP server.
CREATE TABLE client_secret (
    id           TEXT   NOT NULL PRIMARY KEY,
    owner        TEXT   NOT NULL,
    digest       TEXT   NOT NULL,
    suffix       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX client_secret_owner ON client_secret (owner, id);

CREATE TABLE signing_key (
    id              TEXT   NOT NULL PRIMARY KEY,
    algorithm       TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    sealed          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    activated_at    BIGINT,
    retired_at      BIGINT,
    published_until BIGINT
);

CREATE TABLE revoked_token (
    jti        TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX revoked_token_expiry ON revoked_token (expires_at);

-- Append-only. Events are committed in batches; the last event of each carries the batch's hash,
-- which covers the batch's events and the hash before it.
CREATE TABLE audit_event (
    seq           {row_number} NOT NULL,
    id            TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    outcome       TEXT   NOT NULL,
    reason        TEXT,
    actor         TEXT   NOT NULL,
    client_id     TEXT,
    mcp_server_id TEXT,
    secret_id     TEXT,
    scope         TEXT,
    resource      TEXT,
    jti           TEXT,
    source        TEXT,
    request_id    TEXT,
    detail        TEXT   NOT NULL,
    batch_hash    TEXT
);
-- Every token pays for each of these, so there are two: by client, and by token.
CREATE INDEX audit_event_client ON audit_event (client_id, seq) WHERE client_id IS NOT NULL;
CREATE INDEX audit_event_jti ON audit_event (jti) WHERE jti IS NOT NULL;
