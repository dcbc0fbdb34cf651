//! Which scopes the issuer's own metadata lists.

use std::sync::Arc;

use jeton_core::ScopeSet;

use crate::app::App;
use crate::config::MetadataScopes;

/// None by default: stock clients ask for every scope that is listed, also where it is another MCP server's,
/// and names tell strangers what there is. An MCP server's own issuer lists that server's.
pub(crate) fn listed_scopes(app: &App) -> Arc<ScopeSet> {
    match app.metadata_scopes {
        MetadataScopes::None => Arc::default(),
        MetadataScopes::All => app.directory.all_scopes(),
    }
}
