//! Files that a person names, to be read or written: what is wrong with one, in words that say what to do.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The most that is read, in bytes. What people write is far smaller; a device has no end.
const MAX: u64 = 16 << 20;

const NOT_TEXT: &str = "the file is not text (UTF-8); is it the right one?";

/// Reads a file that has to have something in it.
///
/// # Errors
///
/// What is wrong with it, as a clause that can follow the file's name: there is none, it is a directory, this user
/// may not read it, it is empty, or has no end.
pub fn read_named_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX + 1).read_to_end(&mut contents))
        .map_err(|error| explained(path, error))?;
    if u64::try_from(contents.len()).is_ok_and(|length| length > MAX) {
        return Err(unusable(
            "the file has more than 16 MiB; is it the right one?",
        ));
    }
    if contents.iter().all(u8::is_ascii_whitespace) {
        return Err(unusable("the file is empty; was it ever written?"));
    }
    Ok(contents)
}

/// The same for a file of text.
///
/// # Errors
///
/// Those of [`read_named_file`], and where it is not UTF-8.
pub fn read_named_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_named_file(path)?).map_err(|_| unusable(NOT_TEXT))
}

fn unusable(words: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, words)
}

/// The error of reading a file, with what to do.
pub(super) fn explained(path: &Path, error: io::Error) -> io::Error {
    let words = match error.kind() {
        _ if path.is_dir() => {
            "it is a directory, and a file is expected; a container has one in place of a mounted file that does not exist outside"
        }
        // A part of the path may be a file.
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "there is no such file; check its name, and where this command runs"
        }
        ErrorKind::PermissionDenied => {
            "this user may not read it; give the user that runs jeton permission to"
        }
        ErrorKind::InvalidData => NOT_TEXT,
        _ => return error,
    };
    let kind = match error.kind() {
        ErrorKind::NotADirectory => ErrorKind::NotFound,
        kind => kind,
    };
    io::Error::new(kind, words)
}

/// The error of writing a file that a person named, with what to do.
pub fn not_written(path: &Path, error: io::Error) -> io::Error {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let words = match error.kind() {
        _ if path.is_dir() => "it is a directory; name a file in it".to_owned(),
        ErrorKind::NotFound | ErrorKind::NotADirectory => match folder {
            Some(folder) => format!(
                "there is no directory {}; create it, or name another file",
                folder.display()
            ),
            None => "this directory was removed; go to another".to_owned(),
        },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this user may not write there; name another file, or change the owner or mode of the directory".to_owned()
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full; make room, or name a file on another".to_owned()
        }
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}
