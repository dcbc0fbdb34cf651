//! Ready to paste: code with a server's and a client's real values.

use std::fmt::Write as _;

use jeton_core::{McpServer, ProtectedResourceMetadata, ScopeSet};
use jeton_jose::is_trustworthy_url;

use super::host_snippets::hosts;
use super::snippet::{Snippet, literal, shell};

/// The switch of a builder that an issuer needs whose secrets and keys travel in the clear.
fn insecure_http(issuer: &str, indent: &str) -> String {
    if is_trustworthy_url(issuer) {
        return String::new();
    }
    format!("{indent}.insecure_http(true)")
}

/// How to protect a server.
pub(super) fn protect_server(server: &McpServer, issuer: &str) -> Vec<Snippet> {
    let token_issuer = server.token_issuer(issuer);
    let list: Vec<String> = server
        .scopes
        .iter()
        .map(|scope| literal(scope.name.as_str()))
        .collect();
    vec![
        rust_guard(server, &token_issuer, &list),
        fastmcp(server, issuer, &token_issuer, &list),
        typescript_server(server, issuer, &token_issuer, &list),
    ]
}

/// Every name that a token for the server may have, besides its ID: the resource identifier, then the aliases.
fn audiences(server: &McpServer) -> Vec<String> {
    server.urls().map(|url| literal(url.as_given())).collect()
}

/// One audience, or a list where the server has aliases. Python and TypeScript write both the same.
fn audience(server: &McpServer) -> String {
    match audiences(server).as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn rust_guard(server: &McpServer, issuer: &str, list: &[String]) -> Snippet {
    let mut settings = insecure_http(issuer, "\n    ");
    for alias in audiences(server).iter().skip(1) {
        let _ = write!(settings, "\n    .audience({alias})");
    }
    let _ = write!(settings, "\n    .scopes_supported([{}])", list.join(", "));
    for broader in &*server.scopes {
        for narrower in &broader.implies {
            let (broader, narrower) = (literal(broader.name.as_str()), literal(narrower.as_str()));
            let _ = write!(settings, "\n    .scope_implies({broader}, {narrower})");
        }
    }
    let named = match list {
        [first, _, ..] => format!("\n    .require_for_tool(\"TOOL\", [{first}])"),
        _ => String::new(),
    };
    let require = if list.is_empty() {
        String::new()
    } else {
        format!(
            "\n    // What each tool needs; the last line is for tools that no other names.{named}\n    \
             .require_for_other_tools([{}])",
            list.join(", ")
        )
    };
    Snippet {
        id: "rust-server",
        title: "Rust: jeton-guard",
        code: format!(
            "use jeton_guard::GuardLayer;\n\n\
             let guard = GuardLayer::builder({}, {}){settings}{require}\n    .build()?;\n\
             let app = axum::Router::new().nest_service(\"/mcp\", mcp_service).layer(guard);",
            literal(server.url.as_given()),
            literal(issuer),
        ),
    }
}

/// The base URL that FastMCP wants, without the path of its endpoint.
fn base(server: &McpServer) -> String {
    let url = server.url.as_given().trim_end_matches('/');
    url.strip_suffix("/mcp").unwrap_or(url).to_owned()
}

fn fastmcp(server: &McpServer, issuer: &str, token_issuer: &str, list: &[String]) -> Snippet {
    let (import, tool) = match list.first() {
        Some(first) => (
            ", require_scopes",
            format!(
                "\n\n\n# A tool without auth=... is open to every token for this server.\n\
                 @mcp.tool(auth=require_scopes({first}))\n\
                 def hello() -> str:\n    return \"hello\""
            ),
        ),
        None => ("", String::new()),
    };
    Snippet {
        id: "python-server",
        title: "Python: FastMCP",
        code: format!(
            "from fastmcp import FastMCP\n\
             from fastmcp.server.auth import RemoteAuthProvider{import}\n\
             from fastmcp.server.auth.providers.jwt import JWTVerifier\n\n\
             auth = RemoteAuthProvider(\n    \
             token_verifier=JWTVerifier(\n        \
             jwks_uri={},\n        issuer={},\n        audience={},\n        algorithm={},\n    ),\n    \
             authorization_servers=[{}],\n    base_url={},\n    scopes_supported=[{}],\n)\n\
             mcp = FastMCP({}, auth=auth){tool}",
            literal(&format!("{issuer}/keys")),
            literal(token_issuer),
            audience(server),
            literal(server.signing_alg.as_str()),
            literal(token_issuer),
            literal(&base(server)),
            list.join(", "),
            literal(server.name.as_str()),
        ),
    }
}

fn typescript_server(
    server: &McpServer,
    issuer: &str,
    token_issuer: &str,
    list: &[String],
) -> Snippet {
    let resource = server.url.as_given();
    let path = server.url.path();
    let well_known = ProtectedResourceMetadata::well_known_path(path);
    let metadata_url = format!("{}{well_known}", server.url.origin());
    let scopes = list.join(", ");
    let in_tools = match list.first() {
        Some(first) => format!(
            "\n// In a tool's handler: if (!extra.authInfo.scopes.includes({first})) throw new Error(\"needs \" + {first});"
        ),
        None => String::new(),
    };
    Snippet {
        id: "typescript-server",
        title: "TypeScript: the MCP SDK on Express, with jose",
        code: format!(
            "import express from \"express\";\n\
             import {{ createRemoteJWKSet, errors, jwtVerify }} from \"jose\";\n\
             import {{ InvalidTokenError }} from \"@modelcontextprotocol/sdk/server/auth/errors.js\";\n\
             import {{ requireBearerAuth }} from \"@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js\";\n\n\
             const keys = createRemoteJWKSet(new URL({keys}));\n\
             const verifier = {{\n  async verifyAccessToken(token) {{\n    try {{\n      \
             const {{ payload }} = await jwtVerify(token, keys, {{\n        \
             issuer: {issuer},\n        audience: {audience},\n        algorithms: [{algorithm}],\n        typ: \"at+jwt\",\n      }});\n      \
             return {{ token, clientId: payload.client_id, scopes: payload.scope.split(\" \"), expiresAt: payload.exp }};\n    \
             }} catch (error) {{\n      \
             // Everything but keys that cannot be had is the token's fault: 401.\n      \
             if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) throw new InvalidTokenError(error.message);\n      \
             throw error;\n    }}\n  }},\n}};\n\n\
             const app = express();\n\
             app.get({path}, (_request, response) => response.json({{\n  \
             resource: {resource},\n  authorization_servers: [{issuer}],\n  scopes_supported: [{scopes}],\n  \
             bearer_methods_supported: [\"header\"],\n}}));\n\
             app.use({mount}, requireBearerAuth({{ verifier, resourceMetadataUrl: {metadata_url} }}));{in_tools}",
            keys = literal(&format!("{issuer}/keys")),
            issuer = literal(token_issuer),
            audience = audience(server),
            resource = literal(resource),
            algorithm = literal(server.signing_alg.as_str()),
            path = literal(&well_known),
            mount = literal(path),
            metadata_url = literal(&metadata_url),
        ),
    }
}

/// A file of variables, as the `jeton` commands and most programs read them. Values are as they are: not every
/// reader knows quotation marks, and none of these needs them.
pub(super) fn environment(server: &McpServer, issuer: &str, id: &str, secret: &str) -> String {
    let insecure = if is_trustworthy_url(issuer) {
        ""
    } else {
        "JETON_INSECURE_HTTP=true\n"
    };
    format!(
        "JETON_URL={issuer}\nJETON_ISSUER={issuer}\n{insecure}JETON_CLIENT_ID={id}\nJETON_CLIENT_SECRET={secret}\nJETON_RESOURCE={}\n",
        server.url.as_given()
    )
}

/// How a client gets a token and calls a tool.
pub(super) fn get_token(
    server: &McpServer,
    issuer: &str,
    id: &str,
    secret: &str,
    scopes: &ScopeSet,
) -> Vec<Snippet> {
    let url = server.url.as_given();
    let scope = scopes.to_string();
    let curl_scope = if scopes.is_empty() {
        String::new()
    } else {
        format!(
            " \\\n  --data-urlencode {}",
            shell(&format!("scope={scope}"))
        )
    };
    let insecure = if is_trustworthy_url(issuer) {
        ""
    } else {
        "\nexport JETON_INSECURE_HTTP=true"
    };
    vec![
        Snippet {
            id: "curl",
            title: "curl",
            code: format!(
                "curl --location {} \\\n  \
                 --header 'Content-Type: application/x-www-form-urlencoded' \\\n  \
                 --data-urlencode 'grant_type=client_credentials' \\\n  \
                 --data-urlencode {} \\\n  --data-urlencode {}{curl_scope}",
                shell(&format!("{issuer}/oauth/token")),
                shell(&format!("client_id={id}")),
                shell(&format!("client_secret={secret}")),
            ),
        },
        Snippet {
            id: "jeton-call",
            title: "jeton call",
            code: format!(
                "export JETON_URL={}{insecure}\nexport JETON_CLIENT_ID={}\nexport JETON_CLIENT_SECRET={}\njeton call {} --list",
                shell(issuer),
                shell(id),
                shell(secret),
                shell(url)
            ),
        },
        // With the secret that is shown this once.
        bridge(server, issuer, id, secret),
        python_client(issuer, id, secret, &scope, url),
        typescript_client(issuer, id, secret, &scope, url),
        rust_client(issuer, id, secret, url),
    ]
}

fn bridge(server: &McpServer, issuer: &str, id: &str, secret: &str) -> Snippet {
    let code = hosts(server, issuer, id, secret)
        .into_iter()
        .find(|snippet| snippet.id == "host-other")
        .map(|snippet| snippet.code)
        .unwrap_or_default();
    Snippet {
        id: "jeton-bridge",
        title: "Editors and assistants: jeton bridge",
        code,
    }
}

fn python_client(issuer: &str, id: &str, secret: &str, scope: &str, url: &str) -> Snippet {
    Snippet {
        id: "python",
        title: "Python",
        code: format!(
            "import httpx\n\n\
             answer = httpx.post({}, data={{\n    \"grant_type\": \"client_credentials\",\n    \
             \"client_id\": {},\n    \"client_secret\": {},\n    \"resource\": {},\n    \"scope\": {},\n}})\n\
             answer.raise_for_status()\naccess_token = answer.json()[\"access_token\"]",
            literal(&format!("{issuer}/oauth/token")),
            literal(id),
            literal(secret),
            literal(url),
            literal(scope),
        ),
    }
}

fn typescript_client(issuer: &str, id: &str, secret: &str, scope: &str, url: &str) -> Snippet {
    Snippet {
        id: "typescript",
        title: "TypeScript",
        code: format!(
            "const answer = await fetch({}, {{\n  method: \"POST\",\n  body: new URLSearchParams({{\n    \
             grant_type: \"client_credentials\",\n    client_id: {},\n    client_secret: {},\n    \
             resource: {},\n    scope: {},\n  }}),\n}});\n\
             if (!answer.ok) throw new Error(await answer.text());\n\
             const {{ access_token }} = await answer.json();",
            literal(&format!("{issuer}/oauth/token")),
            literal(id),
            literal(secret),
            literal(url),
            literal(scope),
        ),
    }
}

fn rust_client(issuer: &str, id: &str, secret: &str, url: &str) -> Snippet {
    let insecure = insecure_http(issuer, "");
    Snippet {
        id: "rust",
        title: "Rust: jeton-agent",
        code: format!(
            "use jeton_agent::{{ClientCredentials, TokenSource}};\n\n\
             let credentials = ClientCredentials::new({}, {}, {});\n\
             let tokens = TokenSource::builder({}, credentials){insecure}.build()?;\n\
             let token = tokens.token().await?;",
            literal(issuer),
            literal(id),
            literal(secret),
            literal(url),
        ),
    }
}
