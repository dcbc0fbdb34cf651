//! Links below the issuer's path. Templates and handlers write paths as if the dashboard were at the root of its
//! host; here, in one place that no new page can forget, the issuer's path comes before them: in `Location`, and
//! in the attributes of a page that hold a path.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue};

use super::PageError;
use crate::app::App;

/// The attributes of a page that hold a path.
const ATTRIBUTES: [&str; 4] = [" href", " src", " action", " formaction"];

/// More than any page has, in bytes.
const LARGEST_PAGE: usize = 64 * 1024 * 1024;

/// Puts the issuer's path before the paths in an answer of the dashboard.
pub(crate) async fn below_issuer_path(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let path = app.issuer.path();
    if let Some(location) = below(path, response.headers()) {
        response.headers_mut().insert(LOCATION, location);
    }
    if !is_page(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let page = to_bytes(body, LARGEST_PAGE).await;
    let page = page.map(|page| String::from_utf8(page.into()));
    let Ok(Ok(page)) = page else {
        return PageError::Render("a page is no text".into()).into_response();
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Bytes::from(link_below(path, &page))))
}

fn below(path: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let is_ours = location.starts_with('/') && !location.starts_with("//");
    is_ours.then(|| HeaderValue::try_from(format!("{path}{location}")).ok())?
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// What people wrote cannot look like an attribute: in a page its quotation marks are escaped.
fn link_below(path: &str, page: &str) -> String {
    let mut linked = String::with_capacity(page.len() + page.len() / 8);
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("=\"/") {
        linked.push_str(before);
        linked.push_str("=\"");
        if ATTRIBUTES.iter().any(|name| before.ends_with(name)) {
            linked.push_str(path);
        }
        linked.push('/');
        rest = after;
    }
    linked.push_str(rest);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_attributes_move_and_nothing_else_does() {
        let page = "<a class=\"x\" href=\"/dashboard\">/dashboard</a><form method=\"post\" action=\"/a/b\">\
            <input name=\"next\" value=\"/dashboard\"><script src=\"/s.js\"></script>\
            <a href=\"https://a.example/x\">x</a><a href=\"#top\">y</a><code>href=&quot;/z&quot;</code>";
        assert_eq!(
            link_below("/auth", page),
            page.replace("href=\"/dashboard\"", "href=\"/auth/dashboard\"")
                .replace("action=\"/a/b\"", "action=\"/auth/a/b\"")
                .replace("src=\"/s.js\"", "src=\"/auth/s.js\"")
        );
    }

    #[test]
    fn a_redirect_to_another_site_stays_as_it_is() {
        let moved = |location: &'static str| {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            below("/auth", &headers).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(moved("/dashboard?x").as_deref(), Some("/auth/dashboard?x"));
        assert_eq!(moved("https://login.example.com/x"), None);
        assert_eq!(moved("//login.example.com/x"), None);
    }
}
