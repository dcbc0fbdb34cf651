//! The fields of a client, when it is created and in its settings.

use std::time::Duration;

use http::StatusCode;
use jeton_core::{Client, CustomClaims, Description, DisplayName, Scope, ScopeSet, TokenTtl};
use serde_json::{Map, Value};

use crate::dashboard::format::{seconds, split_lifetime};
use crate::dashboard::view::ScopeView;
use crate::dashboard::{Errors, PageError, PostedForm};

/// The longest life of a secret.
const MAX_EXPIRY: i64 = 10 * 365 * 86_400;

/// The form as it is shown.
#[derive(Debug)]
pub(crate) struct ClientForm {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) token_ttl: String,
    pub(crate) token_ttl_unit: String,
    pub(crate) custom_claims: String,
    pub(crate) secret_expiry: String,
    pub(crate) secret_expiry_unit: String,
    pub(crate) scopes: Vec<ScopeView>,
    /// The sealed ID of the client that it will create.
    pub(crate) key: String,
    pub(crate) errors: Errors,
}

/// What it says.
pub(in crate::dashboard) struct ClientFields {
    pub(in crate::dashboard) name: DisplayName,
    pub(in crate::dashboard) description: Description,
    pub(in crate::dashboard) token_ttl: Option<TokenTtl>,
    pub(in crate::dashboard) custom_claims: CustomClaims,
}

impl ClientForm {
    pub(in crate::dashboard) fn empty(scopes: Vec<ScopeView>) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            token_ttl: String::new(),
            token_ttl_unit: "minutes".into(),
            custom_claims: String::new(),
            secret_expiry: String::new(),
            secret_expiry_unit: "days".into(),
            scopes,
            key: String::new(),
            errors: Errors::default(),
        }
    }

    pub(super) fn of(client: &Client) -> Self {
        let mut form = Self::empty(Vec::new());
        form.name = client.name.to_string();
        form.description = client.description.to_string();
        if let Some(token_ttl) = client.token_ttl {
            let (number, unit) = split_lifetime(token_ttl.as_seconds());
            form.token_ttl = number.to_string();
            form.token_ttl_unit = unit.into();
        }
        if !client.custom_claims.is_empty() {
            form.custom_claims =
                serde_json::to_string_pretty(&client.custom_claims).unwrap_or_default();
        }
        form
    }

    /// Whether something is in the fields that most clients leave empty.
    pub(crate) fn has_more(&self) -> bool {
        let fields = [
            &self.description,
            &self.token_ttl,
            &self.custom_claims,
            &self.secret_expiry,
        ];
        fields.iter().any(|field| !field.is_empty())
    }

    /// Notes what somebody else saved since this was opened.
    pub(super) fn note_stale(&mut self, saved: &Client) {
        let saved = Self::of(saved);
        let lifetime = |form: &Self| match form.token_ttl.as_str() {
            "" => String::new(),
            number => format!("{number} {}", form.token_ttl_unit),
        };
        let fields = [
            ("Name", self.name.clone(), saved.name.clone()),
            (
                "Description",
                self.description.clone(),
                saved.description.clone(),
            ),
            ("Token lifetime", lifetime(self), lifetime(&saved)),
            (
                "Custom claims",
                self.custom_claims.clone(),
                saved.custom_claims.clone(),
            ),
        ];
        self.errors.note_stale(fields);
    }

    /// What somebody sent, to be shown again with what is wrong.
    pub(in crate::dashboard) fn again(
        form: &PostedForm,
        scopes: Vec<ScopeView>,
        errors: Errors,
    ) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            name: text("name"),
            description: text("description"),
            token_ttl: text("token_ttl"),
            token_ttl_unit: text("token_ttl_unit"),
            custom_claims: text("custom_claims"),
            secret_expiry: text("secret_expiry"),
            secret_expiry_unit: text("secret_expiry_unit"),
            scopes,
            key: text("form_key"),
            errors,
        }
    }
}

/// The fields of a form.
pub(in crate::dashboard) fn fields(form: &PostedForm, errors: &mut Errors) -> Option<ClientFields> {
    let name = form.parse("name", errors);
    let description = form.parse("description", errors);
    let token_ttl = token_ttl(form, errors);
    let custom_claims = custom_claims(form.text("custom_claims"), errors);
    Some(ClientFields {
        name: name?,
        description: description?,
        token_ttl: token_ttl?,
        custom_claims: custom_claims?,
    })
}

fn token_ttl(form: &PostedForm, errors: &mut Errors) -> Option<Option<TokenTtl>> {
    let number = form.text("token_ttl");
    if number.trim().is_empty() {
        return Some(None);
    }
    let seconds = errors.take("token_ttl", seconds(number, form.text("token_ttl_unit")))?;
    errors
        .take("token_ttl", TokenTtl::try_from(seconds))
        .map(Some)
}

fn custom_claims(text: &str, errors: &mut Errors) -> Option<CustomClaims> {
    if text.trim().is_empty() {
        return Some(CustomClaims::default());
    }
    let claims: Map<String, Value> = errors.take(
        "custom_claims",
        serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}")),
    )?;
    errors.take("custom_claims", CustomClaims::try_from(claims))
}

/// A lifetime that may be left out.
pub(in crate::dashboard) fn optional_lifetime(
    form: &PostedForm,
    name: &'static str,
    errors: &mut Errors,
) -> Option<Option<Duration>> {
    let number = form.text(name);
    if number.trim().is_empty() {
        return Some(None);
    }
    let unit = form.text(&format!("{name}_unit")).to_owned();
    let seconds = errors.take(name, seconds(number, &unit))?;
    if seconds > MAX_EXPIRY {
        errors.add(name, "expected at most ten years");
        return None;
    }
    Some(u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// The scopes that are ticked, on a form that has nothing else to correct.
pub(in crate::dashboard) fn required_scopes(form: &PostedForm) -> Result<ScopeSet, PageError> {
    ticked_scopes(form, &mut Errors::default()).ok_or(PageError::Refused(
        StatusCode::UNPROCESSABLE_ENTITY,
        "One of the scopes is no scope name.",
    ))
}

/// The scopes that are ticked.
pub(in crate::dashboard) fn ticked_scopes(
    form: &PostedForm,
    errors: &mut Errors,
) -> Option<ScopeSet> {
    let scopes = form.all("scope").map(str::parse::<Scope>);
    errors.take("scopes", scopes.collect::<Result<ScopeSet, _>>())
}
