//! What a change changed, in its audit event: each field that differs, before and after.
//!
//! `detail.changes` is `{"name": {"before": "a", "after": "b"}}`. What was created has nothing before, what was
//! deleted nothing after. No field holds a secret: of secrets, what pages show is recorded.

use jeton_core::{
    Admin, AuditEvent, Client, ClientSecret, DefinedScopes, McpServer, ResourceUri, Scope,
    ScopeSet, SecretState, Timestamp, redact,
};
use serde_json::{Map, Value, json};

/// The member of an event's detail.
pub(crate) const CHANGES: &str = "changes";
/// The most that is recorded of one value, in bytes.
const LONGEST: usize = 4 * 1024;

/// A thing's fields by name, as they are recorded.
type Fields = Vec<(&'static str, Value)>;

/// Notes in an event what differs between a thing's fields before and after a change.
fn note(event: &mut AuditEvent, before: Option<Fields>, after: Option<Fields>) {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let find = |fields: &Fields, name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    };
    let names = if after.is_empty() { &before } else { &after };
    let mut changes = Map::new();
    for (name, _) in names {
        let (old, new) = (find(&before, name), find(&after, name));
        if old != new && !(is_nothing(&old) && is_nothing(&new)) {
            let change = json!({ "before": limited(old), "after": limited(new) });
            changes.insert((*name).to_owned(), change);
        }
    }
    if changes.is_empty() {
        return;
    }
    match event.detail.get_mut(CHANGES) {
        Some(Value::Object(noted)) => noted.extend(changes),
        _ => {
            event.detail.insert(CHANGES.to_owned(), changes.into());
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn limited(value: Value) -> Value {
    let length = serde_json::to_string(&value).map_or(0, |text| text.len());
    if length <= LONGEST {
        return value;
    }
    match value {
        Value::String(text) => {
            let end = text.floor_char_boundary(LONGEST);
            format!("{}…", text.get(..end).unwrap_or_default()).into()
        }
        _ => format!("({length} bytes, too long to be recorded)").into(),
    }
}

fn time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}

/// Notes one field.
pub(crate) fn note_field(
    event: &mut AuditEvent,
    name: &'static str,
    before: impl Into<Value>,
    after: impl Into<Value>,
) {
    let (before, after) = (vec![(name, before.into())], vec![(name, after.into())]);
    note(event, Some(before), Some(after));
}

/// Notes a client's change.
pub(crate) fn note_client(event: &mut AuditEvent, before: Option<&Client>, after: Option<&Client>) {
    note(event, before.map(client), after.map(client));
}

fn client(client: &Client) -> Fields {
    let default = client.default_mcp_server.map(|id| id.to_string());
    // Whatever an operator put there by mistake, a secret is not kept here.
    let claims = serde_json::to_string(client.custom_claims.as_map()).unwrap_or_default();
    let claims = serde_json::from_str(&redact(&claims)).unwrap_or(Value::Null);
    vec![
        ("name", client.name.as_str().into()),
        ("description", client.description.to_string().into()),
        ("status", client.status.as_str().into()),
        (
            "token_ttl",
            client
                .token_ttl
                .map(jeton_core::TokenTtl::as_seconds)
                .into(),
        ),
        ("custom_claims", claims),
        ("default_mcp_server_id", default.into()),
    ]
}

/// Notes the change of a client's scopes on a server.
pub(crate) fn note_scopes(
    event: &mut AuditEvent,
    before: Option<&ScopeSet>,
    after: Option<&ScopeSet>,
) {
    let scopes = |set: &ScopeSet| vec![("scopes", names(set.iter()))];
    note(event, before.map(scopes), after.map(scopes));
}

fn names<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Value {
    scopes.map(Scope::as_str).collect::<Vec<_>>().into()
}

/// Notes an MCP server's change. Of its scopes, those that differ.
pub(crate) fn note_mcp_server(
    event: &mut AuditEvent,
    before: Option<&McpServer>,
    after: Option<&McpServer>,
) {
    note(event, before.map(mcp_server), after.map(mcp_server));
    let scopes = |one: Option<&McpServer>, other: Option<&McpServer>| {
        one.map(|one| {
            vec![(
                "scopes",
                defined(&one.scopes, other.map(|other| &other.scopes)),
            )]
        })
    };
    note(event, scopes(before, after), scopes(after, before));
}

fn mcp_server(server: &McpServer) -> Fields {
    let aliases = server.aliases.iter().map(ResourceUri::as_given);
    vec![
        ("name", server.name.as_str().into()),
        ("description", server.description.to_string().into()),
        ("url", server.url.as_given().into()),
        ("aliases", aliases.collect::<Vec<_>>().into()),
        ("token_ttl", server.token_ttl.as_seconds().into()),
        ("signing_alg", server.signing_alg.as_str().into()),
        ("token_profile", server.token_profile.as_str().into()),
        ("own_issuer", server.own_issuer.into()),
    ]
}

/// Scopes that another set defines otherwise or not at all.
fn defined(scopes: &DefinedScopes, other: Option<&DefinedScopes>) -> Value {
    let same = |scope: &jeton_core::ScopeDefinition| {
        other.is_some_and(|other| other.iter().any(|known| known == scope))
    };
    let differing = scopes.iter().filter(|scope| !same(scope));
    let fields: Map<_, _> = differing
        .map(|scope| {
            let mut told = Map::new();
            if !scope.description.as_str().is_empty() {
                told.insert("description".into(), scope.description.to_string().into());
            }
            if !scope.implies.is_empty() {
                told.insert("implies".into(), names(scope.implies.iter()));
            }
            (scope.name.to_string(), told.into())
        })
        .collect();
    fields.into()
}

/// Notes a secret's change, without the secret.
pub(crate) fn note_secret(
    event: &mut AuditEvent,
    before: Option<&ClientSecret>,
    after: Option<&ClientSecret>,
    now: Timestamp,
) {
    let fields = |secret: &ClientSecret| {
        vec![
            ("status", secret.state(now).as_str().into()),
            ("expires_at", time(secret.expires_at)),
        ]
    };
    note(event, before.map(fields), after.map(fields));
}

/// Notes when a secret that works expires from now on, where that is earlier than before.
pub(crate) fn note_expiry(
    event: &mut AuditEvent,
    secret: &ClientSecret,
    at: Timestamp,
    now: Timestamp,
) {
    let is_earlier = secret.expires_at.is_none_or(|expires_at| at < expires_at);
    if secret.state(now) != SecretState::Active || !is_earlier {
        return;
    }
    let change = json!({ "before": time(secret.expires_at), "after": time(Some(at)) });
    if let Value::Object(changes) = event
        .detail
        .entry(CHANGES)
        .or_insert_with(|| Map::new().into())
    {
        changes.insert(format!("secret …{} expires", secret.suffix), change);
    }
}

/// Notes an admin's change, and who it is.
pub(crate) fn note_admin(event: &mut AuditEvent, before: Option<&Admin>, after: Option<&Admin>) {
    let fields = |admin: &Admin| {
        vec![
            ("name", admin.name.as_str().into()),
            ("email", admin.email.as_str().into()),
            ("role", admin.role.as_str().into()),
        ]
    };
    if let Some(admin) = after.or(before) {
        let detail = &mut event.detail;
        detail.insert("name".into(), admin.name.as_str().into());
        detail.insert("email".into(), admin.email.as_str().into());
    }
    note(event, before.map(fields), after.map(fields));
}
