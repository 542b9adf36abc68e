//! Stages of a rollout from the command line to a device's answer, and everything that is refused on the way.

use whittle_patcher_nostd::{DocumentError, VerifiedStage, authenticate};

use crate::golden::{STAGE_FILE, golden};
use crate::support::{PRODUCT, Run, VERSION, Workshop, keys};

const SIGN: [&str; 4] = ["stage", "sign", "--key", "keys/release.key.pem"];

fn first(shop: &Workshop, out: &str, share: &str, more: &[&str]) -> Run {
    let target = ["--product", PRODUCT, "--target-version", VERSION, "--target", "3.bin"];
    shop.whittle(
        &[&SIGN[..], &target, &["--share", share, "--out", out, "--format", "json"], more].concat(),
    )
}

fn next(shop: &Workshop, after: &str, out: &str, share: &str) -> Run {
    let args = ["--after", after, "--share", share, "--out", out, "--format", "json"];
    shop.whittle(&[&SIGN[..], &args].concat())
}

fn check(shop: &Workshop, file: &str, device: &str, more: &[&str]) -> Run {
    let args = ["stage", "check", file, "--pubkey", "keys/release.pub.pem", "--device", device];
    shop.whittle(&[&args[..], more].concat())
}

#[test]
fn a_rollout_grows_and_keeps_whom_it_has() {
    let shop = Workshop::new();
    let one = first(&shop, "1.stage", "5%", &[]).ok().json();
    let two = next(&shop, "1.stage", "2.stage", "25%").ok().json();
    next(&shop, "2.stage", "3.stage", "100%").ok();
    assert_eq!((&one["schema"], &one["stage"], &two["stage"]), (&1.into(), &1.into(), &2.into()));
    assert_eq!(one["seed"], two["seed"]);
    assert_eq!(one["bytes"], shop.read("1.stage").len());
    assert_ne!(first(&shop, "other.stage", "5%", &[]).ok().json()["seed"], one["seed"]);

    let signed = ["1.stage", "2.stage", "3.stage"].map(|name| shop.read(name));
    let mut accepted: Option<VerifiedStage> = None;
    for bytes in &signed {
        let stage = VerifiedStage::check(bytes, PRODUCT, accepted.as_deref(), &keys());
        accepted = Some(stage.expect("the share grows"));
    }
    let accepted = accepted.expect("three of them");
    let error = VerifiedStage::check(&signed[1], PRODUCT, Some(&accepted), &keys());
    assert_eq!(error, Err(DocumentError::StageTooLow));
    assert_eq!(
        VerifiedStage::check(&signed[1], "boiler", None, &keys()),
        Err(DocumentError::WrongProduct)
    );

    let (_, package) = shop.delta();
    let manifest = authenticate(&package, &keys(), &mut vec![0; 1 << 16]).expect("authentic");
    assert!(accepted.is_for(&manifest));

    let stages =
        signed.map(|bytes| VerifiedStage::authenticate(&bytes, &keys()).expect("authentic"));
    for n in 0..5 {
        let id = format!("TH-{n}");
        let run = check(&shop, "2.stage", &id, &["--format", "json"]).ok();
        let is_in = stages.map(|stage| stage.includes(id.as_bytes()));
        assert_eq!(run.json()["eligible"], is_in[1], "{run:?}");
        assert!(is_in[2] && is_in.is_sorted());
        let text = check(&shop, "2.stage", &id, &[]).ok().stdout;
        assert_eq!(text.starts_with("in: "), is_in[1], "{text}");
    }
}

#[test]
fn each_refusal_has_its_code_and_its_words() {
    let shop = Workshop::new();
    first(&shop, "1.stage", "5%", &[]).ok();
    next(&shop, "1.stage", "2.stage", "20%").ok();
    let mut flipped = shop.read("1.stage");
    flipped[40] ^= 1;
    shop.write("flipped.stage", &flipped);
    shop.write("long.stage", &[0xd2; 257]);
    shop.write("flags.bin", &std::fs::read(golden("flags.bin")).expect("committed"));
    let foreign = [
        "--key",
        "foreign/release.key.pem",
        "--after",
        "1.stage",
        "--share",
        "9%",
        "--out",
        "never",
    ];
    let cases = [
        (first(&shop, "never", "5", &[]), 2, "with its sign"),
        (first(&shop, "never", "100.1%", &[]), 2, "no percentage"),
        (first(&shop, "never", "5%", &["--seed", "00"]), 2, "32 hexadecimal digits"),
        (first(&shop, "never", "5%", &["--after", "1.stage"]), 2, "cannot be used with"),
        (shop.whittle(&[&SIGN[..], &["--share", "5%", "--out", "never"]].concat()), 2, "--product"),
        (
            shop.whittle(&[
                "stage", "sign", "--after", "1.stage", "--share", "9%", "--out", "never",
            ]),
            2,
            "--key",
        ),
        (shop.whittle(&[&["stage", "sign"][..], &foreign].concat()), 5, "unknown key"),
        (
            next(&shop, "2.stage", "never", "19.9999%"),
            4,
            "share of 199999 ppm is below the 200000 ppm",
        ),
        (next(&shop, "missing", "never", "30%"), 3, "cannot read `missing`"),
        (shop.whittle(&["stage", "check", "1.stage", "--device", "x"]), 2, "--pubkey"),
        (
            shop.whittle(&[
                "stage",
                "check",
                "1.stage",
                "--device",
                "x",
                "--pubkey",
                "foreign/release.pub.pem",
            ]),
            5,
            "unknown key",
        ),
        (check(&shop, "flipped.stage", "x", &[]), 5, "signature does not match"),
        (check(&shop, "long.stage", "x", &[]), 4, "has more than 256 bytes"),
        (check(&shop, "flags.bin", "x", &[]), 4, "payload of another kind"),
        (check(&shop, "1.stage", "", &[]), 2, "bytes, this one has 0"),
        (
            check(&shop, "1.stage", "x", &["--accepted", "2.stage"]),
            4,
            "stage 1 comes before stage 2",
        ),
    ];
    for (run, code, words) in cases {
        assert_eq!(run.code, code, "{words}: {run:?}");
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    assert!(!shop.path("never").exists());
    check(&shop, "2.stage", "x", &["--accepted", "1.stage"]).ok();
}

#[test]
fn a_stage_that_could_not_be_finished_is_not_begun() {
    let shop = Workshop::new();
    let target = ["--product", PRODUCT, "--target-version", VERSION, "--target", "3.bin"];
    let sign = ["stage", "sign", "--share", "5%", "--out", "1.stage", "--emit-tbs", "to-sign"];
    let signer = ["--signer-pubkey", "keys/release.pub.pem"];
    let run = shop.whittle(&[&sign[..], &target, &signer].concat());
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("--seed") && !shop.path("to-sign").exists(), "{run:?}");

    first(&shop, "last.stage", "5%", &["--stage", "4294967295"]).ok();
    let run = next(&shop, "last.stage", "none.stage", "6%");
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("no stage above") && !shop.path("none.stage").exists(), "{run:?}");
}

#[test]
fn no_bit_of_a_signed_stage_can_be_changed() {
    let bytes = std::fs::read(golden(STAGE_FILE)).expect("committed");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(VerifiedStage::check(&flipped, PRODUCT, None, &keys()).is_err(), "byte {at}");
        assert!(VerifiedStage::check(&bytes[..at], PRODUCT, None, &keys()).is_err(), "cut at {at}");
    }
}
