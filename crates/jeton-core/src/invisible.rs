//! Characters that nobody sees.

use crate::joining::{is_joined, is_mark, is_separated};

/// Unicode 16's `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt).
pub(crate) fn is_default_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f
        | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe0000..=0xe0fff)
}

/// The separators of lines and paragraphs, and what annotates text.
pub(crate) fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// The characters of `text` that change nothing that a reader sees, with their places: all that are ignorable, but for
/// joiners in scripts that need them, and in emoji, and variation selectors after an emoji.
pub(crate) fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    // The last visible character, and the last one that is no mark on another.
    let (mut before, mut letter) = (None, None);
    let mut rest = text.char_indices();
    std::iter::from_fn(move || {
        loop {
            let (at, c) = rest.next()?;
            if !(is_default_ignorable(c) || is_separator(c)) {
                before = Some(c);
                letter = if is_mark(c) { letter } else { Some(c) };
            } else if !is_needed(c, before, letter, rest.as_str()) {
                return Some((at, c));
            }
        }
    })
}

/// Whether `c` changes how its neighbours look.
fn is_needed(c: char, before: Option<char>, letter: Option<char>, rest: &str) -> bool {
    let after = rest.chars().next();
    let Some(before) = before.filter(|_| after != Some(c)) else {
        return false;
    };
    let next = rest.chars().find(|c| !is_mark(*c));
    match c {
        '\u{200c}' => is_separated(before, letter, next),
        '\u{200d}' => {
            is_joined(before, letter, next) || is_emoji(before) && after.is_some_and(is_emoji)
        }
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji(before) || is_keycap(before) && after == Some('\u{20e3}')
        }
        _ => false,
    }
}

/// The blocks in which emoji are.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0xa9 | 0xae | 0x203c | 0x2049 | 0x2122 | 0x2139 | 0x2190..=0x27bf | 0x2900..=0x2bff
        | 0x3030 | 0x303d | 0x3297 | 0x3299 | 0x1_f000..=0x1_faff)
}

fn is_keycap(c: char) -> bool {
    c.is_ascii_digit() || c == '#' || c == '*'
}
