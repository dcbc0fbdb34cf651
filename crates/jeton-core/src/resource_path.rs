//! The one spelling of a URL's path that every reader takes for the same path.
//!
//! Readers differ in how far they normalise: some decode `%6d` or `%2F`, some merge `//`, some drop
//! matrix parameters or trailing dots. A path that none of them would change has one meaning.

use url::Url;

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

/// Decodes escapes until none is left, since some readers decode twice. Control characters go, and
/// full-width forms become what compatibility normalisation makes of them.
fn decode(path: &str) -> Option<String> {
    let mut text = path.to_owned();
    for _ in 0..MAX_ROUNDS {
        text = decode_once(&text)?;
        text = text
            .chars()
            .filter(|c| !c.is_control())
            .map(narrow)
            .collect();
        if !text.contains('%') {
            return Some(text);
        }
    }
    None
}

fn narrow(c: char) -> char {
    match u32::from(c) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0).unwrap_or(c),
        _ => c,
    }
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
