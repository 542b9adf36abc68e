//! What a manifest processor makes of our manifests: on each base, on none of them, on devices that are not meant.

use whittle_export::suit::{
    ComponentId, Manifest, Payload, Placement, Request, VerifiedEnvelope, class_id, vendor_id,
};
use whittle_release::Image;

use crate::processor::{Failure, Processor};
use crate::support::{DOMAIN, export, hub, image, keys, label, request, thermostat};

fn manifest(request: &Request<'_>) -> Manifest {
    let bytes = export(request).expect("exports");
    VerifiedEnvelope::authenticate(&bytes, &keys()).expect("own bytes").manifest().clone()
}

fn place(product: &str, name: &str) -> ComponentId {
    ComponentId::of(&[product, name])
}

fn run_on(device: &mut Processor<'_>, product: &str, base: &Image) {
    device.stored.insert(place(product, "running"), base.bytes().to_vec());
}

#[test]
fn each_base_takes_its_delta_and_others_the_full_image() {
    let (directory, delivery) = thermostat();
    let server = directory.path().join("thermostat");
    let manifest = manifest(&request(&delivery));
    let vendor = vendor_id(DOMAIN);
    for (version, is_delta) in [(1, true), (2, true), (0, false)] {
        let mut device = Processor::new(&server, vendor, &[class_id(&vendor, "thermostat")]);
        run_on(&mut device, "thermostat", &image("thermostat", version));
        assert_eq!(device.process(&manifest), Ok(()), "from version {version}");
        let image_of_3 = image("thermostat", 3);
        assert_eq!(device.stored[&place("thermostat", "image")], image_of_3.bytes());
        let [fetched] = device.fetched.as_slice() else { panic!("{:?}", device.fetched) };
        assert_eq!(fetched.contains("-from-"), is_delta, "{fetched}");
        assert_eq!(device.invoked, [place("thermostat", "image")]);
    }
}

#[test]
fn devices_that_are_not_meant_do_nothing() {
    let (directory, delivery) = thermostat();
    let server = directory.path().join("thermostat");
    let classes = ["rev 2".to_owned(), "rev 3".to_owned()];
    let manifest = manifest(&Request { classes: &classes, ..request(&delivery) });
    let (ours, others) = (vendor_id(DOMAIN), vendor_id("example.org"));
    let cases = [
        (ours, class_id(&ours, "rev 2"), Ok(())),
        (ours, class_id(&ours, "rev 3"), Ok(())),
        (ours, class_id(&ours, "rev 4"), Err(Failure::Condition)),
        (ours, class_id(&ours, "thermostat"), Err(Failure::Condition)),
        (others, class_id(&others, "rev 2"), Err(Failure::Condition)),
    ];
    for (vendor, class, wanted) in cases {
        let mut device = Processor::new(&server, vendor, &[class]);
        assert_eq!(device.process(&manifest), wanted, "{vendor} {class}");
        assert_eq!(device.fetched.is_empty(), wanted.is_err());
    }
}

#[test]
fn an_exchanged_package_ends_the_update() {
    let (directory, delivery) = thermostat();
    let server = directory.path().join("thermostat");
    let manifest = manifest(&request(&delivery));
    let full = server.join("thermostat-2.4.1-full.pkg");
    let mut bytes = std::fs::read(&full).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&full, bytes).expect("writes");
    let vendor = vendor_id(DOMAIN);
    let mut device = Processor::new(&server, vendor, &[class_id(&vendor, "thermostat")]);
    assert_eq!(device.process(&manifest), Err(Failure::Condition));
    assert!(!device.stored.contains_key(&place("thermostat", "image")));
}

#[test]
fn an_image_may_run_from_memory() {
    let (directory, delivery) = thermostat();
    let server = directory.path().join("thermostat");
    let manifest = manifest(&Request { placement: Placement::Memory, ..request(&delivery) });
    let vendor = vendor_id(DOMAIN);
    let mut device = Processor::new(&server, vendor, &[class_id(&vendor, "thermostat")]);
    assert_eq!(device.process(&manifest), Ok(()));
    assert_eq!(device.stored[&place("thermostat", "memory")], image("thermostat", 3).bytes());
    assert_eq!(device.invoked, [place("thermostat", "memory")]);
}

#[test]
fn a_bundle_is_installed_as_a_whole() {
    let (directory, delivery) = hub("hub-boot", "hub-app");
    let manifest = manifest(&Request { invoke: Some(label("hub-app")), ..request(&delivery) });
    let vendor = vendor_id(DOMAIN);
    let classes = ["hub-boot", "hub-app"].map(|product| class_id(&vendor, product));
    let mut device = Processor::new(directory.path(), vendor, &classes);
    run_on(&mut device, "hub-boot", &image("hub-boot", 2));
    assert_eq!(device.process(&manifest), Ok(()));
    for product in ["hub-boot", "hub-app"] {
        assert_eq!(device.stored[&place(product, "image")], image(product, 3).bytes());
    }
    assert!(device.fetched[0].starts_with("hub-boot/hub-boot-2.4.1-from-"), "{:?}", device.fetched);
    assert_eq!(device.fetched[1], "hub-app/hub-app-2.4.1-full.pkg");
    assert_eq!(device.invoked, [place("hub-app", "image")]);
}

#[test]
fn packages_lie_where_the_caller_says() {
    let (_directory, delivery) = thermostat();
    let uri = |payload: &Payload| format!("https://example.com/{}", payload.digest);
    let manifest = manifest(&Request { uri: &uri, ..request(&delivery) });
    let fetch = manifest.payload_fetch.as_ref().and_then(|member| member.content());
    let shown = format!("{fetch:?}");
    for package in &delivery.parts()[0].release.index().packages {
        let digest = whittle_release::Sha256Digest(package.digest);
        assert!(shown.contains(&format!("https://example.com/{digest}")), "{shown}");
    }
}
