//! What goes into an envelope, and what cannot.

use whittle_export::suit::{
    Command, ComponentId, Request, Text, VerifiedEnvelope, class_id, compose, vendor_id,
};
use whittle_export::{Delivery, Error, MAX_NOTES_BYTES};
use whittle_format::index::AttachmentKind;
use whittle_release::Sha256Digest;

use crate::support::{DOMAIN, NOTES, Recipe, SBOM, export, hub, keys, label, request, thermostat};

fn text(request: &Request<'_>) -> Text {
    let bytes = export(request).expect("exports");
    let verified = VerifiedEnvelope::authenticate(&bytes, &keys()).expect("own bytes");
    let text = verified.manifest().text.as_ref().and_then(|member| member.content());
    text.expect("there is some").clone()
}

/// The draft's own examples: `fa6b4a53-…` is the vendor `arm.com`.
#[test]
fn ids_are_those_of_the_draft() {
    let vendor = vendor_id("arm.com");
    assert_eq!(vendor.to_string(), "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe");
    // As Python's `uuid.uuid5` has it.
    let native = vendor_id("b\u{fc}cher.example").to_string();
    assert_eq!(native, "849d4d8f-6c8e-59fa-9721-89ccba396bf9");
    assert_eq!(class_id(&vendor, "pyocd").to_string(), "ee491f58-93c9-52aa-9088-d5730b2c3b5a");
}

#[test]
fn manifests_are_put_in_order_by_who_exports_them() {
    let (_directory, delivery) = thermostat();
    let number = |sequence_number| {
        let request = Request { sequence_number, ..request(&delivery) };
        compose(&request).map(|manifest| manifest.sequence_number)
    };
    for wanted in [1, 8, 1_764_590_400, u64::MAX] {
        assert_eq!(number(wanted).expect("composes"), wanted, "whatever the security counter is");
    }
    let said = number(0).expect_err("is refused").to_string();
    assert!(said.starts_with("the sequence number is 0"), "{said}");
}

#[test]
fn notes_are_text_and_every_file_is_hashed() {
    let (_directory, delivery) = thermostat();
    let in_french = Request { language: "fr-CA", ..request(&delivery) };
    assert_eq!(text(&in_french).language, "fr-CA");
    let text = text(&request(&delivery));
    assert_eq!(text.language, "en");
    assert_eq!(text.manifest_description.as_deref(), Some("thermostat 2.4.1"));
    assert_eq!(text.update_description.as_deref(), Some(NOTES));
    let of_image = &text.components[&ComponentId::of(&["thermostat", "image"])];
    assert_eq!(of_image.vendor_domain.as_deref(), Some(DOMAIN));
    assert_eq!(of_image.version.as_deref(), Some("2.4.1"));
    let source = text.json_source.expect("there is some");
    let source: serde_json::Value = serde_json::from_str(&source).expect("JSON");
    let component = &source["components"][0];
    let kinds = [("notes", NOTES), ("sbom", SBOM)];
    for (attachment, (kind, content)) in
        component["attachments"].as_array().expect("a list").iter().zip(kinds)
    {
        assert_eq!(attachment["kind"], kind);
        assert_eq!(attachment["sha256"], Sha256Digest::of(content.as_bytes()).to_string());
    }
    let packages = component["packages"].as_array().expect("a list");
    assert_eq!(packages.len(), delivery.parts()[0].release.index().packages.len());
    assert_eq!(component["target"]["sha256"], delivery.parts()[0].target().to_string());
}

#[test]
fn notes_that_are_no_text_or_too_long_are_only_hashed() {
    let long = vec![b'a'; MAX_NOTES_BYTES as usize + 1];
    for notes in [b"\xff\xfe".to_vec(), long] {
        let directory = tempfile::tempdir().expect("a directory");
        let attachments = vec![(AttachmentKind::Notes, notes.clone())];
        let release = Recipe { attachments, ..Recipe::of("thermostat") }.build(directory.path());
        let delivery = Delivery::open(&release, &keys()).expect("a release");
        let text = text(&request(&delivery));
        assert_eq!(text.update_description, None);
        let hash = Sha256Digest::of(&notes).to_string();
        assert!(text.json_source.expect("there is some").contains(&hash));
    }
}

#[test]
fn the_notes_of_a_bundle_say_whose_they_are() {
    let (_directory, delivery) = hub("hub-boot", "hub-app");
    let text = text(&request(&delivery));
    let wanted = format!("hub-boot 2.4.1\n\n{NOTES}\nhub-app 2.4.1\n\n{NOTES}");
    assert_eq!(text.update_description, Some(wanted));
    assert_eq!(compose(&request(&delivery)).expect("composes").invoke, None);
}

#[test]
fn a_release_without_bases_has_no_choice() {
    let directory = tempfile::tempdir().expect("a directory");
    let release = Recipe { bases: &[], ..Recipe::of("thermostat") }.build(directory.path());
    let delivery = Delivery::open(&release, &keys()).expect("a release");
    let manifest = compose(&request(&delivery)).expect("composes");
    let fetch = manifest.payload_fetch.as_ref().and_then(|member| member.content());
    let fetch = fetch.expect("there is some");
    assert!(!fetch.0.iter().any(|command| matches!(command, Command::TryEach(_))), "{fetch:?}");
}

#[test]
fn what_a_manifest_cannot_ask_for_is_refused() {
    // The boot loader is installed first, and wants an application that is there already.
    let (_directory, delivery) = hub("hub-app", "hub-boot");
    let refused = compose(&request(&delivery)).expect_err("is refused");
    assert!(matches!(refused, Error::Order(_)), "{refused:?}");
}

#[test]
fn what_cannot_stand_in_an_envelope_is_refused() {
    let (_directory, delivery) = thermostat();
    let refused = |request: Request<'_>| compose(&request).expect_err("is refused").to_string();
    for domain in [
        "",
        "example",
        "https://example.com",
        "example..com",
        "a b.com",
        "Example.com",
        "-example.com",
        "example-.com",
        "example.123",
        "B\u{fc}cher.example",
        "B\u{dc}CHER.example",
        // The same to look at, in another normal form, so with another id.
        "bu\u{308}cher.example",
        "example\u{3002}com.example",
        "exa\u{a0}mple.com",
    ] {
        let said = refused(Request { vendor_domain: domain, ..request(&delivery) });
        assert!(said.starts_with("the vendor's domain is not one"), "{said}");
    }
    for domain in ["b\u{fc}cher.example", "\u{4f8b}.example", "xn.example", "0-1.example", "a.b"] {
        let manifest = compose(&Request { vendor_domain: domain, ..request(&delivery) });
        assert!(manifest.is_ok(), "{domain}: {manifest:?}");
    }
    let said = refused(Request { vendor_domain: "xn--bcher-kva.example", ..request(&delivery) });
    assert!(said.starts_with("the vendor's domain is in Punycode"), "{said}");
    let said = refused(Request { language: "english language", ..request(&delivery) });
    assert!(said.starts_with("the language is no tag"), "{said}");
    let twice = ["a".to_owned(), "a".to_owned()];
    let said = refused(Request { classes: &twice, ..request(&delivery) });
    assert_eq!(said, "the class `a` is there twice");
    let empty = [String::new()];
    assert_eq!(refused(Request { classes: &empty, ..request(&delivery) }), "the class is empty");
    let said = refused(Request { uri: &|_| "a b".to_owned(), ..request(&delivery) });
    assert!(said.starts_with("the URI is none by RFC 3986"), "{said}");
    let said = refused(Request { invoke: Some(label("toaster")), ..request(&delivery) });
    assert_eq!(said, "what is to be invoked is no component: `toaster`");
}

#[test]
fn damaged_releases_are_not_exported() {
    let directory = tempfile::tempdir().expect("a directory");
    let release = Recipe::of("thermostat").build(directory.path());
    std::fs::write(release.join("sbom.json"), b"{}").expect("writes");
    assert!(matches!(Delivery::open(&release, &keys()), Err(Error::Release(_))));
}
