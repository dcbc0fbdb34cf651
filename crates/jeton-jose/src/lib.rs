//! Keys, signatures, JWTs and JWK sets.
//!
//! [`SigningKey`] signs access tokens; [`UnverifiedToken`] is what somebody presented, and
//! [`TokenVerifier`] with a [`VerifyingKey`] makes claims out of it (RFC 9068 §4). [`KeySet`] and
//! [`RemoteKeys`] are where verifying keys come from; [`MasterKey`] is where the keys come from that
//! seal private keys at rest.
//!
//! Private keys are kept parsed, because parsing an RSA key for each signature costs almost as much
//! as signing.

mod challenge;
mod discovery;
mod fetch;
mod http_client;
mod id_token;
mod jwk;
mod key_set;
mod mcp_probe;
mod merkle;
mod note;
mod os_entropy;
mod place;
mod plain_http;
mod proxy;
mod remote_keys;
mod resolved_link;
mod retry_after;
mod seal;
mod signing_key;
mod statement;
mod unverified;
mod verifier;
mod verifying_key;

pub use challenge::bearer_challenge;
pub use discovery::{
    DiscoveryError, discover_issuer, discover_named_issuer, is_same_issuer, metadata_urls,
};
pub use fetch::{FetchError, fetch_json, is_trustworthy_url};
pub use http_client::{BodyError, HttpError, http_client, http_client_builder, read_body};
pub use id_token::{ExpectedIdToken, IdTokenClaims, verify_id_token};
pub use jwk::{Jwk, JwkError};
pub use key_set::KeySet;
pub use mcp_probe::{McpProbe, probe_mcp_server};
pub use merkle::{MerkleTree, TreeHash, consistency_proof, leaf_hash};
pub use note::{NoteError, NoteSigner, NoteVerifier, UnverifiedNote, sign_note};
pub use os_entropy::OsEntropy;
pub use place::{check_link, is_loopback_url};
pub use plain_http::PlainHttp;
pub use remote_keys::{KeysLocation, RemoteKeys, RemoteKeysBuilder, RemoteKeysError};
pub use resolved_link::check_resolved_link;
pub use retry_after::retry_after;
pub use seal::{MasterKey, MasterKeyError, SealError, SealingKey};
pub use signing_key::{SigningError, SigningKey};
pub use statement::{sign_statement, verify_statement};
pub use unverified::{MalformedToken, UnverifiedToken};
pub use verifier::{TokenVerifier, VerifyError};
pub use verifying_key::VerifyingKey;
