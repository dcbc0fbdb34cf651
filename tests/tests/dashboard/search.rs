//! Searching on pages.

use jeton_tests::{Admin, Jeton};
use serde_json::json;

#[tokio::test]
async fn pages_find_a_name_whatever_the_case_of_its_letters() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let name = json!({ "name": "Équipe Ñandú" });
    let url = "http://localhost:3002/mcp";
    let server = operator.mcp_server_with(url, &["a"], name.clone()).await;
    let client = operator.client_with(&server, name).await.client_id;
    // On another server: events that show this one's name are found too.
    let elsewhere = operator
        .mcp_server("http://localhost:3003/mcp", &["a"])
        .await;
    let other = operator.client(&elsewhere, &["a"]).await.client_id;
    let on_server = format!("/dashboard/mcp-servers/{server}/clients");
    for text in ["Équipe", "équipe", "ÉQUIPE", "e\u{301}QUIPE", "ñandú"] {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for (page, expected) in [
            ("/dashboard/mcp-servers", &server),
            ("/dashboard/clients", &client),
            (&on_server, &client),
            ("/dashboard/audit", &client),
        ] {
            let path = format!("{page}?q={query}");
            let found = admin.page(&path).await;
            assert!(found.contains(expected.as_str()), "{path}: {found}");
            assert!(!found.contains(&other), "{path}: {found}");
        }
    }
    let nobody = admin.page("/dashboard/clients?q=equipe").await;
    assert!(!nobody.contains(&client), "accents count");
    // A name that is changed is found by the new one.
    let path = format!("/clients/{client}");
    operator.patch(&path, json!({ "name": "ÆØÅ" })).await;
    let found = admin.page("/dashboard/clients?q=%C3%A6%C3%B8%C3%A5").await;
    assert!(found.contains(&client), "{found}");
    let found = admin.page("/dashboard/clients?q=%C3%A9quipe").await;
    assert!(!found.contains(&client), "{found}");
}
