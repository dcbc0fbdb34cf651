//! What the forms say they were made from: none of them overwrites what somebody else changed since.

use std::collections::BTreeSet;

use jeton_tests::forms_in;
use serde_json::json;

use crate::world::World;

/// Forms that change what is there. Each says what it was made from.
const OF_A_VERSION: [&str; 16] = [
    "clients/{id}/default-mcp-server",
    "clients/{id}/delete",
    "clients/{id}/enable",
    "clients/{id}/grants",
    "clients/{id}/grants/{id}/delete",
    "clients/{id}/secrets/rotate",
    "clients/{id}/settings",
    "mcp-servers/{id}/clients/{id}/scopes",
    "mcp-servers/{id}/delete",
    "mcp-servers/{id}/scopes",
    "mcp-servers/{id}/scopes/rename",
    "mcp-servers/{id}/settings",
    "retired-urls/release",
    "settings/admins/{id}/remove",
    "settings/admins/{id}/role",
    "signing-keys/replace",
];

/// Forms that add something, or take access away: it is never too late for these, whatever changed since.
const OF_ANY_VERSION: [&str; 15] = [
    "clients/{id}/disable",
    "clients/{id}/revoke-tokens",
    "clients/{id}/secrets",
    "mcp-servers",
    "mcp-servers/{id}/clients",
    "mcp-servers/{id}/revoke-tokens",
    "mcp-servers/{id}/secrets",
    "secrets/{id}/revoke",
    "settings/admins/{id}/reset",
    "settings/invitations",
    "settings/invitations/{id}/revoke",
    // It asks for the old password.
    "settings/password",
    // Where the next key is waiting already, this is refused.
    "signing-keys/rotate",
    "sign-out",
    "sign-out-everywhere",
];

/// An action without IDs.
fn kind(action: &str) -> String {
    let parts = action.trim_start_matches("/dashboard/").split('/');
    let parts = parts.map(|part| match part.split_once('_') {
        Some((_, id)) if id.len() >= 20 => "{id}",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn a_form_that_does_not_say_what_it_was_made_from_changes_nothing() {
    let world = World::new().await;
    let operator = world.jeton.operator().await;
    world.viewer().await;
    // An open invitation, a URL that is retired, and a client that is disabled.
    world.invitation().await;
    let gone = operator.mcp_server("http://localhost:9/mcp", &[]).await;
    operator.delete(&format!("/mcp-servers/{gone}")).await;
    let mut forms = world.forms().await;
    let client = format!("/clients/{}", world.client);
    let disable = json!({ "status": "disabled" });
    operator.patch(&client, disable).await;
    forms.extend(world.forms().await);
    let vera = world.id_of("vera@example.com").await;
    let path = format!("/dashboard/settings/admins/{vera}/remove");
    forms.extend(forms_in(&world.admin.page(&path).await, &path));
    let path = world.cancelling().await;
    forms.extend(forms_in(&world.admin.page(&path).await, &path));

    let before = world.changed().await;
    let (mut conditional, mut unconditional) = (BTreeSet::new(), BTreeSet::new());
    for form in forms {
        let kind = kind(&form.action);
        if form.seen().is_empty() {
            unconditional.insert(kind);
            continue;
        }
        let hidden = form.hidden.iter();
        let hidden = hidden.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut fields: Vec<_> = hidden
            .filter(|field| !form.seen().contains(field))
            .collect();
        // What a person types to delete it.
        let name = ["agent", "Todo"][usize::from(kind.starts_with("mcp-servers"))];
        fields.push(("confirm", name));
        let answer = world.admin.post(&form.action, &fields).await;
        assert_eq!(answer.status(), 422, "{kind}");
        let page = answer.text().await.unwrap();
        let says = ["does not say which version", "Nothing was rotated"];
        assert!(
            says.iter().any(|text| page.contains(text)),
            "{kind}: {page}"
        );
        conditional.insert(kind);
    }
    assert_eq!(world.changed().await, before, "something was changed");
    assert_eq!(conditional, OF_A_VERSION.map(str::to_owned).into());
    assert_eq!(unconditional, OF_ANY_VERSION.map(str::to_owned).into());
}
