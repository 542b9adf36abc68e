use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use whittle_release::keys::PrivateKey;

/// A file of the repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys").join(name)
}

pub(crate) fn test_key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

/// Runs a program of others; `cargo xtask setup` installs it.
#[track_caller]
pub(crate) fn tool(program: &str, args: &[&str], directory: &Path) -> Output {
    let output = Command::new(program).args(args).current_dir(directory).output();
    let output =
        output.unwrap_or_else(|error| panic!("`{program}`, see `cargo xtask setup`: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    output
}
