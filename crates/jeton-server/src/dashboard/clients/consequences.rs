//! What would happen to a client that works now, in numbers, before it is done.

use std::time::Duration;

use jeton_core::{Client, McpServerId, ScopeSet, SecretId, SecretState, TokensOf};

use super::path;
use super::show::assemble;
use crate::app::App;
use crate::dashboard::format::{grouped_count, when};
use crate::dashboard::still_works::last_token_of;
use crate::dashboard::zone::Zone;
use crate::dashboard::{Choice, Confirm, NotStopped, PageError, PageResult, SignedIn, html};
use crate::directory::ClientEntry;
use crate::service::{Confirmation, secrets, statistics};

/// What a client got in a day.
pub(super) struct Usage {
    pub(super) tokens: i64,
    sentence: String,
}

impl Usage {
    pub(super) async fn of(app: &App, client: &Client) -> Result<Self, PageError> {
        statistics::catch_up(app).await?;
        let now = app.clock.now();
        let day = now.minus(Duration::from_secs(24 * 60 * 60));
        let count = app.store.tokens_of_client(client.id, day, now).await?;
        let activity = app.store.client_activity(client.id).await?;
        let sentence = match activity.last_issued_at {
            Some(last) if count.issued > 0 => format!(
                "{}: {} in the last 24 hours, the last one {}.",
                client.name,
                tokens(count.issued),
                when(last, now).words
            ),
            Some(last) => format!(
                "{}: no tokens in the last 24 hours, the last one {}.",
                client.name,
                when(last, now).words
            ),
            None => format!("{} never got a token.", client.name),
        };
        Ok(Self {
            tokens: count.issued,
            sentence,
        })
    }
}

fn tokens(number: i64) -> String {
    grouped_count(number, "token")
}

/// What a change does not stop, for its sheet.
pub(in crate::dashboard) async fn not_stopped(
    app: &App,
    zone: &Zone,
    (whose, of): (&'static str, TokensOf),
) -> Result<Option<NotStopped>, PageError> {
    Ok(Some(NotStopped {
        whose,
        last: last_token_of(app, zone, &of).await?,
    }))
}

/// Before a secret is revoked.
pub(super) async fn revoking(
    app: &App,
    zone: &Zone,
    entry: &ClientEntry,
    secret: SecretId,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let owner = jeton_core::SecretOwner::Client(client.id);
    let all = secrets::list(app, owner).await?;
    let now = app.clock.now();
    let revoked = all.iter().find(|one| one.id == secret);
    let revoked = revoked.ok_or(PageError::NotFound)?;
    let working =
        |one: &&jeton_core::ClientSecret| one.id != secret && one.state(now) == SecretState::Active;
    let others = all.iter().filter(working).count();
    let usage = Usage::of(app, client).await?;
    let last_use = revoked.last_used_at.map_or_else(
        || "It was never used.".to_owned(),
        |at| format!("Last used {}.", when(at, now).words),
    );
    let consequences = match others {
        0 => vec![
            format!(
                "It is the only working secret of {}: {} in the last 24 hours.",
                client.name,
                tokens(usage.tokens)
            ),
            format!(
                "{last_use} Requests with it will be refused immediately, so {} gets no more tokens.",
                client.name
            ),
        ],
        1 => vec![
            format!("{last_use} Requests with it will be refused immediately."),
            format!("The other secret of {} keeps working.", client.name),
        ],
        others => vec![
            format!("{last_use} Requests with it will be refused immediately."),
            format!("{others} other secrets of {} keep working.", client.name),
        ],
    };
    Ok(Confirm {
        title: format!("Revoke secret …{}?", revoked.suffix),
        consequences,
        not_stopped: not_stopped(app, zone, ("Its", TokensOf::Secret(secret))).await?,
        action: format!("/dashboard/secrets/{secret}/revoke"),
        options: vec![Choice {
            name: "revoke_tokens",
            value: "yes",
            label: "Also revoke the tokens issued with it",
            hint: "Introspection refuses them immediately. MCP servers that only check signatures accept them \
                   until they expire.",
            checked: false,
        }],
        button: format!("Revoke …{}", revoked.suffix),
        is_danger: true,
        safer: (others == 0).then(|| {
            let path = format!("{}/secrets/rotate", path(&client.id));
            ("Rotate instead".to_owned(), path)
        }),
        cancel: path(&client.id),
        ..Confirm::default()
    })
}

/// How long the secrets of now may keep working: what the form says, in seconds, and in words.
pub(super) const GRACE: [(&str, Option<u64>, &str, &str); 5] = [
    (
        "24h",
        Some(24 * 3_600),
        "24 hours",
        "Time to roll the new secret out.",
    ),
    ("now", Some(0), "Stop now", "For a secret that leaked."),
    ("1h", Some(3_600), "1 hour", ""),
    ("7d", Some(7 * 86_400), "7 days", ""),
    (
        "manual",
        None,
        "Until revoked manually",
        "Both keep working until you revoke the old ones.",
    ),
];

/// Before secrets are rotated.
pub(super) async fn rotating(
    app: &App,
    entry: &ClientEntry,
    chosen: &str,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let owner = jeton_core::SecretOwner::Client(client.id);
    let now = app.clock.now();
    let all = secrets::list(app, owner).await?;
    let working = all
        .iter()
        .filter(|one| one.state(now) == SecretState::Active);
    let usage = Usage::of(app, client).await?;
    let unrevoked = all.iter().filter(|secret| secret.revoked_at.is_none());
    let summary = match working.count() {
        0 => "No secret works now.".to_owned(),
        1 => "1 secret works now.".to_owned(),
        number => format!("{number} secrets work now."),
    };
    Ok(Confirm {
        title: format!("Rotate the secret of {}", client.name),
        consequences: vec![
            "Creates a new secret, shown once. Choose how long the current ones keep working."
                .into(),
            format!("{summary} {}", usage.sentence),
        ],
        action: format!("{}/secrets/rotate", path(&client.id)),
        fields: unrevoked
            .map(|secret| ("seen", secret.id.to_string()))
            .collect(),
        choices: GRACE
            .into_iter()
            .map(|(value, _, label, hint)| Choice {
                name: "grace",
                value,
                label,
                hint,
                checked: value == chosen,
            })
            .collect(),
        button: "Rotate".into(),
        cancel: path(&client.id),
        ..Confirm::default()
    })
}

/// Before a client's access to an MCP server is removed.
pub(super) async fn removing_access(
    app: &App,
    zone: &Zone,
    entry: &ClientEntry,
    server: McpServerId,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let mut grants = entry.grants.iter();
    let grant = grants.find(|grant| grant.mcp_server_id == server);
    let grant = grant.ok_or(PageError::NotFound)?;
    let name = app
        .directory
        .find_mcp_server(server)
        .map_or_else(|| server.to_string(), |server| server.name.to_string());
    let usage = Usage::of(app, client).await?;
    let mut consequences = vec![format!(
        "{} will be refused immediately when it asks for a token for {name}. Tokens that it already has for it are \
         revoked: servers that ask Jeton refuse them.",
        client.name
    )];
    if let [_] = entry.grants.as_slice() {
        consequences.push(format!(
            "It is the only MCP server that {} can use. {}",
            client.name, usage.sentence
        ));
    } else {
        consequences.push(format!("On all its MCP servers, {}", usage.sentence));
    }
    if client.granted_default(&entry.grants) == Some(server) {
        consequences.push(
            "It is the default: requests that name no resource are for this MCP server.".into(),
        );
    }
    Ok(Confirm {
        title: format!("Remove access to {name}?"),
        consequences,
        not_stopped: not_stopped(app, zone, ("Its", TokensOf::Grant(client.id, server))).await?,
        action: format!("{}/grants/{server}/delete", path(&client.id)),
        fields: vec![("version", grant.version.to_string())],
        button: "Remove access".into(),
        is_danger: true,
        cancel: path(&client.id),
        ..Confirm::default()
    })
}

/// Before a client is disabled.
pub(super) async fn disabling(
    app: &App,
    zone: &Zone,
    entry: &ClientEntry,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let usage = Usage::of(app, client).await?;
    Ok(Confirm {
        title: format!("Disable {}?", client.name),
        consequences: vec![
            usage.sentence,
            "It stops getting tokens immediately, and those that it has are revoked: servers that ask Jeton refuse \
             them. You can enable it again; its secrets and grants stay."
                .into(),
        ],
        not_stopped: not_stopped(app, zone, ("Its", TokensOf::Client(client.id))).await?,
        action: format!("{}/disable", path(&client.id)),
        button: "Disable".into(),
        is_danger: true,
        cancel: path(&client.id),
        ..Confirm::default()
    })
}

/// Before a client that works now loses scopes on a server.
pub(super) async fn narrowing(
    app: &App,
    client: &Client,
    (lost, server): (&ScopeSet, &str),
) -> Result<Option<Confirmation>, PageError> {
    let usage = Usage::of(app, client).await?;
    if usage.tokens == 0 || !client.is_enabled() {
        return Ok(None);
    }
    let detail = format!(
        "{} It loses {lost} on {server}: new tokens come without, and tools that need it refuse its calls. Tokens \
         already issued keep it until they expire.",
        usage.sentence
    );
    Ok(Some(Confirmation {
        detail,
        ..Confirmation::default()
    }))
}

/// Before all tokens of a client are revoked.
pub(super) async fn revoking_tokens(
    app: &App,
    zone: &Zone,
    entry: &ClientEntry,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let usage = Usage::of(app, client).await?;
    Ok(Confirm {
        title: format!("Revoke all tokens of {}?", client.name),
        consequences: vec![
            usage.sentence,
            "Servers that ask Jeton refuse its tokens immediately. It can get new tokens; to stop that, disable it."
                .into(),
        ],
        not_stopped: not_stopped(app, zone, ("Its", TokensOf::Client(client.id))).await?,
        action: format!("{}/revoke-tokens", path(&client.id)),
        button: "Revoke all tokens".into(),
        is_danger: true,
        safer: None,
        cancel: format!("{}/settings", path(&client.id)),
        ..Confirm::default()
    })
}

/// Before a client is deleted.
pub(super) async fn deleting(
    app: &App,
    zone: &Zone,
    entry: &ClientEntry,
) -> Result<Confirm, PageError> {
    let client = &entry.client;
    let usage = Usage::of(app, client).await?;
    let disable = client.is_enabled().then(|| {
        let path = format!("{}/disable", path(&client.id));
        ("Disable instead".to_owned(), path)
    });
    Ok(Confirm {
        title: format!("Delete {}?", client.name),
        consequences: vec![
            usage.sentence,
            "It stops getting tokens immediately, and servers that ask Jeton refuse those that it has. Its secrets and \
             grants are permanently deleted; the audit log keeps what happened."
                .into(),
        ],
        not_stopped: not_stopped(app, zone, ("Its", TokensOf::Client(client.id))).await?,
        action: format!("{}/delete", path(&client.id)),
        fields: vec![("version", client.version.to_string())],
        typed: Some(client.name.to_string()),
        button: format!("Delete {}", client.name),
        is_danger: true,
        safer: disable,
        cancel: format!("{}/settings", path(&client.id)),
        ..Confirm::default()
    })
}

/// The client's page with the question.
pub(super) async fn ask(
    app: &App,
    signed_in: &SignedIn,
    entry: &ClientEntry,
    confirm: Confirm,
) -> PageResult {
    let status = match confirm.problem {
        None => http::StatusCode::OK,
        Some(_) => http::StatusCode::CONFLICT,
    };
    let mut page = assemble(app, signed_in, entry).await?;
    if signed_in.may_change() {
        page.page.ask(confirm);
    }
    html(status, &page)
}

/// What a question says whose answer came too late.
pub(in crate::dashboard) const STALE: &str = "Nothing was done: this changed after you opened the page. Look at what it says \
                                              now.";
