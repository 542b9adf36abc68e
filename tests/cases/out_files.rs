//! What a command writes takes the place of nothing that is needed.

use crate::support::Workshop;

#[test]
fn nothing_that_is_read_is_overwritten() {
    let shop = Workshop::new();
    let package = format!("release/{}", shop.delta().0);
    let apply = format!("apply {package} --pubkey keys/release.pub.pem --base 2.bin --out");
    let export = "export release --vendor-domain a.b --sequence-number 1 --key keys/release.key.pem \
                  --pubkey keys/release.pub.pem --suit";
    let build = "build --product thermostat --target 3.bin --target-version 2.4.1 --base 2.bin \
                 --out made --key keys/release.key.pem --budget-markdown";
    shop.write("flags.json", b"{}");
    let approve = "approve release --pubkey keys/release.pub.pem --key keys/release.key.pem --to release/approval.cose";
    shop.whittle(&approve.split_whitespace().collect::<Vec<_>>()).ok();
    let stage = "stage sign --product thermostat --target-version 2.4.1 --share 5% --key keys/release.key.pem \
                 --target 3.bin --out";
    let cases = [
        (format!("{apply} 2.bin"), "2.bin", "`--out` is `2.bin`, what `--base` names"),
        (format!("{apply} ./{package}"), package.as_str(), "what `<PATH>` names"),
        (format!("{apply} keys/release.pub.pem"), "keys/release.pub.pem", "what `--pubkey` names"),
        (format!("{export} keys/release.key.pem"), "keys/release.key.pem", "what `--key` names"),
        (format!("{export} {package}"), package.as_str(), "a part of a release"),
        (format!("{export} release/index.cose"), "release/index.cose", "a part of a release"),
        ("explain 0.bin 1.bin --html 1.bin".to_owned(), "1.bin", "what `<TARGET>` names"),
        (
            "diff --base 0.bin --target 1.bin --write-bsdiff 0.bin".to_owned(),
            "0.bin",
            "what `--base` names",
        ),
        (
            "flags sign flags.json --key keys/release.key.pem --out flags.json".to_owned(),
            "flags.json",
            "what `<SOURCE>` names",
        ),
        (format!("{stage} 3.bin"), "3.bin", "what `--target` names"),
        (format!("{stage} release/index.cose"), "release/index.cose", "a part of a release"),
        (format!("{export} release/approval.cose"), "release/approval.cose", "a part of a release"),
        (format!("{build} 2.bin"), "2.bin", "what `--base` names"),
        (format!("{build} 3.bin"), "3.bin", "what `--target` names"),
    ];
    for (line, file, words) in cases {
        let before = shop.read(file);
        let run = shop.whittle(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(run.code, 2, "{line}: {run:?}");
        assert!(run.stderr.contains(words), "{line}: {run:?}");
        assert!(shop.read(file) == before, "{line}: `{file}` is as it was");
    }
}

/// What a command is to make in two places at once, of which neither is there yet.
#[test]
fn a_release_has_its_place_for_itself() {
    let shop = Workshop::new();
    let build = "build --product thermostat --target 3.bin --target-version 2.4.1 --base 2.bin --key keys/release.key.pem";
    for (line, words) in [
        ("--out made --budget-markdown made", "`--budget-markdown` is `made`, "),
        ("--out made --budget-markdown ./made/x.md", "`--budget-markdown` is `./made/x.md`, "),
        ("--out made --cache made", "`--cache` is `made`, where the release is to be"),
        ("--out made --cache keys/../made/cache", "`--cache` is `keys/../made/cache`, "),
    ] {
        let line = format!("{build} {line}");
        let run = shop.whittle(&line.split_whitespace().collect::<Vec<_>>());
        assert!(run.code == 2 && run.stderr.contains(words), "{line}: {run:?}");
        assert!(!shop.path("made").exists(), "{line}");
    }
}

#[test]
fn an_archive_stays_whole_and_settings_stay_what_they_are() {
    let shop = Workshop::new();
    let add = ["base", "add", "2.bin", "--product", "thermostat", "--version", "2.4.0"];
    shop.whittle(&[&add[..], &["--archive", "bases"]].concat()).ok();
    shop.write("whittle.toml", b"[build]\nout = \"made\"\n");
    let digest = whittle_release::Sha256Digest::of(&shop.read("2.bin")).to_string();
    let image = format!("bases/images/{}/{digest}.bin", &digest[..2]);
    let cases = [
        (image.as_str(), "a part of an archive of bases"),
        ("bases/catalog.json", "a part of an archive of bases"),
        ("whittle.toml", "settings"),
    ];
    for (file, words) in cases {
        let before = shop.read(file);
        let run = shop.whittle(&["explain", "0.bin", "1.bin", "--html", file]);
        assert_eq!(run.code, 2, "{file}: {run:?}");
        assert!(run.stderr.contains(words), "{file}: {run:?}");
        assert!(shop.read(file) == before, "`{file}` is as it was");
    }
}

#[test]
fn what_is_pulled_takes_the_place_of_nothing_in_its_store() {
    let shop = Workshop::new();
    let trust = ["--pubkey", "keys/release.pub.pem"];
    shop.whittle(&[&["publish", "release", "--to", "store"][..], &trust].concat()).ok();
    let index = "store/products/thermostat/channels/stable.cose";
    let before = shop.read(index);
    let pull = ["pull", "--product", "thermostat", "--full", "--out", index, "--from"];
    let place = format!("file://{}", shop.path("store").display());
    for from in ["store", &place] {
        let run = shop.whittle(&[&pull[..], &[from], &trust].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("a part of the store"), "{run:?}");
        assert!(shop.read(index) == before, "it is as it was");
    }
}

#[test]
fn a_private_key_is_never_overwritten() {
    let shop = Workshop::new();
    shop.whittle(&["keygen", "--key-format", "minisign", "--out", "minisign"]).ok();
    for key in ["foreign/release.key.pem", "minisign/release.key"] {
        let before = shop.read(key);
        let apply =
            ["apply", "release", "--full", "--pubkey", "keys/release.pub.pem", "--out", key];
        let run = shop.whittle(&apply);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("never overwritten"), "{run:?}");
        assert!(shop.read(key) == before, "`{key}` is as it was");
    }
}

#[test]
fn a_file_of_an_earlier_run_is_replaced() {
    let shop = Workshop::new();
    let apply = ["apply", "release", "--full", "--pubkey", "keys/release.pub.pem", "--out", "new"];
    for _ in 0..2 {
        shop.whittle(&apply).ok();
    }
    assert!(shop.read("new") == shop.read("3.bin"), "the new image");
    // A name that is no path may be that of the file, too.
    let named = ["--product", "thermostat", "--out", "thermostat"];
    for _ in 0..2 {
        shop.whittle(&[&apply[..apply.len() - 2], &named].concat()).ok();
    }
    let empty = shop.whittle(&[&apply[..apply.len() - 1], &[""]].concat());
    assert_eq!(empty.code, 2, "it is told before anything is done: {empty:?}");
}
