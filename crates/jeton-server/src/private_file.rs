//! Files that only their owner may read.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Writes `contents` to `path` with mode 0600, whole or not at all: to a file beside it first, then
/// renamed over it, each step on disk before the next.
///
/// # Errors
///
/// What the file system says.
pub fn write_private_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace(path, &mut &*contents, true)
}

/// Does the same with what `contents` gives, a part at a time.
///
/// # Errors
///
/// What the file system says.
pub fn copy_into_private_file(path: &Path, contents: &mut impl io::Read) -> io::Result<()> {
    replace(path, contents, true)
}

/// The same, but on disk only when the system gets to it: after a crash of the machine, the file may be an
/// older one, or none.
pub(crate) fn write_private_file_soon(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace(path, &mut &*contents, false)
}

fn replace(path: &Path, contents: &mut impl io::Read, at_once: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // A leftover of a crash may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    io::copy(contents, &mut file)?;
    if at_once {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)?;
    if at_once
        && let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes an empty file with mode 0600 where there is none; one that exists is left as it is.
pub(crate) fn create_private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes an empty file with mode 0600 where there is none; takes one that is there away from everybody but its
/// owner, without opening it.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "others could read this file; now its owner alone can");
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
        }
        return Ok(());
    }
    create_private_file(path).map(drop)
}

/// Makes a folder, and its parents, that only its owner may enter; one that exists is left as it is.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
