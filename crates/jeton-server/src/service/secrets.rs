//! Making, rotating and revoking secrets.

use std::time::Duration;

use jeton_core::{
    AuditEvent, AuditKind, ClientId, ClientSecret, PlainSecret, SecretId, SecretOwner, TokensOf,
};
use jeton_store::{Lock, Transaction, retry_on_conflict};

use super::void_tokens::ToVoid;
use super::{Operator, ServiceError, changes, clients, mcp_servers, statistics};
use crate::app::App;

/// The most secrets of one owner that may work at the same time.
const MAX_ACTIVE: usize = 10;

/// How long a secret works; nothing means until it is revoked.
pub(crate) type Expiry = Option<Duration>;

/// A secret to keep, and its only copy in the clear.
pub(super) fn make_secret(
    app: &App,
    owner: SecretOwner,
    expiry: Expiry,
) -> Result<(ClientSecret, PlainSecret), ServiceError> {
    let now = app.clock.now();
    let plain = PlainSecret::generate(app.entropy.as_ref())?;
    let secret = ClientSecret {
        id: SecretId::generate(now, app.entropy.as_ref())?,
        owner,
        digest: plain.digest(),
        suffix: plain.suffix(),
        created_at: now,
        expires_at: expiry.map(|expiry| now.plus(expiry)),
        last_used_at: None,
        revoked_at: None,
    };
    Ok((secret, plain))
}

/// Makes another secret.
pub(crate) async fn create(
    app: &App,
    operator: &Operator,
    owner: SecretOwner,
    expiry: Expiry,
) -> Result<(ClientSecret, PlainSecret), ServiceError> {
    require_owner(app, owner).await?;
    let (secret, plain) = make_secret(app, owner, expiry)?;
    let mut event = about(operator.event(app, AuditKind::SecretCreated)?, &secret);
    changes::note_secret(&mut event, None, Some(&secret), app.clock.now());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        refuse_too_many(app, &mut tx, owner).await?;
        tx.insert_secret(&secret).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    announce(app, owner);
    Ok((secret, plain))
}

/// Makes a new secret, and lets those that work now expire after `grace`, if one is given. `seen` are the secrets that
/// the operator saw, or nothing where all are meant: another would expire unseen.
pub(crate) async fn rotate(
    app: &App,
    operator: &Operator,
    client_id: ClientId,
    grace: Option<Duration>,
    seen: Option<&[SecretId]>,
) -> Result<(ClientSecret, PlainSecret), ServiceError> {
    let owner = SecretOwner::Client(client_id);
    require_owner(app, owner).await?;
    let (secret, plain) = make_secret(app, owner, None)?;
    let old_expire_at = grace.map(|grace| app.clock.now().plus(grace));
    let mut event = about(operator.event(app, AuditKind::SecretRotated)?, &secret);
    let now = app.clock.now();
    changes::note_secret(&mut event, None, Some(&secret), now);
    if let Some(at) = old_expire_at {
        let told = at.to_string().into();
        event.detail.insert("old_secrets_expire_at".into(), told);
        for old in app.store.secrets_of(owner).await? {
            changes::note_expiry(&mut event, &old, at, now);
        }
    }
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let active = refuse_too_many(app, &mut tx, owner).await?;
        if seen.is_some_and(|seen| active.iter().any(|id| !seen.contains(id))) {
            return Err(ServiceError::Stale);
        }
        if let Some(at) = old_expire_at {
            tx.expire_secrets(owner, at).await?;
        }
        tx.insert_secret(&secret).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    announce(app, owner);
    Ok((secret, plain))
}

/// All secrets of an owner.
pub(crate) async fn list(app: &App, owner: SecretOwner) -> Result<Vec<ClientSecret>, ServiceError> {
    require_owner(app, owner).await?;
    // What was used a moment ago is to be seen.
    statistics::catch_up(app).await?;
    let mut secrets = app.store.secrets_of(owner).await?;
    statistics::bring_up_to_date(app, &mut secrets).await;
    Ok(secrets)
}

/// Revokes a secret; one that is revoked or not there is revoked already. `with_tokens` declares the
/// tokens void that the client got with it, also where it was revoked before.
pub(crate) async fn revoke(
    app: &App,
    operator: &Operator,
    id: SecretId,
    with_tokens: bool,
) -> Result<(), ServiceError> {
    let Some(secret) = app.store.find_secret(id).await? else {
        return Ok(());
    };
    let is_own = matches!(secret.owner, SecretOwner::Client(owner) if operator.is_client(owner));
    let void = match secret.owner {
        SecretOwner::Client(owner) if with_tokens => {
            Some(ToVoid::for_good(app, TokensOf::Secret(id), Some(owner)))
        }
        _ => None,
    };
    let kind = match secret.revoked_at {
        Some(_) => AuditKind::SecretTokensRevoked,
        None => AuditKind::SecretRevoked,
    };
    let mut event = about(operator.event(app, kind)?, &secret);
    event
        .detail
        .insert("tokens_revoked".into(), void.is_some().into());
    let now = app.clock.now();
    let revoked = ClientSecret {
        revoked_at: secret.revoked_at.or(Some(now)),
        ..secret.clone()
    };
    changes::note_secret(&mut event, Some(&secret), Some(&revoked), now);
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if is_own {
            refuse_last_own(app, &mut tx, &secret).await?;
        }
        let is_news = tx.revoke_secret(id, app.clock.now()).await?;
        if let Some(void) = &void {
            void.declare(&mut tx).await?;
        }
        if is_news || void.is_some() {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    announce(app, secret.owner);
    Ok(())
}

fn announce(app: &App, owner: SecretOwner) {
    if let SecretOwner::Client(id) = owner {
        app.directory.client_changed(id);
    }
}

async fn require_owner(app: &App, owner: SecretOwner) -> Result<(), ServiceError> {
    match owner {
        SecretOwner::Client(id) => clients::find(app, id).await.map(drop),
        SecretOwner::McpServer(id) => mcp_servers::find(app, id).await.map(drop),
    }
}

/// The working secrets, whose number nobody else changes before the write ends.
async fn active(
    app: &App,
    tx: &mut Transaction,
    owner: SecretOwner,
) -> Result<Vec<SecretId>, ServiceError> {
    tx.lock(Lock::Secrets).await?;
    Ok(tx.active_secrets(owner, app.clock.now()).await?)
}

/// Gives those that work.
async fn refuse_too_many(
    app: &App,
    tx: &mut Transaction,
    owner: SecretOwner,
) -> Result<Vec<SecretId>, ServiceError> {
    let active = active(app, tx, owner).await?;
    if active.len() >= MAX_ACTIVE {
        return Err(ServiceError::Conflict(format!(
            "{owner} has {MAX_ACTIVE} working secrets, which is the most; revoke one first"
        )));
    }
    Ok(active)
}

/// An operator that revokes the last secret of the client it works with has locked itself out.
async fn refuse_last_own(
    app: &App,
    tx: &mut Transaction,
    secret: &ClientSecret,
) -> Result<(), ServiceError> {
    let active = active(app, tx, secret.owner).await?;
    if active.iter().any(|other| *other != secret.id) {
        return Ok(());
    }
    Err(ServiceError::Conflict(
        "this is the last working secret of the client that you are using; create another one first"
            .into(),
    ))
}

fn about(mut event: AuditEvent, secret: &ClientSecret) -> AuditEvent {
    match secret.owner {
        SecretOwner::Client(id) => event.client_id = Some(id),
        SecretOwner::McpServer(id) => event.mcp_server_id = Some(id),
    }
    event.secret_id = Some(secret.id);
    // The four characters that pages show.
    let suffix = secret.suffix.as_str();
    event.detail.insert("suffix".into(), suffix.into());
    if let Some(expires_at) = secret.expires_at {
        event
            .detail
            .insert("expires_at".into(), expires_at.to_string().into());
    }
    event
}
