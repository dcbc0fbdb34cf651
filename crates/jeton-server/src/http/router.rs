//! Every route of the server, in one table.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::Uri;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cors::{allow_any_origin, public_cors};
use crate::app::App;
use crate::config::TOKEN_ENDPOINT;
use crate::{api, dashboard, oauth};

/// What is answered on reserved places, too.
pub(super) const HEALTH_PATHS: [&str; 2] = [ALIVE, READY];
pub(super) const ALIVE: &str = "/healthz";
pub(super) const READY: &str = "/readyz";

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
        .route(TOKEN_ENDPOINT, post(oauth::token::token))
        .route(
            &format!("{own}{TOKEN_ENDPOINT}"),
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

    let document = openapi_document(app.issuer.path());
    let operations = Router::new()
        .route(ALIVE, get(api::health::alive))
        .route(READY, get(api::health::ready))
        .route(
            "/api/openapi.json",
            get(async move || api::openapi_document(document)),
        );

    let (admin, _) = admin_api().split_for_parts();

    Router::new()
        .merge(public)
        .merge(operations)
        .merge(admin.method_not_allowed_fallback(api::method_not_allowed))
        .merge(pages(&app))
        .fallback(no_such_path)
        .with_state(app)
}

/// The answer to a path that is not there, in the form of those around it.
async fn no_such_path(State(app): State<Arc<App>>, uri: Uri) -> Response {
    if !oauth::is_oauth_path(uri.path()) {
        return api::no_such_path().await.into_response();
    }
    let mut response = oauth::no_such_endpoint(app.issuer.path(), uri.path()).into_response();
    allow_any_origin(response.headers_mut());
    response
}

/// What the listener for health serves, outside the runtime that serves everything else.
pub(super) fn health_router(app: Arc<App>) -> Router {
    Router::new()
        .route(ALIVE, get(api::health::alive))
        .route(READY, get(api::health::ready_from_outside))
        .fallback(api::no_such_path)
        .with_state(app)
}

/// The dashboard, with the issuer's path in every link.
fn pages(app: &Arc<App>) -> Router<Arc<App>> {
    let pages = dashboard(app);
    if app.issuer.path().is_empty() {
        return pages;
    }
    pages.layer(from_fn_with_state(
        Arc::clone(app),
        dashboard::links::below_issuer_path,
    ))
}

fn dashboard(app: &Arc<App>) -> Router<Arc<App>> {
    let server = "/dashboard/mcp-servers/{id}";
    let client = "/dashboard/clients/{id}";
    Router::new()
        .route("/", get(dashboard::home))
        .route("/dashboard", get(dashboard::overview::overview))
        .route(
            "/dashboard/assets/{version}/{name}",
            get(dashboard::assets::asset),
        )
        .route(
            "/dashboard/sign-in",
            get(dashboard::account::sign_in_page).post(dashboard::account::sign_in),
        )
        .route(
            "/dashboard/sign-in/code",
            get(dashboard::account::sign_in_code_page).post(dashboard::account::sign_in_by_code),
        )
        .route(
            "/dashboard/sign-in/passkey",
            get(dashboard::account::sign_in_code_page).post(dashboard::account::sign_in_by_passkey),
        )
        .route("/dashboard/oidc/start", get(dashboard::oidc::start))
        .route("/dashboard/oidc/callback", get(dashboard::oidc::callback))
        .route("/dashboard/sign-out", post(dashboard::account::sign_out))
        .route(
            "/dashboard/sign-out-everywhere",
            post(dashboard::account::sign_out_everywhere),
        )
        .route(
            "/dashboard/join/{link}",
            get(dashboard::account::join_page).post(dashboard::account::join),
        )
        .merge(dashboard_mcp_servers(server))
        .merge(dashboard_clients(client))
        .merge(dashboard_operations())
        .merge(dashboard_second_factor())
        .route("/dashboard/{*path}", any(dashboard::error::no_such_page))
        .method_not_allowed_fallback(dashboard::error::no_such_page)
        .layer(from_fn_with_state(
            Arc::clone(app),
            dashboard::remember::remember,
        ))
        .layer(from_fn_with_state(
            Arc::clone(app),
            dashboard::toast::forget,
        ))
        .layer(from_fn_with_state(
            Arc::clone(app),
            dashboard::error::way_back,
        ))
        .layer(Extension(dashboard::TokenRules(oauth::token::preview)))
}

fn dashboard_mcp_servers(server: &str) -> Router<Arc<App>> {
    use dashboard::mcp_servers::{
        activity, clients, created_client, list, metadata, overview, scopes, settings,
    };
    Router::new()
        .route("/dashboard/mcp-servers", get(list::list).post(list::create))
        .route("/dashboard/mcp-servers/new", get(list::new))
        .route(server, get(overview::overview))
        .route(
            &format!("{server}/clients"),
            get(clients::list).post(clients::create),
        )
        .route(&format!("{server}/clients/new"), get(clients::new))
        .route(
            &format!("{server}/clients/{{client_id}}/created"),
            get(created_client::show).post(created_client::leave),
        )
        .route(
            &format!("{server}/clients/{{client_id}}/scopes"),
            post(created_client::save_scopes),
        )
        .route(
            &format!("{server}/scopes"),
            get(scopes::show).post(scopes::save),
        )
        .route(&format!("{server}/scopes/rename"), post(scopes::rename))
        .route(
            &format!("{server}/revoke-tokens"),
            get(settings::ask_revoke_tokens).post(settings::revoke_tokens),
        )
        .route("/dashboard/retired-urls/release", post(list::release))
        .route(&format!("{server}/metadata"), get(metadata::metadata))
        .route(&format!("{server}/activity"), get(activity::activity))
        .route(
            &format!("{server}/settings"),
            get(settings::show).post(settings::save),
        )
        .route(&format!("{server}/secrets"), post(settings::create_secret))
        .route(
            &format!("{server}/secrets/shown"),
            post(settings::leave_secret),
        )
        .route(
            &format!("{server}/delete"),
            get(settings::ask_delete).post(settings::delete),
        )
}

fn dashboard_clients(client: &str) -> Router<Arc<App>> {
    use dashboard::clients::{activity, grants, list, secrets, settings, show};
    Router::new()
        .route("/dashboard/clients", get(list::list))
        .route("/dashboard/clients/new", get(list::new))
        .route(client, get(show::show))
        .route(&format!("{client}/grants"), post(grants::put))
        .route(&format!("{client}/grants/new"), get(grants::new))
        .route(
            &format!("{client}/default-mcp-server"),
            post(settings::set_default),
        )
        .route(
            &format!("{client}/grants/{{server_id}}/delete"),
            get(grants::ask_delete).post(grants::delete),
        )
        .route(&format!("{client}/secrets"), post(secrets::create))
        .route(&format!("{client}/secrets/shown"), post(show::leave))
        .route(
            &format!("{client}/secrets/rotate"),
            get(secrets::ask_rotate).post(secrets::rotate),
        )
        .route(
            "/dashboard/secrets/{secret_id}/revoke",
            get(secrets::ask_revoke).post(secrets::revoke),
        )
        .route(
            &format!("{client}/try"),
            get(dashboard::try_it::try_it).post(dashboard::try_it::check),
        )
        .route(&format!("{client}/activity"), get(activity::activity))
        .route(
            &format!("{client}/settings"),
            get(settings::show).post(settings::save),
        )
        .route(
            &format!("{client}/revoke-tokens"),
            get(settings::ask_revoke_tokens).post(settings::revoke_tokens),
        )
        .route(
            &format!("{client}/disable"),
            get(settings::ask_disable).post(settings::disable),
        )
        .route(&format!("{client}/enable"), post(settings::enable))
        .route(
            &format!("{client}/delete"),
            get(settings::ask_delete).post(settings::delete),
        )
}

fn dashboard_operations() -> Router<Arc<App>> {
    use dashboard::{audit_log, settings, signing_keys};
    Router::new()
        .route("/dashboard/find", get(dashboard::find::find))
        .route("/dashboard/audit", get(audit_log::list))
        .route("/dashboard/audit/{seq}", get(audit_log::event))
        .route(
            "/dashboard/audit/export.jsonl",
            get(audit_log::export_json_lines),
        )
        .route("/dashboard/audit/export.csv", get(audit_log::export_csv))
        .route("/dashboard/signing-keys", get(signing_keys::show))
        .route("/dashboard/signing-keys/rotate", post(signing_keys::rotate))
        .route(
            "/dashboard/signing-keys/replace",
            get(signing_keys::ask_replace).post(signing_keys::replace),
        )
        .route(
            "/dashboard/signing-keys/{key_id}/withdraw",
            get(signing_keys::ask_withdraw).post(signing_keys::withdraw),
        )
        .route("/dashboard/settings", get(settings::show))
        .route("/dashboard/settings/invitations", post(settings::invite))
        .route(
            "/dashboard/settings/invitations/shown",
            post(settings::leave_invitation),
        )
        .route(
            "/dashboard/settings/invitations/{id}/revoke",
            get(settings::ask_revoke_invitation).post(settings::revoke_invitation),
        )
        .route(
            "/dashboard/settings/admins/{id}/role",
            get(dashboard::demote_admin::ask).post(settings::set_role),
        )
        .route(
            "/dashboard/settings/admins/{id}/reset",
            post(settings::reset_access),
        )
        .route(
            "/dashboard/settings/admins/{id}/remove",
            get(dashboard::remove_admin::show).post(dashboard::remove_admin::remove),
        )
        .route(
            "/dashboard/settings/sessions/end",
            post(dashboard::account::end_session),
        )
        .route(
            "/dashboard/settings/sessions/end-others",
            post(dashboard::account::end_other_sessions),
        )
        .route(
            "/dashboard/settings/password",
            post(settings::change_password),
        )
}

fn dashboard_second_factor() -> Router<Arc<App>> {
    use dashboard::factor_questions as questions;
    use dashboard::second_factor as page;
    let base = page::PAGE;
    Router::new()
        .route(base, get(page::show))
        .route(page::CONFIRM, get(page::confirm_page).post(page::confirm))
        .route(
            &format!("{base}/one-time-codes"),
            get(page::one_time_codes).post(page::set_up_one_time_codes),
        )
        .route(
            &format!("{base}/one-time-codes/remove"),
            get(questions::ask_remove_codes).post(page::remove_one_time_codes),
        )
        .route(
            &format!("{base}/passkeys/new"),
            get(dashboard::passkeys::new),
        )
        .route(
            &format!("{base}/passkeys"),
            post(dashboard::passkeys::register),
        )
        .route(
            &format!("{base}/passkeys/{{passkey}}/remove"),
            get(questions::ask_remove_passkey).post(dashboard::passkeys::remove),
        )
        .route(
            &format!("{base}/recovery-codes"),
            get(questions::ask_renew).post(page::renew_recovery_codes),
        )
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
        .routes(routes!(api::tokens::of_mcp_server))
        .routes(routes!(api::retired_urls::list))
        .routes(routes!(api::retired_urls::release))
        .routes(routes!(api::clients::create_many::create_many))
        .routes(routes!(
            api::clients::show::show,
            api::clients::update::update,
            api::clients::delete::delete
        ))
        .routes(routes!(api::tokens::of_client))
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
        .routes(routes!(api::signing_keys::rotate))
        .routes(routes!(api::signing_keys::rewrap))
        .routes(routes!(api::admin_invitations::create))
        .routes(routes!(api::audit_events::list))
        .routes(routes!(api::audit_events::export))
        .routes(routes!(api::audit_verification::verify))
        .routes(routes!(api::audit_checkpoints::show))
        .routes(routes!(api::audit_checkpoints::verify))
        .routes(routes!(api::audit_checkpoints::rotate_key))
        .routes(routes!(api::audit_checkpoints::rebuild_index))
}

/// The `OpenAPI` document of the admin API, as JSON.
pub fn openapi_json() -> &'static str {
    // Made once: whoever asks for it again and again costs nothing.
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let (_, document) = admin_api().split_for_parts();
        document.to_pretty_json().unwrap_or_default()
    });
    &DOCUMENT
}

/// The same for a server whose issuer has a path.
fn openapi_document(issuer_path: &str) -> Bytes {
    if issuer_path.is_empty() {
        return Bytes::from_static(openapi_json().as_bytes());
    }
    let (_, mut document) = admin_api().split_for_parts();
    api::move_below(issuer_path, &mut document);
    Bytes::from(document.to_pretty_json().unwrap_or_default())
}
