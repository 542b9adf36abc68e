//! One run per command, as a user would.

use crate::support::{PRODUCT, Workshop, tool};

const BUILD: [&str; 7] =
    ["build", "--product", PRODUCT, "--target", "3.bin", "--target-version", "2.4.1"];

fn build(shop: &Workshop, out: &str, more: &[&str]) -> crate::support::Run {
    shop.whittle(&[&BUILD[..], &["--key", "keys/release.key.pem", "--out", out], more].concat())
}

#[test]
fn the_way_from_a_key_to_an_image() {
    let shop = Workshop::new();
    shop.whittle(&["keygen", "--out", "fresh"]).ok();
    let again = shop.whittle(&["keygen", "--out", "fresh"]);
    assert_eq!(again.code, 3, "a key is never overwritten: {again:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(shop.path("fresh/release.key.pem"))
            .expect("exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "the private key is the owner's alone");
    }
    let bases = ["--base", "2.bin", "--base", "1.bin", "--base", "0.bin", "--format", "json"];
    let args = [&BUILD[..], &["--key", "fresh/release.key.pem", "--out", "rel"], &bases].concat();
    let json = shop.whittle(&args).ok().json();
    assert_eq!(json["schema"], 1);
    let artifacts = json["artifacts"].as_array().expect("a list");
    assert_eq!(artifacts.len(), 4);
    for artifact in artifacts {
        let file = artifact["file"].as_str().expect("a name");
        assert_eq!(artifact["download_bytes"], shop.read(&format!("rel/{file}")).len());
    }
    assert_eq!(artifacts[3]["kind"], "full");
    assert_eq!(artifacts[0]["base_sha256"], shop.series[2].digest().to_string());

    let valid = shop.whittle(&["verify", "rel", "--pubkey", "fresh/release.pub.pem"]).ok();
    assert!(valid.stdout.starts_with("valid: thermostat 2.4.1"), "{valid:?}");
    for base in ["0.bin", "1.bin", "2.bin"] {
        let args = [
            "apply",
            "rel",
            "--base",
            base,
            "--pubkey",
            "fresh/release.pub.pem",
            "--out",
            "new.bin",
        ];
        shop.whittle(&args).ok();
        assert_eq!(shop.read("new.bin"), shop.read("3.bin"), "from {base}");
    }
    shop.whittle(&[
        "apply",
        "rel",
        "--full",
        "--pubkey",
        "fresh/release.pub.pem",
        "--out",
        "full.bin",
    ])
    .ok();
    assert_eq!(shop.read("full.bin"), shop.read("3.bin"));
}

#[test]
fn inspect_says_unverified_until_a_key_says_otherwise() {
    let shop = Workshop::new();
    let (name, _) = shop.delta();
    for path in ["release", "release/index.cose", &format!("release/{name}")] {
        let run = shop.whittle(&["inspect", path]).ok();
        assert!(run.stdout.starts_with("UNVERIFIED"), "{run:?}");
        let run = shop.whittle(&["inspect", path, "--pubkey", "keys/release.pub.pem"]).ok();
        assert!(run.stdout.starts_with("VERIFIED"), "{run:?}");
        let json = shop.whittle(&["inspect", path, "--format", "json"]).ok().json();
        assert_eq!((&json["verified"], &json["product"]), (&false.into(), &PRODUCT.into()));
        let foreign = shop.whittle(&["inspect", path, "--pubkey", "foreign/release.pub.pem"]);
        assert_eq!(foreign.code, 5, "{foreign:?}");
    }
}

#[test]
fn who_asks_is_told_how_it_came_about() {
    let shop = Workshop::new();
    shop.write("whittle.toml", b"device-ram = \"64K\"\n");
    let told = |out: &str| build(&shop, out, &["--base", "2.bin", "--cache", "kept", "-v"]).ok();
    let first = told("first");
    for line in [
        "`--device-ram` is `64K`, says whittle.toml:1\n",
        "full image: encoded, and replayed, after ",
        "is the smallest of: compact",
        "\ntook ",
    ] {
        assert!(first.stderr.contains(line), "{line}: {first:?}");
    }
    let again = told("again");
    assert!(again.stderr.contains("full image: found in the cache, after "), "{again:?}");
    assert_eq!(again.stdout.replace("again", "first"), first.stdout, "it is on the side");
    let both = build(&shop, "never", &["--base", "2.bin", "-v", "-q"]);
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn where_json_is_wanted_a_failure_is_json_too() {
    let shop = Workshop::new();
    let (name, _) = shop.delta();
    let package = format!("release/{name}");
    let args = ["verify", &package, "--pubkey", "foreign/release.pub.pem", "--format", "json"];
    let run = shop.whittle(&args);
    assert_eq!(run.code, 5, "{run:?}");
    let json = run.json();
    assert_eq!((&json["schema"], &json["exit_code"]), (&1.into(), &5.into()));
    let error = json["error"].as_str().expect("what happened");
    assert!(run.stderr.starts_with(&format!("error: {error}\n")), "{run:?}");
    let missing = shop.whittle(&["inspect", "nowhere", "--format", "json"]).json();
    assert_eq!(
        (&missing["exit_code"], missing["causes"].as_array().map(Vec::len)),
        (&3.into(), Some(1))
    );
}

#[test]
fn a_public_key_comes_in_the_form_that_is_needed() {
    let shop = Workshop::new();
    let show =
        |form: &str| shop.whittle(&["pubkey", "keys/release.pub.pem", "--to", form]).ok().stdout;
    assert_eq!(show("pem").as_bytes(), shop.read("keys/release.pub.pem"));
    let hex = show("hex");
    assert_eq!(hex.trim().len(), 64);
    for form in ["c", "rust"] {
        let digits: String = show(form).split("0x").skip(1).map(|byte| &byte[..2]).collect();
        assert_eq!(digits, hex.trim(), "{form}");
    }
    let private = shop.whittle(&["pubkey", "keys/release.key.pem", "--to", "hex"]).ok().stdout;
    assert_eq!(private, hex, "the public half of a private key");
    let wrong = shop.whittle(&["pubkey", "0.bin"]);
    assert_eq!(wrong.code, 5, "{wrong:?}");
}

#[test]
fn a_delta_that_does_not_pay_is_not_shipped() {
    let shop = Workshop::new();
    let noise = |seed: u32| -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.wrapping_mul(0x85eb_ca6b).rotate_left(9)
        };
        (0..5000).flat_map(|_| next().to_be_bytes()).collect()
    };
    shop.write("encrypted.bin", &noise(12_345));
    shop.write("3.bin", &noise(987_654_321));
    let run = build(&shop, "noisy", &["--base", "encrypted.bin", "--format", "json"]).ok();
    assert!(run.stderr.contains("is served by the full image"), "{run:?}");
    let json = run.json();
    assert_eq!(json["artifacts"].as_array().expect("a list").len(), 1);
    assert_eq!(json["refused"].as_array().expect("a list").len(), 1);
    let args = [
        "apply",
        "noisy",
        "--base",
        "encrypted.bin",
        "--pubkey",
        "keys/release.pub.pem",
        "--out",
        "new.bin",
    ];
    shop.whittle(&args).ok();
    assert_eq!(shop.read("new.bin"), shop.read("3.bin"));
}

#[test]
fn a_release_is_never_overwritten() {
    let shop = Workshop::new();
    let run = build(&shop, "release", &["--base", "2.bin"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("hint:"), "{run:?}");
    std::fs::create_dir(shop.path("empty")).expect("creates");
    build(&shop, "empty", &["--base", "2.bin"]).ok();
    shop.whittle(&["verify", "empty", "--pubkey", "keys/release.pub.pem"]).ok();
    let leftovers = std::fs::read_dir(shop.path(".")).expect("lists");
    let hidden = leftovers
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "no temporary files are left");
}

#[test]
fn unusable_arguments_are_refused_in_words() {
    let shop = Workshop::new();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["--archive", "nowhere"], 3, "no base archive"),
        (&["--base", "missing.bin"], 3, "cannot read `missing.bin`"),
        (&["--slot-size", "1K"], 7, "does not fit a slot"),
        (
            &["--device-ram", "63K", "--codec", "zstd"],
            7,
            "needs 65536 bytes of RAM, the device has 64512",
        ),
        (&["--block-size", "1000"], 2, "power of two"),
        (&["--hardware", "5-2"], 2, "ends before it begins"),
        (&["--product", "../x"], 2, "--product"),
        (&["--jobs", "0"], 2, "--jobs"),
    ];
    for (more, code, words) in cases {
        let run = build(&shop, "never", more);
        assert_eq!(run.code, code, "{more:?}: {run:?}");
        assert!(run.stderr.contains(words), "{more:?}: {run:?}");
        assert!(!shop.path("never").exists());
    }
}

/// What went wrong is named as the user knows it, and the way out is one.
#[test]
fn errors_name_what_was_asked_for_and_a_way_out() {
    let shop = Workshop::new();
    shop.whittle(&["init", "project", "--product", PRODUCT]).ok();
    shop.whittle(&["publish", "release", "--to", "public", "--pubkey", "keys/release.pub.pem"])
        .ok();
    let pull = "pull --full --pubkey keys/release.pub.pem --out new.pkg --product";
    let build = "build --product thermostat --target 3.bin --target-version 2.4.1 --key keys/release.key.pem --out made";
    let emit = "build --product thermostat --target 3.bin --target-version 2.4.1 --base 2.bin --emit-tbs tbs --signer-pubkey keys/release.pub.pem";
    shop.whittle(&emit.split_whitespace().collect::<Vec<_>>()).ok();
    shop.write("list.json", b"[]");
    for (line, code, words) in [
        (
            "explain 2.bin 3.bin --device-ram 0",
            7,
            &["the device has 0", "hint: `--device-ram`"][..],
        ),
        (
            "explain 2.bin 3.bin --address-range 0x1000-0x2000",
            2,
            &["`--address-range` takes nothing here"],
        ),
        (
            &format!("{build} --base 2.bin --uf2-family 0xe48bff56"),
            2,
            &["`--uf2-family` chooses nothing here"],
        ),
        (
            &format!("{build} --base 2.bin --device-ram 0"),
            7,
            &["the device has 0", "hint: `--device-ram`"],
        ),
        (
            &format!("{build} --archive none"),
            3,
            &["no base archive in `none`", "`--archive` names"],
        ),
        (
            &format!("{pull} thermostat --from nowhere"),
            3,
            &["cannot read `nowhere`", "No such file"],
        ),
        (
            &format!("{pull} other --from public"),
            3,
            &["products/other/", "the product, and the channel"],
        ),
        (emit, 3, &["`tbs` exists", "`whittle attach` takes the signatures"]),
        ("policy show nope", 3, &["there is no policy `nope`", "`whittle policy list`"]),
        (
            "pubkey project/keys/development.pub.pem --to hex",
            5,
            &["is a development key", "hint: devices in the field"],
        ),
        (
            "flags sign list.json --key keys/release.key.pem --out f",
            4,
            &["type: list, expected an object"],
        ),
    ] {
        let run = shop.whittle(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(run.code, code, "{line}: {run:?}");
        for words in words {
            assert!(run.stderr.contains(words), "{line}: {run:?}");
        }
    }
}

#[test]
fn attachments_are_hashed_in_the_index() {
    let shop = Workshop::new();
    shop.write("notes.md", b"# 2.4.1\n");
    build(&shop, "noted", &["--base", "2.bin", "--notes", "notes.md"]).ok();
    assert_eq!(shop.read("noted/release-notes.md"), b"# 2.4.1\n");
    shop.whittle(&["verify", "noted", "--pubkey", "keys/release.pub.pem"]).ok();
    shop.write("noted/release-notes.md", b"# 6.6.6\n");
    assert_eq!(shop.whittle(&["verify", "noted", "--pubkey", "keys/release.pub.pem"]).code, 5);
    shop.write("noted/release-notes.md", b"# 2.4.1\n");
    shop.write("noted/extra", b"?");
    let run = shop.whittle(&["verify", "noted", "--pubkey", "keys/release.pub.pem"]).ok();
    assert!(run.stderr.contains("`extra` is not listed"), "{run:?}");
}

#[test]
fn bare_bsdiff_patches_go_both_ways() {
    let shop = Workshop::new();
    let args = [
        "diff",
        "--base",
        "2.bin",
        "--target",
        "3.bin",
        "--write-bsdiff",
        "ours.bsdiff",
        "--format",
        "json",
    ];
    assert_eq!(shop.whittle(&args).ok().json()["codecs"].as_array().expect("a list").len(), 5);
    let bspatch =
        tool("bspatch", "bsdiff", &["2.bin", "from-ours.bin", "ours.bsdiff"], &shop.path("."));
    assert!(bspatch.status.success());
    assert_eq!(shop.read("from-ours.bin"), shop.read("3.bin"));
    let bsdiff = tool("bsdiff", "bsdiff", &["2.bin", "3.bin", "theirs.bsdiff"], &shop.path("."));
    assert!(bsdiff.status.success());
    let apply = [
        "apply",
        "theirs.bsdiff",
        "--unsigned-bsdiff",
        "--base",
        "2.bin",
        "--out",
        "from-theirs.bin",
    ];
    let run = shop.whittle(&apply).ok();
    assert!(run.stderr.contains("UNVERIFIED"), "{run:?}");
    assert_eq!(shop.read("from-theirs.bin"), shop.read("3.bin"));
    let refused = shop.whittle(&[
        "apply",
        "theirs.bsdiff",
        "--base",
        "2.bin",
        "--out",
        "x",
        "--pubkey",
        "keys/release.pub.pem",
    ]);
    assert_eq!(refused.code, 4, "without the flag it is no package: {refused:?}");
}

#[test]
fn the_demo_shows_everything_and_replaces_only_itself() {
    let shop = Workshop::new();
    for _ in 0..2 {
        let run = shop.whittle(&["demo"]).ok();
        assert!(run.stdout.contains("applied from each of them"), "{run:?}");
    }
    let verify =
        ["verify", "whittle-demo/release", "--pubkey", "whittle-demo/keys/development.pub.pem"];
    shop.whittle(&verify).ok();
    let applied = std::fs::read_dir(shop.path("whittle-demo/applied")).expect("lists").count();
    assert_eq!(applied, 4, "three deltas and the full image");
    assert_eq!(shop.whittle(&["demo", "--out", "release"]).code, 3, "somebody else's directory");
}
