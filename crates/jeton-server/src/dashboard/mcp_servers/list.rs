//! All MCP servers, and adding one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{McpServer, McpServerId, ResourceUri, TokenProfile, search_text};
use serde::Deserialize;

use super::form::{ServerForm, fields, scopes, wants_rows};
use super::path;
use crate::app::App;
use crate::dashboard::format::{When, grouped, when};
use crate::dashboard::view::{ScopeView, address, page_of_rows, scope_choices};
use crate::dashboard::{
    Change, Errors, Nav, Page, PageError, PageQuery, PageResult, SignedIn, Toast, html, toast,
};
use crate::service::mcp_servers::{self, NewMcpServer};
use crate::service::{Operator, retired_urls};

/// What is looked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    q: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "mcp_servers.html")]
struct ListPage {
    page: Page,
    query: String,
    servers: Vec<ServerRow>,
    first: Option<String>,
    next: Option<String>,
    form: Option<ServerForm>,
    retired: Vec<RetiredRow>,
}

/// The URL of an MCP server that was deleted or moved away.
struct RetiredRow {
    url: String,
    name: String,
    retired_at: String,
    at: When,
}

struct ServerRow {
    id: String,
    name: String,
    url: String,
    aliases: Vec<String>,
    scopes: Vec<ScopeView>,
    clients: String,
}

/// `/dashboard/mcp-servers`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    PageQuery(query): PageQuery<ListQuery>,
) -> PageResult {
    render(&app, &signed_in, query, None, StatusCode::OK).await
}

/// `/dashboard/mcp-servers/new`: the same with the sheet.
pub(crate) async fn new(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let form = signed_in.may_change().then(ServerForm::empty);
    render(&app, &signed_in, ListQuery::default(), form, StatusCode::OK).await
}

/// The sheet, sent.
pub(crate) async fn create(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let mut errors = Errors::default();
    if change.form.is_given_back() {
        errors = Errors::given_back();
    }
    if wants_rows(&change.form) || change.form.is_given_back() {
        let form = ServerForm::again(&change.form, errors);
        let query = ListQuery::default();
        return render(&app, &change.signed_in, query, Some(form), StatusCode::OK).await;
    }
    let (fields, scopes) = (
        fields(&change.form, None, &mut errors),
        scopes(&change.form, &mut errors),
    );
    if let (Some(fields), Some(scopes)) = (fields, scopes) {
        let new = NewMcpServer {
            name: fields.name,
            description: fields.description,
            url: fields.url,
            aliases: fields.aliases.unwrap_or_default(),
            scopes: scopes.into_iter().map(Into::into).collect(),
            token_ttl: fields.token_ttl,
            signing_alg: fields.signing_alg,
            token_profile: TokenProfile::Compatible,
            own_issuer: false,
        };
        let operator: &Operator = &change.signed_in.operator;
        let made = mcp_servers::create(&app, operator, new).await;
        if let Some(server) = errors.accept_with_conflict("url", made)? {
            let to = path(&server.id);
            let create = format!("{to}/clients/new");
            let toast = Toast::new(format!("{} was added.", server.name))
                .next("Create its first client", create);
            return toast::redirect(&app, &change.signed_in, &to, toast);
        }
    }
    let form = ServerForm::again(&change.form, errors);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let query = ListQuery::default();
    render(&app, &change.signed_in, query, Some(form), status).await
}

/// Releases a retired URL.
pub(crate) async fn release(State(app): State<Arc<App>>, change: Change) -> PageResult {
    let url = ResourceUri::from_registered(change.form.text("url"));
    let url = url.map_err(|_| PageError::NotFound)?;
    let retired_at = change.form.seen("retired_at")?;
    let operator = &change.signed_in.operator;
    retired_urls::release(&app, operator, &url, Some(retired_at)).await?;
    let toast = Toast::new(format!("{url} was released."));
    toast::redirect(&app, &change.signed_in, "/dashboard/mcp-servers", toast)
}

async fn render(
    app: &App,
    signed_in: &SignedIn,
    query: ListQuery,
    form: Option<ServerForm>,
    status: StatusCode,
) -> PageResult {
    let text = query.q.unwrap_or_default();
    let request = page_of_rows::<McpServerId>(query.after.as_deref())?;
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut found = app.directory.mcp_servers();
    found.retain(|server| matches(server, &text) && request.after.is_none_or(|id| server.id < id));
    let next = found
        .get(limit)
        .and(found.get(limit.saturating_sub(1)))
        .map(|last| {
            let after = last.id.to_string();
            address("/dashboard/mcp-servers", &[("q", &text), ("after", &after)])
        });
    let mut servers = Vec::new();
    for server in found.iter().take(limit) {
        servers.push(ServerRow {
            id: server.id.to_string(),
            name: server.name.to_string(),
            url: server.url.to_string(),
            aliases: server.aliases.iter().map(ToString::to_string).collect(),
            scopes: scope_choices(server, &server.scope_set()),
            clients: grouped(app.store.count_clients(Some(server.id)).await?),
        });
    }
    let now = app.clock.now();
    let retired = retired_urls::list(app).await?.into_iter();
    let page = ListPage {
        retired: retired
            .map(|retired| RetiredRow {
                url: retired.url.to_string(),
                name: retired.name.to_string(),
                retired_at: retired.retired_at.to_string(),
                at: when(retired.retired_at, now),
            })
            .collect(),
        page: Page::new(signed_in, Nav::McpServers, "MCP Servers").with_sheet(form.is_some()),
        first: request
            .after
            .map(|_| address("/dashboard/mcp-servers", &[("q", &text)])),
        query: text,
        servers,
        next,
        form,
    };
    html(status, &page)
}

fn matches(server: &McpServer, text: &str) -> bool {
    let text = search_text(text.trim());
    let names = [server.name.to_string(), server.id.to_string()];
    let urls = server.urls().map(ToString::to_string);
    let mut found = names.into_iter().chain(urls);
    found.any(|found| search_text(&found).contains(&text))
}
