//! Browsers may read metadata and keys and ask for tokens: the MCP Inspector does. No cookies.

use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use tower_http::cors::{Any, CorsLayer};

pub(crate) fn public_cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("mcp-protocol-version"),
        ])
        .expose_headers([WWW_AUTHENTICATE])
        .max_age(Duration::from_secs(3600))
}
