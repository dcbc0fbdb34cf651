//! Ready to paste: code with a server's and a client's real values.

use jeton_core::{McpServer, ScopeSet};
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
    let url = server.url.as_given();
    let token_issuer = server.token_issuer(issuer);
    let first = server.scopes.first().map(|scope| scope.name.to_string());
    let list: Vec<String> = server
        .scopes
        .iter()
        .map(|scope| literal(scope.name.as_str()))
        .collect();
    vec![
        rust_guard(url, &token_issuer, &list, first.as_deref()),
        fastmcp(server, issuer, &token_issuer, &list),
        typescript_server(server, issuer, &token_issuer),
    ]
}

fn rust_guard(url: &str, issuer: &str, list: &[String], first: Option<&str>) -> Snippet {
    let insecure = insecure_http(issuer, "\n    ");
    let require = first
        .map(|scope| format!("\n    .require([{}])", literal(scope)))
        .unwrap_or_default();
    Snippet {
        id: "rust-server",
        title: "Rust: jeton-guard",
        code: format!(
            "use jeton_guard::GuardLayer;\n\n\
             let guard = GuardLayer::builder({}, {}){insecure}\n    .scopes_supported([{}]){require}\n    .build()?;\n\
             let app = axum::Router::new().nest_service(\"/mcp\", mcp_service).layer(guard);",
            literal(url),
            literal(issuer),
            list.join(", ")
        ),
    }
}

/// The base URL that FastMCP wants, without the path of its endpoint.
fn base(server: &McpServer) -> String {
    let url = server.url.as_given().trim_end_matches('/');
    url.strip_suffix("/mcp").unwrap_or(url).to_owned()
}

fn fastmcp(server: &McpServer, issuer: &str, token_issuer: &str, list: &[String]) -> Snippet {
    Snippet {
        id: "python-server",
        title: "Python: FastMCP",
        code: format!(
            "from fastmcp import FastMCP\n\
             from fastmcp.server.auth import RemoteAuthProvider\n\
             from fastmcp.server.auth.providers.jwt import JWTVerifier\n\n\
             auth = RemoteAuthProvider(\n    \
             token_verifier=JWTVerifier(\n        \
             jwks_uri={},\n        issuer={},\n        audience={},\n        algorithm={},\n    ),\n    \
             authorization_servers=[{}],\n    base_url={},\n    scopes_supported=[{}],\n)\n\
             mcp = FastMCP({}, auth=auth)",
            literal(&format!("{issuer}/keys")),
            literal(token_issuer),
            literal(server.url.as_given()),
            literal(server.signing_alg.as_str()),
            literal(token_issuer),
            literal(&base(server)),
            list.join(", "),
            literal(server.name.as_str()),
        ),
    }
}

fn typescript_server(server: &McpServer, issuer: &str, token_issuer: &str) -> Snippet {
    Snippet {
        id: "typescript-server",
        title: "TypeScript: the MCP SDK on Express, with jose",
        code: format!(
            "import {{ createRemoteJWKSet, jwtVerify }} from \"jose\";\n\
             import {{ requireBearerAuth }} from \"@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js\";\n\n\
             const keys = createRemoteJWKSet(new URL({}));\n\
             const verifier = {{\n  async verifyAccessToken(token) {{\n    \
             const {{ payload }} = await jwtVerify(token, keys, {{\n      \
             issuer: {},\n      audience: {},\n      algorithms: [{}],\n      typ: \"at+jwt\",\n    }});\n    \
             return {{ token, clientId: payload.client_id, scopes: payload.scope.split(\" \"), expiresAt: payload.exp }};\n  }},\n}};\n\
             app.use(\"/mcp\", requireBearerAuth({{ verifier }}));",
            literal(&format!("{issuer}/keys")),
            literal(token_issuer),
            literal(server.url.as_given()),
            literal(server.signing_alg.as_str()),
        ),
    }
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
