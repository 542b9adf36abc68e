use std::time::Duration;

use whittle_release::keys::{CommandSigner, DetachedSigner, Signer as _};
use whittle_release::{Culprit, Error, SignedEnvelope};

use crate::support::{test_key, tool};

const MESSAGE: &[u8] = b"what is to be signed";

fn signer(command: &str, timeout: Duration) -> CommandSigner {
    CommandSigner::new(command, test_key().public_key(), timeout).expect("a command")
}

#[test]
fn a_command_signs_as_the_key_itself_does() {
    let room = tempfile::tempdir().expect("a directory");
    let (key, _) = test_key().write_pair(room.path()).expect("writes");
    // OpenSSL wants to know how long its input is, so that it takes files only.
    let script = room.path().join("sign with a space.sh");
    let lines = format!(
        "cat > \"$1/tbs\"\nopenssl pkeyutl -sign -inkey {} -rawin -in \"$1/tbs\" | eval \"$2\"\n",
        key.display()
    );
    std::fs::write(&script, lines).expect("writes");
    let raw = test_key().sign(MESSAGE).expect("signs");
    for form in ["cat", "od -An -v -tx1 | tr -d ' \\n'", "base64 -w0; echo"] {
        let command = format!("sh '{}' {} \"{form}\"", script.display(), room.path().display());
        let signed = signer(&command, Duration::from_secs(60)).sign(MESSAGE);
        assert_eq!(signed.expect(form), raw, "{form}");
    }
    tool("openssl", &["version"], room.path());
}

#[test]
fn a_command_that_does_not_sign_is_told_of() {
    let long = Duration::from_secs(60);
    let other = SignedEnvelope::sign(b"x", &test_key()).expect("signs");
    let other: String = other.0[other.0.len() - 64..].iter().map(|b| format!("{b:02x}")).collect();
    for (command, words) in [
        ("/no/such/program", "cannot be started"),
        ("false", "it ended with exit status: 1"),
        ("true", "0 bytes that are no signature"),
        ("cat", "20 bytes that are no signature"),
        ("head -c 64 /dev/zero", "not one of the given public key"),
        ("yes", "it ended with"),
        (&format!("echo {other}"), "not one of the given public key"),
    ] {
        let error = signer(command, long).sign(MESSAGE).expect_err(command);
        assert!(error.to_string().contains(words), "{command}: {error}");
        assert_eq!(error.culprit(), Culprit::Key);
    }
    let error = signer("sleep 600", Duration::from_millis(50)).sign(MESSAGE).expect_err("slow");
    assert!(error.to_string().contains("takes longer than 0.05 s"), "{error}");
    let key = test_key().public_key();
    for command in ["", "   ", "'open 1234", "PIN=1234 sign"] {
        let error = CommandSigner::new(command, key, long).expect_err(command);
        assert!(matches!(error, Error::Usage(_)));
        assert!(!format!("{error} {error:?}").contains("1234"), "{error}");
    }
    assert!(matches!(CommandSigner::new("cat", key, Duration::ZERO), Err(Error::Usage(_))));
}

#[test]
fn a_signature_from_elsewhere_is_asked_for_and_checked() {
    let room = tempfile::tempdir().expect("a directory");
    let signer = DetachedSigner::new(room.path(), "index.cose", test_key().public_key());
    let error = signer.sign(MESSAGE).expect_err("there is none yet");
    assert!(matches!(error, Error::SignatureWanted(_)), "{error:?}");
    assert_eq!(std::fs::read(room.path().join("index.cose.tbs")).expect("put down"), MESSAGE);
    let signature = test_key().sign(MESSAGE).expect("signs");
    let file = room.path().join("index.cose.sig");
    std::fs::write(&file, signature).expect("writes");
    assert_eq!(signer.sign(MESSAGE).expect("it is there"), signature);
    for bytes in [&signature[..63], &[0; 64], b"no signature", &[]] {
        std::fs::write(&file, bytes).expect("writes");
        let tbs = room.path().join("index.cose.tbs");
        std::fs::write(&tbs, "what another one was to sign").expect("writes");
        assert!(matches!(signer.sign(MESSAGE), Err(Error::WrongSignature(_))));
        assert_eq!(std::fs::read(&tbs).expect("put down anew"), MESSAGE);
    }
}
