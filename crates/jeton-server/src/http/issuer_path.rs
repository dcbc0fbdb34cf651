//! The path of the issuer in front of every route (`https://tools.example.com/auth`): routes do not know it.
//!
//! There is one spelling of each address: a proxy in front passes the path on. What is outside the path is not
//! this server's, but for the metadata that RFC 8414 §3.1 and RFC 9728 §3.1 put at the root of the host, and for
//! health, which probes ask for without a proxy.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};

use super::cors::allow_any_origin;
use super::error::OAuthError;
use super::problem::Problem;
use super::router::HEALTH_PATHS;
use crate::config::Issuer;
use crate::oauth;

/// Where well-known documents are, at the root of a host.
const WELL_KNOWN: [&str; 3] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
];

/// The address of a route, from that of a request below `issuer_path`; nothing where it is outside.
pub(super) fn route(issuer_path: &str, uri: &Uri) -> Option<Uri> {
    let mut route = path_of_route(issuer_path, uri.path())?;
    if let Some(query) = uri.query() {
        route.push('?');
        route.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(route)).ok()?);
    Uri::from_parts(parts).ok()
}

fn path_of_route(issuer_path: &str, path: &str) -> Option<String> {
    if HEALTH_PATHS.contains(&path) {
        return Some(path.to_owned());
    }
    if let Some(rest) = below(issuer_path, path) {
        return Some(if rest.is_empty() { "/" } else { rest }.to_owned());
    }
    WELL_KNOWN.iter().find_map(|document| {
        let rest = below(issuer_path, path.strip_prefix(document)?)?;
        Some(format!("{document}{rest}"))
    })
}

/// What follows `prefix` in `path`, at the border of a segment.
fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` without the issuer's; as it is where it is outside.
pub(super) fn without<'a>(issuer_path: &str, path: &'a str) -> &'a str {
    below(issuer_path, path).unwrap_or(path)
}

/// Whether somebody asks about health, with the path or without.
pub(super) fn is_about_health(issuer_path: &str, path: &str) -> bool {
    HEALTH_PATHS.contains(&path)
        || below(issuer_path, path).is_some_and(|rest| HEALTH_PATHS.contains(&rest))
}

/// The answer outside the issuer's path, in the form of those at `path` below it.
pub(super) fn outside(issuer: &Issuer, path: &str) -> Response {
    let text = format!(
        "the issuer of this server is {issuer}, so every path begins with {}; a reverse proxy in front has to pass the path on unchanged",
        issuer.path()
    );
    if oauth::is_oauth_path(path) {
        let error = OAuthError::invalid_request(StatusCode::NOT_FOUND, &text);
        let mut response = error.into_response();
        allow_any_origin(response.headers_mut());
        return response;
    }
    Problem::not_found(text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(uri: &str) -> Option<String> {
        route("/auth", &uri.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn a_path_below_the_issuers_is_a_route() {
        for (uri, expected) in [
            ("/auth", "/"),
            ("/auth/", "/"),
            ("/auth?x=1", "/?x=1"),
            ("/auth/dashboard/audit?q=%2F", "/dashboard/audit?q=%2F"),
            ("/auth/auth/keys", "/auth/keys"),
            ("http://a.example/auth/keys", "http://a.example/keys"),
            ("/healthz", "/healthz"),
            ("/auth/readyz", "/readyz"),
            (
                "/.well-known/oauth-authorization-server/auth",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "/.well-known/openid-configuration/auth/resources/res_1",
                "/.well-known/openid-configuration/resources/res_1",
            ),
            (
                "/.well-known/oauth-protected-resource/auth/api",
                "/.well-known/oauth-protected-resource/api",
            ),
            (
                "/auth/.well-known/openid-configuration",
                "/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(route_of(uri).as_deref(), Some(expected), "{uri}");
        }
    }

    #[test]
    fn another_spelling_of_the_path_is_outside() {
        for uri in [
            "/",
            "/dashboard",
            "/oauth/token",
            "/keys",
            "/authx",
            "/authx/dashboard",
            "/Auth/dashboard",
            "//auth/dashboard",
            "/%61uth/dashboard",
            "/x/../auth/dashboard",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/authx",
            "/.well-known/oauth-authorization-server/other/auth",
            "/.well-known/jwks.json/auth",
            "/healthz/",
        ] {
            assert_eq!(route_of(uri), None, "{uri}");
        }
    }
}
