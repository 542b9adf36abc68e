//! Compiled policies: found again, and never believed if anything about them is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use whittle_policy_host::{Cache, Host, Limits, Origin};

use crate::support::{hostile, snapshot};

fn origin(directory: &Path) -> Origin {
    // A new host each time, as in another process.
    let host = Host::new(Limits::default(), Some(Cache::in_directory(directory)));
    let policy = host.load(&hostile("none")).expect("nothing is wrong with it");
    policy.evaluate(&snapshot()).expect("it answers");
    policy.origin()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("the cache is a directory");
    let paths = files.map(|file| file.expect("it can be listed").path());
    paths.filter(|path| !path.ends_with("sealing.key")).collect()
}

fn warm_cache() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room");
    assert_eq!(origin(directory.path()), Origin::Compiled);
    assert_eq!(origin(directory.path()), Origin::Cache);
    let entry = entries(directory.path()).pop().expect("there is an entry");
    (directory, entry)
}

/// Checks that an entry that is wrong is compiled anew, and then right.
fn assert_rebuilt(directory: &Path) {
    assert_eq!(origin(directory), Origin::Compiled);
    assert_eq!(origin(directory), Origin::Cache);
    assert_eq!(entries(directory).len(), 1, "nothing is left behind");
}

#[test]
fn a_changed_or_cut_entry_is_rebuilt() {
    let (directory, entry) = warm_cache();
    let right = fs::read(&entry).expect("it can be read");
    for place in [0, 31, 32, right.len() / 2, right.len() - 1] {
        let mut wrong = right.clone();
        wrong[place] ^= 1;
        fs::write(&entry, &wrong).expect("it can be written");
        assert_rebuilt(directory.path());
    }
    for length in [0, 31, 32, right.len() - 1] {
        fs::write(&entry, &right[..length]).expect("it can be written");
        assert_rebuilt(directory.path());
    }
}

#[test]
fn an_entry_of_another_cache_is_rebuilt() {
    let (directory, entry) = warm_cache();
    let (_other, foreign) = warm_cache();
    assert_eq!(entry.file_name(), foreign.file_name(), "the same policy and the same wasmtime");
    fs::copy(foreign, entry).expect("it can be copied");
    assert_rebuilt(directory.path());
}

#[test]
fn an_entry_under_the_name_of_another_policy_is_rebuilt() {
    let (directory, entry) = warm_cache();
    let host = Host::new(Limits::default(), Some(Cache::in_directory(directory.path())));
    host.load(&hostile("trap")).expect("it describes itself");
    let other = entries(directory.path()).into_iter().find(|path| *path != entry);
    fs::rename(other.expect("it has an entry, too"), entry).expect("it can be renamed");
    assert_rebuilt(directory.path());
}

#[test]
fn a_lost_or_damaged_key_makes_all_entries_worthless() {
    let (directory, _) = warm_cache();
    let key = directory.path().join("sealing.key");
    fs::remove_file(&key).expect("it is there");
    assert_rebuilt(directory.path());
    fs::write(&key, b"short").expect("it can be written");
    assert_rebuilt(directory.path());
}

#[test]
fn without_a_place_to_write_policies_run_all_the_same() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("file");
    fs::write(&file, b"in the way").expect("it can be written");
    assert_eq!(origin(&file), Origin::Compiled);
    assert_eq!(origin(&file), Origin::Compiled);
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_the_cache() {
    use std::os::unix::fs::PermissionsExt;

    let (directory, entry) = warm_cache();
    for file in [entry, directory.path().join("sealing.key")] {
        let mode = fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let nested = directory.path().join("made/here");
    origin(&nested);
    let mode = fs::metadata(&nested).expect("it is made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// A pipe under the name of an entry would block whoever opens it.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_rebuilt() {
    let (directory, entry) = warm_cache();
    fs::remove_file(&entry).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&entry).status().expect("there is mkfifo");
    assert!(made.success());
    assert_rebuilt(directory.path());
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).expect("it can be renamed");
    std::os::unix::fs::symlink(&elsewhere, &entry).expect("a link");
    assert_eq!(origin(directory.path()), Origin::Compiled);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let (directory, entry) = warm_cache();
    set_mode(directory.path(), 0o770);
    assert_eq!(origin(directory.path()), Origin::Compiled);
    let trouble = Cache::in_directory(directory.path()).trouble().expect("it is not used");
    assert!(trouble.ends_with("others have rights to it"), "{trouble}");
    set_mode(directory.path(), 0o755);
    assert_eq!(origin(directory.path()), Origin::Cache);
    for file in [entry, directory.path().join("sealing.key")] {
        set_mode(&file, 0o640);
        assert_rebuilt(directory.path());
    }
    let above = tempfile::tempdir().expect("there is room");
    let within = above.path().join("cache");
    fs::create_dir(&within).expect("there is room");
    assert_eq!(origin(&within), Origin::Compiled);
    assert_eq!(origin(&within), Origin::Cache);
    set_mode(above.path(), 0o777);
    let trouble = Cache::in_directory(&within).trouble().expect("it is not used");
    assert!(trouble.ends_with("anybody has rights to a directory above it"), "{trouble}");
    set_mode(above.path(), 0o700);
    let link = tempfile::tempdir().expect("there is room");
    let link = link.path().join("link");
    std::os::unix::fs::symlink(directory.path(), &link).expect("a link");
    assert_eq!(origin(&link), Origin::Compiled);
    assert_eq!(Cache::in_directory(directory.path().join("new")).trouble(), None);
}

#[test]
fn the_longest_unused_entries_make_room() {
    let (directory, entry) = warm_cache();
    let old = directory.path().join("old.sealed");
    let file = fs::File::create(&old).expect("made");
    // Without a byte on the disk.
    file.set_len(512 << 20).expect("sparse");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it is ours");
    let host = Host::new(Limits::default(), Some(Cache::in_directory(directory.path())));
    host.load(&hostile("trap")).expect("it describes itself");
    assert!(!old.exists() && entry.exists());
}
