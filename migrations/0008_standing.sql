-- What still stands of tokens that were issued, and of things that were changed meanwhile. The same
-- column types as in the first migration.

-- A grant's version begins with the time of its creation, so that one that was removed and made again
-- never has a version that it had before.
ALTER TABLE client_grant ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Tokens of the subject that were issued up to issued_until are void. The subject is a client, one of its
-- secrets, its grant on an MCP server (both IDs with a space between them), an MCP server or a URL; the
-- owner is the client, where there is one. At forget_at the last such token has expired.
CREATE TABLE void_token (
    subject      TEXT   NOT NULL PRIMARY KEY,
    owner        TEXT,
    issued_until BIGINT NOT NULL,
    forget_at    BIGINT NOT NULL
);
CREATE INDEX void_token_owner ON void_token (owner) WHERE owner IS NOT NULL;

-- URLs of MCP servers that were deleted or moved away. Nobody gets tokens for one until it is released or
-- registered again.
CREATE TABLE retired_url (
    url_key       TEXT   NOT NULL PRIMARY KEY,
    url           TEXT   NOT NULL,
    mcp_server_id TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    retired_at    BIGINT NOT NULL
);
