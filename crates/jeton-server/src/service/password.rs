//! Passwords of admins: argon2id, apart from the threads that answer token requests.

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use jeton_core::Entropy;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::ServiceError;

/// One at a time: each takes some 20 MiB and tens of milliseconds, and sign-ins must not slow the
/// token endpoint down.
static ANYBODY: Semaphore = Semaphore::const_new(1);
/// Those who are known do not wait for strangers.
static KNOWN: Semaphore = Semaphore::const_new(1);
/// How many strangers may wait; about a second's work.
static PLACES: Semaphore = Semaphore::const_new(16);

/// Who has a password checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// Somebody signed in, invited, or in a browser that is known.
    Known,
    /// Anybody else.
    Anybody,
}

const MIN_CHARACTERS: usize = 12;
const MAX_CHARACTERS: usize = 256;

/// Refuses a password that is too short, or no password at all but a document.
pub(super) fn check(password: &SecretString) -> Result<(), ServiceError> {
    let characters = password.expose_secret().chars().count();
    if (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&characters) {
        return Ok(());
    }
    Err(ServiceError::Invalid {
        parameter: "password",
        detail: format!(
            "a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, and this one has {characters}"
        ),
    })
}

/// The hash to keep, in PHC's text form.
pub(super) async fn hash(
    password: SecretString,
    entropy: &dyn Entropy,
) -> Result<SecretString, ServiceError> {
    let mut salt = [0_u8; 16];
    entropy.fill(&mut salt)?;
    let hashed = in_background(Queue::Known, move || {
        Argon2::default()
            .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
            .map(|hash| hash.to_string())
            .ok()
    })
    .await
    .flatten();
    hashed
        .map(SecretString::from)
        .ok_or_else(|| ServiceError::Conflict("the password could not be hashed; try again".into()))
}

/// Whether the password is the one that was hashed. Without a hash it is not, and saying so takes
/// as long. Nothing where so many strangers wait that one more may not.
pub(super) async fn verify(
    password: SecretString,
    hash: Option<SecretString>,
    queue: Queue,
) -> Option<bool> {
    in_background(queue, move || {
        let argon2 = Argon2::default();
        let password = password.expose_secret().as_bytes();
        if let Some(hash) = &hash {
            return PasswordHash::new(hash.expose_secret())
                .is_ok_and(|hash| argon2.verify_password(password, &hash).is_ok());
        }
        // The result is of no interest, only the time it takes.
        let _ = argon2.hash_password_with_salt(password, &[0_u8; 16]);
        false
    })
    .await
}

async fn in_background<T: Send + 'static>(
    queue: Queue,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (_place, _turn) = match queue {
        Queue::Known => (None, KNOWN.acquire().await.ok()?),
        Queue::Anybody => (
            Some(PLACES.try_acquire().ok()?),
            ANYBODY.acquire().await.ok()?,
        ),
    };
    tokio::task::spawn_blocking(work).await.ok()
}
