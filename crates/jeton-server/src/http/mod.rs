//! HTTP: the table of routes, the shapes of errors, limits, and serving.

mod cors;
mod error;
mod extract;
mod forwarded;
mod limits;
mod middleware;
mod problem;
mod proxies;
mod router;
mod server;
mod tls;

pub(crate) use error::OAuthError;
pub(crate) use extract::{ApiJson, ApiPath, ApiQuery};
pub(crate) use limits::{BodyError, has_media_type, read_body};
pub(crate) use problem::{Problem, ProblemDocument};
pub use router::openapi_json;
pub use server::{Server, ServerError};
