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
use crate::dashboard::clients::table::{SortLink, id_parts};
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
    sort: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "mcp_servers.html")]
struct ListPage {
    page: Page,
    query: String,
    sort: String,
    name_column: SortLink,
    clients_column: SortLink,
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
    /// The first few.
    scopes: Vec<ScopeView>,
    /// The names of the others.
    more_scopes: Vec<String>,
    clients: String,
}

impl ServerRow {
    fn id_parts(&self) -> (&str, &str) {
        id_parts(&self.id)
    }
}

/// Scopes shown of one server.
const SCOPES: usize = 6;

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
    let sort = query.sort.unwrap_or_default();
    let request = page_of_rows::<McpServerId>(query.after.as_deref())?;
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut found = app.directory.mcp_servers();
    found.retain(|server| matches(server, &text));
    let mut found = sorted(app, found, &sort).await?;
    if let Some(after) = request.after {
        let read = found.iter().position(|(server, _)| server.id == after);
        found.drain(..read.map_or(found.len(), |read| read + 1));
    }
    let path = "/dashboard/mcp-servers";
    let next = found
        .get(limit)
        .and(found.get(limit.saturating_sub(1)))
        .map(|(last, _)| {
            let after = last.id.to_string();
            address(path, &[("q", &text), ("sort", &sort), ("after", &after)])
        });
    let servers = rows(app, found.iter().take(limit)).await?;
    let sort_link = |one, other| {
        SortLink::new(&sort, one, other, |sort| {
            address(path, &[("q", &text), ("sort", sort)])
        })
    };
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
            .map(|_| address(path, &[("q", &text), ("sort", &sort)])),
        name_column: sort_link(("name", "ascending"), ("-name", "descending")),
        clients_column: sort_link(("-clients", "descending"), ("clients", "ascending")),
        query: text,
        sort,
        servers,
        next,
        form,
    };
    html(status, &page)
}

async fn rows<'a>(
    app: &App,
    found: impl Iterator<Item = &'a (Arc<McpServer>, Option<i64>)>,
) -> Result<Vec<ServerRow>, PageError> {
    let mut servers = Vec::new();
    for (server, clients) in found {
        let clients = match clients {
            Some(clients) => *clients,
            None => app.store.count_clients(Some(server.id)).await?,
        };
        let mut scopes = scope_choices(server, &server.scope_set());
        let more = scopes.split_off(scopes.len().min(SCOPES));
        servers.push(ServerRow {
            id: server.id.to_string(),
            name: server.name.to_string(),
            url: server.url.to_string(),
            aliases: server.aliases.iter().map(ToString::to_string).collect(),
            scopes,
            more_scopes: more.into_iter().map(|scope| scope.name).collect(),
            clients: grouped(clients),
        });
    }
    Ok(servers)
}

/// In the order that the address asks for, with the number of clients where that was counted for it.
async fn sorted(
    app: &App,
    servers: Vec<Arc<McpServer>>,
    sort: &str,
) -> Result<Vec<(Arc<McpServer>, Option<i64>)>, PageError> {
    let mut all: Vec<_> = servers.into_iter().map(|server| (server, None)).collect();
    match sort.trim_start_matches('-') {
        "" => {}
        "name" => all.sort_by_cached_key(|(server, _)| search_text(server.name.as_str())),
        "clients" => {
            for (server, clients) in &mut all {
                *clients = Some(app.store.count_clients(Some(server.id)).await?);
            }
            all.sort_by_key(|(_, clients)| *clients);
        }
        _ => {
            return Err(PageError::Refused(
                StatusCode::BAD_REQUEST,
                "sort is name, -name, clients or -clients.",
            ));
        }
    }
    if sort.starts_with('-') {
        all.reverse();
    }
    Ok(all)
}

fn matches(server: &McpServer, text: &str) -> bool {
    let text = search_text(text.trim());
    let names = [server.name.to_string(), server.id.to_string()];
    let urls = server.urls().map(ToString::to_string);
    let mut found = names.into_iter().chain(urls);
    found.any(|found| search_text(&found).contains(&text))
}
