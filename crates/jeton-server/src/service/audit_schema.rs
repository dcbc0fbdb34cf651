//! The schema of the database, as far as searches of the audit log depend on it.

use jeton_store::SchemaCheck;

use super::ServiceError;
use super::audit_proof::Broken;
use crate::app::App;

/// What to do about what may hide events.
const RESTORE: &str = "remove what is not Jeton's, put back what is missing (a new database shows how it is made), and \
     verify again; or restore a backup";
/// So much is named.
const NAMED: usize = 20;

/// What may hide events from searches.
pub(super) fn broken(schema: &SchemaCheck) -> Option<Broken> {
    let hiding = (!schema.hiding.is_empty()).then(|| named(&schema.hiding))?;
    Some(Broken {
        reason: format!(
            "searches may hide events, for the database is not as Jeton made it: {hiding}"
        ),
        next_step: RESTORE,
        ..Broken::default()
    })
}

/// Says at start what is not as Jeton made it.
pub(crate) async fn tell(app: &App) -> Result<(), ServiceError> {
    let schema = app.store.check_schema().await?;
    if !schema.hiding.is_empty() {
        tracing::error!(
            found = named(&schema.hiding),
            "searches of the audit log may hide events, for the database is not as Jeton made it. {RESTORE}"
        );
    }
    if !schema.foreign.is_empty() {
        tracing::warn!(
            found = named(&schema.foreign),
            "the database holds what Jeton did not make. It hides no audit event; remove it if it is not yours"
        );
    }
    Ok(())
}

fn named(objects: &[String]) -> String {
    let mut text = objects
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ");
    if objects.len() > NAMED {
        text.push_str("; and more");
    }
    text
}
