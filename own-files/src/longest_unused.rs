//! Which files make room for others.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Removes the longest unused of some files, each with when it was used and its bytes, until the others have `max_bytes` together at
/// most.
pub fn remove(mut files: Vec<(SystemTime, u64, PathBuf)>, max_bytes: u64) {
    files.sort();
    let mut bytes: u64 = 0;
    for (_, len, path) in files.into_iter().rev() {
        bytes = bytes.saturating_add(len);
        if bytes > max_bytes {
            // Somebody else may have removed it, too.
            let _ = fs::remove_file(path);
        }
    }
}
