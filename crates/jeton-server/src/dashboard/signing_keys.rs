//! The signing keys: each one's state and dates, and rotating.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{KeyState, SigningAlgorithm};
use jeton_store::StoredKey;

use super::format::{When, when};
use super::session::see;
use super::{Change, Errors, Nav, Page, PageError, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::signing_keys;

#[derive(Template)]
#[template(path = "signing_keys.html")]
struct KeysPage {
    page: Page,
    keys_url: String,
    algorithms: Vec<AlgorithmView>,
}

struct AlgorithmView {
    name: &'static str,
    /// Whether its next key is made already.
    waiting: bool,
    keys: Vec<KeyRow>,
}

struct KeyRow {
    id: String,
    state: &'static str,
    class: &'static str,
    created: When,
    signs: Option<When>,
    retired: Option<When>,
    published_until: Option<When>,
}

/// `/dashboard/signing-keys`
pub(crate) async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let stored = app.store.signing_keys().await?;
    let page = KeysPage {
        page: Page::new(&signed_in, Nav::SigningKeys, "Signing keys"),
        keys_url: format!("{}/keys", app.issuer),
        algorithms: SigningAlgorithm::ALL
            .into_iter()
            .map(|algorithm| {
                let mut keys: Vec<_> = stored
                    .iter()
                    .filter(|key| key.algorithm == algorithm)
                    .collect();
                keys.reverse();
                AlgorithmView {
                    name: algorithm.as_str(),
                    waiting: keys.iter().any(|key| key.state == KeyState::Pending),
                    keys: keys.into_iter().map(|key| row(&app, key)).collect(),
                }
            })
            .collect(),
    };
    html(StatusCode::OK, &page)
}

fn row(app: &App, key: &StoredKey) -> KeyRow {
    let now = app.clock.now();
    let then = |at: Option<_>| at.map(|at| when(at, now));
    KeyRow {
        id: key.id.to_string(),
        state: match key.state {
            KeyState::Pending => "published, not signing yet",
            KeyState::Active => "signing",
            KeyState::Retired => "retired",
        },
        class: match key.state {
            KeyState::Pending => "warn",
            KeyState::Active => "good",
            KeyState::Retired => "off",
        },
        created: when(key.created_at, now),
        signs: then(key.activated_at),
        retired: then(key.retired_at),
        published_until: then(key.published_until),
    }
}

/// Makes the next key of an algorithm.
pub(crate) async fn rotate(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let mut errors = Errors::default();
    let algorithm = change
        .form
        .parse::<SigningAlgorithm>("algorithm", &mut errors)
        .ok_or(PageError::Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Keys are made for RS256, ES256 and EdDSA.",
        ))?;
    signing_keys::rotate(&app, &change.signed_in.operator, algorithm).await?;
    Ok(see("/dashboard/signing-keys?done=rotating"))
}
