//! The layer.

use std::sync::Arc;

use tower::Layer;

use crate::builder::GuardBuilder;
use crate::guard::Rules;
use crate::service::Guard;

/// Protects a service; see the [crate's page](crate). Clones share one key cache.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    pub(crate) rules: Arc<Rules>,
}

impl GuardLayer {
    /// Protects `resource`, the URL of the MCP endpoint as clients know it, with tokens of `issuer`.
    pub fn builder(resource: &str, issuer: &str) -> GuardBuilder {
        GuardBuilder::new(resource, issuer)
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            rules: Arc::clone(&self.rules),
        }
    }
}
