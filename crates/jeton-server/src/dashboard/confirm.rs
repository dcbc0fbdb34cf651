//! A sheet that asks before something that cannot be undone, or that breaks agents which work now.
//!
//! It is a page of its own (`GET` on the address that the change is sent to), so it works without the script.

use super::still_works::LastTokenView;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confirm {
    pub(crate) title: String,
    /// What happens then, in numbers; a paragraph each.
    pub(crate) consequences: Vec<String>,
    /// Tokens that it does not stop.
    pub(crate) not_stopped: Option<NotStopped>,
    /// What somebody else did meanwhile, or what else is wrong.
    pub(crate) problem: Option<String>,
    /// Where the form goes.
    pub(crate) action: String,
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Boxes to tick on the way.
    pub(crate) options: Vec<Choice>,
    /// One of these is chosen; the first is the default.
    pub(crate) choices: Vec<Choice>,
    /// A name that has to be typed.
    pub(crate) typed: Option<String>,
    /// The button's words.
    pub(crate) button: String,
    pub(crate) is_danger: bool,
    /// What serves the same purpose and breaks nothing: its words and its address.
    pub(crate) safer: Option<(String, String)>,
    /// Where one goes without doing it.
    pub(crate) cancel: String,
}

/// Tokens that a change leaves working on servers that don't ask Jeton.
#[derive(Debug, Clone)]
pub(crate) struct NotStopped {
    /// `Its`, of whom the sheet speaks.
    pub(crate) whose: &'static str,
    /// The last of them, if any still works.
    pub(crate) last: Option<LastTokenView>,
}

/// A box to tick or an option to choose.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) checked: bool,
}
