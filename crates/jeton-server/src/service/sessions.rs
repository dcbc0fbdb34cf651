//! Signing in to the dashboard, and sessions.

use std::time::Duration;

use jeton_core::{Actor, Admin, AdminId, AuditKind, EmailAddress, Outcome, PlainSecret, Timestamp};
use jeton_store::{AdminSession, ListedSession, retry_on_conflict};
use secrecy::SecretString;

use super::half_sign_in;
use super::password::Queue;
use super::sign_in_throttle::{Account, Attempt};
use super::{Operator, OperatorId, ServiceError, device, oidc, password, second_factor};
use crate::app::App;
use crate::audit::Refused;
use crate::request_context::RequestContext;

/// A session ends when it was not used for so long.
pub(crate) const IDLE: Duration = Duration::from_secs(8 * 60 * 60);
/// A session ends so long after it began, however much it is used.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(24 * 60 * 60);
/// The clocks of several servers may differ by so much.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// The last use is noted at most so often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// How long to wait while many passwords are being checked.
const BUSY: Duration = Duration::from_secs(2);

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// Address and password do not belong together; which of the two is wrong is not told.
    #[error("the e-mail address or the password is wrong")]
    Wrong,
    /// The code is wrong, or was used.
    #[error("this code doesn't work: it is wrong, too old, or was used already")]
    WrongCode,
    /// The passkey proves nothing here.
    #[error("this passkey doesn't work here; it was removed, or is for another server")]
    WrongPasskey,
    /// The page with the challenge was open for too long, or its answer was sent twice.
    #[error("that took too long; try again")]
    PasskeyTooLate,
    /// Between password and code too much time went by, or the password was changed.
    #[error("that took too long; enter your password again")]
    TooLate,
    /// Too many failures.
    #[error("too many failed attempts; try again in {}", jeton_core::in_whole_seconds(*.0))]
    Throttled(Duration),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What somebody presents to sign in.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) email: String,
    pub(crate) password: SecretString,
    /// The device cookies, one for each admin who signed in in this browser.
    pub(crate) devices: Vec<String>,
    /// The browser, in its own words.
    pub(crate) user_agent: Option<String>,
}

/// By what somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInMethod {
    /// The password alone.
    Password,
    /// The password and a one-time code.
    OneTimeCode,
    /// The password and a recovery code.
    RecoveryCode,
    /// A passkey alone.
    Passkey,
    /// A link that gave them a password.
    Link,
    /// The `OpenID` Connect provider.
    Provider,
}

impl SignInMethod {
    /// As the audit log calls it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::OneTimeCode => "password and one-time code",
            Self::RecoveryCode => "password and recovery code",
            Self::Passkey => "passkey",
            Self::Link => "link",
            Self::Provider => "provider",
        }
    }
}

/// What a right password leads to.
#[derive(Debug)]
pub(crate) enum SignIn {
    /// A session with this token.
    Session(Admin, PlainSecret),
    /// A code is asked for; what the form carries until it comes, sealed.
    CodeNeeded(String),
}

/// Checks address and password, and begins a session or asks for a code. `held` is the cookie of the form.
pub(crate) async fn sign_in(
    app: &App,
    context: &RequestContext,
    (presented, held): (Presented, &str),
) -> Result<SignIn, SignInError> {
    let email = presented.email.parse::<EmailAddress>().ok();
    let found = match &email {
        Some(email) => app
            .store
            .find_admin_by_email(email)
            .await
            .map_err(ServiceError::from)?,
        None => None,
    };
    let (admin, hash) = found.map_or((None, None), |(admin, hash)| (Some(admin), hash));
    // What the configuration no longer allows takes as long to refuse, in the same words.
    let hash = hash.filter(|_| oidc::has_passwords(app));
    let attempt = attempt(app, context, admin.as_ref(), &presented);
    app.sign_in_throttle
        .begin(&attempt, tokio::time::Instant::now())
        .map_err(SignInError::Throttled)?;
    let queue = match attempt.device {
        Some(_) => Queue::Known,
        None => Queue::Anybody,
    };
    let Some(right) = password::verify(presented.password, hash, queue).await else {
        app.sign_in_throttle.succeeded(&attempt);
        return Err(SignInError::Throttled(BUSY));
    };
    match admin {
        Some(admin) if right && oidc::admits(app, &admin) => {
            if second_factor::is_set_up(app, admin.id).await? {
                app.sign_in_throttle.half_succeeded(&attempt);
                let half = half_sign_in::seal(app, &admin, held).await?;
                return Ok(SignIn::CodeNeeded(half));
            }
            app.sign_in_throttle.succeeded(&attempt);
            let by = (SignInMethod::Password, presented.user_agent);
            let token = begin(app, context, &admin, by).await?;
            Ok(SignIn::Session(admin, token))
        }
        admin => {
            let reason = match &admin {
                Some(_) if right => "not on the lists of [oidc]",
                Some(_) => "wrong password",
                None => "no admin has this address",
            };
            refuse(app, context, admin, reason).await?;
            Err(SignInError::Wrong)
        }
    }
}

fn attempt(
    app: &App,
    context: &RequestContext,
    admin: Option<&Admin>,
    presented: &Presented,
) -> Attempt {
    Attempt {
        account: match admin {
            Some(admin) => Account::Known(admin.id),
            // By the same key as an admin's: otherwise a spelling of their own would tell which are known.
            None => Account::Unknown(
                EmailAddress::comparison_key_of(&presented.email)
                    .chars()
                    .take(254)
                    .collect(),
            ),
        },
        source: context.source.into(),
        device: admin.and_then(|admin| device::find(app, &presented.devices, admin)),
    }
}

pub(super) async fn refuse(
    app: &App,
    context: &RequestContext,
    admin: Option<Admin>,
    reason: &str,
) -> Result<(), ServiceError> {
    let mut event = context.event(app, AuditKind::AdminSignInRefused, Actor::Anonymous)?;
    event.outcome = Outcome::Refused;
    event.reason = Some(reason.into());
    if let Some(admin) = admin {
        event
            .detail
            .insert("admin_id".into(), admin.id.to_string().into());
    }
    app.audit.record_refusal(event, Refused::Stranger).await;
    Ok(())
}

/// The second half of a sign-in.
#[derive(Debug)]
pub(crate) struct PresentedCode<'a> {
    /// What the form carried.
    pub(crate) half: &'a str,
    /// What was typed.
    pub(crate) code: &'a str,
    /// The cookie of the form.
    pub(crate) held: &'a str,
    pub(crate) devices: &'a [String],
    pub(crate) user_agent: Option<String>,
}

/// Checks the code that was asked for, and begins a session.
pub(crate) async fn sign_in_by_code(
    app: &App,
    context: &RequestContext,
    presented: PresentedCode<'_>,
) -> Result<(Admin, PlainSecret), SignInError> {
    let half = half_sign_in::open(app, presented.half, presented.held).await?;
    let Some(admin) = half.filter(|admin| oidc::admits(app, admin)) else {
        return Err(SignInError::TooLate);
    };
    let attempt = Attempt {
        account: Account::Known(admin.id),
        source: context.source.into(),
        device: device::find(app, presented.devices, &admin),
    };
    app.sign_in_throttle
        .begin(&attempt, tokio::time::Instant::now())
        .map_err(SignInError::Throttled)?;
    match second_factor::redeem(app, admin.id, presented.code).await? {
        Ok(method) => {
            app.sign_in_throttle.succeeded(&attempt);
            let token = begin(app, context, &admin, (method, presented.user_agent)).await?;
            Ok((admin, token))
        }
        Err(reason) => {
            refuse(app, context, Some(admin), reason).await?;
            Err(SignInError::WrongCode)
        }
    }
}

/// Begins a session for somebody who proved to be this admin, and how; gives its token.
pub(crate) async fn begin(
    app: &App,
    context: &RequestContext,
    admin: &Admin,
    (method, user_agent): (SignInMethod, Option<String>),
) -> Result<PlainSecret, ServiceError> {
    let now = app.clock.now();
    let token = PlainSecret::generate(app.entropy.as_ref())?;
    let operator = Operator {
        id: OperatorId::Admin(admin.id),
        context: context.clone(),
    };
    let mut event = operator.event(app, AuditKind::AdminSignedIn)?;
    event.detail.insert("method".into(), method.as_str().into());
    let session = AdminSession {
        admin_id: admin.id,
        created_at: now,
        seen_at: now,
        confirmed_at: now,
        source: Some(context.source.to_string()),
        user_agent,
    };
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_admin_session(token.digest(), &session).await?;
        tx.touch_admin(admin.id, now).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    Ok(token)
}

/// Whether a session is over by time, or was begun while the clock was wrong and would not end.
fn is_over(session: &AdminSession, now: Timestamp) -> bool {
    now.since(session.seen_at) >= IDLE
        || now.since(session.created_at) >= ABSOLUTE
        || session.created_at > now.plus(SKEW)
}

/// The sessions of an admin, the last used first.
pub(crate) async fn list(app: &App, id: AdminId) -> Result<Vec<ListedSession>, ServiceError> {
    let now = app.clock.now();
    let mut sessions = app.store.admin_sessions_of(id).await?;
    sessions.retain(|listed| !is_over(&listed.session, now));
    Ok(sessions)
}

/// Ends one of the operator's own sessions by its handle.
pub(crate) async fn end(app: &App, operator: &Operator, handle: &str) -> Result<(), ServiceError> {
    let OperatorId::Admin(id) = operator.id else {
        return Ok(());
    };
    let mut event = operator.event(app, AuditKind::AdminSignedOut)?;
    event.detail.insert("session".into(), handle.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_listed_session(id, handle).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Ends every session of the operator's own but this one.
pub(crate) async fn end_others(
    app: &App,
    operator: &Operator,
    token: &PlainSecret,
) -> Result<(), ServiceError> {
    let OperatorId::Admin(id) = operator.id else {
        return Ok(());
    };
    let event = operator.event(app, AuditKind::AdminSignedOut)?;
    retry_on_conflict(|| async {
        let mut event = event.clone();
        let mut tx = app.store.begin().await?;
        let ended = tx.delete_other_sessions(id, token.digest()).await?;
        event.detail.insert("other_sessions".into(), ended.into());
        if ended > 0 {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Whether somebody is there, or a page refreshes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    ByPerson,
    ByPage,
}

/// The admin of a session, if the session is still good. A page that refreshes itself does not keep
/// it from ending.
pub(crate) async fn find(
    app: &App,
    token: &PlainSecret,
    used: Use,
) -> Result<Option<Admin>, ServiceError> {
    let digest = token.digest();
    let Some(session) = app.store.find_admin_session(digest).await? else {
        return Ok(None);
    };
    let now = app.clock.now();
    if is_over(&session, now) {
        return Ok(None);
    }
    if used == Use::ByPerson && now.since(session.seen_at) >= TOUCH_EVERY {
        let mut tx = app.store.begin().await?;
        tx.touch_admin_session(digest, now).await?;
        tx.commit().await?;
    }
    let admin = app.store.find_admin(session.admin_id).await?;
    Ok(admin.filter(|admin| oidc::admits(app, admin)))
}

/// Ends a session that the same admin has replaced by another.
pub(crate) async fn replace(app: &App, old: &PlainSecret, by: AdminId) -> Result<(), ServiceError> {
    let found = app.store.find_admin_session(old.digest()).await?;
    if found.is_none_or(|found| found.admin_id != by) {
        return Ok(());
    }
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.delete_admin_session(old.digest()).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Ends a session.
pub(crate) async fn sign_out(
    app: &App,
    operator: &Operator,
    token: &PlainSecret,
) -> Result<(), ServiceError> {
    let event = operator.event(app, AuditKind::AdminSignedOut)?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.delete_admin_session(token.digest()).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Ends every session of the operator's own.
pub(crate) async fn sign_out_everywhere(
    app: &App,
    operator: &Operator,
) -> Result<(), ServiceError> {
    let OperatorId::Admin(id) = operator.id else {
        return Ok(());
    };
    let mut event = operator.event(app, AuditKind::AdminSignedOut)?;
    event.detail.insert("everywhere".into(), true.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.delete_admin_sessions_of(id).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}

/// Forgets sessions that are over.
pub(crate) async fn forget_old(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.delete_old_admin_sessions(now.minus(ABSOLUTE), now.minus(IDLE))
            .await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await
}
