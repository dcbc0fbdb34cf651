//! The fields of an MCP server, when it is added and in its settings.

use jeton_core::{
    Description, DisplayName, McpServer, ResourceUri, Scope, SigningAlgorithm, TokenProfile,
    TokenTtl,
};

use crate::dashboard::format::{seconds, split_lifetime};
use crate::dashboard::view::{ScopeView, scope_choices};
use crate::dashboard::{Errors, PostedForm};
use crate::service::{DeclaredScope, server_urls};

/// As many rows are empty at the end of the list of scopes.
const EMPTY_ROWS: usize = 3;

/// The form as it is shown.
#[derive(Debug)]
pub(crate) struct ServerForm {
    pub(crate) name: String,
    pub(crate) url: String,
    /// One a line.
    pub(crate) aliases: String,
    pub(crate) description: String,
    pub(crate) token_ttl: String,
    pub(crate) token_ttl_unit: String,
    pub(crate) signing_alg: String,
    pub(crate) token_profile: String,
    pub(crate) own_issuer: bool,
    pub(crate) scopes: Vec<ScopeView>,
    pub(crate) errors: Errors,
}

/// What it says.
pub(super) struct ServerFields {
    pub(super) name: DisplayName,
    pub(super) url: ResourceUri,
    /// Nothing where the form does not have them.
    pub(super) aliases: Option<Vec<ResourceUri>>,
    pub(super) description: Description,
    pub(super) token_ttl: TokenTtl,
    pub(super) signing_alg: SigningAlgorithm,
}

impl ServerForm {
    pub(super) fn empty() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            aliases: String::new(),
            description: String::new(),
            token_ttl: "1".into(),
            token_ttl_unit: "hours".into(),
            signing_alg: SigningAlgorithm::default().to_string(),
            token_profile: TokenProfile::Compatible.as_str().into(),
            own_issuer: false,
            scopes: with_empty_rows(Vec::new()),
            errors: Errors::default(),
        }
    }

    pub(super) fn of(server: &McpServer) -> Self {
        let (token_ttl, unit) = split_lifetime(server.token_ttl.as_seconds());
        Self {
            name: server.name.to_string(),
            url: server.url.to_string(),
            aliases: lines(&server.aliases),
            description: server.description.to_string(),
            token_ttl: token_ttl.to_string(),
            token_ttl_unit: unit.into(),
            signing_alg: server.signing_alg.to_string(),
            token_profile: server.token_profile.as_str().into(),
            own_issuer: server.own_issuer,
            scopes: with_empty_rows(scope_choices(server, &server.scope_set())),
            errors: Errors::default(),
        }
    }

    /// Whether something differs in the fields that most servers leave as they are.
    pub(crate) fn has_more(&self) -> bool {
        let usual = Self::empty();
        !self.aliases.is_empty()
            || !self.description.is_empty()
            || (&self.token_ttl, &self.token_ttl_unit) != (&usual.token_ttl, &usual.token_ttl_unit)
            || self.signing_alg != usual.signing_alg
    }

    /// Notes what somebody else saved since this was opened.
    pub(super) fn note_stale(&mut self, saved: &McpServer) {
        let saved = Self::of(saved);
        let lifetime = |form: &Self| format!("{} {}", form.token_ttl, form.token_ttl_unit);
        let own_issuer = |form: &Self| if form.own_issuer { "yes" } else { "no" }.to_owned();
        let fields = [
            ("Name", self.name.clone(), saved.name.clone()),
            ("URL", self.url.clone(), saved.url.clone()),
            ("Aliases", self.aliases.clone(), saved.aliases.clone()),
            (
                "Description",
                self.description.clone(),
                saved.description.clone(),
            ),
            ("Token lifetime", lifetime(self), lifetime(&saved)),
            (
                "Signing algorithm",
                self.signing_alg.clone(),
                saved.signing_alg.clone(),
            ),
            (
                "Token profile",
                self.token_profile.clone(),
                saved.token_profile.clone(),
            ),
            ("Separate issuer", own_issuer(self), own_issuer(&saved)),
        ];
        self.errors.note_stale(fields);
    }

    /// What somebody sent, to be shown again with what is wrong.
    pub(super) fn again(form: &PostedForm, errors: Errors) -> Self {
        let text = |name| form.text(name).to_owned();
        let scopes = (1..).zip(scope_rows(form)).map(|(number, row)| ScopeView {
            name: row.name.to_owned(),
            description: row.description.to_owned(),
            implies: row.implies.unwrap_or_default().to_owned(),
            checked: true,
            problem: errors.get(&row_field(number)).cloned(),
        });
        let scopes = with_empty_rows(scopes.collect());
        Self {
            name: text("name"),
            url: text("url"),
            aliases: text("aliases"),
            description: text("description"),
            token_ttl: text("token_ttl"),
            token_ttl_unit: text("token_ttl_unit"),
            signing_alg: text("signing_alg"),
            token_profile: text("token_profile"),
            own_issuer: form.is_ticked("own_issuer"),
            scopes,
            errors,
        }
    }
}

fn with_empty_rows(mut scopes: Vec<ScopeView>) -> Vec<ScopeView> {
    scopes.extend((0..EMPTY_ROWS).map(|_| ScopeView::default()));
    scopes
}

fn lines(urls: &[ResourceUri]) -> String {
    let lines: Vec<_> = urls.iter().map(ResourceUri::as_given).collect();
    lines.join("\n")
}

/// A row of the list of scopes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeRow<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    /// Names with spaces between them, if the form has that field.
    pub(super) implies: Option<&'a str>,
}

/// Rows that are not empty.
pub(super) fn scope_rows(form: &PostedForm) -> impl Iterator<Item = ScopeRow<'_>> {
    let implies = form.all("scope_implies").map(|names| Some(names.trim()));
    form.all("scope_name")
        .map(str::trim)
        .zip(form.all("scope_description"))
        .zip(implies.chain(std::iter::repeat(None)))
        .map(|((name, description), implies)| ScopeRow {
            name,
            description,
            implies,
        })
        .filter(|row| {
            let implies = row.implies.unwrap_or_default();
            !(row.name.is_empty() && row.description.trim().is_empty() && implies.is_empty())
        })
}

/// What errors call a row of the list of scopes, counted from one.
pub(super) fn row_field(number: usize) -> String {
    format!("scope-row-{number}")
}

/// The scopes that a form defines. Every row that is wrong is noted.
pub(super) fn scopes(form: &PostedForm, errors: &mut Errors) -> Option<Vec<DeclaredScope>> {
    let rows = (1..).zip(scope_rows(form));
    let scopes: Vec<_> = rows
        .map(|(number, row)| match scope(row) {
            Ok(scope) => Some(scope),
            Err(problem) => {
                errors.add(&row_field(number), problem);
                None
            }
        })
        .collect();
    scopes.into_iter().collect()
}

fn scope(row: ScopeRow<'_>) -> Result<DeclaredScope, String> {
    let name: Scope = row.name.parse().map_err(|_| SCOPE_RULE.to_owned())?;
    let parse_implied = |names: &str| {
        let names = names.split_whitespace();
        names
            .map(|name| name.parse().map_err(|_| format!("{name}: {SCOPE_RULE}")))
            .collect::<Result<Vec<Scope>, String>>()
    };
    Ok(DeclaredScope {
        name,
        implies: row.implies.map(parse_implied).transpose()?,
        description: row
            .description
            .parse::<Description>()
            .map_err(|error| format!("Description: {error}"))?,
    })
}

/// RFC 6749 §3.3, in the one way in which forms say it.
pub(super) const SCOPE_RULE: &str = "A scope name has 1 to 128 letters, digits and punctuation marks, without spaces, \
                                     double quotes and backslashes.";

/// Whether the form only asks for more rows.
pub(super) fn wants_rows(form: &PostedForm) -> bool {
    form.is_ticked("more_rows")
}

/// The fields but for the scopes, of a server that is there or of a new one.
pub(super) fn fields(
    form: &PostedForm,
    before: Option<&McpServer>,
    errors: &mut Errors,
) -> Option<ServerFields> {
    let name = form.parse("name", errors);
    let parse = |text: &str| match before {
        Some(before) => server_urls::parse(before, text),
        None => text.parse(),
    };
    let url = errors.take("url", parse(form.text("url")));
    let aliases = match form.all("aliases").next() {
        None => Some(None),
        Some(lines) => {
            let lines = lines.split_whitespace();
            let urls = lines.map(parse).collect::<Result<_, _>>();
            errors.take("aliases", urls).map(Some)
        }
    };
    let description = form.parse("description", errors);
    let token_ttl = token_ttl(form, errors);
    let signing_alg = form.parse("signing_alg", errors);
    Some(ServerFields {
        name: name?,
        url: url?,
        aliases: aliases?,
        description: description?,
        token_ttl: token_ttl?,
        signing_alg: signing_alg?,
    })
}

fn token_ttl(form: &PostedForm, errors: &mut Errors) -> Option<TokenTtl> {
    let seconds = errors.take(
        "token_ttl",
        seconds(form.text("token_ttl"), form.text("token_ttl_unit")),
    )?;
    errors.take("token_ttl", TokenTtl::try_from(seconds))
}
