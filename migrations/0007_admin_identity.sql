-- Who signs in through a provider is known by issuer and subject. A role is given by hand, or by the
-- lists in the configuration. Of those who are here already and have no password, another admin may have
-- made some an admin since: their roles stay as they are. The same column types as in the first migration.

ALTER TABLE admin ADD COLUMN oidc_issuer TEXT;
ALTER TABLE admin ADD COLUMN oidc_subject TEXT;
ALTER TABLE admin ADD COLUMN role_source TEXT NOT NULL DEFAULT 'manual';
UPDATE admin SET role_source = 'provider' WHERE password_hash IS NULL AND role = 'viewer';
CREATE UNIQUE INDEX admin_identity ON admin (oidc_issuer, oidc_subject);
