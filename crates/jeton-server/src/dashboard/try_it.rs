//! Trying a token request without issuing anything: what would happen, with the credentials that there are.

use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{AccessTokenClaims, LONG_TOKEN, PlainSecret, Timestamp};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::clients::{ClientView, Tab, find, page, path};
use super::credentials::{self, Problem};
use super::form::PostedForm;
use super::format::{When, when};
use super::query::switch;
use super::session::OwnChange;
use super::snippet::shell;
use super::verifiers::{Seen, Verdict, verdicts};
use super::view::{ScopeView, chosen_scopes};
use super::zone::Zone;
use super::{Page, PageQuery, PageResult, SignedIn, html};
use crate::app::App;
use crate::directory::ClientEntry;
use crate::service::token_standing::server_of;
use crate::service::{PreviewToken, TokenPreview};

/// The token endpoint's rules, handed over by the router.
#[derive(Clone, Copy)]
pub(crate) struct TokenRules(pub(crate) PreviewToken);

#[derive(Template)]
#[template(path = "client_try.html")]
struct TryPage {
    page: Page,
    client: ClientView,
    choices: Vec<ServerChoice>,
    /// The URL that was typed, where no server was chosen.
    resource: String,
    /// Scopes that were typed.
    scope: String,
    is_other: bool,
    is_default: bool,
    outcome: Option<Outcome>,
}

/// An MCP server that the client has access to.
struct ServerChoice {
    id: String,
    name: String,
    url: String,
    is_default: bool,
    checked: bool,
    scopes: Vec<ScopeView>,
}

/// What would happen.
struct Outcome {
    /// Why it would be refused.
    problem: Option<Problem>,
    /// Where that is cured: a link's text and its address.
    cure: Option<(&'static str, String)>,
    /// The error code that the client would get, where it is one of the request's.
    code: &'static str,
    /// What was found of the secret that was typed: the end of the one that it is.
    secret: Option<String>,
    token: Option<TokenView>,
    curl: String,
}

/// The token that would be issued, or would be but for the credentials.
struct TokenView {
    header: String,
    claims: String,
    times: Vec<(&'static str, When, String)>,
    length: usize,
    is_long: bool,
    left_out: Option<String>,
    verdicts: Vec<Verdict>,
}

/// What to ask for, in an address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryQuery {
    run: Option<String>,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    scope: String,
}

/// A request to try.
struct Asked {
    /// The URL, if one is named.
    resource: String,
    scope: String,
    secret: Option<PlainSecret>,
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
    let runs = switch("run", query.run.as_deref())?;
    let asked = Asked {
        resource: query.resource.trim().to_owned(),
        scope: query.scope.trim().to_owned(),
        secret: None,
    };
    let outcome = runs.then(|| outcome(&app, rules, &entry, (&asked, &signed_in.zone)));
    let mut page = assemble(&app, &signed_in, &entry, outcome);
    page.is_other = !asked.resource.is_empty();
    page.is_default = !page.is_other;
    page.resource = asked.resource;
    page.scope = asked.scope;
    html(StatusCode::OK, &page)
}

/// The form, sent. It changes nothing, so viewers may send it; a secret in it is compared and forgotten.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    Extension(rules): Extension<TokenRules>,
    Path(id): Path<String>,
    OwnChange(change): OwnChange,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let form = &change.form;
    let asked = asked(&app, form);
    let signed_in = &change.signed_in;
    let outcome = outcome(&app, rules, &entry, (&asked, &signed_in.zone));
    let mut page = assemble(&app, signed_in, &entry, Some(outcome));
    page.is_other = form.text("server") == OTHER;
    page.is_default = form.text("server").is_empty();
    for choice in &mut page.choices {
        choice.checked = form.text("server") == choice.id;
        let ticked: Vec<_> = form.all("scope").collect();
        for scope in &mut choice.scopes {
            let name = format!("{} {}", choice.id, scope.name);
            scope.checked = ticked.contains(&name.as_str());
        }
    }
    form.text("resource").trim().clone_into(&mut page.resource);
    form.text("more").trim().clone_into(&mut page.scope);
    html(StatusCode::OK, &page)
}

/// The choice of a URL that is typed.
const OTHER: &str = "other";

fn asked(app: &App, form: &PostedForm) -> Asked {
    let server = form.text("server");
    let resource = if server == OTHER {
        form.text("resource").trim().to_owned()
    } else {
        let server = server.parse().ok();
        let server = server.and_then(|id| app.directory.find_mcp_server(id));
        server.map_or_else(String::new, |server| server.url.as_given().to_owned())
    };
    // A ticked scope is sent with its server's ID: those of the server that is asked for count.
    let of_server = format!("{server} ");
    let mut scopes: Vec<_> = form
        .all("scope")
        .filter_map(|scope| scope.strip_prefix(&of_server))
        .collect();
    scopes.extend(form.text("more").split_whitespace());
    let secret = form.secret("secret");
    let typed = secret.expose_secret();
    Asked {
        resource,
        scope: scopes.join(" "),
        secret: (!typed.is_empty()).then(|| PlainSecret::presented(typed.to_owned())),
    }
}

fn assemble(
    app: &App,
    signed_in: &SignedIn,
    entry: &ClientEntry,
    outcome: Option<Outcome>,
) -> TryPage {
    let default = entry.client.granted_default(&entry.grants);
    let choice = |grant: &jeton_core::Grant| {
        let server = app.directory.find_mcp_server(grant.mcp_server_id)?;
        let scopes = chosen_scopes(&server, &server.scopes.granted(&grant.scopes));
        let unticked = |scope| ScopeView {
            checked: false,
            ..scope
        };
        Some(ServerChoice {
            id: server.id.to_string(),
            name: server.name.to_string(),
            url: server.url.to_string(),
            is_default: default == Some(server.id),
            checked: false,
            scopes: scopes.into_iter().map(unticked).collect(),
        })
    };
    TryPage {
        page: page(signed_in, &entry.client),
        client: ClientView::of(app, entry, Tab::TryIt),
        choices: entry.grants.iter().filter_map(choice).collect(),
        resource: String::new(),
        scope: String::new(),
        is_other: false,
        is_default: true,
        outcome,
    }
}

fn outcome(
    app: &App,
    rules: TokenRules,
    entry: &Arc<ClientEntry>,
    (asked, zone): (&Asked, &Zone),
) -> Outcome {
    let now = app.clock.now();
    // First what the endpoint checks first.
    let (secret, credentials) = match &asked.secret {
        Some(typed) => match credentials::check(entry, typed, now) {
            Ok(suffix) => (Some(suffix), None),
            Err(problem) => (None, Some(problem)),
        },
        None => (None, credentials::problem(entry, now)),
    };
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("resource", &asked.resource), ("scope", &asked.scope)] {
        if !value.is_empty() {
            form.append_pair(name, value);
        }
    }
    let (request, token) = match (rules.0)(app, entry, form.finish().as_bytes()) {
        TokenPreview::Refused { code, description } => {
            // What to do about it is said to whoever can.
            let why = description.split("; an operator").next();
            let cure = Some(("Change its access", "#grants"));
            let problem = Problem::new(why.unwrap_or(&description), cure);
            (Some((code, problem)), None)
        }
        issued @ TokenPreview::Issued { .. } => (None, token_view(app, issued, zone)),
    };
    let problem = credentials.map(|problem| ("invalid_client", problem));
    let (code, problem) = problem.or(request).unzip();
    let cure = problem.as_ref().and_then(|problem: &Problem| {
        let (text, end) = problem.cure?;
        Some((text, format!("{}{end}", path(&entry.client.id))))
    });
    Outcome {
        problem,
        cure,
        code: code.unwrap_or_default(),
        secret,
        token,
        curl: curl(app, entry, asked),
    }
}

fn token_view(app: &App, preview: TokenPreview, zone: &Zone) -> Option<TokenView> {
    let TokenPreview::Issued {
        alg,
        kid,
        length,
        left_out,
        claims,
    } = preview
    else {
        return None;
    };
    let verdicts = server_of(app, &claims).map_or_else(Vec::new, |server| {
        verdicts(&Seen {
            claims: &claims,
            alg,
            server: &server,
            issuer: app.issuer.as_str(),
        })
    });
    Some(TokenView {
        header: format!(
            "{{\n  \"typ\": \"at+jwt\",\n  \"alg\": \"{alg}\",\n  \"kid\": \"{kid}\"\n}}"
        ),
        times: times(&claims, app.clock.now(), zone),
        verdicts,
        claims: serde_json::to_string_pretty(&claims).unwrap_or_default(),
        length,
        is_long: length >= LONG_TOKEN,
        left_out: (!left_out.is_empty()).then(|| left_out.to_string()),
    })
}

fn times(
    claims: &AccessTokenClaims,
    now: Timestamp,
    zone: &Zone,
) -> Vec<(&'static str, When, String)> {
    let named = [
        ("iat", Some(claims.iat)),
        ("nbf", claims.nbf),
        ("exp", Some(claims.exp)),
    ];
    named
        .into_iter()
        .filter_map(|(name, at)| {
            let at = Timestamp::from_seconds(at?);
            Some((name, when(at, now), zone.date_time(at)))
        })
        .collect()
}

/// The request, with the secret as a variable.
fn curl(app: &App, entry: &ClientEntry, asked: &Asked) -> String {
    let endpoint = format!("{}{}", app.issuer, crate::config::TOKEN_ENDPOINT);
    let mut curl = format!(
        "curl {} \\\n  -u \"{}:$CLIENT_SECRET\" \\\n  -d grant_type=client_credentials",
        shell(&endpoint),
        entry.client.id
    );
    for (name, value) in [("resource", &asked.resource), ("scope", &asked.scope)] {
        if !value.is_empty() {
            let pair = shell(&format!("{name}={value}"));
            // Writing to a String cannot fail.
            let _ = write!(curl, " \\\n  --data-urlencode {pair}");
        }
    }
    curl
}

impl Outcome {
    /// The first line.
    fn headline(&self) -> String {
        match &self.problem {
            Some(problem) => {
                let why = problem.why.trim_end_matches('.');
                format!("Would be refused: {why}.")
            }
            None => "A token would be issued.".to_owned(),
        }
    }
}
