//! Feature flags from JSON to a device's answer, and everything that is refused on the way.

use whittle_patcher_nostd::{DeviceFacts, DocumentError, VerifiedFlags};
use whittle_release::SignedEnvelope;

use crate::golden::{FLAGS_FILE, FLAGS_SOURCE, golden};
use crate::support::{PRODUCT, Workshop, keys, test_key};

const SIGN: [&str; 4] = ["flags", "sign", "--key", "keys/release.key.pem"];

fn shop() -> Workshop {
    let shop = Workshop::new();
    for name in [FLAGS_SOURCE, FLAGS_FILE] {
        shop.write(name, &std::fs::read(golden(name)).expect("committed"));
    }
    shop
}

#[test]
fn the_way_from_json_to_a_value() {
    let shop = shop();
    let sign = [&SIGN[..], &["flags.json", "--out", "signed.bin", "--format", "json"]].concat();
    let json = shop.whittle(&sign).ok().json();
    assert_eq!(
        (&json["schema"], &json["version"], &json["flags"]),
        (&1.into(), &42.into(), &3.into())
    );
    assert_eq!(shop.read("signed.bin"), shop.read(FLAGS_FILE), "the same input, the same bytes");
    assert_eq!(json["bytes"], shop.read("signed.bin").len());

    let show = ["flags", "show", "signed.bin", "--pubkey", "keys/release.pub.pem"];
    let text = shop.whittle(&show).ok().stdout;
    for words in ["VERIFIED", "version 42", "group alpha or beta, 50 %", "12.5 %", "off (killed)"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = shop.whittle(&[&show[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["flags"][1]["rules"][0]["devices"][1], "hex:246f28000001");

    // What decided, for devices that differ in one thing each.
    let cases: [(&[&str], &str, serde_json::Value); 5] = [
        (&["--device", "TH-2026-0001"], "rule", 1.into()),
        (&["--device", "hex:246f28000001", "--region", "DE"], "rule", 1.into()),
        (&["--device", "TH-9", "--region", "DE", "--group", "beta"], "rule", 2.into()),
        (&["--device", "TH-2026-0007", "--group", "beta"], "default", ().into()),
        (&["--device", "TH-2026-0007"], "default", ().into()),
    ];
    for (device, decided_by, rule) in cases {
        let args = ["flags", "eval", "signed.bin", "--pubkey", "keys/release.pub.pem"];
        let run = shop.whittle(&[&args[..], device, &["--format", "json"]].concat()).ok();
        let holiday_mode = &run.json()["flags"][1];
        assert_eq!(holiday_mode["name"], "holiday-mode");
        assert_eq!(
            (&holiday_mode["decided_by"], &holiday_mode["rule"]),
            (&decided_by.into(), &rule),
            "{run:?}"
        );
        shop.whittle(&[&args[..], device].concat()).ok();
    }
    let unlisted = [
        "flags",
        "eval",
        "signed.bin",
        "--pubkey",
        "keys/release.pub.pem",
        "--device",
        "x",
        "--flag",
        "y",
    ];
    assert!(shop.whittle(&unlisted).ok().stdout.contains("the firmware's default"));
}

#[test]
fn host_and_device_give_one_answer() {
    let shop = shop();
    let bytes = shop.read(FLAGS_FILE);
    let flags = VerifiedFlags::check(&bytes, PRODUCT, 42, &keys()).expect("authentic");
    for n in 0..10 {
        let id = format!("TH-{n}");
        let device = DeviceFacts { id: id.as_bytes(), groups: &["beta"], region: Some("EU") };
        let args =
            ["flags", "eval", FLAGS_FILE, "--pubkey", "keys/release.pub.pem", "--format", "json"];
        let facts = ["--device", &id, "--group", "beta", "--region", "EU"];
        let json = shop.whittle(&[&args[..], &facts].concat()).ok().json();
        for flag in json["flags"].as_array().expect("a list") {
            let name = flag["name"].as_str().expect("a name");
            assert_eq!(flag["value"].as_bool(), flags.is_on(name, &device), "{id}: {name}");
        }
    }
}

#[test]
fn each_refusal_has_its_code_and_its_words() {
    let shop = shop();
    shop.write("typo.json", b"{\n  \"product\": \"p\",\n  \"versoin\": 1\n}");
    shop.write("cut.json", b"{\n  \"product\": \"p\",\n");
    let many: Vec<String> = (0..80).map(|n| format!("\"TH-2026-{n:04}\"")).collect();
    let long = format!(
        r#"{{"product": "p", "version": 1, "flags": [{{"name": "f", "default": false, "rules": [{{"value": true, "devices": [{}]}}]}}]}}"#,
        many.join(",")
    );
    shop.write("long.json", long.as_bytes());
    shop.write("older.json", br#"{"product": "thermostat", "version": 41, "flags": []}"#);
    shop.write("boiler.json", br#"{"product": "boiler", "version": 43, "flags": []}"#);
    let mut flipped = shop.read(FLAGS_FILE);
    flipped[100] ^= 1;
    shop.write("flipped.bin", &flipped);
    shop.write("long.bin", &[0xd2; 1025]);
    shop.write("stage.bin", &std::fs::read(golden("stage.bin")).expect("committed"));

    let sign: &[&str] = &["flags", "sign", "--out", "never.bin"];
    let key: &[&str] = &["--key", "keys/release.key.pem"];
    let after: &[&str] = &["--after", FLAGS_FILE];
    let foreign: &[&str] = &["--key", "foreign/release.key.pem"];
    let show: &[&str] = &["flags", "show", "--pubkey", "keys/release.pub.pem"];
    let cases: [(&[&[&str]], i32, &str); 15] = [
        (&[sign, &["flags.json"]], 2, "--key"),
        (&[sign, key, &["missing.json"]], 3, "cannot read `missing.json`"),
        (&[sign, key, &["typo.json"]], 4, "unknown field `versoin`, expected one of"),
        (&[sign, key, &["typo.json"]], 4, "at line 3 column 11"),
        (&[sign, key, &["cut.json"]], 4, "at line 3 column 0"),
        (
            &[sign, key, &["long.json"]],
            7,
            "is 139 above the limit of 1024; rule 1 of `f` takes most, 1045 bytes",
        ),
        (&[sign, key, after, &["older.json"]], 4, "version 41 is not above version 42"),
        (
            &[sign, key, after, &["boiler.json"]],
            4,
            "for `boiler`, the one that it is to follow for `thermostat`",
        ),
        (&[sign, foreign, after, &["flags.json"]], 5, "unknown key"),
        (&[&["flags", "show", FLAGS_FILE]], 2, "--pubkey"),
        (&[&["flags", "eval", FLAGS_FILE, "--device", "x"]], 2, "--pubkey"),
        (
            &[&["flags", "show", FLAGS_FILE, "--pubkey", "foreign/release.pub.pem"]],
            5,
            "unknown key",
        ),
        (&[show, &["flipped.bin"]], 5, "signature does not match"),
        (&[show, &["long.bin"]], 4, "has more than 1024 bytes"),
        (&[show, &["stage.bin"]], 4, "payload of another kind"),
    ];
    for (args, code, words) in cases {
        let run = shop.whittle(&args.concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        assert!(run.stderr.contains(words), "{args:?}: {run:?}");
        assert!(!shop.path("never.bin").exists());
    }
}

#[test]
fn no_bit_of_a_signed_document_can_be_changed() {
    let bytes = std::fs::read(golden(FLAGS_FILE)).expect("committed");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(VerifiedFlags::check(&flipped, PRODUCT, 42, &keys()).is_err(), "byte {at}");
        assert!(VerifiedFlags::check(&bytes[..at], PRODUCT, 42, &keys()).is_err(), "cut at {at}");
    }
}

#[test]
fn a_signature_over_another_document_is_none_over_flags() {
    let shop = Workshop::new();
    let (_, package) = shop.delta();
    let error = VerifiedFlags::authenticate(&package, &keys()).expect_err("a package");
    assert!(matches!(error, DocumentError::Envelope(_) | DocumentError::TooLong), "{error}");
    let (envelope, _) = whittle_format::envelope::Envelope::parse(&package).expect("own bytes");
    let manifest = SignedEnvelope::sign(envelope.payload, &test_key()).expect("signs");
    let error = VerifiedFlags::authenticate(&manifest.0, &keys()).expect_err("a manifest");
    assert!(matches!(error, DocumentError::Document(_)), "{error}");
    shop.write("flags.bin", &std::fs::read(golden(FLAGS_FILE)).expect("committed"));
    let run = shop.whittle(&["verify", "flags.bin", "--pubkey", "keys/release.pub.pem"]);
    assert_eq!(run.code, 4, "flags are no package: {run:?}");
}
