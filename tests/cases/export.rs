//! `whittle export`: what comes out is verified by programs that know nothing of whittle.

use std::process::Command;

use serde_json::Value;

use crate::support::{Run, Workshop, root, whittle};

const NOTES: &str = "# 2.4.1\n\nThe display no longer flickers.\n";

/// Builds a release with notes and an SBOM, from two bases of which deltas are made.
fn released() -> Workshop {
    let shop = Workshop::new();
    shop.write("notes.md", NOTES.as_bytes());
    shop.write("sbom.json", br#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#);
    let args = "build --product thermostat --target 3.bin --target-version 2.4.1 --base 2.bin --base 1.bin \
        --security-counter 7 --notes notes.md --sbom sbom.json --key keys/release.key.pem --out thermostat --no-cache";
    shop.whittle(&args.split_whitespace().collect::<Vec<_>>()).ok();
    shop
}

/// Exports it; `more` is split at blanks.
fn export(shop: &Workshop, more: &str) -> Run {
    let args = format!("export thermostat --pubkey keys/release.pub.pem {more}");
    shop.whittle(&args.split_whitespace().collect::<Vec<_>>())
}

const SUIT: &str =
    "--suit out.suit --vendor-domain example.com --sequence-number 7 --key keys/release.key.pem";
const SLSA: &str = "--slsa out.json --builder-id https://ci.example.com --key keys/release.key.pem";

/// Runs a script of `tests/export` with Python and what `cargo xtask setup` installs for it; `Err` is its last line.
fn python(shop: &Workshop, script: &str, args: &[&str]) -> Result<Value, String> {
    let program = root().join("target/test-tools/bin/python3");
    let script = root().join("tests/export").join(script);
    let output = Command::new(program).arg(script).args(args).current_dir(shop.path(".")).output();
    let output = output.expect("`cargo xtask setup` installs Python's packages");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("JSON"));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn pycose_verifies_the_envelope() {
    let shop = released();
    let json = export(&shop, &format!("{SUIT} --format json")).ok().json();
    assert_eq!(json["sequence_number"], 7);
    assert_eq!(json["vendor_id"], "cfbff0d1-9375-5685-968c-48ce8b15ae17");
    let key = shop.whittle(&["pubkey", "keys/release.pub.pem", "--to", "hex"]).ok().stdout;
    let foreign = shop.whittle(&["pubkey", "foreign/release.pub.pem", "--to", "hex"]).ok().stdout;
    let seen = python(&shop, "suit.py", &["out.suit", key.trim()]).expect("is verified");
    assert_eq!(seen["sequence_number"], 7);
    assert_eq!(seen["vendor"], "example.com");
    assert_eq!(seen["class"], "thermostat");
    assert_eq!(seen["notes"], NOTES);
    let inspected = shop.whittle(&["inspect", "thermostat", "--format", "json"]).ok().json();
    assert_eq!(seen["image"]["sha256"], inspected["target_sha256"]);
    assert_eq!(seen["image"]["bytes"], inspected["target_bytes"]);
    let packages = inspected["packages"].as_array().expect("a list");
    let fetched = seen["packages"].as_array().expect("a list");
    assert_eq!((packages.len(), fetched.len()), (3, 3), "two deltas and the full image");
    for (base, uri, sha256, bytes) in
        fetched.iter().map(|one| (&one["base"], &one["uri"], &one["sha256"], &one["bytes"]))
    {
        let package = packages.iter().find(|package| package["file"] == *uri).expect("is listed");
        assert_eq!((&package["sha256"], &package["download_bytes"]), (sha256, bytes));
        assert_eq!(package["base_sha256"], *base);
    }
    assert_eq!(fetched[2]["base"], Value::Null, "who runs something else takes the full image");

    let refused = python(&shop, "suit.py", &["out.suit", foreign.trim()]);
    assert_eq!(refused, Err("AssertionError: the signature".to_owned()));
    let mut bytes = shop.read("out.suit");
    // The sequence number of the manifest.
    let at = bytes.windows(4).position(|window| window == [1, 1, 2, 7]).expect("is there");
    bytes[at + 3] = 8;
    shop.write("forged.suit", &bytes);
    let refused = python(&shop, "suit.py", &["forged.suit", key.trim()]);
    assert_eq!(refused, Err("AssertionError: the digest of the manifest".to_owned()));
}

#[test]
fn an_envelope_without_its_text_is_signed_all_the_same() {
    let shop = released();
    let key = shop.whittle(&["pubkey", "keys/release.pub.pem", "--to", "hex"]).ok().stdout;
    export(&shop, SUIT).ok();
    let whole = shop.read("out.suit");
    let more = format!("{SUIT} --without-text --published --base-uri https://example.com/prod/");
    export(&shop, &more).ok();
    assert!(shop.read("out.suit").len() < whole.len());
    let seen = python(&shop, "suit.py", &["out.suit", key.trim()]).expect("is verified");
    assert_eq!(seen["notes"], Value::Null);
    for package in seen["packages"].as_array().expect("a list") {
        let digest = package["sha256"].as_str().expect("digits");
        let uri = format!("https://example.com/prod/by-sha256/{}/{digest}", &digest[..2]);
        assert_eq!(package["uri"], uri);
    }
}

#[test]
fn securesystemslib_and_in_toto_take_the_statement() {
    let shop = released();
    let more = "--builder-version runner=2.311 --invocation-id 77 --started-on 2026-11-26T13:00:00+01:00 \
        --source git+https://example.com/firmware@gitCommit:1F0C6D2B9A3E5C7F8091A2B3C4D5E6F708192A3B --format json";
    let json = export(&shop, &format!("{SLSA} {more}")).ok().json();
    assert_eq!(json["subjects"].as_array().map(Vec::len), Some(6));
    let checked = |key: &str| python(&shop, "statement.py", &["out.json", key]);
    let statement = checked("keys/release.pub.pem").expect("is verified");
    for entry in std::fs::read_dir(shop.path("thermostat")).expect("lists") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let subjects = statement["subject"].as_array().expect("a list");
        let subject = subjects.iter().find(|subject| subject["name"] == *name).expect("is there");
        let bytes = shop.read(&format!("thermostat/{name}"));
        let wanted = whittle_release::Sha256Digest::of(&bytes).to_string();
        assert_eq!(subject["digest"]["sha256"], wanted, "{name}");
    }
    let predicate = &statement["predicate"];
    let metadata = &predicate["runDetails"]["metadata"];
    assert_eq!(metadata["startedOn"], "2026-11-26T12:00:00Z");
    assert_eq!(predicate["runDetails"]["builder"]["version"]["runner"], "2.311");
    let dependencies = predicate["buildDefinition"]["resolvedDependencies"].as_array();
    let source = dependencies.and_then(|all| all.last()).expect("there are some");
    assert_eq!(source["digest"]["gitCommit"], "1f0c6d2b9a3e5c7f8091a2b3c4d5e6f708192a3b");

    let refused = checked("foreign/release.pub.pem").expect_err("is refused");
    assert!(refused.starts_with("securesystemslib.exceptions.VerificationError"), "{refused}");
    // A letter within the payload, which is base64.
    let text = String::from_utf8(shop.read("out.json")).expect("JSON");
    shop.write("out.json", text.replacen("\"payload\":\"e", "\"payload\":\"f", 1).as_bytes());
    let refused = checked("keys/release.pub.pem").expect_err("is refused");
    assert!(refused.starts_with("securesystemslib.exceptions.VerificationError"), "{refused}");
}

#[test]
fn the_same_release_gives_the_same_bytes_whoever_signs() {
    let shop = released();
    for (file, asked) in [("out.suit", SUIT), ("out.json", SLSA)] {
        export(&shop, asked).ok();
        let wanted = shop.read(file);
        std::fs::remove_file(shop.path(file)).expect("removes");
        let elsewhere = "--emit-tbs tbs --signer-pubkey keys/release.pub.pem";
        let asked = asked.replace("--key keys/release.key.pem", elsewhere);
        let waiting = export(&shop, &asked);
        assert_eq!(waiting.code, 5, "{waiting:?}");
        assert!(!shop.path(file).exists(), "nothing is written without a signature");
        let name = if file == "out.suit" { "suit" } else { "slsa" };
        let (tbs, sig) = (format!("tbs/{name}.tbs"), format!("tbs/{name}.sig"));
        let sign = [
            "pkeyutl",
            "-sign",
            "-rawin",
            "-inkey",
            "keys/release.key.pem",
            "-in",
            &tbs,
            "-out",
            &sig,
        ];
        let signed = crate::support::tool("openssl", "openssl", &sign, &shop.path("."));
        assert!(signed.status.success(), "{signed:?}");
        export(&shop, &asked).ok();
        assert!(shop.read(file) == wanted, "{file} differs");
    }
}

#[test]
fn a_bundle_is_one_envelope() {
    let shop = Workshop::new();
    for product in ["hub-boot", "hub-app"] {
        let args = format!(
            "build --product {product} --target 3.bin --target-version 1.4.0 --base 2.bin --key keys/release.key.pem --out hub/{product} --no-cache"
        );
        shop.whittle(&args.split_whitespace().collect::<Vec<_>>()).ok();
    }
    let bundle = "bundle sign hub --product hub --bundle-version 7 --component hub-boot --component hub-app \
        --requires hub-app:hub-boot@1.4.0 --pubkey keys/release.pub.pem --key keys/release.key.pem";
    shop.whittle(&bundle.split_whitespace().collect::<Vec<_>>()).ok();
    let run = |more: &str| {
        let args = format!("export hub --pubkey keys/release.pub.pem --format json {more}");
        shop.whittle(&args.split_whitespace().collect::<Vec<_>>())
    };
    let json = run(&format!("{SUIT} --invoke hub-app")).ok().json();
    assert_eq!((&json["product"], &json["components"]), (&"hub".into(), &6.into()));
    let json = run(SLSA).ok().json();
    assert_eq!(json["subjects"][0]["name"], "bundle.cose");
    let unknown = run(&format!("{SUIT} --invoke toaster"));
    assert_eq!(unknown.code, 2, "{unknown:?}");
}

#[test]
fn what_cannot_be_exported_leaves_no_file() {
    let shop = released();
    let cases = [
        ("--key keys/release.key.pem", 2, "--suit"),
        ("--suit out --sequence-number 1 --key keys/release.key.pem", 2, "--vendor-domain"),
        ("--suit out --vendor-domain a.b --key keys/release.key.pem", 2, "--sequence-number"),
        ("--suit out --vendor-domain a.b --sequence-number 0 --key keys/release.key.pem", 2, "1.."),
        ("--slsa out --key keys/release.key.pem", 2, "--builder-id"),
        ("--suit out --slsa out --vendor-domain a.b --builder-id a:b", 2, "cannot be used with"),
        ("--suit out --sequence-number 1 --vendor-domain a.b", 2, "nobody signs"),
        (
            "--suit out --sequence-number 1 --vendor-domain localhost --key keys/release.key.pem",
            2,
            "the vendor's domain",
        ),
        (
            "--suit out --sequence-number 1 --vendor-domain a.b --base-uri <> --key keys/release.key.pem",
            2,
            "the base URI",
        ),
        (
            "--suit out --sequence-number 1 --vendor-domain a.b --base-uri a?b= --key keys/release.key.pem",
            2,
            "a query",
        ),
        (
            "--suit out --sequence-number 1 --vendor-domain a.b --reference-uri x --key keys/release.key.pem",
            2,
            "the reference URI",
        ),
        ("--slsa out --builder-id ci --key keys/release.key.pem", 2, "the builder's id"),
        ("--slsa out --builder-id a:b --source x --key keys/release.key.pem", 2, "ALGORITHM"),
        (
            "--slsa out --builder-id a:b --source c:d@sha256:12 --key keys/release.key.pem",
            2,
            "none of sha256",
        ),
        ("--slsa out --builder-id a:b --builder-version =1 --key keys/release.key.pem", 2, "NAME="),
        (
            "--slsa out --builder-id a:b --builder-version x=1 --builder-version x=2 --key keys/release.key.pem",
            2,
            "`--builder-version` speaks of `x` twice",
        ),
        (
            "--slsa out --builder-id a:b --started-on 2 --finished-on 1 --key keys/release.key.pem",
            2,
            "before it began",
        ),
        (
            "--slsa out --builder-id a:b --started-on noon --key keys/release.key.pem",
            2,
            "--started-on",
        ),
        ("--slsa out --builder-id a:b --load --key keys/release.key.pem", 2, "cannot be used with"),
        (
            "--suit nowhere/out --sequence-number 1 --vendor-domain a.b --key keys/release.key.pem",
            3,
            "cannot write",
        ),
        (
            "--suit thermostat --sequence-number 1 --vendor-domain a.b --key keys/release.key.pem",
            3,
            "not a regular file",
        ),
    ];
    for (more, code, words) in cases {
        let run = export(&shop, more);
        assert_eq!(run.code, code, "{more}: {run:?}");
        assert!(run.stderr.contains(words), "{more}: {run:?}");
        assert!(!shop.path("out").exists(), "{more}");
    }
    let foreign = format!("export thermostat --pubkey foreign/release.pub.pem {SUIT}");
    let run = shop.whittle(&foreign.split_whitespace().collect::<Vec<_>>());
    assert_eq!(run.code, 5, "{run:?}");
    shop.write("thermostat/sbom.json", b"{}");
    let run = export(&shop, SLSA);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(!shop.path("out.json").exists() && !shop.path("out.suit").exists());
    let run = whittle(
        &shop.path("."),
        &[
            "export",
            "nowhere",
            "--pubkey",
            "keys/release.pub.pem",
            "--suit",
            "out",
            "--vendor-domain",
            "a.b",
            "--sequence-number",
            "1",
            "--key",
            "keys/release.key.pem",
        ],
    );
    assert_eq!(run.code, 3, "{run:?}");
}

#[test]
fn a_project_says_once_what_both_forms_want() {
    let shop = released();
    let settings =
        "[export]\nvendor-domain = \"example.com\"\nbuilder-id = \"https://ci.example.com\"\n";
    shop.write("whittle.toml", settings.as_bytes());
    export(&shop, "--suit out.suit --sequence-number 1 --key keys/release.key.pem").ok();
    export(&shop, "--slsa out.json --key keys/release.key.pem").ok();
}

#[cfg(unix)]
#[test]
fn a_link_is_never_written_through() {
    let shop = released();
    shop.write("victim", b"mine");
    std::os::unix::fs::symlink(shop.path("victim"), shop.path("out.suit")).expect("links");
    let run = export(&shop, SUIT);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(shop.read("victim"), b"mine");
}
