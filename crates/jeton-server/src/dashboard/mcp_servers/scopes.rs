//! A server's Scopes tab: describing, adding, removing and renaming scopes.
//!
//! A scope's name is not a field: clearing one would take it from every client, and renaming one in
//! place would do the same. Removing is a box to tick, and renaming a form of its own.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{McpServer, Scope};

use super::form::{ScopeRow, row_field, scope_rows, scopes, wants_rows};
use super::settings::consent;
use super::{ServerView, Tab, find, page, path};
use crate::app::App;
use crate::dashboard::view::{ScopeView, scope_choices};
use crate::dashboard::{
    Change, Errors, Page, PageError, PageResult, PostedForm, SignedIn, Toast, html, last_change,
    toast,
};
use crate::service::mcp_servers::{self, McpServerChange};
use crate::service::{DeclaredScope, ScopeRename, ServiceError};

/// So many rows for new scopes are empty.
const EMPTY_ROWS: usize = 3;

#[derive(Template)]
#[template(path = "mcp_server_scopes.html")]
struct ScopesPage {
    page: Page,
    server: ServerView,
    /// Those that are defined; ticked are those to remove.
    defined: Vec<ScopeView>,
    form: NewScopes,
    rename: Renaming,
}

/// The rows for new scopes, and what is wrong with the form.
struct NewScopes {
    scopes: Vec<ScopeView>,
    errors: Errors,
}

/// The form that renames a scope.
#[derive(Default)]
struct Renaming {
    from: String,
    to: String,
    errors: Errors,
}

/// `/dashboard/mcp-servers/{id}/scopes`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let server = find(&app, &id).await?;
    let form = PostedForm::default();
    let page = assemble(&signed_in, &server, &form, &Errors::default());
    html(StatusCode::OK, &page)
}

/// The form, sent.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let mut server = find(&app, &id).await?;
    let mut errors = Errors::default();
    let consent = consent(&change)?;
    if change.form.is_given_back() {
        errors = Errors::given_back();
    }
    if wants_rows(&change.form) || change.form.is_given_back() {
        let page = assemble(&change.signed_in, &server, &change.form, &errors);
        return html(StatusCode::OK, &page);
    }
    let posted = scopes(&change.form, &mut errors);
    let update = posted.and_then(|posted| edited(&server, posted, &change.form, &mut errors));
    let operator = &change.signed_in.operator;
    let saved = match update {
        // Also where the form is shown again for another reason: the page would say the version of now.
        _ if consent.is_older_than(server.version) => Some(Err(ServiceError::Stale)),
        Some(update) => Some(mcp_servers::update(&app, operator, server.id, update, consent).await),
        None => None,
    };
    if matches!(saved, Some(Err(ServiceError::Stale))) {
        server = now(&app, &server).await?;
        errors.note_stale([("Scopes", String::new(), server.scope_set().to_string())]);
        errors.changed_by = last_change::of_mcp_server(&app, server.id).await?;
    } else if let Some(saved) = saved
        && errors.accept(saved)?.is_some()
    {
        let to = format!("{}/scopes", path(&server.id));
        let toast = Toast::new(format!("Scopes of {} saved.", server.name));
        return toast::redirect(&app, &change.signed_in, &to, toast);
    }
    let status = errors.status();
    let page = assemble(&change.signed_in, &server, &change.form, &errors);
    html(status, &page)
}

/// Renames a scope, in the grants too.
pub(crate) async fn rename(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    change: Change,
) -> PageResult {
    let mut server = find(&app, &id).await?;
    let mut errors = Errors::default();
    let consent = consent(&change)?;
    let from = change.form.parse::<Scope>("from", &mut errors);
    let to = change.form.parse::<Scope>("to", &mut errors);
    if let (Some(from), Some(to)) = (from, to) {
        let update = McpServerChange {
            rename_scopes: vec![ScopeRename { from, to }],
            ..McpServerChange::default()
        };
        let operator = &change.signed_in.operator;
        match mcp_servers::update(&app, operator, server.id, update, consent).await {
            Err(ServiceError::Stale) => {
                server = now(&app, &server).await?;
                errors.note_stale([("Scopes", String::new(), server.scope_set().to_string())]);
                errors.changed_by = last_change::of_mcp_server(&app, server.id).await?;
            }
            Err(ServiceError::Invalid { detail, .. }) => errors.add("to", detail),
            saved => {
                saved?;
                let to = format!("{}/scopes", path(&server.id));
                let text = change.form.text("to");
                let toast = Toast::new(format!("The scope is now {text}, also in the grants."));
                return toast::redirect(&app, &change.signed_in, &to, toast);
            }
        }
    }
    let nothing = PostedForm::default();
    let mut page = assemble(&change.signed_in, &server, &nothing, &Errors::default());
    let status = errors.status();
    page.rename = Renaming {
        from: change.form.text("from").to_owned(),
        to: change.form.text("to").to_owned(),
        errors,
    };
    html(status, &page)
}

async fn now(app: &App, server: &McpServer) -> Result<Arc<McpServer>, PageError> {
    let read = app.directory.read_mcp_server(server.id).await?;
    read.ok_or(PageError::NotFound)
}

/// What the form adds, describes and removes; the rest stays as it is when this is saved.
fn edited(
    server: &McpServer,
    posted: Vec<DeclaredScope>,
    form: &PostedForm,
    errors: &mut Errors,
) -> Option<McpServerChange> {
    let mut change = McpServerChange {
        clear_descriptions: true,
        ..McpServerChange::default()
    };
    for name in form.all("remove_scope") {
        match name.parse() {
            Ok(scope) => change.remove_scopes.push(scope),
            Err(error) => {
                errors.add("scopes", format!("{name}: {error}"));
                return None;
            }
        }
    }
    change.add_scopes = posted;
    change
        .add_scopes
        .retain(|scope| !change.remove_scopes.contains(&scope.name));
    for scope in &mut change.add_scopes {
        // What nobody touched follows the scopes that are removed.
        let there = server.scopes.find(&scope.name);
        let there = there.map(|there| &there.implies);
        if scope.implies.as_ref() == there {
            scope.implies = None;
        }
    }
    Some(change)
}

fn row(errors: &Errors, (number, typed): (usize, ScopeRow<'_>)) -> ScopeView {
    ScopeView {
        problem: errors.get(&row_field(number)).cloned(),
        name: typed.name.to_owned(),
        description: typed.description.to_owned(),
        implies: typed.implies.unwrap_or_default().to_owned(),
        checked: false,
    }
}

fn assemble(
    signed_in: &SignedIn,
    server: &McpServer,
    form: &PostedForm,
    errors: &Errors,
) -> ScopesPage {
    let rows = || (1..).zip(scope_rows(form));
    let defined = scope_choices(server, &server.scope_set()).into_iter();
    let defined = defined.map(|scope| {
        let typed = rows().find(|(_, row)| row.name == scope.name);
        let typed = typed.map_or_else(|| scope.clone(), |typed| row(errors, typed));
        ScopeView {
            checked: form
                .all("remove_scope")
                .any(|removed| removed == scope.name),
            ..typed
        }
    });
    let is_new = |name: &str| {
        let mut defined = server.scopes.iter();
        defined.all(|scope| scope.name.as_str() != name)
    };
    let typed = rows().filter(|(_, typed)| is_new(typed.name));
    let typed = typed.map(|typed| row(errors, typed));
    let empty = (0..EMPTY_ROWS).map(|_| ScopeView::default());
    ScopesPage {
        page: page(signed_in, server),
        defined: defined.collect(),
        form: NewScopes {
            scopes: typed.chain(empty).collect(),
            errors: errors.clone(),
        },
        rename: Renaming::default(),
        server: match form.version() {
            // What somebody else saved since is told when this is saved.
            Ok(version) if !errors.is_stale() => ServerView {
                version,
                ..ServerView::new(server, Tab::Scopes)
            },
            _ => ServerView::new(server, Tab::Scopes),
        },
    }
}
