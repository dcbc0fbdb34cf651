//! Forgetting what is over: sessions and invitations, secrets that stopped working long ago, counts that no
//! page shows. The audit log keeps what happened.

use std::time::Duration;

use jeton_store::{Locked, Over};

use super::clock::{self, Trust};
use super::{ServiceError, sessions, void_tokens};
use crate::app::App;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Secrets and invitations are shown so long after they stopped working.
const ENDED: Duration = DAY.saturating_mul(30);
/// Clocks of verifiers may be behind.
const REVOKED: Duration = Duration::from_secs(60 * 60);
/// Pages show the last week by client.
const CLIENT_HOURS: Duration = DAY.saturating_mul(8);
/// And the last month by minute.
const MINUTES: Duration = DAY.saturating_mul(100);
/// Others want to write too.
const PAUSE: Duration = Duration::from_millis(20);

/// Forgets all of it, unless the clock is doubted.
pub(crate) async fn forget(app: &App, alone: &Locked) -> Result<(), ServiceError> {
    if clock::look(app).await? == Trust::Doubted {
        return Ok(());
    }
    sessions::forget_old(app).await?;
    void_tokens::forget_expired(app).await?;
    let now = app.clock.now();
    for over in [
        Over::Secrets(now.minus(ENDED)),
        Over::Invitations(now.minus(ENDED)),
        Over::UsedSignIns(now.minus(REVOKED)),
        Over::RevokedTokens(now.minus(REVOKED)),
        Over::ClientHours(now.minus(CLIENT_HOURS)),
        Over::RefusalHours(now.minus(CLIENT_HOURS)),
        Over::Minutes(now.minus(MINUTES)),
        Over::UsesOfSecrets,
        Over::UsesOfClients,
        Over::RefusalsOfClients,
    ] {
        while app.store.forget(over).await? {
            tokio::time::sleep(PAUSE).await;
            alone.check().await?;
        }
        alone.check().await?;
    }
    Ok(())
}
