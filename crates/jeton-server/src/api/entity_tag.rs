//! Optimistic concurrency: an entity's version as its `ETag`, and `If-Match` (RFC 9110 §13.1.1), without which
//! nothing that has a version is changed.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::http::{ApiQuery, Problem};
use crate::service::grants::Seen;
use crate::service::mcp_servers::Consent;

/// The version that the caller saw, or nothing where it says with `*` that it overwrites whatever is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    /// RFC 6585 §3: whoever changes a thing says which version it read.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match only(&parts.headers, &IF_MATCH)? {
            Some(value) => if_match(value).map(Self),
            None => Err(Problem::precondition_required(
                "If-Match is missing: GET it, and send its ETag in If-Match, so that nobody's change is \
                 overwritten unseen; If-Match: * overwrites whatever is there",
            )),
        }
    }
}

/// A header that is there once or not at all.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_none() {
        return Ok(value);
    }
    let name = if name == IF_MATCH {
        "If-Match"
    } else {
        "If-None-Match"
    };
    Err(Problem::invalid(name, "expected this header once"))
}

fn if_match(value: &HeaderValue) -> Result<Option<i64>, Problem> {
    if value == "*" {
        return Ok(None);
    }
    let version = value
        .to_str()
        .ok()
        .and_then(|tag| tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok())
        // Tags are compared to the character (RFC 9110 §8.8.3.2).
        .filter(|version: &i64| value == format!("\"v{version}\"").as_str());
    version.map(Some).ok_or_else(|| {
        Problem::invalid(
            "If-Match",
            "expected one ETag as this API sends it, like \"v3\", or *",
        )
    })
}

/// What the caller saw of a grant: in `If-Match` its version, or `*` for any; or with `If-None-Match: *`
/// (RFC 9110 §13.1.2) that there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenGrant(pub(crate) Seen);

impl<S: Send + Sync> FromRequestParts<S> for SeenGrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let there = only(&parts.headers, &IF_MATCH)?;
        let none = only(&parts.headers, &IF_NONE_MATCH)?;
        let seen = match (there, none) {
            (Some(value), None) => if_match(value)?.map_or(Seen::Existing, Seen::Version),
            (None, Some(value)) if value == "*" => Seen::Nothing,
            (None, Some(_)) => {
                let detail = "expected *: make the grant only if there is none";
                return Err(Problem::invalid("If-None-Match", detail));
            }
            (Some(_), Some(_)) => {
                let detail = "expected If-Match or If-None-Match, not both";
                return Err(Problem::invalid("If-None-Match", detail));
            }
            (None, None) => {
                return Err(Problem::precondition_required(
                    "If-Match is missing: GET the client, and send the ETag \"vN\" of the grant, with its \
                     version for N, in If-Match; If-Match: * overwrites whatever is there. For a grant that \
                     is to be made, send If-None-Match: *",
                ));
            }
        };
        Ok(Self(seen))
    }
}

/// Whether the caller says with `If-Match: *` that it means whatever is there. This is for things that have no
/// version: the body of a request says what of them was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatchAny(bool);

impl<S: Send + Sync> FromRequestParts<S> for IfMatchAny {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match only(&parts.headers, &IF_MATCH)? {
            None => Ok(Self(false)),
            Some(value) if value == "*" => Ok(Self(true)),
            Some(_) => {
                let detail = "this has no ETag: expected *, or what was seen in the body";
                Err(Problem::invalid("If-Match", detail))
            }
        }
    }
}

impl IfMatchAny {
    /// What was seen, or nothing where the caller means whatever is there. `what` says what `member` has to hold.
    pub(crate) fn or_seen<T>(
        self,
        seen: Option<T>,
        member: &'static str,
        what: &str,
    ) -> Result<Option<T>, Problem> {
        match (self.0, seen) {
            (true, None) => Ok(None),
            (false, Some(seen)) => Ok(Some(seen)),
            (true, Some(_)) => {
                let detail = format!("expected {member} or If-Match: *, not both");
                Err(Problem::invalid("If-Match", detail))
            }
            (false, None) => Err(Problem::precondition_required(&format!(
                "{member} is missing: send {what}, so that nobody's change is overwritten unseen; \
                 If-Match: * overwrites whatever is there"
            ))),
        }
    }
}

/// Whether the caller knows the consequences of a change.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfirmQuery {
    /// true: do it although it has the consequences that the answer 409 with the type
    /// urn:jeton:problem:confirmation-required names.
    #[serde(default)]
    pub(crate) confirm: bool,
}

/// The version that the caller saw, and whether it knows the consequences.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consenting(pub(crate) Consent);

impl<S: Send + Sync> FromRequestParts<S> for Consenting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let IfMatch(expected) = IfMatch::from_request_parts(parts, state).await?;
        let ApiQuery(query) = ApiQuery::<ConfirmQuery>::from_request_parts(parts, state).await?;
        Ok(Self(Consent {
            expected,
            confirmed: query.confirm,
        }))
    }
}

/// A JSON answer with its version as `ETag`.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) version: i64,
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"v{}\"", self.version)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_compared_to_the_character() {
        let seen = |tag: &'static str| if_match(&HeaderValue::from_static(tag));
        assert!(matches!(seen("\"v12\""), Ok(Some(12))));
        for other in [
            "\"v+12\"",
            "\"v012\"",
            "\"v-0\"",
            "W/\"v12\"",
            "\"12\"",
            "v12",
            "\"v12\", \"v13\"",
        ] {
            assert!(seen(other).is_err(), "{other}");
        }
    }
}
