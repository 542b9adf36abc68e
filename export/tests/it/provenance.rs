//! Statements: what they say, and who may say it.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;
use whittle_export::provenance::{
    self, Builder, DsseEnvelope, Metadata, PAYLOAD_TYPE, Resource, Run, Statement,
    pre_authentication,
};
use whittle_export::{Error, ParseError};
use whittle_release::Sha256Digest;
use whittle_release::keys::{Keyring, PrivateKey, Signer};

use crate::support::{NOTES, SBOM, hub, key, keys, thermostat};

fn run() -> Run {
    Run {
        builder: Builder {
            id: "https://ci.example.com/release".to_owned(),
            version: BTreeMap::from([("runner".to_owned(), "2.311".to_owned())]),
        },
        metadata: Metadata {
            invocation_id: Some("https://ci.example.com/runs/7".to_owned()),
            started_on: Some("2026-11-26T12:00:00Z".to_owned()),
            finished_on: None,
        },
        sources: vec![Resource {
            uri: Some("git+https://example.com/firmware".to_owned()),
            digest: BTreeMap::from([("gitCommit".to_owned(), "1f0c".repeat(10))]),
            ..Resource::default()
        }],
    }
}

#[test]
fn every_file_is_a_subject_and_every_image_a_dependency() {
    let (directory, delivery) = thermostat();
    let signed = provenance::sign(&Statement::of(&delivery, &run()).expect("states"), &key());
    let bytes = signed.expect("signs").emit();
    let statement = provenance::authenticate(&bytes, &keys()).expect("own signature");
    for entry in std::fs::read_dir(directory.path().join("thermostat")).expect("lists") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let subject = statement.subject.iter().find(|subject| subject.name == name);
        let digest = &subject.unwrap_or_else(|| panic!("{name}")).digest["sha256"];
        assert_eq!(*digest, Sha256Digest::of(&std::fs::read(&path).expect("reads")).to_string());
    }
    let digests: Vec<_> =
        statement.subject.iter().map(|subject| &subject.digest["sha256"]).collect();
    for attachment in [NOTES, SBOM] {
        assert!(digests.contains(&&Sha256Digest::of(attachment.as_bytes()).to_string()));
    }
    let json: Value = serde_json::from_slice(&statement.emit()).expect("JSON");
    assert_eq!(json["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(json["predicateType"], "https://slsa.dev/provenance/v1");
    let definition = &json["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["components"][0]["securityCounter"], 7);
    let dependencies = definition["resolvedDependencies"].as_array().expect("a list");
    let names: Vec<_> = dependencies.iter().map(|one| one["name"].as_str()).collect();
    assert_eq!(names, [Some("target"), Some("base"), Some("base"), None]);
    assert_eq!(dependencies[3]["digest"]["gitCommit"], "1f0c".repeat(10));
    let details = &json["predicate"]["runDetails"];
    assert_eq!(details["metadata"]["startedOn"], "2026-11-26T12:00:00Z");
    assert_eq!(details["metadata"].get("finishedOn"), None);
}

#[test]
fn a_bundle_names_its_files_by_component() {
    let (directory, delivery) = hub("hub-boot", "hub-app");
    let statement = Statement::of(&delivery, &run()).expect("states");
    let names: Vec<_> = statement.subject.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names[0], "bundle.cose");
    let list = std::fs::read(directory.path().join("bundle.cose")).expect("reads");
    assert_eq!(statement.subject[0].digest["sha256"], Sha256Digest::of(&list).to_string());
    assert!(
        names.contains(&"hub-boot/index.cose") && names.contains(&"hub-app/sbom.json"),
        "{names:?}"
    );
}

/// The example of DSSE's own specification.
#[test]
fn what_is_signed_is_told_apart_by_lengths() {
    let encoded = pre_authentication("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

#[test]
fn a_statement_counts_only_as_it_was_signed() {
    let (_directory, delivery) = thermostat();
    let statement = Statement::of(&delivery, &run()).expect("states");
    let bytes = provenance::sign(&statement, &key()).expect("signs").emit();
    let others = Keyring(vec![PrivateKey::from_seed(&[8; 32]).public_key()]);
    assert!(matches!(provenance::authenticate(&bytes, &others), Err(Error::UnknownKey)));
    let mut forged: Value = serde_json::from_slice(&bytes).expect("JSON");
    let text = forged["payload"].as_str().expect("base64").to_owned();
    forged["payload"] = text.replacen('J', "K", 1).into();
    let forged = serde_json::to_vec(&forged).expect("JSON");
    assert!(matches!(provenance::authenticate(&forged, &keys()), Err(Error::BadSignature)));
    let typed = DsseEnvelope::sign("text/plain", statement.emit(), &key()).expect("signs").emit();
    assert!(matches!(
        provenance::authenticate(&typed, &keys()),
        Err(Error::Statement(ParseError::Unexpected { .. }))
    ));
    let other = DsseEnvelope::sign(PAYLOAD_TYPE, b"{}".to_vec(), &key()).expect("signs").emit();
    assert!(matches!(
        provenance::authenticate(&other, &keys()),
        Err(Error::Statement(ParseError::NotJson { .. }))
    ));
}

/// DSSE takes a key's name for a hint: other tools leave it out, or name keys in their own way.
#[test]
fn a_statement_counts_whatever_its_key_is_called() {
    let (_directory, delivery) = thermostat();
    let statement = Statement::of(&delivery, &run()).expect("states");
    let bytes = provenance::sign(&statement, &key()).expect("signs").emit();
    let called = |name: Option<&str>| {
        let mut json: Value = serde_json::from_slice(&bytes).expect("JSON");
        let signature = json["signatures"][0].as_object_mut().expect("an object");
        signature.remove("keyid");
        signature.extend(name.map(|name| ("keyid".to_owned(), name.into())));
        serde_json::to_vec(&json).expect("JSON")
    };
    let other = PrivateKey::from_seed(&[8; 32]).public_key();
    let both = Keyring(vec![other, key().public_key()]);
    for name in [None, Some(""), Some("SHA256:abc"), Some("0123456789abcdef")] {
        let read = provenance::authenticate(&called(name), &both).expect("its own key is there");
        assert_eq!(read, statement, "{name:?}");
        let foreign = provenance::authenticate(&called(name), &Keyring(vec![other]));
        assert!(matches!(foreign, Err(Error::UnknownKey)), "{name:?}");
    }
    let mut crowded: Value = serde_json::from_slice(&bytes).expect("JSON");
    crowded["signatures"] = vec![crowded["signatures"][0].clone(); 65].into();
    let crowded = serde_json::to_vec(&crowded).expect("JSON");
    assert!(matches!(provenance::authenticate(&crowded, &both), Err(Error::Statement(_))));
}

#[test]
fn fields_that_nobody_knows_are_nobodys_concern() {
    let (_directory, delivery) = thermostat();
    let statement = Statement::of(&delivery, &run()).expect("states");
    let mut json: Value = serde_json::from_slice(&statement.emit()).expect("JSON");
    json["predicate"]["runDetails"]["byproducts"] = Value::Array(Vec::new());
    let bytes = serde_json::to_vec(&json).expect("JSON");
    assert_eq!(Statement::parse(&bytes).expect("is one"), statement);
}

#[test]
fn what_the_caller_says_must_be_what_it_is_called() {
    let (_directory, delivery) = thermostat();
    let refused = |run: Run| Statement::of(&delivery, &run).expect_err("is refused").to_string();
    let builder = |id: &str| Builder { id: id.to_owned(), ..Builder::default() };
    for id in ["", "ci", "https:", "https://a b", "1a:b"] {
        let said = refused(Run { builder: builder(id), ..run() });
        assert!(said.starts_with("the builder's id is no"), "{id}: {said}");
    }
    for time in ["", "2026-11-26", "2026-11-26T12:00:00+01:00", "2026-11-26t12:00:00Z"] {
        let metadata = Metadata { finished_on: Some(time.to_owned()), ..Metadata::default() };
        let said = refused(Run { metadata, ..run() });
        assert!(said.starts_with("the time is not one"), "{time}: {said}");
    }
    let sources =
        vec![Resource { uri: Some("https://example.com".to_owned()), ..Resource::default() }];
    assert_eq!(
        refused(Run { sources, ..run() }),
        "the source has no digest: `https://example.com`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_payload_comes_back(payload in vec(any::<u8>(), 0..200), payload_type in "\\PC{0,30}") {
        let envelope = DsseEnvelope::sign(&payload_type, payload.clone(), &key()).expect("signs");
        let parsed = DsseEnvelope::parse(&envelope.emit()).expect("own bytes");
        prop_assert_eq!(&parsed, &envelope);
        prop_assert_eq!(parsed.verified_payload(&payload_type, &keys()).expect("own signature"), &payload);
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = DsseEnvelope::parse(&bytes);
        let _ = Statement::parse(&bytes);
    }

    #[test]
    fn parse_undoes_emit(
        names in btree_map("n\\PC{0,9}", "v\\PC{0,9}", 0..3),
        invocation_id in proptest::option::of("i\\PC{0,20}"),
    ) {
        let (_directory, delivery) = (&DELIVERY.0, &DELIVERY.1);
        let builder = Builder { version: names, ..run().builder };
        let metadata = Metadata { invocation_id, ..Metadata::default() };
        let statement = Statement::of(delivery, &Run { builder, metadata, ..run() }).expect("states");
        prop_assert_eq!(Statement::parse(&statement.emit()).expect("own bytes"), statement);
    }
}

/// Built once for all cases.
static DELIVERY: std::sync::LazyLock<(tempfile::TempDir, whittle_export::Delivery)> =
    std::sync::LazyLock::new(thermostat);
