//! Passkeys: registered on one's own page, and good for signing in and for confirming a change. With the user
//! verified, a passkey is two factors by itself.
//!
//! A challenge is 32 random bytes. It travels, sealed for one browser and one purpose, in the form that comes back with
//! the answer, and is taken once, on all replicas.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{Admin, AdminId, AuditEvent, AuditKind, DisplayName, PlainSecret, Timestamp};
use jeton_store::{Lock, Passkey, StoreError, retry_on_conflict};
use tokio::time::Instant;

use super::recovery_codes::Shown;
use super::{add, remove, require_password};
use crate::app::App;
use crate::keys::{KeyRingError, Purpose};
use crate::request_context::RequestContext;
use crate::service::confirmation::Asked;
use crate::service::sessions::{self, SignInError, SignInMethod};
use crate::service::{ServiceError, oidc};
use crate::source_network::SourceNetwork;
use crate::webauthn::{
    Assertion, Known, RelyingParty, Unavailable, WebAuthnError, verify_registration,
};

/// What the events call it.
const METHOD: &str = "passkey";
/// A sign-in page may be open for so long.
const WITHIN: Duration = Duration::from_secs(60 * 60);
/// As many as anybody has devices and password managers.
const MAX_PASSKEYS: i64 = 50;

/// What a challenge is for, and who holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChallengeFor<'a> {
    /// Signing in, by the cookie of the form.
    SignIn(&'a str),
    /// Confirming a change, by the session.
    Confirm(&'a PlainSecret),
    /// Registering, by the session.
    Register(&'a PlainSecret),
}

impl ChallengeFor<'_> {
    fn context(self) -> String {
        match self {
            Self::SignIn(held) => format!("jeton passkey sign-in {held}"),
            Self::Confirm(session) => {
                format!("jeton passkey confirm {}", session.digest().to_hex())
            }
            Self::Register(session) => {
                format!("jeton passkey register {}", session.digest().to_hex())
            }
        }
    }
}

/// A new challenge.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// In base64url, for the authenticator.
    pub(crate) text: String,
    /// The same, sealed, for the form.
    pub(crate) sealed: String,
}

/// Whether browsers have passkeys for this server's issuer.
pub(crate) fn relying_party(app: &App) -> Result<RelyingParty, Unavailable> {
    RelyingParty::of(&app.issuer)
}

/// Gives out a challenge.
pub(crate) fn challenge(app: &App, of: ChallengeFor<'_>) -> Result<Challenge, ServiceError> {
    let mut random = [0_u8; 32];
    app.entropy.fill(&mut random)?;
    let text = URL_SAFE_NO_PAD.encode(random);
    let until = app.clock.now().plus(WITHIN).as_millis();
    let sealed = Purpose::SecondFactor
        .sealing_key(&app.master_keys.current)
        .and_then(|key| {
            let plain = format!("{until} {text}");
            key.seal(plain.as_bytes(), &of.context(), app.entropy.as_ref())
        })
        .map_err(KeyRingError::from)?;
    Ok(Challenge { text, sealed })
}

/// Takes the challenge that a form carries, if it was given out for this, not long ago, and was not taken before.
async fn take(
    app: &App,
    of: ChallengeFor<'_>,
    sealed: &str,
) -> Result<Option<String>, ServiceError> {
    let keys = &app.master_keys;
    let Ok(plain) = keys.open(Purpose::SecondFactor, sealed, &of.context()) else {
        return Ok(None);
    };
    let plain = String::from_utf8_lossy(&plain);
    let Some((until, text)) = plain.split_once(' ') else {
        return Ok(None);
    };
    let now = app.clock.now();
    let Some(until) = until.parse().ok().map(Timestamp::from_millis) else {
        return Ok(None);
    };
    if now >= until {
        return Ok(None);
    }
    let name = format!("passkey {text}");
    // Long after it is over, by whichever replica's clock.
    let forget_at = until.plus(WITHIN);
    let is_first = retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let is_first = tx.use_sign_in(&name, forget_at).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(is_first)
    })
    .await?;
    Ok(is_first.then(|| text.to_owned()))
}

/// A registration as its form has it.
#[derive(Debug)]
pub(crate) struct NewPasskey<'a> {
    pub(crate) name: DisplayName,
    /// The challenge, sealed.
    pub(crate) challenge: &'a str,
    /// What the browser gave.
    pub(crate) credential: &'a str,
}

fn refused(detail: impl Into<String>) -> ServiceError {
    ServiceError::Invalid {
        parameter: "",
        detail: detail.into(),
    }
}

const TOO_LATE: &str = "that took too long, or was sent twice; try again";

/// Registers a passkey. Gives recovery codes, where it is the first second factor.
pub(crate) async fn register(
    app: &App,
    asked: &Asked<'_>,
    new: NewPasskey<'_>,
) -> Result<Option<Shown>, ServiceError> {
    require_password(app, asked.admin)?;
    let Ok(party) = relying_party(app) else {
        return Err(refused("there are no passkeys for this server's issuer"));
    };
    let of = ChallengeFor::Register(asked.session);
    let Some(challenge) = take(app, of, new.challenge).await? else {
        return Err(refused(TOO_LATE));
    };
    let registered = verify_registration(&party, &challenge, new.credential)
        .map_err(|error| refused(format!("this passkey can't be used: {error}")))?;
    let id = asked.admin.id;
    let passkey = Passkey {
        id: registered.id,
        admin_id: id,
        name: new.name,
        public_key: registered.public_key,
        sign_count: registered.sign_count.into(),
        backup_eligible: registered.backup_eligible,
        created_at: app.clock.now(),
        last_used_at: None,
    };
    let mut event = asked.operator.event(app, AuditKind::AdminFactorAdded)?;
    describe(&mut event, &passkey.id, &passkey.name);
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let others = tx.count_passkeys(id).await?;
        if others >= MAX_PASSKEYS {
            return Err(refused(format!(
                "you have {MAX_PASSKEYS} passkeys, and there may be no more; remove one first"
            )));
        }
        let is_first = others == 0 && !tx.has_one_time_code(id).await?;
        match tx.insert_passkey(&passkey).await {
            Err(StoreError::Exists) => return Err(refused("this passkey is registered already")),
            inserted => inserted?,
        }
        let codes = add(app, &mut tx, asked, (is_first, &mut event.clone())).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(codes)
    })
    .await
}

fn describe(event: &mut AuditEvent, id: &str, name: &DisplayName) {
    let detail = &mut event.detail;
    detail.insert("method".into(), METHOD.into());
    detail.insert("passkey".into(), name.as_str().into());
    let short: String = id.chars().take(20).collect();
    detail.insert("passkey_id".into(), short.into());
}

/// Removes one of one's own.
pub(crate) async fn remove_own(
    app: &App,
    asked: &Asked<'_>,
    passkey: &str,
) -> Result<(), ServiceError> {
    let id = asked.admin.id;
    let event = asked.operator.event(app, AuditKind::AdminFactorRemoved)?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.lock(Lock::Admins).await?;
        let Some(name) = tx.delete_passkey(id, passkey).await? else {
            return Ok(());
        };
        let is_last = tx.count_passkeys(id).await? == 0 && !tx.has_one_time_code(id).await?;
        let mut event = event.clone();
        describe(&mut event, passkey, &name);
        remove(app, &mut tx, asked, (is_last, &mut event)).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Somebody who signs in by a passkey.
#[derive(Debug)]
pub(crate) struct PresentedPasskey<'a> {
    /// The challenge, sealed.
    pub(crate) challenge: &'a str,
    /// What the browser gave.
    pub(crate) credential: &'a str,
    /// The cookie of the form.
    pub(crate) held: &'a str,
    pub(crate) user_agent: Option<String>,
}

/// Signs somebody in whose passkey says who they are.
pub(crate) async fn sign_in(
    app: &App,
    context: &RequestContext,
    presented: PresentedPasskey<'_>,
) -> Result<(Admin, PlainSecret), SignInError> {
    let source = SourceNetwork::from(context.source);
    app.sign_in_throttle
        .begin_from(source, Instant::now())
        .map_err(SignInError::Throttled)?;
    let of = ChallengeFor::SignIn(presented.held);
    let verified = verify(app, of, (presented.challenge, presented.credential)).await?;
    match verified {
        Ok(admin) if oidc::admits(app, &admin) => {
            app.sign_in_throttle.source_succeeded(source);
            let by = (SignInMethod::Passkey, presented.user_agent);
            let token = sessions::begin(app, context, &admin, by).await?;
            Ok((admin, token))
        }
        Ok(admin) => {
            sessions::refuse(app, context, Some(admin), "not on the lists of [oidc]").await?;
            Err(SignInError::WrongPasskey)
        }
        Err(Wrong::TooLate) => {
            app.sign_in_throttle.source_succeeded(source);
            Err(SignInError::PasskeyTooLate)
        }
        Err(Wrong::Passkey(admin, reason)) => {
            sessions::refuse(app, context, admin.map(|admin| *admin), &reason).await?;
            Err(SignInError::WrongPasskey)
        }
    }
}

/// Checks that one of the admin's own passkeys answers for a change. Says why not, for the audit log.
pub(crate) async fn confirm(
    app: &App,
    asked: &Asked<'_>,
    (challenge, credential): (&str, &str),
) -> Result<Result<(), String>, ServiceError> {
    let of = ChallengeFor::Confirm(asked.session);
    Ok(match verify(app, of, (challenge, credential)).await? {
        Ok(admin) if admin.id == asked.admin.id => Ok(()),
        Ok(_) => Err("passkey: another admin's".to_owned()),
        Err(Wrong::TooLate) => Err("passkey: late, or sent twice".to_owned()),
        Err(Wrong::Passkey(_, reason)) => Err(reason),
    })
}

/// Why a passkey proves nothing.
enum Wrong {
    TooLate,
    /// Whose it is, where that is known, and what is wrong with it.
    Passkey(Option<Box<Admin>>, String),
}

impl Wrong {
    fn of(admin: Option<Admin>, error: WebAuthnError) -> Self {
        Self::Passkey(admin.map(Box::new), format!("passkey: {error}"))
    }
}

/// WebAuthn §7.2: who answered the challenge.
async fn verify(
    app: &App,
    of: ChallengeFor<'_>,
    (challenge, credential): (&str, &str),
) -> Result<Result<Admin, Wrong>, ServiceError> {
    let (Ok(party), true) = (relying_party(app), oidc::has_passwords(app)) else {
        let reason = "passkeys are not in use".to_owned();
        return Ok(Err(Wrong::Passkey(None, reason)));
    };
    let Some(challenge) = take(app, of, challenge).await? else {
        return Ok(Err(Wrong::TooLate));
    };
    let assertion = match Assertion::parse(credential) {
        Ok(assertion) => assertion,
        Err(error) => return Ok(Err(Wrong::of(None, error))),
    };
    let Some(passkey) = app.store.find_passkey(&assertion.id).await? else {
        return Ok(Err(Wrong::Passkey(None, "unknown passkey".to_owned())));
    };
    let admin = app.store.find_admin(passkey.admin_id).await?;
    let Some(admin) = admin.filter(|admin| admin.has_password) else {
        return Ok(Err(Wrong::Passkey(None, "unknown passkey".to_owned())));
    };
    let user_handle = user_handle(admin.id);
    let known = Known {
        user_handle: user_handle.as_bytes(),
        public_key: &passkey.public_key,
        backup_eligible: passkey.backup_eligible,
    };
    let count = match assertion.verify(&party, &challenge, known) {
        Ok(count) => count,
        Err(error) => return Ok(Err(Wrong::of(Some(admin), error))),
    };
    let now = app.clock.now();
    let has_risen = retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let has_risen = tx.use_passkey(&passkey.id, count.into(), now).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(has_risen)
    })
    .await?;
    Ok(if has_risen {
        Ok(admin)
    } else {
        let reason = "passkey: its counter did not rise, so there may be a copy of it".to_owned();
        Err(Wrong::Passkey(Some(Box::new(admin)), reason))
    })
}

/// What an authenticator knows an admin by: nothing that says who they are.
pub(crate) fn user_handle(id: AdminId) -> String {
    id.to_string()
}
