//! Texts that people read: names and descriptions, bounded, with something to see, and without
//! characters that hide or reorder what is there.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::invisible::{hidden, is_default_ignorable, is_separator};

/// Why a name or a description is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Nothing that a reader would see.
    #[error("has no visible character; a name needs at least one letter, digit or sign")]
    Invisible,
    /// A character that reorders the text around it (Unicode UAX #9), so that it reads as another one.
    #[error(
        "has the character U+{0:04X}, which changes the direction of the text around it so that it reads as another; leave it out"
    )]
    Direction(u32),
    /// A character that cannot be seen, so that two texts look alike.
    #[error("has the invisible character U+{0:04X}; leave it out")]
    Hidden(u32),
    /// Over the limit.
    #[error("has {found} characters where at most {limit} are allowed")]
    TooLong {
        /// The most characters allowed.
        limit: usize,
        /// The characters found.
        found: usize,
    },
    /// A control character, such as a line break in a name.
    #[error("has the control character U+{0:04X}; leave it out")]
    Control(u32),
}

/// Characters that change the order in which others are shown (Unicode `Bidi_Control`).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that show nothing by themselves: white space, joiners, fillers, variation selectors.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_default_ignorable(c) || is_separator(c) || c == '\u{2800}'
}

/// A text as it can be shown on one line: what would hide, reorder or control is written as its
/// number, `\u{202e}`. For what was taken before such characters were refused, and for what others
/// sent.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !(c.is_control() || is_default_ignorable(c) || is_separator(c));
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    let mut hidden = hidden(text).peekable();
    for (at, c) in text.char_indices() {
        let is_hidden = hidden.next_if(|(hidden, _)| *hidden == at).is_some();
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if is_hidden || c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Refuses what a reader would not see as it is.
fn readable(text: &str) -> Result<(), TextError> {
    if let Some(c) = text.chars().find(|c| is_direction(*c)) {
        return Err(TextError::Direction(u32::from(c)));
    }
    if !text.is_empty() && text.chars().all(is_blank) {
        return Err(TextError::Invisible);
    }
    match hidden(text).next() {
        Some((_, c)) => Err(TextError::Hidden(u32::from(c))),
        None => Ok(()),
    }
}

fn bounded(text: &str, limit: usize, line_breaks: bool) -> Result<String, TextError> {
    let text = text.trim();
    let found = text.chars().count();
    if found > limit {
        return Err(TextError::TooLong { limit, found });
    }
    let is_control = |c: &char| c.is_control() && !(line_breaks && matches!(c, '\n' | '\t'));
    match text.chars().find(is_control) {
        Some(c) => Err(TextError::Control(u32::from(c))),
        None => Ok(text.to_owned()),
    }
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
        let name = Self::from_registered(text)?;
        readable(&name.0)?;
        Ok(name)
    }
}

impl DisplayName {
    /// Parses a name that is in the store: an earlier version may have taken one that
    /// [`Self::from_str`] refuses today.
    ///
    /// # Errors
    ///
    /// [`TextError`].
    pub fn from_registered(text: &str) -> Result<Self, TextError> {
        let name = bounded(text, 100, false)?;
        if name.is_empty() {
            Err(TextError::Empty)
        } else {
            Ok(Self(name))
        }
    }
}

impl Description {
    /// Parses a description that is in the store: an earlier version may have taken one that
    /// [`Self::from_str`] refuses today.
    ///
    /// # Errors
    ///
    /// [`TextError`].
    pub fn from_registered(text: &str) -> Result<Self, TextError> {
        bounded(text, 1000, true).map(Self)
    }

    /// Deserializes a description that is in the store.
    pub(crate) fn deserialize_registered<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_registered(&text).map_err(serde::de::Error::custom)
    }
}

impl FromStr for Description {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let description = Self::from_registered(text)?;
        readable(&description.0)?;
        Ok(description)
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
                let text = Cow::<'de, str>::deserialize(deserializer)?;
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
            TextError::Control(0xa)
        );
        assert!("é".repeat(100).parse::<DisplayName>().is_ok());
        assert!("é".repeat(101).parse::<DisplayName>().is_err());
        assert!("two\nlines".parse::<Description>().is_ok());
    }

    #[test]
    fn a_text_that_reads_as_another_is_refused_with_the_character() {
        for (text, refused) in [
            ("\u{200b}", TextError::Invisible),
            ("\u{2800}\u{3164}", TextError::Invisible),
            ("\u{200d}\u{fe0f}", TextError::Invisible),
            ("\u{202e}tnega", TextError::Direction(0x202e)),
            ("agent\u{2067}", TextError::Direction(0x2067)),
            ("agent\u{200f}", TextError::Direction(0x200f)),
            ("age\u{ad}nt", TextError::Hidden(0xad)),
            ("agent\u{feff}x", TextError::Hidden(0xfeff)),
            ("agent\u{e0041}", TextError::Hidden(0xe0041)),
            ("a\u{1b}[2J", TextError::Control(0x1b)),
            ("a\u{85}b", TextError::Control(0x85)),
        ] {
            assert_eq!(
                text.parse::<DisplayName>(),
                Err(refused.clone()),
                "{text:?}"
            );
            assert_eq!(text.parse::<Description>(), Err(refused), "{text:?}");
        }
        for name in [
            "Équipe",
            "中文",
            "می\u{200c}خواهم",
            "👩\u{200d}💻",
            "שלום",
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "क्\u{200d}ष",
            "क्\u{200c}ष",
            "র\u{200d}্যাব",
            "به\u{64e}\u{200c}بود",
            "۱۴۰۲ ه\u{200d}.ش",
            "-",
            "🤖",
        ] {
            assert!(name.parse::<DisplayName>().is_ok(), "{name}");
        }
        assert!("".parse::<Description>().is_ok());
        assert!("שלום\nעולם".parse::<Description>().is_ok());
    }

    #[test]
    fn what_nobody_sees_is_refused_within_a_text_too() {
        for hidden in [
            0x34f, 0x115f, 0x1160, 0x17b4, 0x180b, 0x180e, 0x200b, 0x200c, 0x200d, 0x2028, 0x2060,
            0x3164, 0xfe00, 0xfe0f, 0xffa0, 0xfff0, 0xfff9, 0x1bca0, 0x1d173, 0xe0001, 0xe0100,
        ] {
            let hidden_character = char::from_u32(hidden).unwrap();
            for text in [
                format!("ag{hidden_character}ent"),
                format!("中{hidden_character}文"),
            ] {
                let refused = text.parse::<DisplayName>().unwrap_err();
                assert_eq!(refused, TextError::Hidden(hidden));
                assert!(shown(&text).is_ascii() || text.contains('中'), "{text:?}");
            }
        }
        // Where they change nothing.
        for text in [
            "می\u{200c}",
            "می\u{200c}x",
            "ا\u{200c}ب",
            "ا\u{200d}ب",
            "ب\u{200d}ب",
            "कम\u{200c}ल",
            "कम\u{200d}ल",
            "क्\u{200c}",
            "မ\u{200c}မ",
            "x\u{200d}💻",
            "👩\u{200d}x",
            "❤\u{fe00}",
            "ᠠ\u{180b}",
            "1\u{fe0f}",
        ] {
            let refused = text.parse::<DisplayName>().unwrap_err();
            assert!(matches!(refused, TextError::Hidden(_)), "{text:?}");
            assert!(shown(text).contains("\\u{"), "{text:?}");
        }
    }

    #[test]
    fn what_an_earlier_version_took_is_read_and_shown_with_its_numbers() {
        let name = DisplayName::from_registered("\u{202e}tnega").unwrap();
        assert_eq!(shown(name.as_str()), "\\u{202e}tnega");
        assert_eq!(shown("two\nlines\u{1b}"), "two lines\\u{1b}");
        assert_eq!(shown("Équipe"), "Équipe");
        assert!(Description::from_registered("\u{200b}").is_ok());
        assert!(DisplayName::from_registered("a\nb").is_err());
    }
}
