//! From a row's columns to domain values. A value that does not parse is a corrupt row, never a
//! default.

use std::fmt::Write as _;
use std::str::FromStr;

use jeton_core::{Description, DisplayName, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::StoreError;

/// A pattern for `LIKE … ESCAPE '\\'` on a folded text: whatever holds `folded`.
pub(crate) fn like(folded: &str) -> String {
    let mut pattern = String::from("%");
    for c in folded.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// So many rows of so many numbered placeholders, as they follow VALUES.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let mut values = String::new();
    for row in 0..rows {
        values.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(values, "{comma}${}", row * columns + column);
        }
        values.push(')');
    }
    values
}

pub(crate) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, StoreError>;
    fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError>;
    fn integer(&self, column: &'static str) -> Result<i64, StoreError>;
    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError>;

    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?
            .parse()
            .map_err(|_| StoreError::Corrupt { column })
    }

    /// A name, as lenient as the version that took it.
    fn name(&self, column: &'static str) -> Result<DisplayName, StoreError> {
        DisplayName::from_registered(&self.text(column)?)
            .map_err(|_| StoreError::Corrupt { column })
    }

    /// A description, as lenient as the version that took it.
    fn description(&self, column: &'static str) -> Result<Description, StoreError> {
        Description::from_registered(&self.text(column)?)
            .map_err(|_| StoreError::Corrupt { column })
    }

    fn optional_parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.optional_text(column)?
            .map(|text| text.parse().map_err(|_| StoreError::Corrupt { column }))
            .transpose()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| StoreError::Corrupt { column })
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.integer(column).map(Timestamp::from_millis)
    }

    fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_integer(column)?.map(Timestamp::from_millis))
    }

    fn truth(&self, column: &'static str) -> Result<bool, StoreError> {
        self.integer(column).map(|value| value != 0)
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.try_get(column)
            .map_err(|_| StoreError::Corrupt { column })
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.try_get(column)
            .map_err(|_| StoreError::Corrupt { column })
    }

    fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.try_get(column)
            .map_err(|_| StoreError::Corrupt { column })
    }

    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.try_get(column)
            .map_err(|_| StoreError::Corrupt { column })
    }
}

/// A domain list as the JSON text that a column holds.
///
/// Domain values have JSON forms without exception, so the error cannot happen; it is not
/// swallowed all the same.
pub(crate) fn to_json<T: serde::Serialize>(
    value: &T,
    column: &'static str,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt { column })
}
