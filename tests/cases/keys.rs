//! Keys from the command line: where they come from, who signs, and documents that change them.

use crate::support::{Run, Workshop, command, run};

const BUILD: [&str; 9] = [
    "build",
    "--product",
    "thermostat",
    "--target",
    "3.bin",
    "--target-version",
    "1",
    "--base",
    "2.bin",
];

const PASSPHRASE: &str = "open sesame";

/// Runs the command line with variables of the environment.
fn whittle_with(shop: &Workshop, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut command = command(&shop.path("."), args);
    command.envs(variables.iter().copied()).stdin(std::process::Stdio::null());
    run(&mut command, args)
}

/// What is built with these arguments, compared with what the key itself signs.
fn assert_same_release(shop: &Workshop, out: &str) {
    for entry in std::fs::read_dir(shop.path("direct")).expect("a release") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        assert_eq!(
            shop.read(&format!("{out}/{name}")),
            shop.read(&format!("direct/{name}")),
            "{name}"
        );
    }
}

fn build_directly(shop: &Workshop) {
    let key = ["--key", "keys/release.key.pem", "--out", "direct"];
    shop.whittle(&[&BUILD[..], &key].concat()).ok();
}

#[test]
fn a_key_comes_from_a_variable_and_its_passphrase_from_another_one() {
    let shop = Workshop::new();
    for format in ["pkcs8", "minisign"] {
        let out = format!("fresh-{format}");
        let keygen = ["keygen", "--out", &out, "--key-format", format, "--format", "json"];
        // minisign's own passphrases take a gigabyte and seconds, and have a test of their own.
        let passphrase = ["--passphrase-env", "PASSPHRASE"];
        let passphrase = if format == "pkcs8" { &passphrase[..] } else { &[] };
        let variables = [("PASSPHRASE", PASSPHRASE)];
        let made = whittle_with(&shop, &variables, &[&keygen[..], passphrase].concat()).ok().json();
        assert_eq!(made["encrypted"], format == "pkcs8");
        let [private, public] =
            ["private_key", "public_key"].map(|at| made[at].as_str().expect("a path"));
        let text = String::from_utf8(shop.read(private)).expect("text");
        let variables = [("PASSPHRASE", PASSPHRASE), ("KEY", text.as_str())];
        for (key, out) in [("env:KEY", "by-variable"), (private, "by-file")] {
            let out = format!("{out}-{format}");
            let args = [&BUILD[..], &["--key", key, "--out", &out], passphrase].concat();
            let run = whittle_with(&shop, &variables, &args).ok();
            assert!(
                !format!("{run:?}").contains(PASSPHRASE)
                    && !format!("{run:?}").contains(text.trim())
            );
            shop.whittle(&["verify", &out, "--pubkey", public]).ok();
        }
        let to = shop.whittle(&["pubkey", public, "--to", "minisign"]).ok().stdout;
        shop.write("as-minisign.pub", to.as_bytes());
        let [as_hex, again] = [public, "as-minisign.pub"]
            .map(|key| shop.whittle(&["pubkey", key, "--to", "hex"]).ok().stdout);
        assert_eq!(as_hex, again);
    }
    let key = ["--key", "fresh-pkcs8/release.key.pem", "--out", "x"];
    for (variables, more, code, words) in [
        (&[][..], &[][..], 5, "there is no passphrase"),
        (&[("PASSPHRASE", "open wheat")], &["--passphrase-env", "PASSPHRASE"], 5, "does not open"),
        (&[], &["--passphrase-env", "PASSPHRASE"], 2, "variable `PASSPHRASE` is not set"),
        (&[], &["--passphrase-file", "missing"], 3, "cannot read `missing`"),
    ] {
        let run = whittle_with(&shop, variables, &[&BUILD[..], &key, more].concat());
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(words) && !run.stderr.contains("wheat"), "{run:?}");
    }
    shop.write("passphrase", format!("{PASSPHRASE}\n").as_bytes());
    shop.whittle(&[&BUILD[..], &key, &["--passphrase-file", "passphrase"]].concat()).ok();
    let nobody = shop.whittle(&[&BUILD[..], &["--out", "y"]].concat());
    assert_eq!((nobody.code, nobody.stderr.contains("nobody signs")), (2, true), "{nobody:?}");
}

#[test]
fn a_command_signs_a_release() {
    let shop = Workshop::new();
    build_directly(&shop);
    shop.write(
        "sign.sh",
        b"cat > tbs.tmp\nopenssl pkeyutl -sign -inkey keys/release.key.pem -rawin -in tbs.tmp\n",
    );
    let pubkey = ["--signer-pubkey", "keys/release.pub.pem"];
    let sign = |command: &str, out: &str| {
        shop.whittle(&[&BUILD[..], &["--signer-cmd", command], &pubkey, &["--out", out]].concat())
    };
    sign("sh sign.sh", "by-command").ok();
    assert_same_release(&shop, "by-command");
    for command in ["false", "head -c 64 /dev/zero", "/no/such/program"] {
        let run = sign(command, "nothing");
        assert_eq!(run.code, 5, "{run:?}");
        assert!(!shop.path("nothing").exists(), "{command}");
    }
    let run = shop.whittle(&[&BUILD[..], &["--signer-cmd", "cat", "--out", "nothing"]].concat());
    assert_eq!(run.code, 2, "{run:?}");
}

#[test]
fn a_release_is_signed_on_another_machine() {
    let shop = Workshop::new();
    build_directly(&shop);
    let emit = ["--emit-tbs", "to-sign", "--signer-pubkey", "keys/release.pub.pem"];
    let emit = [&BUILD[..], &emit, &["--format", "json"]].concat();
    let mut wanted = shop.whittle(&emit).ok().json();
    let attach = ["attach", "to-sign", "--out", "attached", "--format", "json"];
    for round in 0..2 {
        for file in wanted["wanted"].as_array().expect("a list") {
            let tbs = file.as_str().expect("a path");
            let signature = tbs.replace(".tbs", ".sig");
            let args = ["pkeyutl", "-sign", "-inkey", "keys/release.key.pem", "-rawin", "-in", tbs];
            let args = [&args[..], &["-out", &signature]].concat();
            assert!(
                crate::support::tool("openssl", "openssl", &args, &shop.path(".")).status.success()
            );
        }
        assert!(!shop.path("attached").exists(), "round {round}");
        wanted = shop.whittle(&attach).ok().json();
    }
    assert_eq!(wanted["wanted"], serde_json::json!([]));
    assert_same_release(&shop, "attached");

    // A flags document, in the same way.
    shop.write("flags.json", br#"{"product": "thermostat", "version": 1, "flags": []}"#);
    let sign = ["flags", "sign", "flags.json", "--out", "flags.bin", "--emit-tbs", "f"];
    let sign = [&sign[..], &["--signer-pubkey", "keys/release.pub.pem"]].concat();
    let run = shop.whittle(&sign);
    assert_eq!((run.code, run.stderr.contains("is not signed yet")), (5, true), "{run:?}");
    let args =
        ["pkeyutl", "-sign", "-inkey", "keys/release.key.pem", "-rawin", "-in", "f/flags.tbs"];
    let args = [&args[..], &["-out", "f/flags.sig"]].concat();
    assert!(crate::support::tool("openssl", "openssl", &args, &shop.path(".")).status.success());
    shop.whittle(&sign).ok();
    shop.whittle(&["flags", "show", "flags.bin", "--pubkey", "keys/release.pub.pem"]).ok();
}

/// The runbook of `docs/keys.md`.
#[test]
fn keys_are_signed_rotated_and_revoked_by_two_of_three() {
    let shop = Workshop::new();
    for name in ["anna", "bert", "cleo", "new"] {
        shop.whittle(&["keygen", "--out", name]).ok();
    }
    shop.write(
        "keys.json",
        br#"{"product": "thermostat", "version": 1, "key_threshold": 2, "keys": [
            {"file": "anna/release.pub.pem", "roles": ["keys"]},
            {"file": "bert/release.pub.pem", "roles": ["keys"]},
            {"file": "cleo/release.pub.pem", "roles": ["keys"]},
            {"file": "keys/release.pub.pem", "roles": ["packages", "flags", "stages"]}]}"#,
    );
    let factory = ["anna", "bert", "cleo"]
        .map(|name| ["--factory".to_owned(), format!("{name}/release.pub.pem")])
        .concat();
    let factory: Vec<&str> = factory.iter().map(String::as_str).collect();
    let factory = [&factory[..], &["--factory-threshold", "2"]].concat();
    let show = |file: &str| {
        shop.whittle(&[&["keys", "show", file, "--format", "json"][..], &factory].concat())
    };
    let (anna, bert) = (["--key", "anna/release.key.pem"], ["--key", "bert/release.key.pem"]);

    let signed = shop.whittle(
        &[&["keys", "sign", "keys.json", "--out", "keys.bin"][..], &anna, &factory].concat(),
    );
    assert!(signed.ok().stderr.contains("1 more signatures are wanted"));
    let run = show("keys.bin");
    assert_eq!((run.code, run.stderr.contains("too few keys")), (5, true), "{run:?}");
    let cosign = |file: &str| {
        shop.whittle(&[&["keys", "cosign", file, "--out", file][..], &bert].concat()).ok();
    };
    cosign("keys.bin");
    let shown = show("keys.bin").ok().json();
    assert_eq!((&shown["verified"], &shown["version"]), (&true.into(), &1.into()));

    let rotate = ["keys", "rotate", "--after", "keys.bin", "--out", "keys-2.bin"];
    let changes = ["--revoke", "keys/release.pub.pem", "--add", "new/release.pub.pem"];
    shop.whittle(&[&rotate[..], &changes, &anna].concat()).ok();
    cosign("keys-2.bin");
    let shown = show("keys-2.bin").ok().json();
    assert_eq!(shown["version"], 2);
    assert_eq!(shown["documents"].as_array().map(Vec::len), Some(2));
    let revoked = shown["revoked"][0].as_str().expect("an id").to_owned();
    let roles = |id: &str| {
        let keys = shown["keys"].as_array().expect("a list").iter();
        keys.filter(|key| key["key_id"] == id).map(|key| key["roles"].clone()).next()
    };
    assert_eq!(roles(&revoked), Some(serde_json::json!(["installed"])));

    // The other half, by its own command and by id; and what is left out when the firmware's keys are known.
    let revoke = ["keys", "revoke", "--after", "keys-2.bin", "--out", "keys-3.bin"];
    let new = shop.whittle(&["pubkey", "new/release.pub.pem", "--format", "json"]).ok().json();
    let id = new["key_id"].as_str().expect("an id");
    let unreachable = shop.whittle(&[&revoke[..], &[id], &anna].concat());
    assert_eq!(unreachable.code, 2, "nobody could sign packages: {unreachable:?}");
    let rotate = ["keys", "rotate", "--after", "keys-2.bin", "--out", "keys-3.bin"];
    let dropped = ["--drop", &revoked];
    shop.whittle(&[&rotate[..], &dropped, &anna, &factory].concat()).ok();
    cosign("keys-3.bin");
    let shown = show("keys-3.bin").ok().json();
    assert_eq!((&shown["version"], &shown["revoked"][0]), (&3.into(), &revoked.as_str().into()));
    let text = shop.whittle(&["keys", "show", "keys-3.bin"]).ok().stdout;
    assert!(text.contains("UNVERIFIED") && text.contains("REVOKED"), "{text}");

    // Whoever is not among them signs in vain.
    let stranger = ["--out", "keys-4.bin", "--key", "keys/release.key.pem"];
    let stage_only = ["--add", "anna/release.pub.pem", "--roles", "keys,stages"];
    let refused = shop.whittle(&[&rotate[..4], &stage_only, &stranger].concat());
    assert_eq!(refused.code, 5, "{refused:?}");
    let twice = ["--add", "cleo/release.pub.pem", "--drop", "cleo/release.pub.pem"];
    for (change, why) in [(&[][..], "nothing would change"), (&twice, "both added and taken away")]
    {
        let out = ["--out", "keys-4.bin"];
        let refused = shop.whittle(&[&rotate[..4], change, &out, &anna].concat());
        assert_eq!((refused.code, refused.stderr.contains(why)), (2, true), "{refused:?}");
    }
    assert!(!shop.path("keys-4.bin").exists());
    shop.write("broken.bin", &shop.read("keys.bin")[..100]);
    assert_eq!(show("broken.bin").code, 4);
}

#[test]
fn a_target_is_approved_by_two() {
    let shop = Workshop::new();
    let approve =
        ["approve", "release", "--pubkey", "keys/release.pub.pem", "--to", "approval.cose"];
    let approve =
        |key: &str| shop.whittle(&[&approve[..], &["--key", key, "--format", "json"]].concat());
    let once = approve("keys/release.key.pem").ok().json();
    assert_eq!(once["signed_by"].as_array().map(Vec::len), Some(1));
    let twice = approve("foreign/release.key.pem").ok().json();
    assert_eq!(twice["signed_by"].as_array().map(Vec::len), Some(2));
    assert_eq!(approve("foreign/release.key.pem").ok().json(), twice, "nobody counts twice");
    build_directly(&shop);
    let other = ["approve", "direct", "--pubkey", "keys/release.pub.pem", "--to", "approval.cose"];
    let other = shop.whittle(&[&other[..], &["--key", "keys/release.key.pem"]].concat());
    assert_eq!(other.code, 2, "{other:?}");
}
