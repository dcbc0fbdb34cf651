//! Long lists, page by page.

use std::collections::BTreeSet;

use jeton_tests::{Admin, Jeton};
use serde_json::json;

/// What a list leads to, page after page: the IDs in the order of the rows.
async fn pages(admin: &Admin, first: &str, prefix: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = admin.page(&path).await;
        let row = format!("class=\"row clamp\" href=\"{prefix}");
        pages.push(
            page.split(&row)
                .skip(1)
                .map(|row| row.split('"').next().unwrap().to_owned())
                .collect(),
        );
        next = page.split_once("rel=\"next\"").map(|(before, _)| {
            let href = before.rsplit_once("href=\"").unwrap().1;
            href.split('"')
                .next()
                .unwrap()
                .replace("&amp;", "&")
                .replace("&#38;", "&")
        });
    }
    pages
}

#[tokio::test]
async fn every_client_is_on_one_page_of_each_list_in_the_order_asked_for() {
    let jeton = Jeton::start().await;
    let admin = Admin::first(&jeton).await;
    let operator = jeton.operator().await;
    let server = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let mut made = BTreeSet::new();
    for number in 0..65 {
        // Two of each name, so that a page may end between them.
        let name = format!("agent {:02}", (number * 7) % 33);
        let client = operator
            .client_with(&server, json!({ "name": name, "scopes": ["a"] }))
            .await;
        made.insert(client.client_id);
    }
    let on_server = format!("/dashboard/mcp-servers/{server}/clients");
    for list in ["/dashboard/clients", &on_server] {
        for sort in ["name", "-name", "created", "", "last", "-last"] {
            let path = format!("{list}?sort={sort}");
            let pages = pages(&admin, &path, "/dashboard/clients/").await;
            let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
            assert_eq!(lengths, [30, 30, 5], "{path}");
            let all: BTreeSet<_> = pages.concat().into_iter().collect();
            assert_eq!(all, made, "{path}");
        }
    }
}
