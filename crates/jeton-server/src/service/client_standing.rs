//! Whether a client can get a token now, and if not, why not.

use jeton_core::{ClientProblem, SecretState};

use crate::app::App;
use crate::directory::ClientEntry;

/// Why a client can't get any token, if it can't.
pub(crate) fn problem(app: &App, entry: &ClientEntry) -> Option<ClientProblem> {
    ClientProblem::of(
        &entry.client,
        &entry.secrets,
        &entry.grants,
        |id| app.directory.find_mcp_server(id).is_some(),
        app.clock.now(),
    )
}

/// Whether a secret that works was created after `moment`.
pub(crate) fn has_newer_secret(
    app: &App,
    entry: &ClientEntry,
    moment: jeton_core::Timestamp,
) -> bool {
    let now = app.clock.now();
    entry
        .secrets
        .iter()
        .any(|secret| secret.state(now) == SecretState::Active && secret.created_at > moment)
}
