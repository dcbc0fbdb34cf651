//! The ID of a JSON-RPC request, by which its answer is known.

use std::hash::{Hash, Hasher};

use serde_json::Value;
use serde_json::value::RawValue;

/// Up to here every whole number is a floating-point number of its own.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// A JSON-RPC ID. Two are equal where they mean the same: `"a+b"` and `"a\u002Bb"`, `7` and `7.0`.
#[derive(Debug, Clone)]
pub(crate) struct Id {
    written: String,
    meaning: String,
}

impl Id {
    /// As it was written.
    pub(crate) fn as_json(&self) -> &str {
        &self.written
    }
}

impl From<&RawValue> for Id {
    fn from(raw: &RawValue) -> Self {
        Self {
            written: raw.get().to_owned(),
            meaning: meaning(raw.get()),
        }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning.hash(state);
    }
}

/// An ID in the one spelling that is compared.
fn meaning(written: &str) -> String {
    match serde_json::from_str(written) {
        Ok(Value::String(text)) => Value::String(text).to_string(),
        // Other whole numbers may be longer than can be counted with here.
        Ok(Value::Number(number)) if written.contains(['.', 'e', 'E']) => number
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() <= MAX_WHOLE)
            .map_or_else(|| written.to_owned(), |number| format!("{number:.0}")),
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(written: &str) -> Id {
        Id::from(serde_json::from_str::<&RawValue>(written).unwrap())
    }

    #[test]
    fn ids_are_equal_where_they_mean_the_same() {
        for (one, other) in [
            (r#""a+b""#, r#""a\u002Bb""#),
            (r#""\/""#, r#""/""#),
            ("7", "7.0"),
            ("100", "1e2"),
            ("18446744073709551617", "18446744073709551617"),
        ] {
            assert_eq!(id(one), id(other), "{one} {other}");
        }
        for (one, other) in [
            ("7", r#""7""#),
            ("7", "7.5"),
            ("18446744073709551617", "18446744073709551616"),
            (r#""a""#, r#""A""#),
        ] {
            assert_ne!(id(one), id(other), "{one} {other}");
        }
    }
}
