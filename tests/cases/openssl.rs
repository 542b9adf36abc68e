//! Keys and signatures against OpenSSL.

use whittle_format::envelope::{self, Envelope, TBS_OVERHEAD};

use crate::support::{Workshop, tool};

#[test]
fn openssl_reads_our_keys_and_verifies_our_signatures() {
    let shop = Workshop::new();
    shop.whittle(&["keygen", "--out", "fresh"]).ok();
    let openssl = |args: &[&str]| {
        let output = tool("openssl", "openssl", args, &shop.path("."));
        assert!(
            output.status.success(),
            "openssl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let public = openssl(&["pkey", "-in", "fresh/release.key.pem", "-pubout"]);
    assert_eq!(public.as_bytes(), shop.read("fresh/release.pub.pem"));

    let (_, package) = shop.delta();
    let (envelope, _) = Envelope::parse(&package).expect("own bytes");
    let mut tbs = vec![0; envelope.payload.len() + TBS_OVERHEAD];
    let len = envelope::tbs(&envelope.key_id, envelope.payload, &mut tbs).expect("room");
    shop.write("tbs", &tbs[..len]);
    shop.write("signature", envelope.signature);
    let verify =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "keys/release.pub.pem", "-rawin", "-in", "tbs"];
    openssl(&[&verify[..], &["-sigfile", "signature"]].concat());
}

#[test]
fn we_sign_with_openssls_keys() {
    let shop = Workshop::new();
    let made = tool(
        "openssl",
        "openssl",
        &["genpkey", "-algorithm", "ed25519", "-out", "theirs.pem"],
        &shop.path("."),
    );
    assert!(made.status.success());
    let public = shop.whittle(&["pubkey", "theirs.pem"]).ok().stdout;
    shop.write("theirs.pub.pem", public.as_bytes());
    let args = [
        "build",
        "--product",
        "p",
        "--target",
        "3.bin",
        "--target-version",
        "1",
        "--base",
        "2.bin",
    ];
    shop.whittle(&[&args[..], &["--key", "theirs.pem", "--out", "signed"]].concat()).ok();
    shop.whittle(&["verify", "signed", "--pubkey", "theirs.pub.pem"]).ok();
}
