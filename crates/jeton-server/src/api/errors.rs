//! The errors that every endpoint of a kind documents.

use utoipa::IntoResponses;

use crate::http::ProblemDocument;

/// What reading may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
pub(crate) enum ReadErrors {
    /// A parameter is not valid; the problem names it.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] ProblemDocument),
    /// No access token, or one that does not count.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] ProblemDocument),
    /// The token's scope is not enough.
    #[response(status = 403, content_type = "application/problem+json")]
    InsufficientScope(#[to_schema] ProblemDocument),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] ProblemDocument),
    /// The database does not answer now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] ProblemDocument),
}

/// What creating and deleting may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
pub(crate) enum ChangeErrors {
    /// A member is not valid; the problem names it.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] ProblemDocument),
    /// No access token, or one that does not count.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] ProblemDocument),
    /// The token's scope is not enough.
    #[response(status = 403, content_type = "application/problem+json")]
    InsufficientScope(#[to_schema] ProblemDocument),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] ProblemDocument),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(#[to_schema] ProblemDocument),
    /// It contradicts what is there.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] ProblemDocument),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] ProblemDocument),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(#[to_schema] ProblemDocument),
    /// The database does not answer now; nothing was changed.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] ProblemDocument),
}

/// What changing something that has a version may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
pub(crate) enum ConditionalErrors {
    /// It was changed since the version in If-Match.
    #[response(status = 412, content_type = "application/problem+json")]
    Stale(#[to_schema] ProblemDocument),
    /// The request does not say which version it changes: If-Match is missing.
    #[response(status = 428, content_type = "application/problem+json")]
    Unconditional(#[to_schema] ProblemDocument),
}

/// What changing something whose parts were seen may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
pub(crate) enum UpdateErrors {
    /// It was changed since.
    #[response(status = 412, content_type = "application/problem+json")]
    Stale(#[to_schema] ProblemDocument),
    /// The request does not say what was seen.
    #[response(status = 428, content_type = "application/problem+json")]
    Unconditional(#[to_schema] ProblemDocument),
}
