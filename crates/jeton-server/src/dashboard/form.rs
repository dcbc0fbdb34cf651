//! A posted form, and what is wrong with it, field by field.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use url::form_urlencoded;

use super::PageError;
use super::error::sentence;
use super::kept_form::GIVEN_BACK;
use crate::http::{BodyError, has_media_type, read_body};
use crate::service::{Confirmation, ServiceError};

/// The largest form, in bytes: 200 scopes with their descriptions.
const MAX_FORM: usize = 512 * 1024;

/// The fields of a form, in order. Not in `Debug`, for some are secrets.
#[derive(Clone, Default)]
pub(crate) struct PostedForm(Vec<(String, String)>);

impl std::fmt::Debug for PostedForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_tuple("PostedForm").field(&names).finish()
    }
}

impl PostedForm {
    /// Reads a body.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, PageError> {
        if !has_media_type(headers, "application/x-www-form-urlencoded") {
            return Err(PageError::Refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The dashboard takes forms only.",
            ));
        }
        let body = read_body(headers, body, MAX_FORM)
            .await
            .map_err(|error| match error {
                BodyError::Compressed => PageError::Refused(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "The form is compressed (Content-Encoding). Send it uncompressed.",
                ),
                BodyError::TooLarge => {
                    PageError::Refused(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.")
                }
                BodyError::TooSlow | BodyError::Broken => PageError::Refused(
                    StatusCode::REQUEST_TIMEOUT,
                    "The form did not arrive whole; send it again.",
                ),
            })?;
        Ok(Self(
            form_urlencoded::parse(&body)
                .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")))
                .collect(),
        ))
    }

    /// The first field of this name, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map_or("", |(_, value)| value)
    }

    /// All fields, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.iter();
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether it only comes back after its session had ended, to be shown and not to be saved.
    pub(crate) fn is_given_back(&self) -> bool {
        self.is_ticked("given_back")
    }

    /// All fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// All fields, in order, but those of these names.
    pub(crate) fn without<'a>(
        &'a self,
        names: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(name, _)| !names.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a box was ticked.
    pub(crate) fn is_ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// A field that holds a secret.
    pub(crate) fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.text(name))
    }

    /// The version of a thing that the form was made from.
    pub(crate) fn version(&self) -> Result<i64, PageError> {
        self.seen("version")
    }

    /// A field that says what the form was made from. Without it, somebody else's change could be overwritten
    /// unseen.
    pub(crate) fn seen<T: FromStr>(&self, name: &str) -> Result<T, PageError> {
        self.text(name).parse().map_err(|_| {
            PageError::Refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The form does not say which version it was made from. Nothing was changed: reload the page \
                 and send the form again.",
            )
        })
    }

    /// A field as a domain value. What is wrong is noted in `errors`.
    pub(crate) fn parse<T>(&self, name: &'static str, errors: &mut Errors) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        errors.take(name, self.text(name).parse::<T>())
    }
}

/// What is wrong with a form: a sentence for a field, in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors {
    fields: Vec<(String, String)>,
    /// Who saved something since the form was opened, and when.
    pub(crate) changed_by: Option<String>,
    /// What somebody else saved since the form was opened, where that differs from the form.
    pub(crate) saved_since: Vec<Saved>,
    /// What has to be confirmed before the form is saved.
    pub(crate) confirmation: Option<Confirmation>,
}

/// A field as it is saved now.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) label: &'static str,
    pub(crate) value: String,
}

impl Errors {
    /// Notes what is wrong with a field, if nothing is noted yet.
    pub(crate) fn add(&mut self, field: &str, problem: impl Display) {
        if self.get(field).is_none() {
            let problem = sentence(&problem.to_string());
            self.fields.push((field.to_owned(), problem));
        }
    }

    /// A value, or a note of what is wrong with it.
    pub(crate) fn take<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|problem| self.add(field, problem)).ok()
    }

    /// What a service made, or a note of the field that it found wrong. Other failures are no matter
    /// of a field.
    pub(crate) fn accept<T>(
        &mut self,
        made: Result<T, ServiceError>,
    ) -> Result<Option<T>, PageError> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(ServiceError::Invalid { parameter, detail }) => {
                self.add(parameter, detail);
                Ok(None)
            }
            Err(ServiceError::Unconfirmed(confirmation)) => {
                self.confirmation = Some(Confirmation {
                    detail: sentence(&confirmation.detail),
                    ..*confirmation
                });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same, where what contradicts the things that are there is a matter of `field`.
    pub(crate) fn accept_with_conflict<T>(
        &mut self,
        field: &str,
        made: Result<T, ServiceError>,
    ) -> Result<Option<T>, PageError> {
        match made {
            Err(ServiceError::Conflict(detail)) => {
                self.add(field, detail);
                Ok(None)
            }
            other => self.accept(other),
        }
    }

    /// Notes that somebody else saved something since the form was opened: each field's label, what the
    /// form says and what is saved.
    pub(crate) fn note_stale(
        &mut self,
        fields: impl IntoIterator<Item = (&'static str, String, String)>,
    ) {
        self.add(
            "",
            "Someone else changed this after you opened the page. Nothing was saved. Compare your form with \
             what is saved now, then save anyway.",
        );
        self.saved_since = fields
            .into_iter()
            .filter(|(_, form, saved)| form != saved)
            .map(|(label, _, saved)| Saved {
                label,
                value: if saved.is_empty() {
                    "(empty)".into()
                } else {
                    saved
                },
            })
            .collect();
    }

    /// Of a form that comes back after its session had ended.
    pub(crate) fn given_back() -> Self {
        let mut errors = Self::default();
        errors.add("", GIVEN_BACK);
        errors
    }

    /// The status of the page that shows the form again.
    pub(crate) fn status(&self) -> StatusCode {
        if self.confirmation.is_some() || self.general().is_some() {
            StatusCode::CONFLICT
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A field, and what is wrong with it.
    pub(crate) fn first(&self) -> Option<(&String, &String)> {
        let mut fields = self.fields.iter();
        fields.next().map(|(field, problem)| (field, problem))
    }

    /// What is wrong with a field, for a template.
    pub(crate) fn get(&self, field: &str) -> Option<&String> {
        let mut fields = self.fields.iter();
        fields
            .find(|(found, _)| found == field)
            .map(|(_, problem)| problem)
    }

    /// What is wrong with no field in particular.
    pub(crate) fn general(&self) -> Option<&String> {
        self.get("")
    }

    /// Whether somebody else saved something since the form was opened.
    pub(crate) fn is_stale(&self) -> bool {
        !self.saved_since.is_empty() || self.changed_by.is_some()
    }

    /// Each field that is wrong: where it is on the page, what people call it, and what is wrong.
    pub(crate) fn summary(&self) -> impl Iterator<Item = Problem<'_>> {
        let of_fields = self.fields.iter().filter(|(field, _)| !field.is_empty());
        of_fields.map(|(field, problem)| Problem {
            field,
            label: label(field),
            words: problem,
        })
    }
}

/// An entry of the summary above a form.
pub(crate) struct Problem<'a> {
    pub(crate) field: &'a str,
    pub(crate) label: String,
    pub(crate) words: &'a str,
}

/// What a form calls a field.
fn label(field: &str) -> String {
    let words = match field {
        "url" => "URL",
        "ttl" | "token_ttl" => "Token lifetime",
        "secret_expiry" | "expiry" => "Secret expires in",
        "to" => "New name",
        "from" => "Scope",
        "confirm" => "Confirmation",
        "note" => "Who is it for?",
        "old_password" => "Current password",
        "password" => "Password",
        other => {
            if let Some(row) = other.strip_prefix("scope-row-") {
                return format!("Scope {row}");
            }
            let mut label = sentence(&other.replace('_', " "));
            label.pop();
            return label;
        }
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_wrong_is_listed_once_in_order_and_named_as_on_the_page() {
        let mut errors = Errors::default();
        errors.add("url", "expected an http or https URL");
        errors.add("", "Nothing was saved.");
        errors.add("scope-row-4", "a scope needs at least one character");
        errors.add("url", "something else");
        errors.add("custom_claims", "expected a JSON object");
        let listed: Vec<_> = errors
            .summary()
            .map(|one| format!("{}: {}", one.label, one.words))
            .collect();
        assert_eq!(
            listed,
            [
                "URL: Expected an http or https URL.",
                "Scope 4: A scope needs at least one character.",
                "Custom claims: Expected a JSON object."
            ]
        );
    }
}
