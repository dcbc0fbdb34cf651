//! Whose tokens: what can be declared void together.

use std::fmt;
use std::str::FromStr;

use crate::{ClientId, IdError, McpServerId, SecretId};

/// Tokens that are declared void together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokensOf {
    /// All tokens of a client.
    Client(ClientId),
    /// Those that a client got with one of its secrets.
    Secret(SecretId),
    /// A client's tokens for one MCP server.
    Grant(ClientId, McpServerId),
    /// Everybody's tokens for an MCP server.
    McpServer(McpServerId),
    /// Tokens for a URL that was an MCP server's: its comparison key.
    Url(String),
}

impl fmt::Display for TokensOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::Secret(id) => id.fmt(f),
            Self::Grant(client, server) => write!(f, "{client} {server}"),
            Self::McpServer(id) => id.fmt(f),
            Self::Url(key) => f.write_str(key),
        }
    }
}

impl FromStr for TokensOf {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains("://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if let Some((client, server)) = text.split_once(' ') {
            return Ok(Self::Grant(client.parse()?, server.parse()?));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Client(id));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Secret(id));
        }
        text.parse().map(Self::McpServer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::entropy::tests::Seeded;

    #[test]
    fn each_reads_back_as_itself() {
        let (now, entropy) = (Timestamp::from_millis(1), Seeded::new(1));
        let client = ClientId::generate(now, &entropy).unwrap();
        let server = McpServerId::generate(now, &entropy).unwrap();
        for of in [
            TokensOf::Client(client),
            TokensOf::Secret(SecretId::generate(now, &entropy).unwrap()),
            TokensOf::Grant(client, server),
            TokensOf::McpServer(server),
            TokensOf::Url("https://a.example/mcp".into()),
        ] {
            assert_eq!(of.to_string().parse::<TokensOf>().unwrap(), of);
        }
        assert!("oops".parse::<TokensOf>().is_err());
    }
}
