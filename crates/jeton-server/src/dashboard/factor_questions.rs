//! Before one of one's own second factors, or what stands in for them, stops working.

use std::sync::Arc;

use axum::extract::{Path, State};

use super::format::grouped_count;
use super::second_factor::{self, PAGE};
use super::{Confirm, PageError, PageResult, SignedIn, passkeys};
use crate::app::App;

/// Asks before the one-time codes are removed.
pub(crate) async fn ask_remove_codes(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> PageResult {
    let id = signed_in.admin.id;
    if app.store.find_one_time_code(id).await?.is_none() {
        return Err(PageError::NotFound);
    }
    let left = passkeys::rows(&app, &signed_in).await?.len();
    let confirm = removing(
        "Remove one-time codes?".into(),
        "Codes of your app stop working immediately; setting them up again takes a new secret.",
        (left > 0).then(|| counted_passkeys(left)),
    );
    let action = format!("{PAGE}/one-time-codes/remove");
    second_factor::ask(&app, &signed_in, Confirm { action, ..confirm }).await
}

/// Asks before a passkey is removed.
pub(crate) async fn ask_remove_passkey(
    State(app): State<Arc<App>>,
    Path(passkey): Path<String>,
    signed_in: SignedIn,
) -> PageResult {
    let rows = passkeys::rows(&app, &signed_in).await?;
    let mut found = rows.iter().filter(|row| row.id == passkey);
    let row = found.next().ok_or(PageError::NotFound)?;
    let others = rows.len().saturating_sub(1);
    let codes = app.store.find_one_time_code(signed_in.admin.id).await?;
    let left = match (codes.is_some(), others) {
        (false, 0) => None,
        (true, 0) => Some("your one-time codes".to_owned()),
        (true, others) => Some(format!(
            "your one-time codes and {}",
            counted_passkeys(others)
        )),
        (false, others) => Some(counted_passkeys(others)),
    };
    let confirm = removing(
        format!("Remove {}?", row.name),
        "It stops working here immediately. Your device keeps it until you delete it there too.",
        left,
    );
    let action = format!("{PAGE}/passkeys/{}/remove", row.id);
    second_factor::ask(&app, &signed_in, Confirm { action, ..confirm }).await
}

/// Asks before new recovery codes replace those of now.
pub(crate) async fn ask_renew(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let left = app.store.count_recovery_codes(signed_in.admin.id).await?;
    let confirm = Confirm {
        title: "Create new recovery codes?".into(),
        consequences: vec![match left {
            0 => "You have used all of yours. The new ones are shown once.".into(),
            1 => "The one you still have stops working immediately. The new ones are shown once."
                .into(),
            left => format!(
                "{} you still have stop working immediately, wherever you keep them. The new ones are shown once.",
                grouped_count(left, "code")
            ),
        }],
        action: format!("{PAGE}/recovery-codes"),
        button: "Create new recovery codes".into(),
        cancel: PAGE.into(),
        ..Confirm::default()
    };
    second_factor::ask(&app, &signed_in, confirm).await
}

fn counted_passkeys(number: usize) -> String {
    grouped_count(i64::try_from(number).unwrap_or(i64::MAX), "passkey")
}

/// Before a second factor is removed; `left` is what remains.
fn removing(title: String, consequence: &str, left: Option<String>) -> Confirm {
    let then = match left {
        Some(left) => format!("You can still sign in with {left}."),
        None => "It is your last second step: afterwards your password alone is enough to sign in, and your recovery \
                 codes stop working."
            .into(),
    };
    Confirm {
        title,
        consequences: vec![consequence.to_owned(), then],
        button: "Remove".into(),
        is_danger: true,
        cancel: PAGE.into(),
        ..Confirm::default()
    }
}
