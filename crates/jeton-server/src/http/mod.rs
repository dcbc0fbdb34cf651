//! HTTP: the table of routes, the shapes of errors, limits, and serving.

mod activity;
mod connection;
mod connections;
mod cors;
mod counted_stream;
mod deadlines;
mod error;
mod extract;
mod forwarded;
mod health_service;
mod health_thread;
mod host;
mod issuer_path;
mod limits;
mod listener;
mod middleware;
mod open_files;
mod plain_words;
mod problem;
mod proxies;
mod proxy_protocol;
mod router;
mod server;
mod sockets;
mod tls;

pub(crate) use error::OAuthError;
pub(crate) use extract::{ApiJson, ApiPath, ApiQuery};
pub(crate) use limits::{BodyError, has_media_type, read_body};
pub(crate) use problem::{Problem, ProblemDocument};
pub use router::openapi_json;
pub use server::{Reload, Server, ServerError};
pub use sockets::ListenError;
