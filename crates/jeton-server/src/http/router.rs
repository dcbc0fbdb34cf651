//! Every route of the server, in one table.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cors::public_cors;
use super::middleware::{panicked, request_context};
use crate::app::App;
use crate::{api, oauth};

pub(crate) fn router(app: Arc<App>) -> Router {
    let metadata = "/.well-known/oauth-authorization-server";
    let openid = "/.well-known/openid-configuration";
    let own = "/resources/{res_id}";

    let public = Router::new()
        .route(metadata, get(oauth::metadata::server))
        .route(openid, get(oauth::metadata::server))
        .route(
            &format!("{metadata}{own}"),
            get(oauth::metadata::mcp_server),
        )
        .route(&format!("{openid}{own}"), get(oauth::metadata::mcp_server))
        .route(
            &format!("{own}{metadata}"),
            get(oauth::metadata::mcp_server),
        )
        .route(&format!("{own}{openid}"), get(oauth::metadata::mcp_server))
        .route(
            "/.well-known/oauth-protected-resource/api",
            get(oauth::metadata::admin_api),
        )
        .route("/keys", get(oauth::jwks::keys))
        .route("/.well-known/jwks.json", get(oauth::jwks::keys))
        .route("/oauth/token", post(oauth::token::token))
        .route(
            &format!("{own}/oauth/token"),
            post(oauth::token::token_for_mcp_server),
        )
        .route("/oauth/introspect", post(oauth::introspect::introspect))
        .route("/oauth/revoke", post(oauth::revoke::revoke))
        .route(
            "/oauth/authorize",
            get(oauth::authorize::authorize).post(oauth::authorize::authorize),
        )
        .method_not_allowed_fallback(oauth::method_not_allowed)
        .layer(public_cors());

    let operations = Router::new()
        .route("/", get(api::front_page))
        .route("/healthz", get(api::health::alive))
        .route("/readyz", get(api::health::ready))
        .route("/api/openapi.json", get(api::openapi_document));

    let (admin, _) = admin_api().split_for_parts();

    Router::new()
        .merge(public)
        .merge(operations)
        .merge(admin.method_not_allowed_fallback(api::method_not_allowed))
        .fallback(api::no_such_path)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), request_context))
        .with_state(app)
}

/// The admin API with its description.
fn admin_api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(api::Description::openapi())
        .routes(routes!(
            api::mcp_servers::create::create,
            api::mcp_servers::list::list
        ))
        .routes(routes!(
            api::mcp_servers::show::show,
            api::mcp_servers::update::update,
            api::mcp_servers::delete::delete
        ))
        .routes(routes!(
            api::clients::create::create,
            api::clients::list::list
        ))
        .routes(routes!(
            api::clients::show::show,
            api::clients::update::update,
            api::clients::delete::delete
        ))
        .routes(routes!(api::grants::list::list))
        .routes(routes!(api::grants::put::put, api::grants::delete::delete))
        .routes(routes!(
            api::secrets::create::of_client,
            api::secrets::list::of_client
        ))
        .routes(routes!(api::secrets::rotate::of_client))
        .routes(routes!(
            api::secrets::create::of_mcp_server,
            api::secrets::list::of_mcp_server
        ))
        .routes(routes!(api::secrets::revoke::revoke))
        .routes(routes!(api::signing_keys::list))
        .routes(routes!(api::audit_events::list))
}

/// The `OpenAPI` document of the admin API, as JSON.
pub fn openapi_json() -> String {
    let (_, document) = admin_api().split_for_parts();
    document.to_pretty_json().unwrap_or_default()
}
