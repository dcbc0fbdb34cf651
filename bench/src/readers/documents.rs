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

/// What is fetched is read up to this size.
const FETCHED: usize = 256 << 10;
/// What a token endpoint answers is read up to this size.
const ANSWERED: usize = 64 << 10;
/// The claims of the longest token that is read, in bytes: three quarters of its Base64.
const CLAIMED: usize = 12 << 10;

pub(super) async fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let members = ("{", "\"m#\":0,", "\"end\":0}");
    let claims =
        "{\"iss\":\"a\",\"sub\":\"b\",\"exp\":1,\"iat\":1,\"jti\":\"c\",\"client_id\":\"d\",";
    document::<AccessTokenClaims>(
        table,
        ("claims: many of the client's own", CLAIMED),
        (
            &format!("{claims}\"aud\":\"e\","),
            "\"m#\":0,",
            "\"end\":0}",
        ),
    )
    .await;
    document::<AccessTokenClaims>(
        table,
        ("claims: many audiences", CLAIMED),
        (&format!("{claims}\"aud\":[\""), "a#\",\"", "\"]}"),
    )
    .await;
    document::<AccessTokenClaims>(
        table,
        ("claims: many scopes", CLAIMED),
        (
            &format!("{claims}\"aud\":\"e\",\"scope\":\""),
            "s# ",
            "s\"}",
        ),
    )
    .await;
    document::<CustomClaims>(table, ("custom claims: many", FETCHED), members).await;
    answers(table).await;
    key_sets(table).await?;
    fetched(table).await
}

/// What is fetched, and is longer than what is read.
async fn fetched(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let client = jeton_jose::http_client()?;
    let mut urls = Vec::new();
    for size in super::LARGE {
        let keys = format!("{{\"keys\":[{}0]}}", repeated("{},", size));
        urls.push(super::guard::serve(keys).await?);
    }
    let url = |size: usize| urls.get(size >> 21).cloned().unwrap_or_default();
    table
        .row("a fetched document above its limit", url, async |url| {
            drop(black_box(
                jeton_jose::fetch_json::<KeySet>(&client, url).await,
            ));
        })
        .await;
    Ok(())
}

/// What other servers answer.
async fn answers(table: &mut Table) {
    document::<ServerMetadata>(
        table,
        ("server metadata: many scopes", FETCHED),
        (
            "{\"issuer\":\"a\",\"token_endpoint\":\"b\",\"scopes_supported\":[\"",
            "s#\",\"",
            "\"]}",
        ),
    )
    .await;
    document::<ServerMetadata>(
        table,
        ("server metadata: many members", FETCHED),
        ("{", "\"m#\":0,", "\"end\":0}"),
    )
    .await;
    document::<ProtectedResourceMetadata>(
        table,
        ("resource metadata: many servers", FETCHED),
        (
            "{\"resource\":\"a\",\"authorization_servers\":[\"",
            "https://#.example\",\"",
            "\"]}",
        ),
    )
    .await;
    document::<TokenResponse>(
        table,
        ("token response: many scopes", ANSWERED),
        (
            "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"scope\":\"",
            "s# ",
            "s\"}",
        ),
    )
    .await;
    document::<ErrorResponse>(
        table,
        ("error response: one escaped text", ANSWERED),
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
        ("key set: many keys", FETCHED),
        ("{\"keys\":[", &format!("{jwk},"), "0]}"),
    )
    .await;
    document::<KeySet>(
        table,
        ("key set: many things that are no keys", FETCHED),
        ("{\"keys\":[", "{},", "0]}"),
    )
    .await;
    document::<KeySet>(
        table,
        ("key set: one huge RSA modulus", FETCHED),
        (
            "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"",
            "xyzw",
            "\"}]}",
        ),
    )
    .await;
    document::<KeySet>(
        table,
        ("key set: one huge RSA exponent", FETCHED),
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
    name_and_most: (&str, usize),
    (begin, part, end): (&str, &str, &str),
) {
    table
        .row_up_to(
            name_and_most,
            |size| format!("{begin}{}{end}", repeated(part, size)),
            async |text| {
                drop(black_box(serde_json::from_str::<T>(text)));
            },
        )
        .await;
}
