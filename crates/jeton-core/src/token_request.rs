//! A token request as it came in (OAuth 2.1 §3.2.2), before anything was looked up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::form::decode;
use crate::{
    ErrorCode, Form, FormError, PlainSecret, ResourceUri, ResourceUriError, ScopeError, ScopeSet,
};

/// A grant that the token endpoint knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    /// OAuth 2.1 §4.2.
    ClientCredentials,
}

impl GrantType {
    /// The `grant_type` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// The longest client ID accepted, in bytes.
const MAX_CLIENT_ID: usize = 256;

/// A client ID and a secret, as somebody presented them.
#[derive(Debug, Clone)]
pub struct PresentedSecret {
    /// Who the caller says it is.
    pub client_id: String,
    /// What it proves it with.
    pub secret: PlainSecret,
    /// Whether it came in the `Authorization` header, so that a refusal challenges there.
    pub in_header: bool,
}

/// Why a token request cannot be read, before the client was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    /// The body.
    #[error(transparent)]
    Form(FormError),
    /// No `grant_type`.
    #[error("the parameter grant_type is missing; send grant_type=client_credentials")]
    MissingGrantType,
    /// A `grant_type` that Jeton does not offer.
    #[error("this grant_type is not supported; send grant_type=client_credentials")]
    UnsupportedGrantType,
    /// No credentials at all.
    #[error(
        "client authentication is missing; send client_id and client_secret in the body, or the Authorization: Basic header"
    )]
    MissingCredentials,
    /// A `client_id` without a secret.
    #[error(
        "client_secret is missing; send it in the body next to client_id, or both in the Authorization: Basic header"
    )]
    MissingSecret,
    /// A `client_secret` without an ID.
    #[error("client_id is missing; send it in the body next to client_secret")]
    MissingClientId,
    /// OAuth 2.1 §2.4: one method only.
    #[error(
        "the client authenticated in two ways at once; use either the Authorization header or client_secret in the body"
    )]
    TwoMethods,
    /// The header and the body name different clients.
    #[error("client_id in the body is not the one in the Authorization header")]
    ClientIdMismatch,
    /// An `Authorization` header that cannot be read.
    #[error(
        "the Authorization: Basic header is malformed; it is base64 of client_id:client_secret, each form-encoded"
    )]
    BasicMalformed,
    /// An `Authorization` header without a client ID.
    #[error(
        "the client ID in the Authorization: Basic header is empty; is the variable or file that it comes from empty?"
    )]
    EmptyClientId,
    /// An `Authorization` header without a secret.
    #[error(
        "the client secret in the Authorization: Basic header is empty; is the variable or file that it comes from empty?"
    )]
    EmptySecret,
    /// Another way of authenticating.
    #[error(
        "this way of authenticating is not supported; use client_secret_basic or client_secret_post"
    )]
    UnsupportedMethod,
    /// `scope` is no list of scopes.
    #[error("scope is malformed: {0}")]
    Scope(#[from] ScopeError),
    /// `scope` names more scopes than any MCP server defines.
    #[error(
        "scope names {found} scopes; at most {} are allowed",
        TokenRequest::MAX_SCOPES
    )]
    TooManyScopes {
        /// The number found.
        found: usize,
    },
    /// `client_id` is over 256 bytes.
    #[error("client_id has at most {MAX_CLIENT_ID} characters")]
    ClientIdTooLong,
    /// `resource` or `audience` is no resource identifier.
    #[error("{parameter} is malformed: {source}")]
    Resource {
        /// The parameter's name.
        parameter: &'static str,
        /// What is wrong with it.
        source: ResourceUriError,
    },
    /// More than one `resource` or `audience`: a token is for one MCP server.
    #[error("{0} was sent more than once; ask for one token for each MCP server")]
    SeveralResources(&'static str),
    /// `resource` and `audience` name different MCP servers.
    #[error("resource and audience name different URLs; send only one of them")]
    ResourceIsNotAudience,
}

/// What names the MCP server: RFC 8707 §2, and the name that other servers have for it.
const RESOURCE_PARAMETERS: [&str; 2] = ["resource", "audience"];

impl From<FormError> for TokenRequestError {
    fn from(error: FormError) -> Self {
        if let FormError::Repeated(name) = &error
            && let Some(parameter) = RESOURCE_PARAMETERS.iter().find(|known| *known == name)
        {
            // RFC 8707 §2 allows several, and names the code for a server that does not.
            return Self::SeveralResources(parameter);
        }
        Self::Form(error)
    }
}

impl TokenRequestError {
    /// The code of OAuth 2.1 §3.2.4 and RFC 8707 §2 for it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Form(_)
            | Self::MissingGrantType
            | Self::MissingClientId
            | Self::ClientIdTooLong
            | Self::TwoMethods
            | Self::ClientIdMismatch => ErrorCode::InvalidRequest,
            Self::UnsupportedGrantType => ErrorCode::UnsupportedGrantType,
            Self::MissingCredentials
            | Self::MissingSecret
            | Self::BasicMalformed
            | Self::EmptyClientId
            | Self::EmptySecret
            | Self::UnsupportedMethod => ErrorCode::InvalidClient,
            Self::Scope(_) | Self::TooManyScopes { .. } => ErrorCode::InvalidScope,
            Self::Resource { .. } | Self::SeveralResources(_) | Self::ResourceIsNotAudience => {
                ErrorCode::InvalidTarget
            }
        }
    }
}

/// A token request whose parts are well-formed. Nothing in it has been verified.
#[derive(Debug)]
pub struct TokenRequest {
    /// Which grant.
    pub grant_type: GrantType,
    /// The scopes asked for; absent means all of the grant.
    pub scope: Option<ScopeSet>,
    /// The MCP server asked for: `resource` (RFC 8707), or `audience`, as other servers call it.
    pub resource: Option<ResourceUri>,
}

impl TokenRequest {
    /// The most scopes that a request may name: as many as an MCP server may define.
    pub const MAX_SCOPES: usize = 200;

    /// Reads the parameters of the token endpoint, but for the client's authentication.
    ///
    /// # Errors
    ///
    /// [`TokenRequestError`], each with its own text and code.
    pub fn from_form(form: &Form) -> Result<Self, TokenRequestError> {
        let grant_type = match form.value("grant_type") {
            None => return Err(TokenRequestError::MissingGrantType),
            Some("client_credentials") => GrantType::ClientCredentials,
            Some(_) => return Err(TokenRequestError::UnsupportedGrantType),
        };
        let scope = form.value("scope").map(requested_scope).transpose()?;
        Ok(Self {
            grant_type,
            scope,
            resource: requested_resource(form)?,
        })
    }
}

fn requested_resource(form: &Form) -> Result<Option<ResourceUri>, TokenRequestError> {
    let [resource, audience] = RESOURCE_PARAMETERS.map(|parameter| {
        let parsed = form.value(parameter).map(ResourceUri::from_request);
        parsed
            .transpose()
            .map_err(|source| TokenRequestError::Resource { parameter, source })
    });
    match (resource?, audience?) {
        (Some(resource), Some(audience)) if resource != audience => {
            Err(TokenRequestError::ResourceIsNotAudience)
        }
        (resource, audience) => Ok(resource.or(audience)),
    }
}

fn requested_scope(text: &str) -> Result<ScopeSet, TokenRequestError> {
    let found = text.split(' ').count();
    if found > TokenRequest::MAX_SCOPES {
        return Err(TokenRequestError::TooManyScopes { found });
    }
    Ok(text.parse()?)
}

impl PresentedSecret {
    /// Finds the one way in which the client authenticates: `client_secret_basic` or
    /// `client_secret_post` (OAuth 2.1 §2.4.1, RFC 6749 §2.3.1).
    ///
    /// `authorization` is the header's value. A `Bearer` token there is no way of authenticating a
    /// client and is ignored: some SDKs send a stale one with every request.
    ///
    /// # Errors
    ///
    /// [`TokenRequestError`], each with its own text and code.
    pub fn find(authorization: Option<&[u8]>, form: &Form) -> Result<Self, TokenRequestError> {
        let presented = Self::find_any_length(authorization, form)?;
        if presented.client_id.len() > MAX_CLIENT_ID {
            return Err(TokenRequestError::ClientIdTooLong);
        }
        Ok(presented)
    }

    fn find_any_length(
        authorization: Option<&[u8]>,
        form: &Form,
    ) -> Result<Self, TokenRequestError> {
        let in_body = form.value("client_secret");
        let body_id = form.value("client_id");
        let assertion = form.value("client_assertion").is_some()
            || form.value("client_assertion_type").is_some();
        let header = authorization
            .map(scheme_and_value)
            .filter(|(scheme, _)| *scheme != "bearer");
        match (header, in_body) {
            (Some(_), Some(_)) => Err(TokenRequestError::TwoMethods),
            (Some(_), None) | (None, Some(_)) if assertion => Err(TokenRequestError::TwoMethods),
            (Some((scheme, value)), None) if scheme == "basic" => {
                let presented = Self::from_basic(value)?;
                match body_id {
                    Some(id) if id != presented.client_id => {
                        Err(TokenRequestError::ClientIdMismatch)
                    }
                    _ => Ok(presented),
                }
            }
            (Some(_), None) => Err(TokenRequestError::UnsupportedMethod),
            (None, _) if assertion => Err(TokenRequestError::UnsupportedMethod),
            (None, Some(secret)) => Ok(Self {
                client_id: body_id
                    .ok_or(TokenRequestError::MissingClientId)?
                    .to_owned(),
                secret: PlainSecret::presented(secret.to_owned()),
                in_header: false,
            }),
            (None, None) if body_id.is_some() => Err(TokenRequestError::MissingSecret),
            (None, None) => Err(TokenRequestError::MissingCredentials),
        }
    }

    /// RFC 6749 §2.3.1: base64 of ID and secret, each form-encoded, with a colon between them.
    fn from_basic(value: &[u8]) -> Result<Self, TokenRequestError> {
        let malformed = || TokenRequestError::BasicMalformed;
        let decoded = STANDARD.decode(value).map_err(|_| malformed())?;
        let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
        let (id, secret) = decoded.split_once(':').ok_or_else(malformed)?;
        let client_id = decode(id).map_err(|_| malformed())?.into_owned();
        let secret = decode(secret).map_err(|_| malformed())?.into_owned();
        if client_id.is_empty() {
            return Err(TokenRequestError::EmptyClientId);
        }
        if secret.is_empty() {
            return Err(TokenRequestError::EmptySecret);
        }
        Ok(Self {
            client_id,
            secret: PlainSecret::presented(secret),
            in_header: true,
        })
    }
}

/// The scheme in lower case, and what stands after it.
fn scheme_and_value(authorization: &[u8]) -> (String, &[u8]) {
    let space = authorization
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(authorization.len());
    let (scheme, value) = authorization.split_at(space);
    (
        String::from_utf8_lossy(scheme).to_ascii_lowercase(),
        value.trim_ascii(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn basic(id: &str, secret: &str) -> String {
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", encode(id), encode(secret)))
        )
    }

    proptest! {
        #[test]
        fn basic_credentials_read_back(id in ".{1,20}", secret in ".{1,20}") {
            let form = Form::parse(b"").unwrap();
            let header = basic(&id, &secret);
            let found = PresentedSecret::find(Some(header.as_bytes()), &form).unwrap();
            prop_assert_eq!(found.client_id, id);
            prop_assert_eq!(found.secret.expose(), secret);
        }

        #[test]
        fn any_header_is_read_or_refused_without_a_panic(header: Vec<u8>) {
            let _ = PresentedSecret::find(Some(&header), &Form::parse(b"").unwrap());
        }
    }

    #[test]
    fn a_stale_bearer_token_is_no_second_method() {
        let form = Form::parse(b"client_id=a&client_secret=b").unwrap();
        let found = PresentedSecret::find(Some(b"Bearer old"), &form).unwrap();
        assert!(!found.in_header);
    }

    #[test]
    fn what_is_too_long_is_refused_by_name_with_its_limit() {
        let request = |scopes: usize| {
            let names: Vec<String> = (0..scopes).map(|number| format!("s{number}")).collect();
            let body = format!("grant_type=client_credentials&scope={}", names.join("+"));
            TokenRequest::from_form(&Form::parse(body.as_bytes()).unwrap())
        };
        assert_eq!(request(200).unwrap().scope.unwrap().len(), 200);
        let error = request(16_384).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidScope);
        assert_eq!(
            error.to_string(),
            "scope names 16384 scopes; at most 200 are allowed"
        );

        let long = "m".repeat(257);
        let body = format!("client_id={long}&client_secret=b");
        let in_body = PresentedSecret::find(None, &Form::parse(body.as_bytes()).unwrap());
        let header = basic(&long, "b");
        let in_header = PresentedSecret::find(Some(header.as_bytes()), &Form::parse(b"").unwrap());
        for refused in [in_body, in_header] {
            let error = refused.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidRequest);
            assert_eq!(error.to_string(), "client_id has at most 256 characters");
        }
    }

    #[test]
    fn two_methods_at_once_are_refused() {
        let header = basic("a", "b");
        for body in [
            "client_secret=b",
            "client_assertion=x",
            "client_assertion_type=x",
        ] {
            let form = Form::parse(body.as_bytes()).unwrap();
            assert_eq!(
                PresentedSecret::find(Some(header.as_bytes()), &form).unwrap_err(),
                TokenRequestError::TwoMethods,
                "{body}"
            );
        }
    }
}
