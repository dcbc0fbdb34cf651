//! `application/x-www-form-urlencoded`, read strictly (OAuth 2.1 §3.2).
//!
//! Lenient readers replace what they cannot decode and keep one of two equal names; at a token
//! endpoint both would let two readers see different requests. Here they are errors.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Why a form is refused. The texts never contain a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// `%` without two hexadecimal digits after it.
    #[error(
        "the body has a % that is not followed by two hexadecimal digits; percent-encode it as %25"
    )]
    PercentEncoding,
    /// Bytes that are no UTF-8 once decoded.
    #[error("the body is not valid UTF-8 once percent-decoded")]
    Utf8,
    /// The same name twice.
    #[error("the parameter {0} was sent more than once")]
    Repeated(String),
    /// More than 100 parameters.
    #[error("the body has more than 100 parameters")]
    TooMany,
}

/// A decoded form: each name once, empty values dropped.
pub struct Form {
    /// All names and values, one after the other.
    text: String,
    pairs: Vec<Pair>,
}

/// Where in the text they are.
struct Pair {
    name: Range<usize>,
    value: Range<usize>,
}

impl Form {
    /// Reads a form. Parameters sent without a value are treated as not sent (OAuth 2.1 §3.2).
    ///
    /// # Errors
    ///
    /// [`FormError`], without any value in its text.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let mut form = Self {
            // Decoded, nothing is longer than it was.
            text: String::with_capacity(body.len()),
            pairs: Vec::with_capacity(6),
        };
        let body = std::str::from_utf8(body).map_err(|_| FormError::Utf8)?;
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            form.add(name, value)?;
        }
        Ok(form)
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), FormError> {
        let start = self.text.len();
        self.text.push_str(&decode(name)?);
        let middle = self.text.len();
        self.text.push_str(&decode(value)?);
        let pair = Pair {
            name: start..middle,
            value: middle..self.text.len(),
        };
        let name = self.part(&pair.name);
        if self.names().any(|known| known == name) {
            return Err(FormError::Repeated(printable(name)));
        }
        if self.pairs.len() == 100 {
            return Err(FormError::TooMany);
        }
        self.pairs.push(pair);
        Ok(())
    }

    /// The value of `name`, if it was sent and is not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        let pair = self
            .pairs
            .iter()
            .find(|pair| self.part(&pair.name) == name)?;
        Some(self.part(&pair.value)).filter(|value| !value.is_empty())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|pair| self.part(&pair.name))
    }

    fn part(&self, place: &Range<usize>) -> &str {
        self.text.get(place.clone()).unwrap_or_default()
    }
}

/// A parameter's name fit for an `error_description` (RFC 6749 §5.2's characters), cut at 40.
fn printable(name: &str) -> String {
    name.chars()
        .take(40)
        .map(|c| {
            if matches!(c, ' '..='~') && c != '"' && c != '\\' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Decodes one name or value: `+` is a space, `%XX` a byte.
///
/// # Errors
///
/// [`FormError::PercentEncoding`] and [`FormError::Utf8`].
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    let encoded = |byte| matches!(byte, b'+' | b'%');
    // All of them, which is faster than stopping at the first.
    if !text.bytes().fold(false, |any, byte| any | encoded(byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => (high << 4) | low,
                _ => return Err(FormError::PercentEncoding),
            },
            other => other,
        });
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| FormError::Utf8)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(body: Vec<u8>) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn what_was_encoded_reads_back(value in ".{1,40}") {
            let body: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("client_secret", &value)
                .finish();
            let form = Form::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(form.value("client_secret"), Some(value.as_str()));
        }
    }

    #[test]
    fn bad_forms_are_refused_each_with_its_reason() {
        assert_eq!(
            Form::parse(b"a=1&a=2").unwrap_err(),
            FormError::Repeated("a".into())
        );
        assert_eq!(
            Form::parse(b"a=&a=").unwrap_err(),
            FormError::Repeated("a".into())
        );
        assert_eq!(
            Form::parse(b"a=%zz").unwrap_err(),
            FormError::PercentEncoding
        );
        assert_eq!(
            Form::parse(b"a=%4").unwrap_err(),
            FormError::PercentEncoding
        );
        assert_eq!(Form::parse(b"a=%ff").unwrap_err(), FormError::Utf8);
        assert_eq!(Form::parse(b"a=\xff").unwrap_err(), FormError::Utf8);
    }

    #[test]
    fn debug_output_names_parameters_without_their_values() {
        let form = Form::parse(b"client_secret=hunter2").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"client_secret"}"#);
    }
}
