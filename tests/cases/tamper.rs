//! Everything that must be refused on the host: by a distinct exit code and message, and without an output file.

use whittle_format::envelope::Envelope;

use crate::support::{Run, Workshop};

const PUBKEY: &str = "keys/release.pub.pem";

/// What is wrong, the package, the base, further arguments, the exit code, and words of the message.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], i32, &'a str);

/// Applies and checks that nothing was left behind by a refusal.
fn refused(shop: &Workshop, package: &str, base: &str, pubkey: &str, more: &[&str]) -> Run {
    let args = ["apply", package, "--base", base, "--pubkey", pubkey, "--out", "out.bin"];
    let run = shop.whittle(&[&args[..], more].concat());
    assert!(!shop.path("out.bin").exists(), "an output file in spite of {run:?}");
    assert_ne!(run.code, 0, "{run:?}");
    run
}

#[test]
fn each_refusal_has_its_code_and_its_words() {
    let shop = Workshop::new();
    let (name, package) = shop.delta();
    let delta = format!("release/{name}");
    let (_, blocks) = Envelope::parse(&package).expect("own bytes");
    shop.write("truncated.pkg", &package[..package.len() - 1]);
    shop.write("unsigned.pkg", blocks);
    let mut forged = package.clone();
    forged[100] ^= 1;
    shop.write("forged.pkg", &forged);
    let mut flipped = package.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    shop.write("flipped.pkg", &flipped);
    let mut longer = package.clone();
    longer.push(0);
    shop.write("longer.pkg", &longer);

    let mut padded = shop.read("2.bin");
    padded.push(0);
    shop.write("padded.bin", &padded);
    let cases: [Case<'_>; 12] = [
        ("a base with a byte too many", &delta, "padded.bin", &[], 6, "package expects base"),
        ("the wrong base of a package", &delta, "1.bin", &[], 6, "package expects base"),
        (
            "a base unknown to the release",
            "release",
            "keys/release.pub.pem",
            &[],
            6,
            "not built for base",
        ),
        ("a truncated file", "truncated.pkg", "2.bin", &[], 4, "incomplete"),
        ("a file that goes on", "longer.pkg", "2.bin", &[], 4, "bytes follow"),
        ("an unsigned manifest", "unsigned.pkg", "2.bin", &[], 4, "not a signed whittle envelope"),
        ("a forged manifest", "forged.pkg", "2.bin", &[], 5, "signature does not match"),
        (
            "a flipped bit in a block",
            "flipped.pkg",
            "2.bin",
            &[],
            5,
            "is not the one that was signed",
        ),
        (
            "a downgrade",
            &delta,
            "2.bin",
            &["--security-counter", "8"],
            4,
            "security counter 7, the device already requires 8",
        ),
        (
            "another product",
            &delta,
            "2.bin",
            &["--product", "toaster"],
            4,
            "for the product `thermostat`",
        ),
        (
            "other hardware",
            &delta,
            "2.bin",
            &["--hardware-revision", "6"],
            4,
            "hardware revisions 2 to 5",
        ),
        ("a missing file", "nowhere.pkg", "2.bin", &[], 3, "cannot read"),
    ];
    for (what, package, base, more, code, words) in cases {
        let run = refused(&shop, package, base, PUBKEY, more);
        assert_eq!(run.code, code, "{what}: {run:?}");
        assert!(run.stderr.contains(words), "{what}: {run:?}");
    }
    let foreign = refused(&shop, &delta, "2.bin", "foreign/release.pub.pem", &[]);
    assert_eq!(foreign.code, 5, "{foreign:?}");
    assert!(foreign.stderr.contains("unknown key"), "{foreign:?}");
    let no_key = shop.whittle(&["apply", &delta, "--base", "2.bin", "--out", "out.bin"]);
    assert_eq!(no_key.code, 2, "{no_key:?}");
    assert_eq!(shop.whittle(&["verify", "release"]).code, 2, "verify needs a key");
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let shop = Workshop::new();
    let (name, package) = shop.delta();
    for step in 0..200 {
        let at = step * (package.len() - 1) / 199;
        let mut flipped = package.clone();
        flipped[at] ^= 1 << (step % 8);
        shop.write("flipped.pkg", &flipped);
        let run = refused(&shop, "flipped.pkg", "2.bin", PUBKEY, &[]);
        assert!([4, 5].contains(&run.code), "bit {} of byte {at}: {run:?}", step % 8);
        let verify = shop.whittle(&["verify", "flipped.pkg", "--pubkey", PUBKEY]);
        assert!([4, 5].contains(&verify.code), "bit {} of byte {at}: {verify:?}", step % 8);
    }
    let mut flipped = package;
    flipped[300] ^= 4;
    shop.write(&format!("release/{name}"), &flipped);
    let listed = shop.whittle(&["verify", "release", "--pubkey", PUBKEY]);
    assert_eq!(listed.code, 5, "{listed:?}");
    assert!(listed.stderr.contains("is not the file that the signed index lists"), "{listed:?}");
}

#[test]
fn a_release_that_lost_a_file_is_not_valid() {
    let shop = Workshop::new();
    let (name, _) = shop.delta();
    std::fs::remove_file(shop.path(&format!("release/{name}"))).expect("removes");
    assert_eq!(shop.whittle(&["verify", "release", "--pubkey", PUBKEY]).code, 3);
    std::fs::remove_file(shop.path("release/index.cose")).expect("removes");
    assert_eq!(shop.whittle(&["verify", "release", "--pubkey", PUBKEY]).code, 3);
}

#[test]
fn a_package_moved_from_another_release_is_noticed() {
    let shop = Workshop::new();
    let (name, _) = shop.delta();
    let full = shop.read("release/thermostat-2.4.1-full.pkg");
    shop.write(&format!("release/{name}"), &full);
    let run = shop.whittle(&["verify", "release", "--pubkey", PUBKEY]);
    assert_ne!(run.code, 0, "{run:?}");
}
