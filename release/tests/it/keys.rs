use std::path::Path;

use whittle_release::keys::{
    KeyFormat, KeySource, Passphrase, PrivateKey, Signer as _, parse_public, public_minisign,
    public_pem, read_public, read_public_for_use,
};
use whittle_release::{Culprit, Error, development_key};

use crate::support::{fixture, test_key, tool};

const PASSPHRASE: &str = "correct horse";

fn open(name: &str, passphrase: &str) -> Result<PrivateKey, Error> {
    PrivateKey::read_with(&fixture(name), &mut |_| Ok(Passphrase::new(passphrase)))
}

#[test]
fn keys_of_other_tools_are_read_with_the_public_halves_that_they_have() {
    for (private, public) in [
        ("openssl.pem", "openssl.pub.pem"),
        ("openssl-pbkdf2.pem", "openssl.pub.pem"),
        ("openssl-scrypt.pem", "openssl.pub.pem"),
        ("imgtool.pem", "imgtool.pub.pem"),
        ("imgtool-encrypted.pem", "imgtool.pub.pem"),
        ("minisign.key", "minisign.pub"),
        ("minisign-encrypted.key", "minisign-encrypted.pub"),
    ] {
        let key = open(private, PASSPHRASE).unwrap_or_else(|error| panic!("{private}: {error}"));
        assert_eq!(key.public_key(), read_public(&fixture(public)).expect(public), "{private}");
    }
}

#[test]
fn a_wrong_passphrase_is_told_from_a_broken_file() {
    for name in [
        "openssl-pbkdf2.pem",
        "openssl-scrypt.pem",
        "imgtool-encrypted.pem",
        "minisign-encrypted.key",
    ] {
        let error = open(name, "battery staple").expect_err(name);
        assert!(matches!(error, Error::WrongPassphrase(_)), "{name}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("battery"), "{shown}");
        let error = PrivateKey::read(&fixture(name)).expect_err(name);
        assert!(matches!(error, Error::PassphraseWanted(_)), "{name}: {error:?}");
    }
}

#[test]
fn nobody_is_asked_for_a_passphrase_that_is_not_needed() {
    for name in ["openssl.pem", "imgtool.pem", "minisign.key"] {
        PrivateKey::read(&fixture(name)).expect(name);
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_quoted() {
    let name = Path::new("env:KEY");
    let mut ask = |_: &Path| Ok(Passphrase::new(""));
    let begin = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw";
    for text in ["", "secret", begin, "untrusted comment: x\nsecret", "RWQAAEIy"] {
        let error = PrivateKey::parse(name, text, &mut ask).expect_err(text);
        assert!(matches!(error, Error::BadKey { .. }), "{text}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let rsa =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4CAQAw\n-----END ENCRYPTED PRIVATE KEY-----";
    assert!(matches!(PrivateKey::parse(name, rsa, &mut ask), Err(Error::BadKey { .. })));
}

#[test]
fn a_public_key_is_read_in_every_form() {
    let key = test_key().public_key();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms = [
        public_pem(&key).expect("a point"),
        public_minisign(&key),
        public_minisign(&key).lines().last().expect("two lines").to_owned(),
        format!("{hex}\n"),
        hex.to_uppercase(),
    ];
    for form in forms {
        assert_eq!(parse_public(form.as_bytes()), Some(key), "{form}");
    }
    assert_eq!(parse_public(&key), Some(key));
    // A point of small order, which signs anything.
    assert_eq!(parse_public(&[0; 32]), None);
    assert_eq!(parse_public(b"no key"), None);
}

#[test]
fn openssl_reads_what_is_written() {
    let room = tempfile::tempdir().expect("a directory");
    let key = test_key();
    let passphrase = Passphrase::new(PASSPHRASE);
    for (directory, passphrase) in [("plain", None), ("encrypted", Some(&passphrase))] {
        let out = room.path().join(directory);
        let (private, public) =
            key.write_pair_as(KeyFormat::Pkcs8, passphrase, &out).expect("writes");
        let private = private.to_string_lossy().into_owned();
        let pass = format!("pass:{PASSPHRASE}");
        let made =
            tool("openssl", &["pkey", "-in", &private, "-passin", &pass, "-pubout"], room.path());
        assert_eq!(made.stdout, std::fs::read(public).expect("written"));
        let error = key.write_pair_as(KeyFormat::Pkcs8, None, &out).expect_err("it is there");
        assert!(matches!(error, Error::KeyExists(_)));
    }
    let again = PrivateKey::read_with(&room.path().join("encrypted/release.key.pem"), &mut |_| {
        Ok(Passphrase::new(PASSPHRASE))
    });
    assert_eq!(again.expect("opens").public_key(), key.public_key());
}

#[test]
fn minisign_signs_and_verifies_with_what_is_written() {
    let room = tempfile::tempdir().expect("a directory");
    test_key().write_pair_as(KeyFormat::Minisign, None, room.path()).expect("writes");
    std::fs::write(room.path().join("file"), "something").expect("writes");
    tool("minisign", &["-S", "-W", "-s", "release.key", "-m", "file"], room.path());
    tool("minisign", &["-V", "-p", "release.pub", "-m", "file"], room.path());
    assert_eq!(
        read_public(&room.path().join("release.pub")).expect("own file"),
        test_key().public_key()
    );
}

#[test]
fn the_text_of_a_key_in_place_of_its_name_is_not_shown() {
    for name in
        ["-----BEGIN PRIVATE KEY-----secret", "secret\nline", "env:se-cret", "env:", "env:1s"]
    {
        let error = KeySource::of(Path::new(name)).expect_err(name);
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("cret"), "{error:?}");
    }
    assert_eq!(
        KeySource::of(Path::new("env:KEY_1")).expect("a name"),
        KeySource::Variable("KEY_1")
    );
    let file = Path::new("keys/release.key.pem");
    assert_eq!(KeySource::of(file).expect("a name"), KeySource::File(file));
}

#[test]
fn a_private_key_that_hides_its_public_half_is_called_one() {
    for (name, words) in [
        ("openssl-scrypt.pem", "encrypted private"),
        ("minisign-encrypted.key", "secret key of minisign"),
    ] {
        let error = read_public(&fixture(name)).expect_err(name).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_development_key_keeps_its_mark_or_stays_where_it_is() {
    let room = tempfile::tempdir().expect("a directory");
    let (_, public) = test_key().write_development_pair(room.path()).expect("writes");
    let error = read_public_for_use(&public, false).expect_err("marked");
    assert_eq!(error.culprit(), Culprit::Key);
    let key = read_public_for_use(&public, true).expect("allowed");
    let minisign = development_key::mark_minisign(&public_minisign(&key));
    assert!(development_key::is_marked(&minisign));
    assert_eq!(parse_public(minisign.as_bytes()), Some(key));
    let raw = room.path().join("raw");
    std::fs::write(&raw, key).expect("writes");
    assert_eq!(read_public_for_use(&raw, false).expect("no mark"), key);
}
