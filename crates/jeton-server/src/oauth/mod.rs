//! The OAuth endpoints.

pub(crate) mod authorize;
mod client_auth;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod revoke;
pub(crate) mod token;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use http::StatusCode;

use crate::http::OAuthError;

/// The answer to a method that an endpoint does not take; the `Allow` header says which it does.
pub(crate) async fn method_not_allowed() -> OAuthError {
    OAuthError::invalid_request(
        StatusCode::METHOD_NOT_ALLOWED,
        "this endpoint does not take this method; see the Allow header",
    )
}

/// The `{res_id}` of a path, whatever stands there.
type ResourcePath = Result<Path<String>, PathRejection>;

/// Whether a path belongs to the OAuth endpoints: `/oauth/…` and `/resources/{res_id}/oauth/…`, doubled
/// slashes aside.
pub(crate) fn is_oauth_path(path: &str) -> bool {
    let mut segments = segments(path);
    match segments.next() {
        Some("oauth") => true,
        Some("resources") => segments.nth(1) == Some("oauth"),
        _ => false,
    }
}

/// The answer to such a path where no endpoint is.
pub(crate) fn no_such_endpoint(issuer_path: &str, path: &str) -> OAuthError {
    let written = path.bytes().filter(|byte| *byte == b'/').count();
    let description = if written > segments(path).count() {
        format!(
            "there is no endpoint at this path; write it without doubled or trailing slashes, as {issuer_path}/oauth/token"
        )
    } else {
        format!(
            "there is no endpoint at this path; the metadata at {issuer_path}/.well-known/oauth-authorization-server names them"
        )
    };
    OAuthError::invalid_request(StatusCode::NOT_FOUND, &description)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_paths_are_known_whatever_their_slashes() {
        for path in [
            "/oauth",
            "/oauth/",
            "//oauth/token",
            "/oauth//token/",
            "/resources/res_x/oauth/token/",
            "/resources//res_x//oauth",
        ] {
            assert!(is_oauth_path(path), "{path}");
        }
        for path in [
            "/",
            "",
            "/oauthx",
            "/api/oauth",
            "/resources/oauth/x",
            "/dashboard/oauth",
        ] {
            assert!(!is_oauth_path(path), "{path}");
        }
    }
}
