//! What a change does not stop, said before it (in a sheet) and after it: until when tokens that were issued already
//! work, and where.
//!
//! A redirect after a change says with `tokens_of` whose tokens they are (a [`TokensOf`]), and the next page tells,
//! whichever it is.

use jeton_core::{Timestamp, TokensOf};

use super::format::{When, when};
use super::zone::Zone;
use crate::app::App;
use crate::service::ServiceError;
use crate::service::last_token::{LastToken, is_void, last_token};

/// The parameter of a page's address.
pub(crate) const TOKENS_OF: &str = "tokens_of";

/// The last token, for `last_token.html`.
#[derive(Debug, Clone)]
pub(crate) struct LastTokenView {
    pub(crate) issued: When,
    pub(crate) expires: When,
    /// When it expires, by the viewer's clock.
    pub(crate) until: String,
    /// What `until` shows, for the script: a time or also the day.
    pub(crate) shows: &'static str,
    /// Whether these are a token's times; else they are the latest that there can be.
    pub(crate) exact: bool,
    last: LastToken,
}

impl LastTokenView {
    fn new(last: &LastToken, now: Timestamp, zone: &Zone) -> Self {
        let is_today = zone.day(now) == zone.day(last.expires_at);
        Self {
            issued: when(last.issued_at, now),
            expires: when(last.expires_at, now),
            until: if is_today {
                zone.minute(last.expires_at)
            } else {
                zone.date_time(last.expires_at)
            },
            shows: if is_today { "minute" } else { "all" },
            exact: last.exact,
            last: *last,
        }
    }
}

/// The last token of a client, secret, grant or MCP server that still works, if there is one: what a confirming
/// sheet says with the macro in `last_token.html`.
pub(crate) async fn last_token_of(
    app: &App,
    zone: &Zone,
    of: &TokensOf,
) -> Result<Option<LastTokenView>, ServiceError> {
    let last = last_token(app, of).await?;
    Ok(last.map(|last| LastTokenView::new(&last, app.clock.now(), zone)))
}

/// What a page says after a change.
#[derive(Debug, Clone)]
pub(crate) struct StillWorks {
    pub(crate) last: Option<LastTokenView>,
    /// Where a form is sent that revokes them, where they are not revoked.
    pub(crate) revoke: Option<String>,
}

/// What a page says whose address names `tokens_of`.
pub(crate) async fn after_change(
    app: &App,
    zone: &Zone,
    query: &str,
) -> Result<Option<StillWorks>, ServiceError> {
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == TOKENS_OF);
    let of = named.and_then(|(_, of)| of.parse::<TokensOf>().ok());
    let Some(of) = of.filter(|of| !matches!(of, TokensOf::Url(_))) else {
        return Ok(None);
    };
    let Some(last) = last_token_of(app, zone, &of).await? else {
        return Ok(Some(StillWorks {
            last: None,
            revoke: None,
        }));
    };
    let revoke = match &of {
        _ if is_void(app, &of, &last.last).await? => None,
        TokensOf::Client(id) | TokensOf::Grant(id, _) => {
            Some(format!("/dashboard/clients/{id}/revoke-tokens"))
        }
        TokensOf::Secret(id) => Some(format!("/dashboard/secrets/{id}/revoke")),
        TokensOf::McpServer(id) => Some(format!("/dashboard/mcp-servers/{id}/revoke-tokens")),
        TokensOf::Url(_) => None,
    };
    Ok(Some(StillWorks {
        last: Some(last),
        revoke,
    }))
}
