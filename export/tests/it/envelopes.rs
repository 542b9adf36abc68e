//! Envelopes of any content: they come back as they were, and in no other bytes.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use whittle_export::suit::{
    Algorithm, Command, ComponentId, ComponentText, Envelope, MAX_ENVELOPE_BYTES, Manifest, Member,
    Parameters, Sequence, Text, Uuid, VerifiedEnvelope,
};
use whittle_export::{Error, ParseError};
use whittle_release::Sha256Digest;
use whittle_release::keys::{Keyring, PrivateKey, Signer};

use crate::support::{key, keys, request, sign, thermostat};

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn digest() -> impl Strategy<Value = Sha256Digest> {
    any::<[u8; 32]>().prop_map(Sha256Digest)
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let ids = (option::of(uuid()), option::of(uuid()), option::of(digest()));
    let others = (option::of(any::<u64>()), option::of("[a-z/.:]{0,40}"), any::<u32>());
    (ids, others).prop_map(|((vendor_id, class_id, image_digest), (image_size, uri, source))| {
        let source_component = Some(source);
        Parameters { vendor_id, class_id, image_digest, image_size, uri, source_component }
    })
}

fn command(depth: u32) -> BoxedStrategy<Command> {
    let plain = prop_oneof![
        Just(Command::CheckVendor),
        Just(Command::CheckClass),
        Just(Command::CheckImage),
        Just(Command::Fetch),
        Just(Command::Copy),
        Just(Command::Invoke),
        any::<u32>().prop_map(Command::SetComponent),
        parameters().prop_map(Command::Override),
    ];
    match depth {
        0 => plain.boxed(),
        depth => {
            let choices = vec(sequence(depth - 1), 2..4).prop_map(Command::TryEach);
            prop_oneof![4 => plain, 1 => choices].boxed()
        }
    }
}

fn sequence(depth: u32) -> BoxedStrategy<Sequence> {
    vec(command(depth), 1..5).prop_map(Sequence).boxed()
}

fn component() -> impl Strategy<Value = ComponentId> {
    vec(vec(any::<u8>(), 0..30), 0..3).prop_map(ComponentId)
}

fn text() -> impl Strategy<Value = Text> {
    let line = || option::of("\\PC{0,40}");
    let of_component = (line(), line(), line(), line(), line()).prop_map(
        |(model_name, vendor_domain, model_info, description, version)| ComponentText {
            model_name,
            vendor_domain,
            model_info,
            description,
            version,
        },
    );
    let components = btree_map(component(), of_component, 0..4);
    ("[a-z]{2}(-[A-Z]{2})?", line(), line(), line(), components).prop_map(
        |(language, manifest_description, update_description, json_source, components)| Text {
            language,
            manifest_description,
            update_description,
            json_source,
            components,
        },
    )
}

fn member<T: Clone + std::fmt::Debug + 'static>(
    content: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<Member<T>>> {
    let content = content.boxed();
    option::of(prop_oneof![
        content.clone().prop_map(Member::Inline),
        content.prop_map(Member::Severable),
        digest().prop_map(Member::Severed),
    ])
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let shared = (any::<u64>(), vec(component(), 1..5), sequence(1), option::of("[a-z:/]{1,30}"));
    let steady = (option::of(sequence(1)), option::of(sequence(0)), option::of(sequence(0)));
    let severable = (member(sequence(2)), member(sequence(1)), member(text()));
    (shared, steady, severable).prop_map(|(shared, steady, severable)| {
        let (sequence_number, components, shared, reference_uri) = shared;
        let (validate, load, invoke) = steady;
        let (payload_fetch, install, text) = severable;
        Manifest {
            sequence_number,
            components,
            shared,
            reference_uri,
            validate,
            load,
            invoke,
            payload_fetch,
            install,
            text,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parse_undoes_emit(manifest in manifest(), is_new in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let algorithm = if is_new { Algorithm::Ed25519 } else { Algorithm::EdDsa };
        let envelope = Envelope::sign(manifest, algorithm, &key()).expect("signs");
        let bytes = envelope.emit();
        prop_assert_eq!(&Envelope::parse(&bytes).expect("own bytes"), &envelope);
        VerifiedEnvelope::authenticate(&bytes, &keys()).expect("own signature");
        let bare = envelope.without_text().emit();
        VerifiedEnvelope::authenticate(&bare, &keys()).expect("the signature does not cover text");
        prop_assert!(Envelope::parse(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn what_is_parsed_is_what_would_be_emitted(manifest in manifest(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = sign(manifest).emit();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert_eq!(envelope.emit(), bytes.clone());
            prop_assert!(VerifiedEnvelope::authenticate(&bytes, &keys()).is_err(), "a changed byte counts");
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Envelope::parse(&bytes);
        let tagged = [&[0xd8, 0x6b, 0xa2, 0x02][..], &bytes].concat();
        let _ = Envelope::parse(&tagged);
    }
}

fn exported() -> Envelope {
    let (_directory, delivery) = thermostat();
    sign(whittle_export::suit::compose(&request(&delivery)).expect("composes"))
}

#[test]
fn only_a_trusted_key_counts() {
    let envelope = exported();
    let bytes = envelope.emit();
    let others = Keyring(vec![PrivateKey::from_seed(&[8; 32]).public_key()]);
    let refused = VerifiedEnvelope::authenticate(&bytes, &others);
    assert!(matches!(refused, Err(Error::UnknownKey)), "{refused:?}");
    let mut forged = envelope.clone();
    forged.manifest.sequence_number += 1;
    let refused = VerifiedEnvelope::authenticate(&forged.emit(), &keys());
    assert!(matches!(refused, Err(Error::BadSignature)), "{refused:?}");
    let unsigned = Envelope { signatures: Vec::new(), ..envelope };
    let refused = VerifiedEnvelope::authenticate(&unsigned.emit(), &keys());
    assert!(matches!(refused, Err(Error::UnknownKey)), "{refused:?}");
}

/// Puts bytes in place of others of the same length.
fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
fn bad_envelopes_are_refused_by_name() {
    let bytes = exported().emit();
    let refused = |bytes: &[u8]| Envelope::parse(bytes).expect_err("is refused").to_string();
    assert_eq!(refused(b""), "the envelope is not one item of CBOR");
    assert_eq!(refused(&[&bytes[..], b"\0"].concat()), "the envelope is not one item of CBOR");
    assert_eq!(refused(b"\xd8\x6c\xa0"), "the envelope: tag 107 is wanted");
    assert_eq!(refused(b"\xd8\x6b\x80"), "the envelope: a map is wanted");
    assert_eq!(refused(b"\xd8\x6b\xa0"), "the envelope: label 2 is missing");
    assert_eq!(refused(b"\xd8\x6b\xbf\xff"), "the envelope is not encoded deterministically");
    // The notes, of which the manifest has the digest.
    assert_eq!(
        refused(&with(&bytes, b"flickers", b"Flickers")),
        "the digest of the text is another one"
    );
    // The sequence number, 7.
    assert_eq!(
        refused(&with(&bytes, b"\xa8\x01\x01\x02\x07", b"\xa8\x01\x01\x02\x08")),
        "the digest of the manifest is another one"
    );
    let too_large = vec![0; MAX_ENVELOPE_BYTES + 1];
    assert!(matches!(Envelope::parse(&too_large), Err(ParseError::TooLarge { .. })));
}

#[test]
fn sequences_do_not_nest_for_ever() {
    let nest = |inner: Sequence| Sequence(vec![Command::TryEach(vec![inner.clone(), inner])]);
    let at_depth = |depth: usize| {
        let innermost = Sequence(vec![Command::Invoke]);
        let shared = (1..depth).fold(innermost, |inner, _| nest(inner));
        let manifest = Manifest {
            sequence_number: 0,
            components: vec![ComponentId::of(&["a"])],
            shared,
            reference_uri: None,
            validate: None,
            load: None,
            invoke: None,
            payload_fetch: None,
            install: None,
            text: None,
        };
        Envelope::parse(&sign(manifest).emit())
    };
    assert!(at_depth(4).is_ok());
    assert_eq!(at_depth(5), Err(ParseError::TooDeep { limit: 4 }));
}

#[test]
fn what_is_short_stays_in_the_manifest() {
    let envelope = exported();
    assert!(matches!(envelope.manifest.install, Some(Member::Inline(_))));
    assert!(matches!(envelope.manifest.payload_fetch, Some(Member::Severable(_))));
    assert!(matches!(envelope.manifest.text, Some(Member::Severable(_))));
    let bare = envelope.clone().without_text();
    assert!(matches!(bare.manifest.text, Some(Member::Severed(_))));
    assert!(bare.emit().len() < envelope.emit().len());
    assert_eq!(bare.signatures, envelope.signatures);
}

#[test]
fn components_are_ordered_as_they_are_encoded() {
    let ids = [&["b"][..], &["aa"], &["a", "b"], &[], &["c"]].map(ComponentId::of);
    let sorted: Vec<_> =
        ids.into_iter().map(|id| (id, ())).collect::<BTreeMap<_, _>>().into_keys().collect();
    let wanted = [&[][..], &["b"], &["c"], &["aa"], &["a", "b"]].map(ComponentId::of);
    assert_eq!(sorted, wanted);
}
