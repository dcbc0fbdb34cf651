//! The one spelling of a URL's path that every reader takes for the same path.
//!
//! Readers differ in how far they normalise: some decode `%6d` or `%2F`, some merge `//`, some drop
//! matrix parameters or trailing dots, some normalise Unicode or drop what nobody sees. A path that none of them
//! would change has one meaning.

use unicode_normalization::UnicodeNormalization as _;
use url::Url;

use crate::invisible::{is_default_ignorable, is_separator};

/// How often escapes are decoded at most: nobody escapes more often in earnest.
const MAX_ROUNDS: u32 = 4;

/// Characters of a path that need no escape (RFC 3986 §3.3) but for `;`, which begins a matrix
/// parameter.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(c)
}

/// What the most thorough of readers makes of `path`, which begins with a slash; nothing where an
/// escape is broken.
pub(crate) fn normal(path: &str) -> Option<String> {
    let decoded = decode(path)?;
    let without_query = decoded.split(['?', '#']).next().unwrap_or("");
    let ends_open = without_query.ends_with(['/', '\\']);
    let mut segments: Vec<String> = Vec::new();
    for segment in without_query.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or("").trim() {
            ".." => {
                segments.pop();
            }
            trimmed => {
                let kept = trimmed.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
                if !kept.is_empty() {
                    segments.push(encode(kept));
                }
            }
        }
    }
    let end = if ends_open && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{end}", segments.join("/")))
}

/// Decodes escapes until none is left, since some readers decode twice. Control characters and what nobody sees go,
/// and the rest becomes what compatibility normalisation makes of it, which may be an escape again.
fn decode(path: &str) -> Option<String> {
    let mut text = path.to_owned();
    for _ in 0..MAX_ROUNDS {
        text = decode_once(&text)?;
        text.retain(|c| !c.is_control());
        if !text.is_ascii() {
            text = visible(&text)?;
        }
        if !text.contains('%') {
            return Some(text);
        }
    }
    None
}

/// `text` in NFKC (UAX #15) without what nobody sees. What is left out may let its neighbours combine, so it is done
/// until nothing changes.
fn visible(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let normal: String = text.nfkc().filter(|c| !is_invisible(*c)).collect();
        if normal == text {
            return Some(normal);
        }
        text = normal;
    }
    None
}

/// What nobody sees, what annotates or replaces text, private use, and code points that are no characters.
fn is_invisible(c: char) -> bool {
    is_default_ignorable(c)
        || is_separator(c)
        || matches!(u32::from(c),
            0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfff0..=0xffff | 0xf0000..=0x10_ffff)
}

fn decode_once(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high << 4) | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A segment with its escapes in upper case, as the URL standard writes a path.
fn encode(segment: &str) -> String {
    if segment.chars().all(is_plain) {
        return segment.to_owned();
    }
    // The parser of the URL standard decides which characters are escaped.
    let Ok(mut url) = Url::parse("http://a/") else {
        return segment.to_owned();
    };
    url.set_path(segment);
    url.path().trim_start_matches('/').to_owned()
}
