//! Files that a setting names: what is wrong with one, in words that say what to do.

use std::fs;
use std::io;
use std::path::Path;

/// Reads a file that has to have something in it.
///
/// # Errors
///
/// What is wrong with it, as a clause that can follow the file's name: there is none, it is a directory, this user
/// may not read it, it is empty.
pub fn read_named_file(path: &Path) -> io::Result<Vec<u8>> {
    let contents = fs::read(path).map_err(|error| explained(path, error))?;
    if contents.iter().all(u8::is_ascii_whitespace) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is empty; was it ever written?",
        ));
    }
    Ok(contents)
}

/// The same for a file of text.
///
/// # Errors
///
/// Those of [`read_named_file`], and where it is not UTF-8.
pub fn read_named_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_named_file(path)?).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is not text (UTF-8); is it the right one?",
        )
    })
}

/// The error of reading a file, with what to do.
pub(super) fn explained(path: &Path, error: io::Error) -> io::Error {
    let words = match error.kind() {
        _ if path.is_dir() => {
            "it is a directory, and a file is expected; a container has one in place of a mounted file that does not exist outside"
        }
        io::ErrorKind::NotFound => {
            "there is no such file; check its name, and where this command runs"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not read it; give the user that runs jeton permission to"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}
