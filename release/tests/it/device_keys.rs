//! Keys that change, from the document that people sign to the device that trusts it, with the power failing in between.

use std::cell::RefCell;
use std::collections::HashSet;

use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_format::keys::Head;
use whittle_patcher_nostd::{
    Boot, Buffers, Device, DeviceKeys, DocumentError, Ed25519, FactoryKeys, KeyChecker, PatchError,
    PublicKey, ResetCause, Roles, SlotId, TrustedKey, UpdateError, Updater, VerifyError, trailer,
};
use whittle_release::approval::SignedApproval;
use whittle_release::build::{self, Request};
use whittle_release::flags::FlagsSource;
use whittle_release::keys::{KeyId, PrivateKey, Signer as _, key_id};
use whittle_release::keys_file::{KeyDocument, KeysFile};
use whittle_release::{CodecChoice, Error, directory, stage};

use crate::support::{PRODUCT, image, profile, request};

const DEVICE: Device<'static> = Device {
    product: PRODUCT,
    hardware_revision: 3,
    security_counter: 0,
    decoder_ram_bytes: 1 << 20,
};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn trusted(seed: u8, roles: Roles) -> TrustedKey {
    TrustedKey { public_key: key(seed).public_key(), roles }
}

fn id(seed: u8) -> KeyId {
    key_id(&key(seed).public_key())
}

/// Roots that sign keys, and nothing else.
const ROOTS: [u8; 3] = [1, 2, 3];
/// The key of the firmware that signs everything else.
const OLD: u8 = 10;
const NEW: u8 = 11;

const WORK: Roles = Roles::PACKAGES.and(Roles::FLAGS).and(Roles::STAGES);

fn factory_list() -> Vec<TrustedKey> {
    let roots = ROOTS.map(|seed| trusted(seed, Roles::KEYS));
    roots.into_iter().chain([trusted(OLD, WORK)]).collect()
}

/// The firmware's own keys as a document of this version.
fn document(version: u32) -> KeyDocument {
    let mut keys = factory_list();
    keys.sort_by_key(|key| key.public_key);
    let product = PRODUCT.parse().expect("a label");
    let head = Head { product, version, key_threshold: 2, package_threshold: 1 };
    KeyDocument { head, keys, revoked: Vec::new() }
}

fn signed(document: KeyDocument, signers: &[u8]) -> Vec<u8> {
    file(document, signers).emit().expect("signed")
}

fn file(document: KeyDocument, signers: &[u8]) -> KeysFile {
    let mut file = KeysFile::new(document).expect("valid");
    for signer in signers {
        file.sign(&key(*signer)).expect("signs");
    }
    file
}

/// The old key revoked, the new one in its place.
fn rotated(version: u32) -> KeyDocument {
    let mut document = document(version);
    document.trust(key(NEW).public_key(), WORK);
    assert!(document.revoke(id(OLD)), "it is there");
    document
}

/// The full image's package of a release that this key signs.
fn package(target: u8, signer: u8) -> Vec<u8> {
    let key = key(signer);
    let files = built(target, &key).files;
    files.into_iter().find(|(name, _)| name.ends_with("-full.pkg")).expect("a full image").1
}

fn built(target: u8, key: &PrivateKey) -> build::Built {
    let request = Request {
        target: image(target, 700),
        bases: Vec::new(),
        profile: profile(CodecChoice::Stored),
        ..request(key)
    };
    build::build(&request, &|_| {}).expect("builds")
}

fn flags(signer: u8) -> Vec<u8> {
    flags_of_version(1, signer)
}

fn flags_of_version(version: u32, signer: u8) -> Vec<u8> {
    let json = format!(
        r#"{{"product": "{PRODUCT}", "version": {version}, "flags": [{{"name": "eco", "default": true}}]}}"#
    );
    let source = FlagsSource::parse("flags", json.as_bytes()).expect("valid");
    source.sign(&key(signer)).expect("signs").0
}

fn stage_of(signer: u8) -> Vec<u8> {
    let stage = whittle_format::Stage {
        product: PRODUCT.parse().expect("a label"),
        target_version: "2.4.1".parse().expect("a label"),
        target_digest: [1; 16],
        seed: [2; 16],
        number: 1,
        share: whittle_format::Share::ALL,
    };
    stage::sign(&stage, &key(signer)).expect("signs").0
}

/// Ed25519 that remembers what was good: thousands of starts ask for the same few signatures.
#[derive(Clone, Copy, Debug)]
struct Remembering;

thread_local! {
    static GOOD: RefCell<HashSet<Vec<u8>>> = RefCell::default();
}

impl KeyChecker for Remembering {
    fn check(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), VerifyError> {
        let all = [&key[..], message, signature].concat();
        if GOOD.with_borrow(|good| good.contains(&all)) {
            return Ok(());
        }
        Ed25519.check(key, message, signature)?;
        GOOD.with_borrow_mut(|good| good.insert(all));
        Ok(())
    }
}

type Flash = SimFlash<1, 8, 256>;

/// A device with the image of the old key in its slot A.
#[derive(Clone)]
struct Unit {
    journal: Flash,
    slots: [Flash; 2],
    staging: Flash,
    supply: Supply,
    package_threshold: u8,
}

impl Unit {
    fn new(chip: Chip) -> Self {
        let supply = Supply::new();
        let mut slot = vec![0xff; 1024];
        slot[..700].copy_from_slice(image(1, 700).bytes());
        let package = package(1, OLD);
        let (envelope, _) = whittle_format::envelope::Envelope::parse(&package).expect("own");
        let len = whittle_format::envelope::encoded_len(envelope.payload.len());
        slot[1024 - 256..].copy_from_slice(&trailer(&package[..len]));
        Self {
            journal: Flash::erased(2 * 4096).with(chip).on(&supply),
            slots: [Flash::holding(&slot), Flash::used(1024)]
                .map(|slot| slot.with(chip).on(&supply)),
            staging: Flash::used(2048).with(chip).on(&supply),
            supply,
            package_threshold: 1,
        }
    }

    /// Opens it with the keys of its firmware, and does something.
    fn with<T>(
        &mut self,
        act: impl FnOnce(
            &mut Updater<'_, &mut Flash, &mut Flash, DeviceKeys<'_, Remembering>>,
            &mut Flash,
        ) -> Result<T, UpdateError>,
    ) -> Result<T, UpdateError> {
        let keys = factory_list();
        let (key_threshold, package_threshold) = (2, self.package_threshold);
        let factory = FactoryKeys { keys: &keys, key_threshold, package_threshold };
        let [a, b] = &mut self.slots;
        let keys = DeviceKeys::new(&factory, Remembering);
        let mut updater = Updater::open_with_keys(&DEVICE, keys, &mut self.journal, [a, b])?;
        act(&mut updater, &mut self.staging)
    }

    fn accept(&mut self, file: &[u8]) -> Result<(), DocumentError> {
        match self.with(|updater, _| updater.accept_keys(file)) {
            Err(UpdateError::Document(error)) => Err(error),
            other => {
                other.expect("the flash works");
                Ok(())
            }
        }
    }

    fn version(&mut self) -> u32 {
        self.with(|updater, _| Ok(updater.keys().version())).expect("opens")
    }

    fn download(&mut self, package: &[u8]) -> Result<(), UpdateError> {
        self.with(|updater, staging| {
            let mut block = [0; 4096];
            let mut download = updater.download(staging, &mut block)?;
            download.push(&mut &package[..])?;
            download.finish().map(|_| ())
        })
    }

    fn install(&mut self, package: &[u8]) {
        self.download(package).expect("trusted");
        self.install_staged().expect("trusted");
    }

    fn install_staged(&mut self) -> Result<(), UpdateError> {
        self.with(|updater, staging| {
            let (mut block, mut page) = ([0; 4096], [0; 256]);
            let buffers = Buffers { block: &mut block, page: &mut page, compact: None };
            updater.install(staging, buffers, &mut |_| {}).map(|_| ())
        })
    }

    fn activate(&mut self) -> Result<(), UpdateError> {
        self.with(|updater, _| updater.activate())
    }

    /// The image on trial, in slot B, says that it is well.
    fn commit(&mut self) {
        let committed = self.with(|updater, _| {
            updater.set_running_slot(SlotId::B);
            updater.healthy()
        });
        committed.expect("on trial");
    }

    fn boots(&mut self) -> Option<SlotId> {
        let boot = self.with(|updater, _| updater.boot(ResetCause::PowerOn)).expect("boots");
        match boot {
            Boot::Slot(slot, _) => Some(slot),
            Boot::Recovery => None,
        }
    }
}

fn refused(outcome: Result<(), UpdateError>) -> PatchError {
    match outcome {
        Err(UpdateError::Patch(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_revoked_key_signs_is_refused_and_what_it_has_signed_boots() {
    let mut unit = Unit::new(Chip::PLAIN);
    unit.with(|updater, _| updater.accept_flags(&flags(OLD))).expect("trusted");
    unit.with(|updater, _| updater.accept_stage(&stage_of(OLD))).expect("trusted");
    unit.download(&package(2, OLD)).expect("trusted");
    unit.accept(&signed(rotated(1), &ROOTS[..2])).expect("signed by two of three");

    assert_eq!(unit.boots(), Some(SlotId::A));
    let unknown = UpdateError::Document(DocumentError::UnknownKey);
    assert_eq!(refused(unit.download(&package(3, OLD))), PatchError::UnknownKey);
    assert_eq!(unit.with(|updater, _| updater.accept_flags(&flags(OLD))), Err(unknown));
    assert_eq!(
        unit.with(|updater, _| updater.accept_stage(&stage_of(OLD)).map(|_| ())),
        Err(unknown)
    );
    // What was kept or staged, too.
    let kept = unit.with(|updater, _| {
        let mut bytes = [0; 1024];
        updater.flags(&mut bytes).map(|flags| flags.is_some())
    });
    assert_eq!(kept, Err(unknown));
    assert_eq!(unit.with(|updater, _| updater.stage().map(|_| ())), Err(unknown));
    let installed = unit.install_staged();
    assert_eq!(refused(installed), PatchError::UnknownKey);

    unit.download(&package(3, NEW)).expect("the new key is trusted");
    unit.with(|updater, _| updater.accept_flags(&flags(NEW))).expect("trusted");
    unit.with(|updater, _| updater.accept_stage(&stage_of(NEW))).expect("trusted");
}

/// A thief signs the highest version that there is, so that nothing can follow it.
#[test]
fn flags_of_a_stolen_key_shut_nobody_out_once_it_is_revoked() {
    let mut unit = Unit::new(Chip::PLAIN);
    let too_low = Err(UpdateError::Document(DocumentError::VersionTooLow));
    unit.with(|updater, _| updater.accept_flags(&flags_of_version(u32::MAX, OLD))).expect("stolen");
    assert_eq!(unit.with(|updater, _| updater.accept_flags(&flags_of_version(7, OLD))), too_low);
    unit.accept(&signed(rotated(1), &ROOTS[..2])).expect("signed by two of three");
    unit.with(|updater, _| updater.accept_flags(&flags_of_version(7, NEW))).expect("trusted");
    assert_eq!(unit.with(|updater, _| updater.accept_flags(&flags_of_version(6, NEW))), too_low);
}

/// A device that trusts the new key besides the old one.
fn unit_of_two_keys() -> Unit {
    let mut unit = Unit::new(Chip::PLAIN);
    let mut document = document(1);
    document.trust(key(NEW).public_key(), WORK);
    unit.accept(&signed(document, &ROOTS[..2])).expect("signed by two of three");
    unit
}

/// The new key revoked, and perhaps dropped.
fn without_the_new_key(version: u32, is_dropped: bool) -> Vec<u8> {
    let mut document = document(version);
    document.trust(key(NEW).public_key(), WORK);
    assert!(document.revoke(id(NEW)), "it is there");
    if is_dropped {
        document.forget(id(NEW)).expect("it is there");
    }
    signed(document, &ROOTS[..2])
}

/// Once the trial is committed, the image of before may be below the security counter.
#[test]
fn no_document_takes_the_key_of_an_image_that_runs_on_trial() {
    let mut unit = unit_of_two_keys();
    unit.install(&package(2, NEW));
    unit.activate().expect("installed");
    assert_eq!(unit.boots(), Some(SlotId::B), "on trial");
    for is_dropped in [false, true] {
        let without = without_the_new_key(2, is_dropped);
        assert_eq!(unit.accept(&without), Err(DocumentError::ImageNotTrusted), "{is_dropped}");
    }
    assert_eq!(unit.boots(), Some(SlotId::B), "still");
    let mut without_the_old = document(2);
    without_the_old.trust(key(NEW).public_key(), WORK);
    without_the_old.forget(id(OLD)).expect("it is there");
    let without_the_old = signed(without_the_old, &ROOTS[..2]);
    assert_eq!(unit.accept(&without_the_old), Err(DocumentError::ImageNotTrusted), "the way back");
    unit.commit();
    assert_eq!(unit.boots(), Some(SlotId::B));
    unit.accept(&without_the_old).expect("nothing runs of it any more");
    assert_eq!(unit.boots(), Some(SlotId::B));
}

#[test]
fn an_image_of_a_revoked_key_that_has_not_started_never_does() {
    for is_dropped in [false, true] {
        let mut unit = unit_of_two_keys();
        unit.install(&package(2, NEW));
        let mut pending = unit.clone();
        unit.accept(&without_the_new_key(2, is_dropped)).expect("the old image boots");
        assert_eq!(refused(unit.activate()), PatchError::UnknownKey);
        assert_eq!(unit.boots(), Some(SlotId::A));
        unit.install(&package(2, OLD));
        unit.activate().expect("of a key that is trusted");
        assert_eq!(unit.boots(), Some(SlotId::B));

        pending.activate().expect("trusted");
        pending.accept(&without_the_new_key(2, is_dropped)).expect("the old image boots");
        assert_eq!(pending.boots(), Some(SlotId::A));
        assert_eq!(pending.boots(), Some(SlotId::A));
    }
}

/// What never started is no way out either, once the device is about to install something else.
#[test]
fn an_image_of_a_revoked_key_is_no_fallback() {
    for is_pending in [false, true] {
        let mut unit = unit_of_two_keys();
        unit.install(&package(2, NEW));
        if is_pending {
            unit.activate().expect("trusted");
        }
        unit.accept(&without_the_new_key(2, false)).expect("the old image boots");
        unit.download(&package(3, OLD)).expect("trusted");
        unit.with(|updater, _| updater.abandon()).expect("gives it up");
        assert_eq!(unit.boots(), Some(SlotId::A));
        unit.slots[0].break_cell(5, 1);
        assert_eq!(unit.boots(), None, "pending: {is_pending}");
    }
}

/// Also where power failed when it was whole, and nobody had counted it yet.
#[test]
fn an_image_of_a_revoked_key_that_was_not_counted_is_no_fallback() {
    let mut unit = unit_of_two_keys();
    unit.download(&package(2, NEW)).expect("trusted");
    let mut cuts = 0;
    for step in 0.. {
        let mut unit = unit.clone();
        unit.supply.arm(Cut { step, outcome: Outcome::Done }, step);
        let outcome = unit.install_staged();
        if !unit.supply.is_down() {
            outcome.expect("trusted");
            unit.supply.restore();
            break;
        }
        cuts += 1;
        unit.supply.restore();
        unit.accept(&without_the_new_key(2, false)).expect("the old image boots");
        // It has failed already if the key is asked for once more, and is out of turn if it was counted.
        assert!(unit.install_staged().is_err(), "{step}");
        unit.slots[0].break_cell(5, 1);
        assert_eq!(unit.boots(), None, "{step}");
    }
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn keys_are_not_changed_while_nobody_can_tell_whether_the_image_would_boot() {
    let mut unit = unit_of_two_keys();
    unit.install(&package(2, NEW));
    unit.activate().expect("installed");
    assert_eq!(unit.boots(), Some(SlotId::B));
    unit.commit();
    let dropped = without_the_new_key(2, true);
    unit.slots[1].refuse_reads(0..usize::MAX);
    let outcome = unit.with(|updater, _| updater.accept_keys(&dropped));
    assert!(matches!(outcome, Err(UpdateError::Patch(PatchError::Flash(_)))), "{outcome:?}");
    unit.slots[1].refuse_reads(0..0);
    assert_eq!(unit.accept(&dropped), Err(DocumentError::ImageNotTrusted));
    assert_eq!(unit.boots(), Some(SlotId::B));
}

/// A device whose journal a thief has filled with what the key may sign.
fn unit_full_of_flags(chip: Chip) -> Unit {
    let flags = |count: u32| {
        let flag =
            |n| format!(r#"{{"name": "a-name-of-thirty-two-letters-{n:03}", "default": true}}"#);
        let all = (0..count).map(flag).collect::<Vec<_>>().join(",");
        let json = format!(r#"{{"product": "{PRODUCT}", "version": {count}, "flags": [{all}]}}"#);
        let source = FlagsSource::parse("flags", json.as_bytes()).expect("valid");
        source.sign(&key(OLD)).expect("signs").0
    };
    let mut unit = Unit::new(chip);
    let mut longest = 0;
    while unit.with(|updater, _| updater.accept_flags(&flags(longest + 1))).is_ok() {
        longest += 1;
    }
    assert!(longest > 15, "{longest} flags fill the journal");
    unit
}

/// So that the revocation of that key finds no room.
#[test]
fn what_a_stolen_key_has_signed_gives_way_to_its_revocation() {
    let mut unit = unit_full_of_flags(Chip::PLAIN);
    let kept = |unit: &mut Unit| {
        unit.with(|updater, _| updater.flags(&mut [0; 1024]).map(|flags| flags.is_some()))
    };
    assert_eq!(kept(&mut unit), Ok(true));
    unit.accept(&signed(rotated(1), &ROOTS[..2])).expect("signed by two of three");
    assert_eq!((unit.version(), kept(&mut unit)), (1, Ok(false)));
    unit.with(|updater, _| updater.accept_flags(&flags_of_version(1, NEW))).expect("trusted");
    assert_eq!(unit.boots(), Some(SlotId::A));
}

/// The image in the other slot is the way back, until another one is really taken.
#[test]
fn a_package_that_is_not_taken_costs_the_other_slot_nothing() {
    let mut unit = unit_of_two_keys();
    unit.install(&package(2, OLD));
    unit.activate().expect("installed");
    assert_eq!(unit.boots(), Some(SlotId::B));
    unit.commit();
    unit.download(&package(3, NEW)).expect("trusted");
    unit.accept(&without_the_new_key(2, true)).expect("the image that runs boots");
    let before = unit.slots[0].bytes();
    let installed = unit.install_staged();
    assert_eq!(refused(installed), PatchError::UnknownKey);
    assert!(unit.slots[0].bytes() == before);
    unit.slots[1].break_cell(5, 1);
    assert_eq!(unit.boots(), Some(SlotId::A), "the way back");
}

#[test]
fn a_trial_goes_back_to_the_image_of_a_revoked_key() {
    let mut unit = Unit::new(Chip::PLAIN);
    unit.accept(&signed(rotated(1), &ROOTS[..2])).expect("signed by two of three");
    unit.install(&package(2, NEW));
    unit.activate().expect("installed");
    assert_eq!(unit.boots(), Some(SlotId::B), "on trial");
    unit.with(|updater, _| updater.unhealthy()).expect("on trial");
    assert_eq!(unit.boots(), Some(SlotId::A));
}

#[test]
fn a_key_counts_for_its_roles_alone() {
    let mut unit = Unit::new(Chip::PLAIN);
    let mut document = document(1);
    document.trust(key(NEW).public_key(), Roles::STAGES);
    unit.accept(&signed(document, &ROOTS[1..])).expect("signed by two of three");
    unit.with(|updater, _| updater.accept_stage(&stage_of(NEW))).expect("its role");
    let unknown = UpdateError::Document(DocumentError::UnknownKey);
    assert_eq!(unit.with(|updater, _| updater.accept_flags(&flags(NEW))), Err(unknown));
    assert_eq!(refused(unit.download(&package(3, NEW))), PatchError::UnknownKey);
    assert_eq!(refused(unit.download(&package(3, ROOTS[0]))), PatchError::UnknownKey);
    let by_worker = signed(rotated(2), &[OLD, NEW]);
    assert_eq!(unit.accept(&by_worker), Err(DocumentError::UnknownKey));
}

#[test]
fn each_refusal_has_its_error_and_leaves_the_keys_as_they_were() {
    let mut unit = Unit::new(Chip::PLAIN);
    unit.accept(&signed(rotated(5), &ROOTS[..2])).expect("signed by two of three");

    let mut other_product = rotated(6);
    other_product.head.product = "boiler".parse().expect("a label");
    let mut without_the_image = rotated(6);
    without_the_image.forget(id(OLD)).expect("it is there");
    let mut revived = document(6);
    revived.trust(key(NEW).public_key(), WORK);
    let mut same_version = rotated(5);
    same_version.trust(key(12).public_key(), Roles::FLAGS);
    let mut forged = signed(rotated(6), &ROOTS[..2]);
    *forged.last_mut().expect("a signature") ^= 1;
    // A root that the document itself revokes does not count.
    let mut own_goal = rotated(6);
    own_goal.head.key_threshold = 1;
    assert!(own_goal.revoke(id(ROOTS[0])), "it is there");
    let cases = [
        (signed(rotated(4), &ROOTS[..2]), DocumentError::VersionTooLow),
        (signed(same_version, &ROOTS[..2]), DocumentError::OtherKeys),
        (signed(rotated(6), &ROOTS[..1]), DocumentError::TooFewSignatures),
        (signed(rotated(6), &[NEW]), DocumentError::UnknownKey),
        (signed(own_goal, &ROOTS[..2]), DocumentError::TooFewSignatures),
        (signed(other_product, &ROOTS[..2]), DocumentError::WrongProduct),
        (signed(without_the_image, &ROOTS[..2]), DocumentError::ImageNotTrusted),
        (signed(revived, &ROOTS[..2]), DocumentError::RevokedKey),
        (forged, DocumentError::BadSignature),
        (vec![0; 1025], DocumentError::TooLong),
        (vec![0; 10], DocumentError::Envelope(whittle_format::FormatError::NotAnEnvelope)),
        (Vec::new(), DocumentError::VersionTooLow),
    ];
    for (file, error) in cases {
        assert_eq!(unit.accept(&file), Err(error));
        assert_eq!(unit.version(), 5, "{error}");
    }
    unit.accept(&signed(rotated(5), &ROOTS[..2])).expect("the same once more");
    unit.accept(&signed(rotated(6), &ROOTS)).expect("signed by all");
    assert_eq!(unit.version(), 6);
}

/// Roots are replaced one after the other, and a device that was away all the time goes the whole way at once.
#[test]
fn roots_are_replaced_and_old_ones_cannot_make_a_way_of_their_own() {
    let roots = |from: u8| {
        let mut document = document(u32::from(from));
        document.keys.retain(|key| !key.roles.has_any(Roles::KEYS));
        for seed in from..from + 3 {
            document.trust(key(seed).public_key(), Roles::KEYS);
        }
        document
    };
    let next = |file: KeysFile, document: KeyDocument, signers: &[u8]| {
        let mut file = file.then(document, None).expect("follows");
        for signer in signers {
            file.sign(&key(*signer)).expect("signs");
        }
        file
    };
    let first = file(roots(20), &ROOTS[..2]);
    let mut unit = Unit::new(Chip::PLAIN);
    unit.accept(&first.emit().expect("signed")).expect("signed by the firmware's");
    let mut news = roots(20);
    news.head.version = 21;
    news.trust(key(NEW).public_key(), WORK);
    let second = next(first, news.clone(), &[20, 22]);
    assert_eq!(second.documents().count(), 2);
    unit.accept(&second.emit().expect("signed")).expect("signed by the first's");
    let mut more = news;
    more.head.version = 22;
    let third = next(second, more, &[20, 21]);
    assert_eq!(third.documents().count(), 2, "the second is of no use any more");
    unit.accept(&third.emit().expect("signed")).expect("signed by the first's");
    let fourth = next(third, roots(30), &[21, 22]);
    let fourth = fourth.emit().expect("signed");
    for unit in [&mut unit, &mut Unit::new(Chip::PLAIN)] {
        unit.accept(&fourth).expect("the whole way");
        assert_eq!(unit.version(), 30);
    }
    // Who has the firmware's own roots by now makes a document that a new device would take.
    let fork = signed(document(90), &ROOTS);
    Unit::new(Chip::PLAIN).accept(&fork).expect("it knows no better");
    assert_eq!(unit.accept(&fork), Err(DocumentError::OtherKeys));
}

#[test]
fn a_target_that_two_must_approve_is_taken_in_when_they_have() {
    let mut unit = Unit::new(Chip::PLAIN);
    let mut document = document(1);
    document.head.package_threshold = 2;
    document.trust(key(NEW).public_key(), Roles::PACKAGES);
    unit.accept(&signed(document, &ROOTS[..2])).expect("signed by two of three");
    assert_eq!(unit.boots(), Some(SlotId::A), "what is installed needs no approval");
    assert_eq!(refused(unit.download(&package(2, OLD))), PatchError::NotApproved);

    let room = tempfile::tempdir().expect("a directory");
    let approval = |target: u8, signers: &[u8]| {
        let directory = room.path().join(format!("{target}"));
        if !directory.exists() {
            directory::write(&directory, &built(target, &key(OLD)).files).expect("writes");
        }
        let index = directory::read_unverified(&directory).expect("an index");
        let mut approval = SignedApproval::of(&index).expect("valid");
        for signer in signers {
            approval.sign(&key(*signer)).expect("signs");
        }
        approval.emit().expect("signed")
    };
    let accept = |unit: &mut Unit, bytes: &[u8]| unit.with(|it, _| it.accept_approval(bytes));
    let refusals = [
        (approval(2, &[OLD]), DocumentError::TooFewSignatures),
        (approval(2, &[OLD, ROOTS[0]]), DocumentError::TooFewSignatures),
        (approval(2, &ROOTS), DocumentError::UnknownKey),
    ];
    let mut damaged = approval(2, &[OLD]);
    *damaged.last_mut().expect("a signature") ^= 1;
    let file = room.path().join("approval.cose");
    std::fs::write(&file, damaged).expect("writes");
    let damaged = SignedApproval::read(&file).expect("parses");
    assert!(damaged.check(&[key(OLD).public_key()]).is_err(), "damaged");
    assert!(damaged.check(&[key(NEW).public_key()]).is_ok(), "nobody knows its key");
    for (bytes, error) in refusals {
        assert_eq!(accept(&mut unit, &bytes), Err(UpdateError::Document(error)));
    }
    accept(&mut unit, &approval(3, &[OLD, NEW])).expect("approved");
    assert_eq!(refused(unit.download(&package(2, OLD))), PatchError::NotApproved, "another target");
    accept(&mut unit, &approval(2, &[OLD, NEW])).expect("approved");
    assert_eq!(refused(unit.download(&package(3, OLD))), PatchError::NotApproved, "the one before");
    // Whoever of them signs the package.
    unit.download(&package(2, OLD)).expect("approved");
    unit.with(|updater, _| updater.abandon()).expect("gives it up");
    unit.download(&package(2, NEW)).expect("approved");
}

/// Cuts the power at every word and sector while keys of version `before + 1` are accepted, with whatever is left of it, and
/// returns how many cuts there were and the device that was not cut.
fn cut_while_accepting(unit: &Unit, file: &[u8], before: u32) -> (u32, Unit) {
    let all = (0..).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    for (cuts, cut) in (0..).zip(all) {
        let mut unit = unit.clone();
        unit.supply.arm(cut, cut.step);
        let outcome = unit.with(|updater, _| updater.accept_keys(file));
        if !unit.supply.is_down() {
            assert_eq!(outcome, Ok(()));
            unit.supply.restore();
            return (cuts, unit);
        }
        unit.supply.restore();
        let version = unit.version();
        assert!(version == before || version == before + 1, "{cut:?}");
        assert!(outcome.is_err() || version > before, "{cut:?}");
        assert_eq!(unit.version(), version, "it stays so: {cut:?}");
        assert_eq!(unit.boots(), Some(SlotId::A), "{cut:?}");
        unit.accept(file).expect("once more");
        assert_eq!(unit.version(), before + 1, "{cut:?}");
    }
    unreachable!("no update takes for ever")
}

#[test]
fn a_power_cut_while_keys_are_accepted_leaves_the_old_ones_or_the_new_ones() {
    let (first, second) = (signed(rotated(1), &ROOTS[..2]), signed(rotated(2), &ROOTS[1..]));
    let mut all = 0;

    // A journal with room, and one that rotates into its other bank.
    for (chip, others) in [(Chip::PLAIN, 0), (Chip::PLAIN, 3), (Chip::CORRECTING, 3)] {
        let mut unit = Unit::new(chip);
        unit.journal = Flash::erased(2 * 2560).with(chip).on(&unit.supply);
        unit.accept(&first).expect("signed by two of three");
        for other in 0..others {
            unit.with(|updater, _| updater.keep(&[other; 200])).expect("has room");
        }
        let (cuts, after) = cut_while_accepting(&unit, &second, 1);
        let has_rotated = unit.journal.erase_counts() != after.journal.erase_counts();
        assert_eq!(has_rotated, others > 0, "it rotates");
        all += cuts;
    }
    assert!(all > 1000, "{all}");
}

#[test]
fn a_power_cut_while_a_journal_makes_room_for_keys_leaves_the_old_ones_or_the_new_ones() {
    let file = signed(rotated(1), &ROOTS[..2]);
    for chip in [Chip::PLAIN, Chip::CORRECTING] {
        let (cuts, _) = cut_while_accepting(&unit_full_of_flags(chip), &file, 0);
        assert!(cuts > 1000, "{cuts}");
    }
}

#[test]
fn keys_that_no_device_would_take_are_not_signed() {
    let file = file(rotated(5), &ROOTS);
    let says = |outcome: Result<KeysFile, Error>| outcome.expect_err("refused").to_string();
    assert!(says(file.clone().then(rotated(5), None)).contains("version 5 is not above"));
    assert!(says(file.clone().then(document(6), None)).contains("must stay so"));
    let mut other = rotated(6);
    other.head.product = "boiler".parse().expect("a label");
    assert!(says(file.clone().then(other, None)).contains("boiler"));
    let mut trusted_again = rotated(6);
    trusted_again.trust(key(OLD).public_key(), WORK);
    assert!(says(file.then(trusted_again, None)).contains("is revoked, and trusted"));
    let mut unreachable = document(1);
    unreachable.head.key_threshold = 4;
    let error = says(KeysFile::new(unreachable));
    assert!(error.contains("4 keys cannot sign") && error.contains("and 3 have"), "{error}");
}

#[test]
fn a_key_that_is_not_there_can_be_revoked_and_not_dropped() {
    let mut document = document(1);
    assert!(document.forget(id(NEW)).expect_err("never there").to_string().contains("no key"));
    assert!(!document.revoke(id(NEW)), "was not trusted");
    assert_eq!(document.revoked, [id(NEW)]);
    Unit::new(Chip::PLAIN).accept(&signed(document, &ROOTS[..2])).expect("signed by two of three");
}

/// The firmware's keys with other roots.
fn with_roots(version: u32, from: u8) -> KeyDocument {
    let mut document = document(version);
    document.keys.retain(|key| !key.roles.has_any(Roles::KEYS));
    for seed in from..from + 3 {
        document.trust(key(seed).public_key(), Roles::KEYS);
    }
    document
}

#[test]
fn the_last_room_of_a_keys_file_is_for_a_revocation() {
    let mut file = file(with_roots(1, 20), &ROOTS[..2]);
    assert_eq!(file.changes_that_fit(None), 2);
    file = file.then(with_roots(2, 30), None).expect("fits");
    for signer in [20, 21] {
        file.sign(&key(signer)).expect("signs");
    }
    assert_eq!(file.changes_that_fit(None), 1);
    let refused = file.clone().then(with_roots(3, 40), None).expect_err("the last room");
    assert!(refused.to_string().contains("no revocation would fit"), "{refused}");

    let mut revoking = with_roots(3, 30);
    revoking.trust(key(NEW).public_key(), WORK);
    assert!(revoking.revoke(id(OLD)), "it is there");
    file = file.then(revoking, None).expect("a revocation");
    for signer in [30, 31] {
        file.sign(&key(signer)).expect("signs");
    }
    file.check(None).expect("whole");
    let bytes = file.emit().expect("fits");
    Unit::new(Chip::PLAIN).accept(&bytes).expect("the whole way");
}

#[test]
fn signatures_that_cannot_count_are_told_of() {
    let keys = factory_list();
    let factory = FactoryKeys { keys: &keys, key_threshold: 2, package_threshold: 1 };
    let origin = whittle_patcher_nostd::KeySet::new(&factory);
    let says = |file: &KeysFile| file.check(Some(&origin)).expect_err("refused").to_string();
    file(document(1), &ROOTS[..1]).check(Some(&origin)).expect("more may come");
    assert!(says(&file(document(1), &[OLD])).contains("which may not"));
    let mut own_goal = document(1);
    own_goal.head.key_threshold = 1;
    assert!(own_goal.revoke(id(ROOTS[0])), "it is there");
    assert!(says(&file(own_goal, &ROOTS[..2])).contains("which it revokes"));
    let mut bytes = signed(document(1), &ROOTS[..2]);
    *bytes.last_mut().expect("a signature") ^= 1;
    let damaged = KeysFile::parse("keys", &bytes).expect("parses");
    assert!(says(&damaged).contains("damaged"));
    assert!(
        damaged.check(None).expect_err("it knows its own keys").to_string().contains("damaged")
    );
    let early = file(with_roots(1, 20), &ROOTS[..1]).then(with_roots(2, 30), None).expect("fits");
    assert!(says(&early).contains("1 of 2 signatures"));
}
