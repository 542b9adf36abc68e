//! Files and directories that are their owner's alone.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

/// Reads a file that is ours, and no link, pipe or directory; nobody else may read or write it.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    let data = fs::symlink_metadata(path).ok()?;
    let is_private = data.is_file() && rights_trouble(&data, OTHERS).is_none();
    is_private.then(|| fs::read(path).ok())?
}

/// Makes a file that nobody else may read, and which becomes visible by its name only once it is whole; until then its name ends in
/// `suffix`.
pub(crate) fn new_file(directory: &Path, suffix: &str) -> io::Result<tempfile::NamedTempFile> {
    // On Unix a temporary file has mode 0600; elsewhere the directory's rights count.
    tempfile::Builder::new().suffix(suffix).tempfile_in(directory)
}

/// Makes a directory that nobody else may look into, and those above it, unless there is one.
///
/// # Errors
///
/// What the system says.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Why somebody else might put files into a directory, or another directory in its place; none if nobody can, or if it is not there.
pub(crate) fn directory_trouble(directory: &Path) -> Option<&'static str> {
    own_trouble(directory).or_else(|| {
        let whole = directory.canonicalize().ok()?;
        whole.ancestors().skip(1).find_map(|above| path_trouble(&fs::metadata(above).ok()?))
    })
}

fn own_trouble(directory: &Path) -> Option<&'static str> {
    let data = match fs::symlink_metadata(directory) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some("it cannot be looked at"),
    };
    if !data.is_dir() {
        return Some("it is no directory");
    }
    rights_trouble(&data, OTHERS_WRITE)
}

/// Rights of the group and of everybody.
const OTHERS: u32 = 0o077;

/// Those to write.
const OTHERS_WRITE: u32 = 0o022;

#[cfg(unix)]
fn rights_trouble(data: &Metadata, forbidden: u32) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if data.uid() != rustix::process::geteuid().as_raw() {
        return Some("it belongs to somebody else");
    }
    (data.mode() & forbidden != 0).then_some("others have rights to it")
}

/// What stands above the directory may be the system's, and may be everybody's if nobody can rename what is not theirs.
#[cfg(unix)]
fn path_trouble(data: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    const ROOT: u32 = 0;
    const STICKY: u32 = 0o1000;
    // Not the group's: many systems give each user one of their own, and let it write.
    const ANYBODY_WRITES: u32 = 0o002;
    let owner = data.uid();
    if owner != ROOT && owner != rustix::process::geteuid().as_raw() {
        return Some("a directory above it belongs to somebody else");
    }
    let may_be_renamed = data.mode() & ANYBODY_WRITES != 0 && data.mode() & STICKY == 0;
    may_be_renamed.then_some("anybody has rights to a directory above it")
}

#[cfg(not(unix))]
fn path_trouble(_: &Metadata) -> Option<&'static str> {
    None
}

/// Elsewhere a user's cache directory has rights of its own.
#[cfg(not(unix))]
fn rights_trouble(_: &Metadata, _: u32) -> Option<&'static str> {
    None
}
