//! The sheet with a client just created: its ID, its secret, its scopes, and code with their values.
//!
//! The secret stays on the sheet until somebody leaves it: Save shows it again with the code rewritten, and
//! Close asks first where it was not copied. Both work without the script, which only notes what was copied.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use jeton_core::{ClientId, McpServer, McpServerId, PlainSecret, Scope, ScopeSet, SecretState};
use serde::Deserialize;

use super::clients::{ClientsPage, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::clients::form::required_scopes;
use crate::dashboard::clients::grants::seen;
use crate::dashboard::clients::table::TableQuery;
use crate::dashboard::session::see;
use crate::dashboard::snippet::Snippet;
use crate::dashboard::snippets::{environment, get_token};
use crate::dashboard::view::{ScopeView, address, id, scope_choices};
use crate::dashboard::{
    Change, Errors, PageError, PageQuery, PageResult, SignedIn, Toast, clients as client_pages,
    last_change, reveal, toast,
};
use crate::directory::ClientEntry;
use crate::service::ServiceError;
use crate::service::grants::{self, ScopeChoice};

/// What the sheet shows.
pub(super) struct CreatedClient {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) secret: Option<String>,
    /// The same, sealed, for the sheet's own buttons.
    pub(super) kept: Option<String>,
    pub(super) was_copied: bool,
    /// Whether somebody wants to leave without having copied it, and where to.
    pub(super) leaving_to: Option<String>,
    pub(super) was_saved: bool,
    /// Why it gets no token yet.
    pub(super) lacks: Option<&'static str>,
    pub(super) grant_version: i64,
    pub(super) scopes: Vec<ScopeView>,
    pub(super) has_unsaved_scopes: bool,
    pub(super) environment: String,
    pub(super) snippets: Vec<Snippet>,
    pub(super) errors: Errors,
}

/// How the sheet came to be shown. Every answer to its buttons is a redirect, so that no form that a browser
/// remembers and sends again shows the secret again.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatedQuery {
    /// The secret was copied.
    copied: Option<String>,
    /// Where somebody wants to go without having copied it.
    leaving: Option<String>,
    /// What is ticked and not saved, with spaces between the names.
    ticked: Option<String>,
    /// Somebody else saved the scopes meanwhile.
    overtaken: Option<String>,
}

/// The server, the client, and the secret as far as it is there.
struct Sheet {
    server: Arc<McpServer>,
    entry: Arc<ClientEntry>,
    secret: Option<PlainSecret>,
}

impl Sheet {
    async fn find(app: &App, server: &str, client: &str) -> Result<Self, PageError> {
        let server = find(app, server).await?;
        let client: ClientId = id(client)?;
        let entry = app.directory.find_client(client).await?;
        Ok(Self {
            server,
            entry: entry.ok_or(PageError::NotFound)?,
            secret: None,
        })
    }

    /// The same with the secret that the sheet's form kept.
    fn with_kept(mut self, app: &App, change: &Change) -> Self {
        let place = self.entry.client.id.to_string();
        let field = change.form.text("kept");
        self.secret = reveal::kept(app, &change.signed_in, &place, field);
        self
    }

    fn between(&self) -> (ClientId, McpServerId) {
        (self.entry.client.id, self.server.id)
    }

    fn path(&self) -> String {
        format!(
            "{}/clients/{}/created",
            path(&self.server.id),
            self.entry.client.id
        )
    }

    fn granted(&self) -> (i64, ScopeSet) {
        let mut grants = self.entry.grants.iter();
        grants
            .find(|grant| grant.mcp_server_id == self.server.id)
            .map_or((0, ScopeSet::empty()), |grant| {
                (grant.version, grant.scopes.clone())
            })
    }

    fn lacks(&self, app: &App, granted: &ScopeSet) -> Option<&'static str> {
        let now = app.clock.now();
        let mut secrets = self.entry.secrets.iter();
        if self.server.scopes.is_empty() {
            Some("This MCP server defines no scopes yet. Add one on its Scopes tab.")
        } else if granted.is_empty() {
            Some("Choose at least one scope and save.")
        } else if !self.entry.client.is_enabled() {
            Some("It is disabled. Enable it on its page.")
        } else if secrets.all(|secret| secret.state(now) != SecretState::Active) {
            Some("It has no working secret. Create one on its page.")
        } else {
            None
        }
    }

    /// What to show, with `ticked` where that is not what is granted.
    fn show(
        &self,
        app: &App,
        signed_in: &SignedIn,
        ticked: Option<&ScopeSet>,
    ) -> Result<CreatedClient, PageError> {
        let (grant_version, granted) = self.granted();
        let id = self.entry.client.id.to_string();
        let issuer = app.issuer.as_str();
        let plain = self.secret.as_ref().map(PlainSecret::expose);
        let kept = self.secret.as_ref();
        let kept = kept.map(|secret| reveal::keep(app, signed_in, &id, secret));
        Ok(CreatedClient {
            name: self.entry.client.name.to_string(),
            kept: kept.transpose()?,
            was_copied: false,
            leaving_to: None,
            was_saved: false,
            lacks: self.lacks(app, &granted),
            grant_version,
            scopes: scope_choices(&self.server, ticked.unwrap_or(&granted)),
            has_unsaved_scopes: ticked.is_some_and(|ticked| !is_same(ticked, &granted)),
            environment: plain.map_or_else(String::new, |plain| {
                environment(&self.server, issuer, &id, plain)
            }),
            snippets: plain.map_or_else(Vec::new, |plain| {
                get_token(&self.server, issuer, &id, plain, &granted)
            }),
            secret: plain.map(ToOwned::to_owned),
            id,
            errors: Errors::default(),
        })
    }
}

fn is_same(one: &ScopeSet, other: &ScopeSet) -> bool {
    one.is_subset_of(other) && other.is_subset_of(one)
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    sheet: &Sheet,
    created: CreatedClient,
) -> Result<ClientsPage, PageError> {
    let query = TableQuery::default();
    let mut page = assemble(app, signed_in, &sheet.server, &query).await?;
    page.page.has_sheet = true;
    // The sheet says it, where it covers everything else.
    page.page.toast = None;
    page.created = Some(created);
    Ok(page)
}

/// `/dashboard/mcp-servers/{id}/clients/{client_id}/created`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path((server, client)): Path<(String, String)>,
    PageQuery(query): PageQuery<CreatedQuery>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> PageResult {
    let mut sheet = Sheet::find(&app, &server, &client).await?;
    sheet.secret = reveal::take(&app, &signed_in, &headers, &client);
    let ticked = query.ticked.as_deref();
    let ticked: Option<ScopeSet> = ticked.map(|names| {
        let names = names.split_whitespace();
        names
            .filter_map(|name| name.parse::<Scope>().ok())
            .collect()
    });
    let mut created = sheet.show(&app, &signed_in, ticked.as_ref())?;
    created.was_saved = signed_in.toast.is_some();
    created.was_copied = is_yes(query.copied.as_deref());
    created.leaving_to = query.leaving;
    if let (Some(ticked), true) = (&ticked, is_yes(query.overtaken.as_deref())) {
        let saved = sheet.granted().1.to_string();
        let errors = &mut created.errors;
        errors.note_stale([("Scopes", ticked.to_string(), saved)]);
        errors.changed_by = last_change::of_client(&app, sheet.entry.client.id).await?;
    }
    let page = page(&app, &signed_in, &sheet, created).await?;
    reveal::html(&app, sheet.secret.as_ref(), &page)
}

/// For an address, where nothing ticked is something too.
fn named(ticked: &ScopeSet) -> String {
    format!(" {ticked}")
}

fn is_yes(value: Option<&str>) -> bool {
    value == Some("yes")
}

/// Save: the scopes.
pub(crate) async fn save_scopes(
    State(app): State<Arc<App>>,
    Path((server, client)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let sheet = Sheet::find(&app, &server, &client).await?;
    let sheet = sheet.with_kept(&app, &change);
    let scopes = required_scopes(&change.form)?;
    let (signed_in, between) = (&change.signed_in, sheet.between());
    let seen = seen(&change)?;
    let saved = grants::put(
        &app,
        &signed_in.operator,
        between,
        ScopeChoice::These(scopes.clone()),
        seen,
    )
    .await;
    let copied = ("copied", change.form.text("copied"));
    if matches!(saved, Err(ServiceError::Stale)) {
        let ticked = named(&scopes);
        let query = [copied, ("ticked", &ticked), ("overtaken", "yes")];
        return shown_again(&app, &change, &sheet, see(&address(&sheet.path(), &query)));
    }
    saved?;
    let to = address(&sheet.path(), &[copied]);
    let answer = toast::redirect(&app, signed_in, &to, Toast::new("Scopes saved"))?;
    shown_again(&app, &change, &sheet, answer)
}

/// A redirect to the sheet, with the secret that its form kept.
fn shown_again(app: &App, change: &Change, sheet: &Sheet, mut answer: Response) -> PageResult {
    if let Some(secret) = &sheet.secret {
        let place = sheet.entry.client.id.to_string();
        reveal::carry(app, &change.signed_in, &place, secret, &mut answer)?;
    }
    Ok(answer)
}

/// Close: asks first where the secret is still there and was not copied, or what is ticked was not saved.
pub(crate) async fn leave(
    State(app): State<Arc<App>>,
    Path((server, client)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let sheet = Sheet::find(&app, &server, &client).await?;
    let sheet = sheet.with_kept(&app, &change);
    let form = &change.form;
    let chosen = match form.text("to") {
        "" => form.text("leaving_to"),
        chosen => chosen,
    };
    let (to, target) = match chosen {
        "client" => ("client", client_pages::path(&sheet.entry.client.id)),
        _ => ("list", format!("{}/clients", path(&sheet.server.id))),
    };
    let ticked = required_scopes(form)?;
    let would_lose_secret = sheet.secret.is_some() && form.text("copied") != "yes";
    let would_lose_scopes = !is_same(&ticked, &sheet.granted().1);
    if form.is_ticked("anyway") || !(would_lose_secret || would_lose_scopes) {
        return Ok(see(&target));
    }
    let ticked = named(&ticked);
    let query = [
        ("copied", form.text("copied")),
        ("leaving", to),
        ("ticked", &ticked),
    ];
    shown_again(&app, &change, &sheet, see(&address(&sheet.path(), &query)))
}
