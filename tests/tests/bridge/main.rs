//! `jeton bridge`: a stdio MCP server in front of a protected one.

mod failures;
mod host;
mod insecure_http;
mod legacy;
mod pages;
mod remote;
mod renewal;
mod sdks;
mod sessions;
mod stateless;
mod streams;
