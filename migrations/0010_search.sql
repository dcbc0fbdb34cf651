-- What people search a client for, folded by the server: the databases disagree on what upper and lower case is
-- beyond ASCII. The same column types as in the first migration.

-- The folded name, ID and description, as they were in search_version. A client whose version is another one was
-- written before this migration, or by a server of an older version: it is folded when a server starts.
ALTER TABLE client ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
ALTER TABLE client ADD COLUMN search_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX client_not_folded ON client (id) WHERE search_version <> version;
