//! Authentication by secret: `client_secret_basic` and `client_secret_post` (OAuth 2.1 §2.4.1).
//!
//! Every attempt hashes what was presented and compares digests in constant time, also where there
//! is no client to compare with.

use std::sync::Arc;

use jeton_core::{
    ClientSecret, McpServer, PresentedSecret, SecretDigest, SecretId, SecretOwner, SecretState,
    Timestamp,
};

use super::{AuthRefusal, Caller};
use crate::app::App;
use crate::directory::ClientEntry;

/// Finds out who presented the secret.
pub(super) async fn authenticate(
    app: &App,
    presented: &PresentedSecret,
    claimed: Option<SecretOwner>,
) -> Result<(Caller, SecretId), AuthRefusal> {
    let in_header = presented.in_header;
    let digest = presented.secret.digest();
    let now = app.clock.now();
    let known = find(app, claimed).await?;
    let secrets = known.as_ref().map_or(&[][..], Known::secrets);
    let matching = find_matching(secrets, &digest, now);
    if presented.secret.is_surrounded() {
        return Err(AuthRefusal::SurroundedSecret { in_header });
    }
    if !presented.secret.is_well_formed() {
        return Err(AuthRefusal::MistypedSecret { in_header });
    }
    let Some(secret) = matching else {
        if let Some(Known::Client(entry)) = &known {
            let id = entry.client.id;
            Box::pin(app.directory.look_as_if_missing(id))
                .await
                .map_err(service)?;
        }
        return Err(match &known {
            Some(_) => AuthRefusal::WrongSecret { in_header },
            None => AuthRefusal::UnknownClient { in_header },
        });
    };
    let (secret_id, state) = (secret.id, secret.state(now));
    match state {
        SecretState::Revoked => {
            return Err(AuthRefusal::RevokedSecret {
                in_header,
                secret_id,
            });
        }
        SecretState::Expired => {
            return Err(AuthRefusal::ExpiredSecret {
                in_header,
                secret_id,
            });
        }
        SecretState::Active => {}
    }
    let caller = match known {
        Some(Known::Client(entry)) if !entry.client.is_enabled() => {
            return Err(AuthRefusal::DisabledClient {
                in_header,
                secret_id,
            });
        }
        Some(Known::Client(entry)) => Caller::Client(entry),
        Some(Known::McpServer(server, _)) => Caller::McpServer(server),
        None => return Err(AuthRefusal::UnknownClient { in_header }),
    };
    Ok((caller, secret_id))
}

/// Somebody with secrets.
enum Known {
    Client(Arc<ClientEntry>),
    McpServer(Arc<McpServer>, Vec<ClientSecret>),
}

impl Known {
    fn secrets(&self) -> &[ClientSecret] {
        match self {
            Self::Client(entry) => &entry.secrets,
            Self::McpServer(_, secrets) => secrets,
        }
    }
}

/// Whoever has this ID, with its secrets.
async fn find(app: &App, claimed: Option<SecretOwner>) -> Result<Option<Known>, AuthRefusal> {
    match claimed {
        None => Ok(None),
        Some(SecretOwner::Client(id)) => {
            let entry = app.directory.find_client(id).await.map_err(service)?;
            Ok(entry.map(Known::Client))
        }
        Some(owner @ SecretOwner::McpServer(id)) => {
            let Some(server) = app.directory.find_mcp_server(id) else {
                return Ok(None);
            };
            // Rare, and large: a client's request does not carry room for it.
            let secrets = Box::pin(app.store.secrets_of(owner)).await;
            let secrets = secrets.map_err(service)?;
            Ok(Some(Known::McpServer(server, secrets)))
        }
    }
}

fn service(error: jeton_store::StoreError) -> AuthRefusal {
    AuthRefusal::Service(error.into())
}

/// The secret with this digest; one that works before one that does not. All are compared, and one
/// that nobody has where there is none.
fn find_matching<'a>(
    secrets: &'a [ClientSecret],
    presented: &SecretDigest,
    now: Timestamp,
) -> Option<&'a ClientSecret> {
    let mut found: Option<&ClientSecret> = None;
    if secrets.is_empty() {
        std::hint::black_box(SecretDigest::NONE.matches(presented));
    }
    for secret in secrets {
        if secret.digest.matches(presented)
            && found.is_none_or(|found| found.state(now) != SecretState::Active)
        {
            found = Some(secret);
        }
    }
    found
}
