//! Each exit code that `whittle --help` promises, by a run that ends with it.

use crate::support::{PRODUCT, Run, Workshop, command, root};

const PUBKEY: [&str; 2] = ["--pubkey", "keys/release.pub.pem"];

fn build(shop: &Workshop, more: &[&str]) -> Run {
    let what = ["build", "--product", PRODUCT, "--target", "3.bin", "--target-version", "2.4.1"];
    let how = ["--base", "2.bin", "--key", "keys/release.key.pem", "--out", "made"];
    shop.whittle(&[&what[..], &how, more].concat())
}

#[track_caller]
fn ends_with(code: i32, run: &Run) {
    assert_eq!(run.code, code, "{run:?}");
    assert!(code == 0 || run.stderr.starts_with("error: "), "it says why: {run:?}");
}

#[test]
fn ok_is_0() {
    let shop = Workshop::new();
    ends_with(0, &shop.whittle(&[&["verify", "release"], &PUBKEY[..]].concat()));
}

#[test]
fn usage_is_2() {
    let shop = Workshop::new();
    ends_with(2, &shop.whittle(&["frobnicate"]));
    ends_with(2, &shop.whittle(&["verify", "release"]));
    ends_with(2, &build(&shop, &["--in-place", "1000", "--slot-size", "64K"]));
}

#[test]
fn input_and_output_is_3() {
    let shop = Workshop::new();
    ends_with(3, &shop.whittle(&["inspect", "nowhere"]));
    // A directory cannot be written as a file.
    let apply = ["apply", "release", "--base", "2.bin", "--out", "keys"];
    ends_with(3, &shop.whittle(&[&apply[..], &PUBKEY].concat()));
}

/// What was asked for and cannot be shown is no success.
#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_3() {
    let shop = Workshop::new();
    for args in [&["--help"][..], &["--version"], &["build", "-h"], &["help", "apply"]] {
        let mut command = command(&shop.path(""), args);
        let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
        let ended = command.stdout(full).output().expect("it runs");
        assert_eq!(ended.status.code(), Some(3), "{args:?}: {ended:?}");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(told.starts_with("error: cannot write to standard output"), "{args:?}: {told}");
    }
}

#[test]
fn bad_input_is_4() {
    let shop = Workshop::new();
    let (name, mut package) = shop.delta();
    package.truncate(40);
    shop.write("cut.pkg", &package);
    ends_with(4, &shop.whittle(&["inspect", "cut.pkg"]));
    shop.write("empty.bin", b"");
    for args in [
        &["diff", "--base", "empty.bin", "--target", "3.bin"][..],
        &["explain", "2.bin", "empty.bin"],
        &["base", "add", "empty.bin", "--product", PRODUCT, "--version", "1"],
    ] {
        let empty = shop.whittle(args);
        ends_with(4, &empty);
        assert!(empty.stderr.contains("cannot take `empty.bin`"), "{empty:?}");
    }
    ends_with(4, &build(&shop, &["--base", "empty.bin"]));
    shop.write("broken.toml", b"product = ");
    ends_with(
        4,
        &shop.whittle(&["inspect", &format!("release/{name}"), "--config", "broken.toml"]),
    );
}

#[test]
fn signature_or_key_is_5() {
    let shop = Workshop::new();
    ends_with(5, &shop.whittle(&["verify", "release", "--pubkey", "foreign/release.pub.pem"]));
    ends_with(5, &shop.whittle(&["verify", "release", "--pubkey", "0.bin"]));
}

#[test]
fn base_mismatch_is_6() {
    let shop = Workshop::new();
    let package = format!("release/{}", shop.delta().0);
    let apply = ["apply", &package, "--base", "0.bin", "--out", "new.bin"];
    ends_with(6, &shop.whittle(&[&apply[..], &PUBKEY].concat()));
}

#[test]
fn budget_exceeded_is_7() {
    let shop = Workshop::new();
    ends_with(7, &build(&shop, &["--max-delta-bytes", "10"]));
    ends_with(7, &build(&shop, &["--slot-size", "1K"]));
    // Programs get what was checked, too.
    for (more, budget) in [("--max-delta-bytes", "max_delta_bytes"), ("--slot-size", "slot_size")] {
        let checks = &build(&shop, &[more, "100", "--format", "json"]).json()["budgets"]["checks"];
        assert_eq!(checks[0]["budget"], budget);
        assert!(checks[0]["passed"] == false && checks[0]["limit"] == 100, "{checks}");
    }
}

#[test]
fn rollout_paused_is_8() {
    let shop = Workshop::new();
    let file = root().join("examples/rollouts/thermostat.toml").display().to_string();
    let rollout = |args: &[&str]| shop.whittle(&[&["rollout"], args].concat());
    ends_with(0, &rollout(&["start", "t1", &file, "--at", "1795680000"]));
    ends_with(0, &rollout(&["pause", "t1", "--by", "anna"]));
    ends_with(8, &rollout(&["tick", "t1", &file]));
}

#[test]
fn self_check_failed_is_9() {
    let shop = Workshop::new();
    ends_with(0, &build(&shop, &[]));
    shop.write("made/index.cose", b"something else");
    ends_with(9, &build(&shop, &["--check"]));
}

#[test]
fn help_names_them_all() {
    let shop = Workshop::new();
    let help = shop.whittle(&["--help"]).ok().stdout;
    for code in ["0 ok", "1 internal", "2 usage", "3 I/O", "4 bad input", "5 signature or key"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    for code in ["6 base mismatch", "7 budget exceeded", "8 rollout paused", "9 self-check failed"]
    {
        assert!(help.contains(code), "{code}: {help}");
    }
}
