//! The domain and the wire of Jeton.
//!
//! Values ([`Scope`], [`ResourceUri`], [`ClientId`] …), the things an operator registers
//! ([`McpServer`], [`Client`], [`Grant`], [`ClientSecret`]), what is sent and answered
//! ([`TokenRequest`], [`TokenResponse`], [`ErrorResponse`], [`ServerMetadata`],
//! [`ProtectedResourceMetadata`], [`Challenge`]) and what is recorded ([`AuditEvent`]).
//!
//! Nothing here does I/O: time and randomness come in through [`Clock`] and [`Entropy`].

mod admin;
mod audit_event;
mod challenge;
mod claims;
mod client;
mod client_problem;
mod clock;
mod defined_scopes;
mod entropy;
mod error_response;
mod form;
mod grant;
pub mod hex;
mod id;
mod invisible;
mod joining;
mod mcp_server;
mod name;
mod one_time_code;
mod recovery_code;
mod redact;
mod resource;
mod resource_metadata;
mod resource_path;
mod resource_spelling;
mod scope;
mod scope_argument;
mod scope_hierarchy;
mod search_text;
mod secret;
mod server_metadata;
mod signing_key;
mod span;
mod token_request;
mod token_response;
mod tokens_of;

pub use admin::{Admin, EmailAddress, EmailError, Invitation, ProviderIdentity, Role, RoleSource};
pub use audit_event::{Actor, AuditEvent, AuditKind, MAX_RECORDED, Outcome};
pub use challenge::{Challenge, ChallengeError, quoted};
pub use claims::{AccessTokenClaims, Audience, CustomClaims, CustomClaimsError, RESERVED_CLAIMS};
pub use client::{Client, ClientStatus};
pub use client_problem::ClientProblem;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use defined_scopes::{DefinedScopes, DefinedScopesError, ScopeDefinition};
pub use entropy::{Entropy, EntropyError, IdEntropy};
pub use error_response::{ErrorCode, ErrorResponse};
pub use form::{Form, FormError};
pub use grant::Grant;
pub use id::{
    AdminId, ClientId, EventId, IdError, InvitationId, KeyId, McpServerId, RequestId, SecretId,
    SecretOwner, TokenId, id_kind,
};
pub use mcp_server::{McpServer, TokenProfile, TokenTtl, TokenTtlError};
pub use name::{Description, DisplayName, TextError, shown};
pub use one_time_code::OneTimeSecret;
pub use recovery_code::RecoveryCode;
pub use redact::{excerpt, looks_secret, presentable_url, redact, without_userinfo};
pub use resource::{ResourceUri, ResourceUriError};
pub use resource_metadata::{CLIENT_CREDENTIALS_EXTENSION, ProtectedResourceMetadata};
pub use scope::{Scope, ScopeError, ScopeSet};
pub use scope_argument::split_scope;
pub use scope_hierarchy::{ScopeCycle, ScopeHierarchy};
pub use search_text::search_text;
pub use secret::{ClientSecret, PlainSecret, SecretDigest, SecretState};
pub use server_metadata::ServerMetadata;
pub use signing_key::{KeyState, SigningAlgorithm};
pub use span::{
    DurationError, TimeError, counted, in_seconds, in_whole_seconds, parse_duration, parse_time,
    whole_seconds,
};
pub use token_request::{GrantType, PresentedSecret, TokenRequest, TokenRequestError};
pub use token_response::{LONG_TOKEN, TokenResponse, TokenType};
pub use tokens_of::TokensOf;
