-- Passkeys (WebAuthn credentials). The same column types as in the first migration.

-- id is the credential's, in base64url; public_key is its COSE key, in base64url. sign_count is the newest that the
-- authenticator told, or 0 where it counts nothing.
CREATE TABLE admin_passkey (
    id              TEXT   NOT NULL PRIMARY KEY,
    admin_id        TEXT   NOT NULL REFERENCES admin (id) ON DELETE CASCADE,
    name            TEXT   NOT NULL,
    public_key      TEXT   NOT NULL,
    sign_count      BIGINT NOT NULL,
    backup_eligible BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    last_used_at    BIGINT
);
CREATE INDEX admin_passkey_admin ON admin_passkey (admin_id);
