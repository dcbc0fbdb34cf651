//! JSON documents: of other authorization servers, of MCP servers, of tokens.

use std::error::Error;
use std::hint::black_box;

use jeton_core::{
    AccessTokenClaims, Clock as _, CustomClaims, ErrorResponse, KeyId, ProtectedResourceMetadata,
    ServerMetadata, SigningAlgorithm, SystemClock, TokenResponse,
};
use jeton_jose::{KeySet, OsEntropy, SigningKey};
use serde::de::DeserializeOwned;

use super::{Table, repeated};

pub(super) async fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let members = ("{", "\"m#\":0,", "\"end\":0}");
    let claims =
        "{\"iss\":\"a\",\"sub\":\"b\",\"exp\":1,\"iat\":1,\"jti\":\"c\",\"client_id\":\"d\",";
    document::<AccessTokenClaims>(
        table,
        "claims: many of the client's own",
        (
            &format!("{claims}\"aud\":\"e\","),
            "\"m#\":0,",
            "\"end\":0}",
        ),
    )
    .await;
    document::<AccessTokenClaims>(
        table,
        "claims: many audiences",
        (&format!("{claims}\"aud\":[\""), "a#\",\"", "\"]}"),
    )
    .await;
    document::<AccessTokenClaims>(
        table,
        "claims: many scopes",
        (
            &format!("{claims}\"aud\":\"e\",\"scope\":\""),
            "s# ",
            "s\"}",
        ),
    )
    .await;
    document::<CustomClaims>(table, "custom claims: many", members).await;
    answers(table).await;
    key_sets(table).await
}

/// What other servers answer.
async fn answers(table: &mut Table) {
    document::<ServerMetadata>(
        table,
        "server metadata: many scopes",
        (
            "{\"issuer\":\"a\",\"token_endpoint\":\"b\",\"scopes_supported\":[\"",
            "s#\",\"",
            "\"]}",
        ),
    )
    .await;
    document::<ServerMetadata>(
        table,
        "server metadata: many members",
        ("{", "\"m#\":0,", "\"end\":0}"),
    )
    .await;
    document::<ProtectedResourceMetadata>(
        table,
        "resource metadata: many servers",
        (
            "{\"resource\":\"a\",\"authorization_servers\":[\"",
            "https://#.example\",\"",
            "\"]}",
        ),
    )
    .await;
    document::<TokenResponse>(
        table,
        "token response: many scopes",
        (
            "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"scope\":\"",
            "s# ",
            "s\"}",
        ),
    )
    .await;
    document::<ErrorResponse>(
        table,
        "error response: one escaped text",
        (
            "{\"error\":\"a\",\"error_description\":\"",
            "\\u0061",
            "\"}",
        ),
    )
    .await;
}

async fn key_sets(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let algorithm = SigningAlgorithm::EdDsa;
    let pkcs8 = SigningKey::generate_pkcs8(algorithm)?;
    let id = KeyId::generate(SystemClock.now(), &OsEntropy)?;
    let key = SigningKey::from_pkcs8(id, algorithm, &pkcs8)?;
    let mut jwk = serde_json::to_value(key.public_jwk())?;
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".into(), "#".into());
    }
    document::<KeySet>(
        table,
        "key set: many keys",
        ("{\"keys\":[", &format!("{jwk},"), "0]}"),
    )
    .await;
    document::<KeySet>(
        table,
        "key set: many things that are no keys",
        ("{\"keys\":[", "{},", "0]}"),
    )
    .await;
    document::<KeySet>(
        table,
        "key set: one huge RSA modulus",
        (
            "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"",
            "xyzw",
            "\"}]}",
        ),
    )
    .await;
    document::<KeySet>(
        table,
        "key set: one huge RSA exponent",
        (
            "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"",
            "xyzw",
            "\"}]}",
        ),
    )
    .await;
    Ok(())
}

/// Reads documents that begin and end so, with a part repeated in the middle.
async fn document<T: DeserializeOwned>(
    table: &mut Table,
    name: &str,
    (begin, part, end): (&str, &str, &str),
) {
    table
        .row(
            name,
            |size| format!("{begin}{}{end}", repeated(part, size)),
            async |text| {
                drop(black_box(serde_json::from_str::<T>(text)));
            },
        )
        .await;
}
