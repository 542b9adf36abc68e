//! Which files make room for others.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Removes the longest unused of some files, each with when it was used and its bytes, until the others have `max_bytes` together at
/// most; a file that has more by itself is removed, and makes no other go.
pub fn remove(mut files: Vec<(SystemTime, u64, PathBuf)>, max_bytes: u64) {
    files.sort();
    let mut kept_bytes: u64 = 0;
    let mut is_full = false;
    for (_, len, path) in files.into_iter().rev() {
        let bytes = kept_bytes.saturating_add(len);
        // What was used before a file that had to go for want of room goes as well.
        is_full |= bytes > max_bytes && len <= max_bytes;
        if is_full || len > max_bytes {
            // Somebody else may have removed it, too.
            let _ = fs::remove_file(path);
        } else {
            kept_bytes = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Which of some files stay, the newest first.
    fn kept(sizes: &[u64], max_bytes: u64) -> Vec<bool> {
        let room = tempfile::tempdir().expect("there is room");
        let files: Vec<_> = (0..)
            .zip(sizes)
            .map(|(age, len)| {
                let path = room.path().join(format!("{age}"));
                fs::write(&path, []).expect("written");
                (SystemTime::now() - Duration::from_secs(60 * age), *len, path)
            })
            .collect();
        remove(files.clone(), max_bytes);
        files.iter().map(|(_, _, path)| path.exists()).collect()
    }

    #[test]
    fn what_is_larger_than_all_room_takes_nothing_else_with_it() {
        assert_eq!(kept(&[101, 40, 60], 100), [false, true, true]);
        assert_eq!(kept(&[40, 101, 60], 100), [true, false, true]);
        assert_eq!(kept(&[u64::MAX, u64::MAX, 100], 100), [false, false, true]);
    }

    #[test]
    fn what_was_used_longer_ago_goes_first() {
        assert_eq!(kept(&[60, 50, 30], 100), [true, false, false]);
        assert_eq!(kept(&[60, 40, 1], 100), [true, true, false]);
    }
}
