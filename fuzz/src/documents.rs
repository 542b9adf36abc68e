//! What is signed, as a device and a host read it once the signature has been checked.

use std::path::Path;

use whittle_format::approval::{self, Approval};
use whittle_format::bundle::{self, Bundle};
use whittle_format::envelope::{self, Envelope, KeyId, OVERHEAD, SIGNATURE_LEN};
use whittle_format::flags::{self, NewFlag, NewRule};
use whittle_format::index::{self, Index};
use whittle_format::joint::{self, JointEnvelope};
use whittle_format::keys::Keys;
use whittle_format::limits::{MAX_BUNDLE_ENVELOPE_BYTES, MAX_INDEX_ENVELOPE_BYTES};
use whittle_format::{Manifest, manifest, stage};
use whittle_patcher_nostd::{
    DeviceFacts, FactoryKeys, KeyChecker, KeySet, PublicKey, Reason, VerifiedFlags, VerifiedStage,
    Verifier, VerifyError,
};
use whittle_release::flags::FlagsSource;
use whittle_release::keys::{PrivateKey, parse_public, public_minisign, public_pem};
use whittle_release::keys_file::KeysFile;

/// Lets the payload speak for itself: what is fuzzed lies behind the signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gullible;

impl Verifier for Gullible {
    fn verify(&self, _: &KeyId, _: &[u8], _: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        Ok(())
    }
}

impl KeyChecker for Gullible {
    fn check(&self, _: &PublicKey, _: &[u8], _: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// A payload as a device receives it; `None` if no envelope is so long.
pub(crate) fn sealed(payload: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; payload.len() + OVERHEAD];
    let len = envelope::emit(&KeyId::default(), payload, &[0; SIGNATURE_LEN], &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

/// Any bytes as an envelope of one signature, or of several.
///
/// # Panics
/// If what is parsed comes out as other bytes.
pub fn envelopes(bytes: &[u8]) {
    let mut out = vec![0; bytes.len() + OVERHEAD];
    if let Ok((one, rest)) = Envelope::parse(bytes) {
        let len = bytes.len() - rest.len();
        assert_eq!(Envelope::length(bytes), Ok(Some(len)));
        let again = envelope::emit(&one.key_id, one.payload, one.signature, &mut out);
        assert_eq!(&out[..again.expect("was parsed")], &bytes[..len]);
    }
    if let Ok((several, rest)) = JointEnvelope::parse(bytes) {
        let len = bytes.len() - rest.len();
        let signatures: Vec<_> = several.signatures().map(|(id, bytes)| (id, *bytes)).collect();
        let again = joint::emit(several.payload, &signatures, &mut out);
        assert_eq!(&out[..again.expect("was parsed")], &bytes[..len]);
    }
}

/// Any payload as a manifest.
///
/// # Panics
/// If what is parsed comes out as other bytes.
pub fn manifest_payload(payload: &[u8]) {
    let Ok(manifest) = Manifest::parse(payload) else { return };
    let mut out = [0; manifest::MAX_LEN];
    let len = manifest.emit(&mut out).expect("was parsed");
    assert_eq!(&out[..len], payload);
    let blocks = manifest.block_layout();
    assert!(blocks.wire_len() >= u64::from(manifest.payload_size));
}

/// Any payload as the index of a release.
///
/// # Panics
/// If what is parsed comes out as other bytes.
pub fn release_index(payload: &[u8]) {
    let Ok(index) = Index::parse(payload) else { return };
    let (bases, packages): (Vec<_>, Vec<_>) =
        (index.bases.iter().collect(), index.packages.iter().collect());
    let attachments: Vec<_> = index.attachments.iter().collect();
    let mut out = vec![0; MAX_INDEX_ENVELOPE_BYTES];
    let len = index::emit(&index.release, &bases, &packages, &attachments, &mut out);
    assert_eq!(&out[..len.expect("was parsed")], payload);
}

/// Any payload as a bundle.
///
/// # Panics
/// If what is parsed comes out as other bytes.
pub fn bundle_payload(payload: &[u8]) {
    let Ok(parsed) = Bundle::parse(payload) else { return };
    let components: Vec<_> = parsed.components.iter().collect();
    let requirements: Vec<_> = parsed.requirements.iter().collect();
    let mut out = vec![0; MAX_BUNDLE_ENVELOPE_BYTES];
    let len = bundle::emit(&parsed.product, &parsed.version, &components, &requirements, &mut out);
    assert_eq!(&out[..len.expect("was parsed")], payload);
}

/// Any payload as the approval of a target.
///
/// # Panics
/// If what is parsed comes out as other bytes.
pub fn approval_payload(payload: &[u8]) {
    let Ok(approval) = Approval::parse(payload) else { return };
    let mut out = [0; approval::MAX_LEN];
    let len = approval.emit(&mut out).expect("was parsed");
    assert_eq!(&out[..len], payload);
}

/// Any flags payload is refused, or answers every question and comes out of its parts as the same bytes.
///
/// # Panics
/// If it does not.
pub fn flags_document(payload: &[u8]) {
    let Some(sealed) = sealed(payload) else { return };
    let Ok(document) = VerifiedFlags::authenticate(&sealed, &Gullible) else { return };
    let device = DeviceFacts { id: b"TH-2026-0001", groups: &["beta"], region: Some("DE") };
    for facts in [DeviceFacts::default(), device] {
        for flag in document.iter() {
            let decision = document.decide(flag.name.as_str(), &facts).expect("listed");
            let is_killed = flag.is_killed || document.head.is_killed;
            assert!(!is_killed || !decision.is_on, "a kill switch outranks everything");
            match decision.reason {
                Reason::Rule(number) => assert!(number < flag.rules.count(), "no such rule"),
                Reason::Default => assert_eq!(decision.is_on, flag.default),
                _ => assert!(is_killed),
            }
        }
    }

    let rules: Vec<Vec<_>> = document.iter().map(|flag| flag.rules.collect()).collect();
    let subjects: Vec<Vec<Vec<_>>> = rules
        .iter()
        .map(|rules| rules.iter().map(|rule| rule.subjects.clone().collect()).collect())
        .collect();
    let new_rules: Vec<Vec<NewRule<'_>>> = rules
        .iter()
        .zip(&subjects)
        .map(|(rules, subjects)| {
            let rules = rules.iter().zip(subjects);
            rules
                .map(|(r, subjects)| NewRule { value: r.value, share: r.share, subjects })
                .collect()
        })
        .collect();
    let new_flags: Vec<NewFlag<'_>> = document
        .iter()
        .zip(&new_rules)
        .map(|(f, rules)| NewFlag {
            name: f.name,
            default: f.default,
            is_killed: f.is_killed,
            rules,
        })
        .collect();
    let mut again = vec![0; flags::MAX_LEN];
    let len = flags::emit(&document.head, &new_flags, &mut again).expect("was parsed");
    assert_eq!(payload, &again[..len]);
}

/// Any keys file is refused, or leads to the same keys again, whoever has taken it already.
///
/// # Panics
/// If it does not.
pub fn keys_file(file: &[u8]) {
    // Whoever may sign the first document is who it says.
    let Ok((envelope, _)) = JointEnvelope::parse(file) else { return };
    let Ok(first) = Keys::parse(envelope.payload) else { return };
    let keys: Vec<_> = first.keys().collect();
    let factory = FactoryKeys { keys: &keys, key_threshold: 1, package_threshold: 1 };
    let (origin, product) = (KeySet::new(&factory), first.head.product);
    let Ok(set) = origin.follow(file, product.as_str(), &origin, &Gullible) else { return };
    assert!(set.version() > 0 && set.keys().count() > 0, "a document was taken");
    assert_eq!(origin.follow(file, product.as_str(), &set, &Gullible), Ok(set));
    let parsed = KeysFile::parse("keys", file).expect("a device takes it");
    assert_eq!(parsed.emit().expect("was parsed"), file);
}

/// Any text is a key or is refused, and nobody is asked for a passphrase that opens nothing.
///
/// # Panics
/// If a key that was read is not what it says it is.
pub fn key_text(bytes: &[u8]) {
    if let Some(key) = parse_public(bytes) {
        let pem = public_pem(&key).expect("a point");
        assert_eq!(parse_public(pem.as_bytes()), Some(key));
        assert_eq!(parse_public(public_minisign(&key).as_bytes()), Some(key));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut ask = |name: &Path| Err(whittle_release::Error::PassphraseWanted(name.to_owned()));
    let _ = PrivateKey::parse(Path::new("key"), text, &mut ask);
}

/// Any stage payload is refused, or follows itself and comes out as the same bytes.
///
/// # Panics
/// If it does not.
pub fn stage_document(payload: &[u8]) {
    let Some(sealed) = sealed(payload) else { return };
    let Ok(stage) = VerifiedStage::authenticate(&sealed, &Gullible) else { return };
    let again = VerifiedStage::check(&sealed, stage.product.as_str(), Some(&stage), &Gullible);
    assert_eq!(again, Ok(stage));
    assert_eq!(stage.includes(&[]), stage.share.ppm() == whittle_format::Share::WHOLE_PPM);
    let mut again = vec![0; stage::MAX_LEN];
    let len = stage.emit(&mut again).expect("was parsed");
    assert_eq!(payload, &again[..len]);
}

/// Any JSON as flags that people wrote down: refused, or a document that devices take.
///
/// # Panics
/// If a device refuses what was compiled.
pub fn flags_source(json: &[u8]) {
    let Ok(source) = FlagsSource::parse("flags", json) else { return };
    let Ok(payload) = source.compile() else { return };
    flags::Flags::parse(&payload).expect("it was compiled");
    flags_document(&payload);
}
