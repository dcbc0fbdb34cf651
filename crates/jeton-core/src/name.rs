//! Texts that people read: names and descriptions, bounded and without control characters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Why a name or a description is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Over the limit.
    #[error("has {found} characters where at most {limit} are allowed")]
    TooLong {
        /// The most characters allowed.
        limit: usize,
        /// The characters found.
        found: usize,
    },
    /// A control character, such as a line break in a name.
    #[error("must not contain control characters")]
    Control,
}

fn bounded(text: &str, limit: usize, line_breaks: bool) -> Result<String, TextError> {
    let text = text.trim();
    let found = text.chars().count();
    if found > limit {
        return Err(TextError::TooLong { limit, found });
    }
    if text
        .chars()
        .any(|c| c.is_control() && !(line_breaks && matches!(c, '\n' | '\t')))
    {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

/// A name of 1 to 100 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DisplayName(String);

/// A description of at most 1,000 characters; may be empty and may have line breaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Description(String);

impl FromStr for DisplayName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let name = bounded(text, 100, false)?;
        if name.is_empty() {
            Err(TextError::Empty)
        } else {
            Ok(Self(name))
        }
    }
}

impl FromStr for Description {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        bounded(text, 1000, true).map(Self)
    }
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text!(DisplayName);
text!(Description);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!("  Todo ".parse::<DisplayName>().unwrap().as_str(), "Todo");
        assert_eq!(" ".parse::<DisplayName>().unwrap_err(), TextError::Empty);
        assert_eq!(
            "a\nb".parse::<DisplayName>().unwrap_err(),
            TextError::Control
        );
        assert!("é".repeat(100).parse::<DisplayName>().is_ok());
        assert!("é".repeat(101).parse::<DisplayName>().is_err());
        assert!("two\nlines".parse::<Description>().is_ok());
    }
}
