//! Browsers may read metadata and keys and ask for tokens: the MCP Inspector does. No cookies.

use std::time::Duration;

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
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

/// What [`public_cors`] adds to an answer, where no router is in between.
pub(crate) fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("www-authenticate"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::response::Response;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn with_and_without_a_router_the_headers_are_the_same() {
        let answer = async || Response::new(Body::empty());
        let router = Router::new().route("/", post(answer)).layer(public_cors());
        for origin in [None, Some("https://inspector.example")] {
            let mut request = http::Request::post("/");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let request = request.body(Body::empty()).unwrap();
            let mut with = router.clone().oneshot(request).await.unwrap();
            with.headers_mut().remove("content-length");
            let mut without = HeaderMap::new();
            allow_any_origin(&mut without);
            assert_eq!(*with.headers(), without, "{origin:?}");
        }
    }
}
