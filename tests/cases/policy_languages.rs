//! `whittle policy new` and `build` in each language: the same policy, with the same verdicts on the same cases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{root, whittle};

#[test]
fn rust_makes_a_policy() {
    makes_a_policy("rust", None);
}

#[test]
fn c_makes_a_policy() {
    makes_a_policy("c", None);
}

#[test]
fn javascript_makes_a_policy() {
    let spoilt = ["Date.now()", "new Date().getTime()"];
    makes_a_policy("js", Some(("policy.js", &spoilt)));
}

#[test]
fn python_makes_a_policy() {
    // Compiling an interpreter takes long, so one stands for all.
    makes_a_policy("python", Some(("policy.py", &["__import__('time').time()"])));
}

#[test]
fn sources_never_take_the_place_of_others() {
    let directory = TempDir::new().expect("there is room");
    std::fs::write(directory.path().join("notes.txt"), "mine").expect("it can be written");
    let path = directory.path().display().to_string();
    let refused = whittle(&root(), &["policy", "new", "--lang", "c", &path]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(directory.path().read_dir().expect("it is there").count(), 1);
}

#[test]
fn a_directory_without_sources_is_bad_input() {
    let directory = TempDir::new().expect("there is room");
    let refused = build(directory.path(), &directory.path().join("policy.wasm"));
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
}

#[test]
fn a_policy_is_called_as_its_directory() {
    let directory = TempDir::new().expect("there is room");
    for (name, policy) in [
        ("My Policy!", "my-policy"),
        ("2nd", "policy-2nd"),
        ("whittle-policy", "policy-whittle-policy"),
        ("ÄÖ", "policy"),
    ] {
        let path = directory.path().join(name).display().to_string();
        let args = ["policy", "new", "--lang", "js", &path, "--format", "json"];
        assert_eq!(whittle(&root(), &args).ok().json()["policy"], policy);
    }
}

/// Writes, builds, checks and tests a policy; then one for each of these expressions in this file, whose use must end a call.
fn makes_a_policy(language: &str, forbidden: Option<(&str, &[&str])>) {
    let room = TempDir::new().expect("there is room");
    let (sources, component) = (room.path().join("mine"), room.path().join("mine.wasm"));
    let path = sources.display().to_string();
    whittle(&root(), &["policy", "new", "--lang", language, &path]).ok();
    if !is_built(language, &sources, &component) {
        return;
    }
    let policy = component.display().to_string();
    in_room(room.path(), &["policy", "check", &policy]);
    let cases = sources.join("cases").display().to_string();
    in_room(room.path(), &["policy", "test", &policy, &cases]);

    let Some((file, expressions)) = forbidden else { return };
    let file = sources.join(file);
    for expression in expressions {
        let text = std::fs::read_to_string(&file).expect("it is there");
        let spoilt = text.replace("return verdict(", &format!("{expression}; return verdict("));
        std::fs::write(&file, spoilt).expect("it can be written");
        assert!(is_built(language, &sources, &component));
        let args = ["policy", "test", &policy, &cases];
        let failed = command(room.path()).args(args).output().expect("it runs");
        assert_eq!(failed.status.code(), Some(9), "{expression}: {failed:?}");
        let talk = String::from_utf8_lossy(&failed.stderr);
        assert!(talk.contains("wasm trap"), "{expression}: {failed:?}");
        std::fs::write(&file, text).expect("it can be written");
    }
}

/// Whether a policy was built; else its language's tool is missing, which is said aloud.
fn is_built(language: &str, sources: &Path, component: &Path) -> bool {
    let built = build(sources, component);
    let talk = String::from_utf8_lossy(&built.stderr);
    if talk.contains("is not installed") {
        // Past the test harness, which would keep it to itself.
        let text = format!(
            "SKIPPED: a policy in {language}, which `cargo xtask setup` installs the tool for: {talk}"
        );
        let _ = std::io::stderr().write_all(text.as_bytes());
        return false;
    }
    assert!(built.status.success(), "{built:?}");
    true
}

fn build(sources: &Path, component: &Path) -> Output {
    let room = component.parent().expect("it is in a directory");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let tools = root().join("target/policy-tools");
    let own = [tools.join("bin"), tools.join("node_modules/.bin")];
    let paths = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&paths)));
    let args =
        [PathBuf::from("policy"), "build".into(), sources.into(), "--out".into(), component.into()];
    let mut command = command(room);
    // Rust's dependencies are those of the shipped policies.
    command.env("CARGO_TARGET_DIR", root().join("target/policies"));
    command.env("PATH", paths.expect("paths without a colon")).args(args).output().expect("it runs")
}

fn in_room(room: &Path, args: &[&str]) {
    let done = command(room).args(args).output().expect("it runs");
    assert!(done.status.success(), "{done:?}");
}

/// The command line with a cache of its own, which goes with the room: a policy with an interpreter has 40 MB.
fn command(room: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whittle-under-test"));
    command.env("NO_COLOR", "1").env("XDG_CACHE_HOME", room.join("cache"));
    command
}
