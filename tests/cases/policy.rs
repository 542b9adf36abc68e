//! `whittle policy`: one run per command, and what is refused with which exit code.

use crate::support::{root, whittle};

fn fixture(name: &str) -> String {
    root().join("fixtures/policies").join(name).display().to_string()
}

fn run(args: &[&str]) -> crate::support::Run {
    whittle(&root(), &[&["policy"][..], args].concat())
}

#[test]
fn the_shipped_policies_are_listed_and_shown() {
    let json = run(&["list", "--format", "json"]).ok().json();
    let names = json["policies"].as_array().expect("a list").iter().map(|policy| &policy["name"]);
    assert!(names.eq(whittle_policy_host::shipped::SHIPPED.map(|shipped| shipped.name)));
    let shown = run(&["show", "canary"]).ok().stdout;
    assert!(shown.starts_with("canary ") && shown.contains("default"), "{shown}");
}

#[test]
fn a_verdict_comes_with_its_reasons_and_what_it_took() {
    let (policy, snapshot) = (fixture("released-0.1.0.wasm"), fixture("snapshot-bare.json"));
    let args = ["run", &policy, "--snapshot", &snapshot];
    let json = run(&[&args[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(json["policy"], "minimal");
    assert!(json["fuel"].as_u64() > Some(0), "{json}");
    let human = run(&args).ok().stdout;
    let code = json["verdict"]["reasons"][0]["code"].as_str().expect("there is a reason");
    assert!(human.contains(&format!("  {code}: ")), "{human}");
}

#[test]
fn settings_are_checked_by_what_the_policy_says_of_them() {
    let (policy, snapshot) = (fixture("released-0.1.0.wasm"), fixture("snapshot-bare.json"));
    let with = |setting| run(&["run", &policy, "--snapshot", &snapshot, "--set", setting]);
    with("first-share=0.2").ok();
    assert_eq!(with("first-share=much").code, 2);
    assert_eq!(with("another=1").code, 2);
    for wrong in ["first-share=2", "first-share=NaN", "first-share=inf"] {
        let out_of_range = with(wrong);
        assert_eq!(out_of_range.code, 2, "{out_of_range:?}");
        assert!(out_of_range.stderr.contains("0.01 to 0.99"), "{out_of_range:?}");
    }
    let twice = [
        "run",
        &policy,
        "--snapshot",
        &snapshot,
        "--set",
        "first-share=0.2",
        "--set",
        "first-share=0.3",
    ];
    let twice = run(&twice);
    assert!(twice.code == 2 && twice.stderr.contains("again"), "{twice:?}");
    run(&["check", &policy, "--set", "first-share=0.2"]).ok();
    assert_eq!(run(&["check", &policy, "--set", "first-share=2"]).code, 2);
}

#[test]
fn a_check_says_what_it_looked_at() {
    let json = run(&["check", "canary", "--format", "json"]).ok().json();
    assert_eq!((&json["policy"], &json["instances"]), (&"canary".into(), &100.into()));
    assert!(json["snapshots"].as_u64() > Some(10), "{json}");
}

#[test]
fn a_plan_is_shown_with_its_stages() {
    let shown = run(&["plan", "canary"]).ok().stdout;
    assert!(shown.contains("stage") && shown.contains("of the fleet is held back"), "{shown}");
    let json = run(&["plan", "canary", "--format", "json"]).ok().json();
    assert!(json["plan"]["stages"].as_array().is_some_and(|stages| stages.len() > 1), "{json}");
    assert_eq!(run(&["plan", "canary", "--input", &fixture("README.md")]).code, 4);
}

#[test]
fn what_is_no_policy_is_bad_input() {
    let not_wasm = run(&["check", &fixture("README.md")]);
    assert_eq!(not_wasm.code, 4, "{not_wasm:?}");
    assert!(not_wasm.stderr.contains("not a WebAssembly file"), "{not_wasm:?}");
    assert_eq!(run(&["check", "no-such-policy"]).code, 3);
    let not_a_snapshot = run(&["run", "canary", "--snapshot", &fixture("README.md")]);
    assert_eq!(not_a_snapshot.code, 4, "{not_a_snapshot:?}");
}

/// What would take all of the compiler's stack, memory or time ends the compiler, and not whoever has called it.
#[test]
fn what_ends_the_compiler_is_an_error() {
    let room = tempfile::tempdir().expect("there is room");
    let mut component = std::fs::read(fixture("released-0.1.0.wasm")).expect("it is kept");
    // Types of components within one another: one of one type each, 20,000 deep.
    let types = [&[1][..], &[0x41, 1, 1].repeat(20_000), &[0x41, 0]].concat();
    let length = u32::try_from(types.len()).expect("short");
    let length =
        [(length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
    component.extend([&[7][..], &length, &types].concat());
    let path = room.path().join("deep.wasm");
    std::fs::write(&path, component).expect("written");
    let refused = run(&["show", &path.display().to_string()]);
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(refused.stderr.contains("cannot be compiled: it takes more than"), "{refused:?}");
}

#[test]
fn cases_are_written_compared_and_told_apart() {
    let directory = tempfile::tempdir().expect("there is room");
    let cases = directory.path().display().to_string();
    let snapshot = directory.path().join("bare.snapshot.json");
    std::fs::copy(fixture("snapshot-bare.json"), snapshot).expect("it can be copied");
    let policy = fixture("released-0.1.0.wasm");
    run(&["test", &policy, &cases, "--update"]).ok();
    run(&["test", &policy, &cases]).ok();
    let verdict = directory.path().join("bare.verdict.json");
    let changed =
        std::fs::read_to_string(&verdict).expect("it is written").replace("\"x\"", "\"y\"");
    std::fs::write(&verdict, changed).expect("it can be written");
    let failed = run(&["test", &policy, &cases]);
    assert_eq!(failed.code, 9, "{failed:?}");
    assert!(failed.stderr.contains("-   \"memo\": \"y\""), "{failed:?}");
    let case = |name: &str| directory.path().join(name);
    std::fs::copy(case("bare.snapshot.json"), case("new.snapshot.json")).expect("copied");
    std::fs::copy(case("bare.verdict.json"), case("orphan.verdict.json")).expect("copied");
    let failed = run(&["test", &policy, &cases, "--format", "json"]);
    assert_eq!(failed.code, 9, "{failed:?}");
    let found = failed.json();
    let names = found["failed"].as_array().expect("a list").iter().map(|failed| &failed["case"]);
    assert!(names.eq(["bare", "new", "orphan"]), "{found}");
    let empty = tempfile::tempdir().expect("there is room");
    assert_eq!(run(&["test", &policy, &empty.path().display().to_string()]).code, 2);
}

#[test]
fn a_package_becomes_a_policy_and_nothing_else_does() {
    let directory = tempfile::tempdir().expect("there is room");
    let out = directory.path().join("minimal.wasm").display().to_string();
    let package = root().join("policies/minimal").display().to_string();
    let json = run(&["build", &package, "--out", &out, "--format", "json"]).ok().json();
    assert_eq!(json["policy"], "minimal");
    run(&["check", &out]).ok();

    let none = directory.path().join("none.wasm").display().to_string();
    let refused = run(&["build", &fixture("README.md"), "--out", &none]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(!std::path::Path::new(&none).exists(), "nothing is written");

    // A component of before is replaced, a source is not.
    run(&["build", &package, "--out", &out]).ok();
    let source = directory.path().join("lib.rs");
    std::fs::write(&source, "fn main() {}").expect("there is room");
    let refused = run(&["build", &package, "--out", &source.display().to_string()]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("a file that is no WebAssembly"), "{refused:?}");
    assert_eq!(std::fs::read(&source).expect("it is there"), b"fn main() {}");
}
