-- A client's default MCP server, and further URLs of an MCP server. The same column types as in the first
-- migration.

-- Existing clients get the server of their oldest grant. The server may be deleted later, and its ID stays
-- here: IDs are never used again.
ALTER TABLE client ADD COLUMN default_mcp_server_id TEXT;
UPDATE client SET default_mcp_server_id = (
    SELECT g.mcp_server_id FROM client_grant g WHERE g.client_id = client.id
    ORDER BY g.created_at, g.mcp_server_id LIMIT 1
);

-- The aliases as they were registered: a list of texts.
ALTER TABLE mcp_server ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';

-- Every URL and alias, so that each belongs to one server only.
CREATE TABLE mcp_server_url (
    url_key       TEXT NOT NULL PRIMARY KEY,
    mcp_server_id TEXT NOT NULL REFERENCES mcp_server (id) ON DELETE CASCADE
);
INSERT INTO mcp_server_url (url_key, mcp_server_id) SELECT url_key, id FROM mcp_server;
