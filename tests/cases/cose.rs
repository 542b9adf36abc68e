//! The envelope against an independent COSE library, both ways.

use coset::{
    CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana,
};
use ed25519_dalek::{Signature, SigningKey, Verifier as _, VerifyingKey};
use whittle_format::envelope::Envelope;
use whittle_patcher_nostd::{Verifier as _, key_id};
use whittle_release::SignedEnvelope;
use whittle_release::keys::Signer;

use crate::golden::{FLAGS_FILE, STAGE_FILE, golden};
use crate::support::{Workshop, keys, test_key};

#[test]
fn a_cose_library_verifies_our_envelopes() {
    let shop = Workshop::new();
    for (name, bytes) in &shop.built.files {
        let (_, rest) = Envelope::parse(bytes).expect("own bytes");
        assert_theirs_verifies(name, &bytes[..bytes.len() - rest.len()]);
    }
    for name in [FLAGS_FILE, STAGE_FILE] {
        assert_theirs_verifies(name, &std::fs::read(golden(name)).expect("committed"));
    }
}

#[track_caller]
fn assert_theirs_verifies(name: &str, envelope: &[u8]) {
    let key = VerifyingKey::from_bytes(&test_key().public_key()).expect("a key");
    let cose =
        CoseSign1::from_tagged_slice(envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(cose.protected.header.alg, Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)));
    assert_eq!(cose.protected.header.key_id, key_id(&test_key().public_key()));
    cose.verify_signature(b"", |signature, message| {
        key.verify(message, &Signature::from_slice(signature).expect("64 bytes"))
    })
    .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        cose.to_tagged_vec().expect("serialises"),
        envelope,
        "{name}: deterministic encoding"
    );
}

#[test]
fn we_verify_a_cose_librarys_envelopes() {
    let signing = SigningKey::from_bytes(&[7; 32]);
    for len in [0, 5, 23, 24, 112, 255, 256, 3000] {
        let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let header = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .key_id(key_id(&test_key().public_key()).to_vec())
            .build();
        let cose = CoseSign1Builder::new()
            .protected(header)
            .payload(payload.clone())
            .create_signature(b"", |message| {
                ed25519_dalek::Signer::sign(&signing, message).to_vec()
            })
            .build();
        let theirs = cose.clone().to_tagged_vec().expect("serialises");
        let (envelope, rest) =
            Envelope::parse(&theirs).unwrap_or_else(|error| panic!("{len}: {error}"));
        assert!(rest.is_empty());
        assert_eq!(envelope.payload, payload);
        let mut tbs = vec![0; len + whittle_format::envelope::TBS_OVERHEAD];
        let tbs_len = whittle_format::envelope::tbs(&envelope.key_id, envelope.payload, &mut tbs)
            .expect("room");
        keys()
            .verify(&envelope.key_id, &tbs[..tbs_len], envelope.signature)
            .expect("their signature counts");
        let ours = SignedEnvelope::sign(&payload, &test_key()).expect("signs");
        assert_eq!(ours.0, theirs, "the same bytes from both");
        assert_ne!(cose.to_vec().expect("serialises"), theirs, "the tag is part of our shape");
    }
}
