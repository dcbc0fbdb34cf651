//! A QR code as a path of an SVG, which needs neither a script nor an image from elsewhere.

use std::fmt::Write as _;

use fast_qr::QRBuilder;

use super::PageError;

/// ISO/IEC 18004 §9.1: the quiet zone around a code, in modules.
const QUIET: usize = 4;

/// See the module.
pub(super) struct QrCode {
    /// Width and height, in modules.
    pub(super) size: usize,
    /// Its dark modules.
    pub(super) path: String,
}

impl QrCode {
    /// The code of a text.
    pub(super) fn of(text: &str) -> Result<Self, PageError> {
        let code = QRBuilder::new(text)
            .build()
            .map_err(|error| PageError::Render(format!("a QR code: {error:?}")))?;
        let mut path = String::new();
        for row in 0..code.size {
            for column in 0..code.size {
                let is_dark = code
                    .data
                    .get(row * code.size + column)
                    .is_some_and(|module| module.value());
                if is_dark {
                    // Each module a square: M column row, then its sides.
                    let _ = write!(path, "M{} {}h1v1h-1z", column + QUIET, row + QUIET);
                }
            }
        }
        Ok(Self {
            size: code.size + 2 * QUIET,
            path,
        })
    }
}
