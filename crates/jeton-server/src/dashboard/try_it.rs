//! Trying a token request without issuing anything.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::LONG_TOKEN;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::clients::{ClientView, Tab, find, page};
use super::query::switch;
use super::{Errors, Page, PageQuery, PageResult, SignedIn, html};
use crate::app::App;
use crate::service::{PreviewToken, TokenPreview};

/// The token endpoint's rules, handed over by the router.
#[derive(Clone, Copy)]
pub(crate) struct TokenRules(pub(crate) PreviewToken);

#[derive(Template)]
#[template(path = "client_try.html")]
struct TryPage {
    page: Page,
    client: ClientView,
    resource: String,
    scope: String,
    preview: Option<PreviewView>,
    errors: Errors,
}

struct PreviewView {
    header: String,
    left_out: Option<String>,
    length: usize,
    is_long: bool,
    claims: Option<String>,
    error: &'static str,
    description: String,
}

/// What to ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryQuery {
    run: Option<String>,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    scope: String,
}

/// `/dashboard/clients/{id}/try`
pub(crate) async fn try_it(
    State(app): State<Arc<App>>,
    Extension(rules): Extension<TokenRules>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<TryQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let preview = switch("run", query.run.as_deref())?.then(|| {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("resource", &query.resource), ("scope", &query.scope)] {
            if !value.trim().is_empty() {
                form.append_pair(name, value.trim());
            }
        }
        view((rules.0)(&app, &entry, form.finish().as_bytes()))
    });
    let page = TryPage {
        page: page(&signed_in, &entry.client),
        client: ClientView::of(&app, &entry, Tab::TryIt),
        resource: query.resource,
        scope: query.scope,
        preview,
        errors: Errors::default(),
    };
    html(StatusCode::OK, &page)
}

fn view(preview: TokenPreview) -> PreviewView {
    match preview {
        TokenPreview::Issued {
            alg,
            kid,
            length,
            left_out,
            claims,
        } => PreviewView {
            left_out: (!left_out.is_empty()).then(|| left_out.to_string()),
            length,
            is_long: length >= LONG_TOKEN,
            header: format!(
                "{{\n  \"typ\": \"at+jwt\",\n  \"alg\": \"{alg}\",\n  \"kid\": \"{kid}\"\n}}"
            ),
            claims: Some(serde_json::to_string_pretty(&claims).unwrap_or_default()),
            error: "",
            description: String::new(),
        },
        TokenPreview::Refused { code, description } => PreviewView {
            header: String::new(),
            left_out: None,
            length: 0,
            is_long: false,
            claims: None,
            error: code,
            description: super::error::sentence(&description),
        },
    }
}
