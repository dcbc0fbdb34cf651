//! The signing keys: each one's state and dates; rotating, replacing at once, withdrawing.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{KeyId, KeyState, SigningAlgorithm, counted};
use jeton_store::StoredKey;
use serde::Deserialize;

use super::format::{When, grouped_count, lifetime, when};
use super::view::id;
use super::{
    Change, Confirm, Nav, Page, PageError, PageQuery, PageResult, SignedIn, Toast, html, toast,
};
use crate::app::App;
use crate::service::{ServiceError, signing_keys, statistics};

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
    /// Whether it can be taken back.
    pending: bool,
}

/// `/dashboard/signing-keys`
pub(crate) async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    html(StatusCode::OK, &assemble(&app, &signed_in).await?)
}

async fn assemble(app: &App, signed_in: &SignedIn) -> Result<KeysPage, PageError> {
    let stored = app.store.signing_keys().await?;
    Ok(KeysPage {
        page: Page::new(signed_in, Nav::SigningKeys, "Signing keys"),
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
                    keys: keys.into_iter().map(|key| row(app, key)).collect(),
                }
            })
            .collect(),
    })
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
        pending: key.state == KeyState::Pending,
    }
}

/// Makes the next key of an algorithm.
pub(crate) async fn rotate(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let algorithm = algorithm(change.form.text("algorithm"))?;
    let key = signing_keys::rotate(&app, &change.signed_in.operator, algorithm).await?;
    let toast = Toast::new(format!(
        "The next {algorithm} key, {}, is published. It starts signing in 24 hours.",
        key.id
    ));
    toast::redirect(&app, &change.signed_in, PATH, toast)
}

const PATH: &str = "/dashboard/signing-keys";

fn algorithm(text: &str) -> Result<SigningAlgorithm, PageError> {
    text.parse().map_err(|_| {
        PageError::Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Keys are made for RS256, ES256 and EdDSA.",
        )
    })
}

/// Which algorithm.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlgorithmQuery {
    algorithm: String,
}

/// Asks before the keys of an algorithm are replaced at once.
pub(crate) async fn ask_replace(
    State(app): State<Arc<App>>,
    PageQuery(query): PageQuery<AlgorithmQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let algorithm = algorithm(&query.algorithm)?;
    let confirm = replacing(&app, algorithm).await?;
    ask(&app, &signed_in, confirm, StatusCode::OK).await
}

async fn replacing(app: &App, algorithm: SigningAlgorithm) -> Result<Confirm, PageError> {
    statistics::catch_up(app).await?;
    let seen = signing_keys::signing(&app.store.signing_keys().await?, algorithm);
    let servers = app.directory.mcp_servers();
    let signed = servers
        .iter()
        .filter(|server| server.signing_alg == algorithm);
    let longest = signed.clone().map(|server| server.token_ttl.as_seconds());
    let longest = lifetime(longest.max().unwrap_or(3_600));
    let affected: Vec<String> = signed.map(|server| server.name.to_string()).collect();
    let now = app.clock.now();
    let day = now.minus(Duration::from_secs(24 * 60 * 60));
    let spans = app.store.tokens_by_span(day, 60).await?;
    let issued: i64 = spans.iter().map(|(_, count)| count.issued).sum();
    let servers = match affected.as_slice() {
        [] => format!("No MCP server uses {algorithm}: nothing breaks."),
        [one] => format!("1 MCP server uses {algorithm}: {one}."),
        [one, two] => format!("2 MCP servers use {algorithm}: {one} and {two}."),
        [one, two, others @ ..] => format!(
            "{} use {algorithm}: {one}, {two} and {} more.",
            counted(affected.len(), "MCP server"),
            others.len()
        ),
    };
    Ok(Confirm {
        title: format!("Replace the {algorithm} key now?"),
        consequences: vec![
            "For a key that leaked. A new key signs from now on, and the current keys are withdrawn immediately.".into(),
            format!("{servers} Jeton issued {} with all algorithms in the last 24 hours.", grouped_count(issued, "token")),
            format!(
                "Tokens signed so far are refused wherever keys are fetched again: agents have to get new ones. MCP \
                 servers that cached the keys refuse new tokens until they fetch them again, and accept old ones for up \
                 to {longest}, until they expire. Restart those that cache keys for long."
            ),
        ],
        action: format!("{PATH}/replace"),
        fields: vec![
            ("algorithm", algorithm.to_string()),
            ("seen", seen.map_or_else(String::new, |key| key.to_string())),
        ],
        typed: Some(algorithm.to_string()),
        button: format!("Replace the {algorithm} key now"),
        is_danger: true,
        safer: None,
        cancel: PATH.into(),
        ..Confirm::default()
    })
}

/// Replaces the keys of an algorithm at once, if its name was typed and the key that was shown still signs.
pub(crate) async fn replace(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let algorithm = algorithm(change.form.text("algorithm"))?;
    let seen: KeyId = change.form.seen("seen")?;
    if change.form.text("confirm").trim() != algorithm.as_str() {
        let mut confirm = replacing(&app, algorithm).await?;
        confirm.problem = Some(format!("Nothing was replaced: this is not {algorithm}."));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return ask(&app, &change.signed_in, confirm, status).await;
    }
    let operator = &change.signed_in.operator;
    let key = match signing_keys::rotate_now(&app, operator, algorithm, Some(seen)).await {
        Err(ServiceError::Stale) => {
            let mut confirm = replacing(&app, algorithm).await?;
            confirm.problem = Some(format!(
                "Nothing was replaced: {seen} no longer signs. Someone else replaced it, or the next key took over."
            ));
            return ask(&app, &change.signed_in, confirm, StatusCode::CONFLICT).await;
        }
        replaced => replaced?,
    };
    let toast = Toast::new(format!(
        "{algorithm} tokens are signed with {} from now on. The keys before it are withdrawn.",
        key.id
    ));
    toast::redirect(&app, &change.signed_in, PATH, toast)
}

/// Asks before a key that has not signed yet is withdrawn.
pub(crate) async fn ask_withdraw(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let key: KeyId = id(&key)?;
    let stored = app.store.signing_keys().await?;
    let mut waiting = stored.iter().filter(|key| key.state == KeyState::Pending);
    let found = waiting
        .find(|one| one.id == key)
        .ok_or(PageError::NotFound)?;
    let confirm = Confirm {
        title: format!("Withdraw the next {} key?", found.algorithm),
        consequences: vec![format!(
            "{key} has not signed anything: no token breaks. It is no longer published, and the current key goes on \
             signing."
        )],
        action: format!("{PATH}/{key}/withdraw"),
        button: "Withdraw".into(),
        is_danger: true,
        cancel: PATH.into(),
        ..Confirm::default()
    };
    ask(&app, &signed_in, confirm, StatusCode::OK).await
}

/// Withdraws a key that has not signed yet.
pub(crate) async fn withdraw(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    change: Change,
) -> PageResult {
    let key: KeyId = id(&key)?;
    signing_keys::withdraw(&app, &change.signed_in.operator, key).await?;
    let toast = Toast::new(format!("{key} was withdrawn. It never signed."));
    toast::redirect(&app, &change.signed_in, PATH, toast)
}

async fn ask(app: &App, signed_in: &SignedIn, confirm: Confirm, status: StatusCode) -> PageResult {
    let mut page = assemble(app, signed_in).await?;
    if signed_in.may_change() {
        page.page.ask(confirm);
    }
    html(status, &page)
}
