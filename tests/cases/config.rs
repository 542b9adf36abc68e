//! `whittle.toml`, the environment, and what else belongs to a terminal.

use crate::golden::assert_file;
use crate::support::{Run, Workshop, command, root};

#[test]
fn a_project_says_once_what_its_commands_need() {
    let shop = Workshop::new();
    shop.write(
        "whittle.toml",
        b"product = \"thermostat\"\npubkey = [\"keys/release.pub.pem\"]\n\n[build]\nkey = \"keys/release.key.pem\"\n\
          device-ram = \"16K\"\n",
    );
    let build = [
        "build",
        "--target",
        "3.bin",
        "--target-version",
        "3",
        "--base",
        "2.bin",
        "--out",
        "short",
    ];
    shop.whittle(&build).ok();
    shop.whittle(&["verify", "short"]).ok();
    let shown = shop.whittle(&["config", "show", "--origin"]).ok().stdout;
    let line = shown.lines().find(|line| line.contains("--device-ram")).expect("it is set");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words, ["build", "--device-ram", "16K", "whittle.toml:6"]);

    let with_variable = |line: &[&str], value: &str| {
        let run =
            command(&shop.path("."), line).env("WHITTLE_DEVICE_RAM", value).output().expect("runs");
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (code, told) = with_variable(&build, "much");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("hint: `--device-ram` is what WHITTLE_DEVICE_RAM says"), "{told}");
    let (code, told) = with_variable(&["config", "show"], "32K");
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_file_with_a_mistake_stops_everything_but_help() {
    let shop = Workshop::new();
    shop.write("whittle.toml", b"produkt = \"thermostat\"\n");
    let run = shop.whittle(&["base", "ls"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.stderr.contains("`whittle.toml`, line 1: no command has `--produkt`"), "{run:?}");
    shop.whittle(&["build", "--help"]).ok();
    shop.whittle(&["--version"]).ok();
    shop.write("other.toml", b"");
    shop.whittle(&["--config", "other.toml", "config", "show"]).ok();
}

#[test]
fn a_project_begins_with_a_key_that_nothing_in_the_field_trusts() {
    let shop = Workshop::new();
    let begin = ["init", "project", "--product", "thermostat", "--ci", "github"];
    shop.whittle(&begin).ok();
    let again = shop.whittle(&begin);
    assert_eq!(again.code, 2, "nothing is overwritten: {again:?}");
    let inside = |args: &[&str]| {
        let run = command(&shop.path("project"), args).output().expect("runs");
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let build = [
        "build",
        "--target",
        "../3.bin",
        "--target-version",
        "3",
        "--base",
        "../2.bin",
        "--out",
        "release",
    ];
    assert_eq!(inside(&build).0, Some(0), "{}", inside(&build).1);
    assert_eq!(inside(&["verify", "release"]).0, Some(0));
    let (code, told) = inside(&["publish", "release", "--to", "public"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("development key"), "{told}");
    let ignored = String::from_utf8(shop.read("project/.gitignore")).expect("text");
    assert_eq!(ignored, "keys/*.key.pem\nkeys/*.key\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let data = std::fs::metadata(shop.path("project/keys/development.key.pem")).expect("a key");
        assert_eq!(data.permissions().mode() & 0o077, 0, "its owner's alone");
    }
    shop.whittle(&["init", "other", "--product", "thermostat", "--ci", "gitlab"]).ok();
    assert!(!shop.read("other/.gitlab-ci.yml").is_empty());
}

#[test]
fn a_project_begins_whole_or_not_at_all() {
    let shop = Workshop::new();
    let init = |directory: &str| {
        shop.whittle(&["init", directory, "--product", "thermostat", "--ci", "github"])
    };
    std::fs::create_dir_all(shop.path("old/keys")).expect("there is room");
    shop.write("old/keys/development.key.pem", b"another");
    shop.write("old/.gitignore", b"target\n");
    assert_eq!(init("old").code, 3, "a key is there already");
    assert_eq!(shop.read("old/.gitignore"), b"target\n");
    assert!(!shop.path("old/whittle.toml").exists());
    assert_eq!(shop.read("old/keys/development.key.pem"), b"another");
    std::fs::create_dir(shop.path("late")).expect("there is room");
    shop.write("late/.github", b"no directory");
    assert_eq!(init("late").code, 3, "no workflow can be there");
    let left = std::fs::read_dir(shop.path("late")).expect("it is there").count();
    assert_eq!(left, 1, "nothing was made");
    shop.write("file", b"no directory");
    assert_eq!(init("file/deep/below").code, 3);
    let dotted = shop.whittle(&["init", "new/-name"]);
    assert_eq!(dotted.code, 2, "{dotted:?}");
    assert!(!shop.path("new").exists(), "it was made for nothing");
    init("new/deep").ok();
}

/// A workshop with two components of a hub, and a way to run a line of words in it.
struct Hub(Workshop);

const SIGN_HUB: &str = "bundle sign hub --product hub --bundle-version 7 --key keys/release.key.pem \
                        --component hub-boot --component hub-app";

impl Hub {
    fn new() -> Self {
        let hub = Self(Workshop::new());
        std::fs::create_dir_all(hub.0.path("hub")).expect("there is room");
        for (product, version) in [("hub-boot", "1.4.0"), ("hub-app", "2.0.0")] {
            let image = "--target 3.bin --base 2.bin --key keys/release.key.pem";
            let named = format!("--product {product} --target-version {version}");
            hub.run(&format!("build {named} {image} --out hub/{product}")).ok();
        }
        hub
    }

    fn run(&self, line: &str) -> Run {
        self.0.whittle(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn trusting(&self, line: &str) -> Run {
        self.run(&format!("{line} --pubkey keys/release.pub.pem"))
    }
}

#[test]
fn a_device_of_several_components_has_a_bundle() {
    let hub = Hub::new();
    let unmet = hub.trusting(&format!("{SIGN_HUB} --requires hub-app:hub-boot@1.5.0"));
    assert_eq!(unmet.code, 4, "{unmet:?}");
    let requires = "--requires hub-app:hub-boot@1.4.0";
    hub.trusting(&format!("{SIGN_HUB} {requires} --format json")).ok();
    hub.trusting("bundle verify hub --format json").ok();
    let steps = |installed: &str| {
        let line = format!("bundle steps hub --installed {installed} --format json");
        let json = hub.trusting(&line).ok().json();
        let steps = json["steps"].as_array().expect("a list").clone();
        steps.iter().map(|step| step["install"] == true).collect::<Vec<_>>()
    };
    assert_eq!(steps("hub-boot=1.3.0"), [true, true]);
    assert_eq!(steps("hub-boot=1.4.0"), [false, true]);
}

/// What a device is said to have is taken for true, so that it must be possible.
#[test]
fn what_a_device_cannot_have_is_refused() {
    let hub = Hub::new();
    hub.trusting(&format!("{SIGN_HUB} --requires hub-boot:hub-app@2.0.0")).ok();
    for (installed, code, why) in [
        ("hub-bot=1.4.0", 2, "no component `hub-bot`, only `hub-boot`, `hub-app`"),
        ("hub-boot=1 --installed hub-boot=2", 2, "`--installed` speaks of `hub-boot` twice"),
        ("hub-app=1.9.0", 6, "hint: bring what is required to such a version first"),
    ] {
        let run = hub.trusting(&format!("bundle steps hub --installed {installed}"));
        assert!(run.code == code && run.stderr.contains(why), "{run:?}");
    }
}

#[test]
fn every_page_of_the_book_is_listed_and_there() {
    let docs = root().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("a summary");
    let listed: std::collections::BTreeSet<_> = summary
        .lines()
        .filter_map(|line| Some(line.split_once("](")?.1.trim_end_matches(')').to_owned()))
        .collect();
    let pages =
        std::fs::read_dir(&docs).expect("pages").map(|page| page.expect("a page").file_name());
    let pages: std::collections::BTreeSet<_> = pages
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, pages);
}

#[test]
fn each_kind_of_device_has_settings_and_budgets_of_its_own() {
    let shop = Workshop::new();
    shop.write(
        "whittle.toml",
        b"product = \"thermostat\"\nkey = \"keys/release.key.pem\"\n[build]\ntarget = \"3.bin\"\ntarget-version = \"2.4.1\"\n\
          base = [\"2.bin\"]\nmax-delta-bytes = \"64K\"\n[profile.tiny]\ndevice-ram = \"16K\"\n[profile.tiny.build]\n\
          max-delta-bytes = \"10\"\n[profile.gateway]\nmax-delta-bytes = \"32K\"\n",
    );
    let build = |args: &[&str]| shop.whittle(&[&["build", "--out"], args].concat());
    build(&["plain"]).ok();
    let gateway = build(&["gateway", "--profile", "gateway", "--format", "json"]).ok().json();
    // Of the file, the profile's tables count before the others, the command's before the general ones.
    assert_eq!(gateway["budgets"]["profile"], "gateway");
    assert_eq!(gateway["budgets"]["checks"][0]["limit"], 32 << 10);
    let tiny = build(&["tiny", "--profile", "tiny", "--budget-markdown", "tiny.md"]);
    assert_eq!(tiny.code, 7, "{tiny:?}");
    assert!(String::from_utf8(shop.read("tiny.md")).expect("text").contains("tiny"));
    build(&["roomy", "--profile", "tiny", "--max-delta-bytes", "64K"]).ok();
    let by_variable = command(&shop.path("."), &["build", "--out", "never"])
        .env("WHITTLE_PROFILE", "tiny")
        .output()
        .expect("runs");
    assert_eq!(by_variable.status.code(), Some(7), "{by_variable:?}");
    let unknown = build(&["never", "--profile", "tinny"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(unknown.stderr.contains("no device profile `tinny`, only `gateway`, `tiny`"));
}

#[test]
fn the_reference_of_commands_is_what_they_say() {
    let shop = Workshop::new();
    let page = shop.whittle(&["man", "--reference"]).ok().stdout;
    assert_file(&root().join("docs/commands.md"), page.as_bytes());
}

#[test]
fn shells_and_manuals_know_all_commands() {
    let shop = Workshop::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = shop.whittle(&["completions", shell]).ok().stdout;
        assert!(script.contains("device-ram"), "{shell}");
    }
    let json = shop.whittle(&["man", "--out", "man", "--format", "json"]).ok().json();
    let pages = json["pages"].as_array().expect("a list");
    assert!(pages.iter().any(|page| page == "man/whittle-rollout-start.1"), "{pages:?}");
    let page = String::from_utf8(shop.read("man/whittle-build.1")).expect("text");
    assert!(page.contains("device\\-ram") && page.contains("format"), "{page}");
}
