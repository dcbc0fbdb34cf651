-- Who invited whom, what people see of their sessions, and sign-ins through a provider that were used. The
-- same column types as in the first migration.

-- invited_by is the actor who made the invitation. email_named is 1 where that actor named the address:
-- otherwise whoever had the link wrote it. Browsers remembered before browsers_forgotten_at are forgotten.
ALTER TABLE admin ADD COLUMN invited_by TEXT;
ALTER TABLE admin ADD COLUMN email_named BIGINT NOT NULL DEFAULT 0;
ALTER TABLE admin ADD COLUMN browsers_forgotten_at BIGINT;

-- An account of a provider replaces the password, which may be somebody else's.
DELETE FROM admin_session WHERE admin_id IN
    (SELECT id FROM admin WHERE oidc_subject IS NOT NULL AND password_hash IS NOT NULL);
UPDATE admin SET password_hash = NULL WHERE oidc_subject IS NOT NULL;

-- An invitation works as long as its maker may invite; of those made before this, nobody knows the maker.
-- One that resets is for the admin it names, who gets a new password by it.
ALTER TABLE admin_invitation ADD COLUMN invited_by TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE admin_invitation ADD COLUMN email TEXT;
ALTER TABLE admin_invitation ADD COLUMN resets TEXT REFERENCES admin (id) ON DELETE CASCADE;
UPDATE admin_invitation SET invited_by = 'system' WHERE first = 1;
DELETE FROM admin_invitation WHERE first = 0 AND used_at IS NULL;

-- confirmed_at is when the password was last asked for, or the sign-in; failures are wrong ones since.
ALTER TABLE admin_session ADD COLUMN source TEXT;
ALTER TABLE admin_session ADD COLUMN user_agent TEXT;
ALTER TABLE admin_session ADD COLUMN confirmed_at BIGINT;
ALTER TABLE admin_session ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;

-- Answers of a provider are taken once.
CREATE TABLE used_sign_in (
    state     TEXT   NOT NULL PRIMARY KEY,
    forget_at BIGINT NOT NULL
);
