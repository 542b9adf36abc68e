//! Which features are on, on this device.
//!
//! ```text
//! document killed? -> off      flag not listed? -> None      flag killed? -> off
//!     -> the first rule that matches: its value      -> no rule matches: the flag's default
//! ```
//!
//! A rule matches a device if it fulfils everything that the rule names: it is one of the devices (if any are named),
//! *and* in one of the groups (if any), *and* in one of the regions (if any), *and* within the share.

use core::ops::Deref;

use whittle_format::flags::{Flag, Flags, Rule, SubjectKind};
use whittle_format::limits::MAX_FLAGS_ENVELOPE_BYTES;
use whittle_format::{Seed, Share};

use crate::document::authenticate_document;
use crate::draw::{Draw, place};
use crate::verify::KeyId;
use crate::{DocumentError, Verifier};

/// What rules ask about a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts<'a> {
    /// Its id, byte for byte as rules and draws name it: a serial number, a MAC address.
    pub id: &'a [u8],
    /// The groups that it is in.
    pub groups: &'a [&'a str],
    /// The region that it is in.
    pub region: Option<&'a str>,
}

/// What decided about a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The kill switch of the whole document.
    DocumentKilled,
    /// The kill switch of the flag.
    FlagKilled,
    /// The flag's rule with this number, from 0.
    Rule(usize),
    /// No rule matched.
    Default,
}

/// The value of a flag on a device, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision {
    /// Whether the feature is on.
    pub is_on: bool,
    /// What decided.
    pub reason: Reason,
}

/// A flags document that a trusted key signed, borrowing the bytes of its envelope; there is no other way to make one.
///
/// # Example
///
/// ```
/// use whittle_patcher_nostd::{DeviceFacts, DocumentError, TrustedKeys, VerifiedFlags};
/// # fn read(journal_bytes: &[u8], received: &[u8], key: [u8; 32]) -> Result<bool, DocumentError> {
/// let keys = [key];
/// let stored = VerifiedFlags::check(journal_bytes, "thermostat", 0, &TrustedKeys(&keys))?;
/// // What comes from outside must not be older; the application then puts `received` into its journal.
/// let flags = VerifiedFlags::check(received, "thermostat", stored.version(), &TrustedKeys(&keys))?;
///
/// let device = DeviceFacts { id: b"TH-0042", groups: &["beta"], region: Some("EU") };
/// let holiday_mode = flags.is_on("holiday-mode", &device).unwrap_or(false);
/// # Ok(holiday_mode)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct VerifiedFlags<'a> {
    document: Flags<'a>,
    key_id: KeyId,
}

impl<'a> Deref for VerifiedFlags<'a> {
    type Target = Flags<'a>;
    fn deref(&self) -> &Flags<'a> {
        &self.document
    }
}

impl<'a> VerifiedFlags<'a> {
    /// Checks a document for this product that is not older than the stored one, 0 if there is none.
    ///
    /// The same version counts, so that the stored document itself can be checked again after a start. About 1 KiB
    /// of stack, besides what the verifier takes.
    ///
    /// # Errors
    /// [`DocumentError`]; the stored document still holds.
    pub fn check(
        envelope: &'a [u8],
        product: &str,
        stored_version: u32,
        verifier: &impl Verifier,
    ) -> Result<Self, DocumentError> {
        let flags = Self::authenticate(envelope, verifier)?;
        let got = flags.version();
        if flags.head.product.as_bytes() != product.as_bytes() {
            return Err(DocumentError::WrongProduct);
        }
        if got < stored_version {
            return Err(DocumentError::VersionTooLow);
        }
        Ok(flags)
    }

    /// Checks that a trusted key signed the document, whatever product and version it is: for hosts.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn authenticate(
        envelope: &'a [u8],
        verifier: &impl Verifier,
    ) -> Result<Self, DocumentError> {
        let envelope = authenticate_document::<MAX_FLAGS_ENVELOPE_BYTES>(envelope, verifier)?;
        let document = Flags::parse(envelope.payload).map_err(DocumentError::Document)?;
        Ok(Self { document, key_id: envelope.key_id })
    }

    /// The version of the document; the highest that a device has had is what it stores.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.document.head.version
    }

    /// The key that signed it.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Whether a feature is on; `None` if the document says nothing of it, so that the firmware's own default holds.
    #[must_use]
    pub fn is_on(&self, name: &str, device: &DeviceFacts<'_>) -> Option<bool> {
        self.decide(name, device).map(|decision| decision.is_on)
    }

    /// The same, and what decided.
    #[must_use]
    pub fn decide(&self, name: &str, device: &DeviceFacts<'_>) -> Option<Decision> {
        if self.document.head.is_killed {
            // Also for a flag that is not listed: the firmware's own default may be on.
            return Some(Decision { is_on: false, reason: Reason::DocumentKilled });
        }
        let flag = self.document.iter().find(|flag| flag.name.as_bytes() == name.as_bytes())?;
        Some(decide_flag(&flag, &self.document.head.seed, device))
    }
}

fn decide_flag(flag: &Flag<'_>, seed: &Seed, device: &DeviceFacts<'_>) -> Decision {
    if flag.is_killed {
        return Decision { is_on: false, reason: Reason::FlagKilled };
    }
    let mut rules = flag.rules.clone().enumerate();
    match rules.find(|(_, rule)| matches(rule, flag, seed, device)) {
        Some((number, rule)) => Decision { is_on: rule.value, reason: Reason::Rule(number) },
        None => Decision { is_on: flag.default, reason: Reason::Default },
    }
}

fn matches(rule: &Rule<'_>, flag: &Flag<'_>, seed: &Seed, device: &DeviceFacts<'_>) -> bool {
    let kinds = [SubjectKind::Device, SubjectKind::Group, SubjectKind::Region];
    kinds.into_iter().all(|kind| is_named(rule, kind, device))
        && is_drawn(rule.share, flag, seed, device)
}

/// Whether a rule names the device by subjects of this kind, or has none of them.
fn is_named(rule: &Rule<'_>, kind: SubjectKind, device: &DeviceFacts<'_>) -> bool {
    let mut has_none = true;
    for subject in rule.subjects.clone().filter(|subject| subject.kind == kind) {
        has_none = false;
        let is_named = match kind {
            SubjectKind::Device => device.id == subject.name,
            SubjectKind::Group => {
                device.groups.iter().any(|group| group.as_bytes() == subject.name)
            }
            SubjectKind::Region => device.region.map(str::as_bytes) == Some(subject.name),
        };
        if is_named {
            return true;
        }
    }
    has_none
}

/// Asks the draw only where it can decide: a hash takes longer than all the rest.
fn is_drawn(share: Share, flag: &Flag<'_>, seed: &Seed, device: &DeviceFacts<'_>) -> bool {
    share == Share::ALL || share.covers(place(Draw::Flag(&flag.name), seed, device.id))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use whittle_format::envelope::{self, OVERHEAD, SIGNATURE_LEN};
    use whittle_format::flags::{self, Head, NewFlag, NewRule, Subject};

    use super::*;
    use crate::{FormatError, VerifyError};

    /// Takes signatures that begin with this byte for good ones.
    struct FirstByte(u8);

    impl Verifier for FirstByte {
        fn verify(&self, _: &KeyId, _: &[u8], s: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
            if s[0] == self.0 { Ok(()) } else { Err(VerifyError::BadSignature) }
        }
    }

    const HEAD: fn() -> Head = || Head {
        product: "thermostat".parse().expect("a label"),
        version: 5,
        seed: [3; 16],
        is_killed: false,
    };

    fn sealed(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; payload.len() + OVERHEAD];
        let signature = [1; SIGNATURE_LEN];
        let len = envelope::emit(b"key-id-8", payload, &signature, &mut bytes).expect("room");
        bytes.truncate(len);
        bytes
    }

    fn document(head: &Head, flags: &[NewFlag<'_>]) -> Vec<u8> {
        let mut payload = vec![0; flags::MAX_LEN];
        let len = flags::emit(head, flags, &mut payload).expect("within limits");
        sealed(&payload[..len])
    }

    fn flag<'a>(default: bool, is_killed: bool, rules: &'a [NewRule<'a>]) -> NewFlag<'a> {
        NewFlag { name: "mode".parse().expect("a label"), default, is_killed, rules }
    }

    fn decide(head: &Head, flag: &NewFlag<'_>, device: &DeviceFacts<'_>) -> Option<Decision> {
        let bytes = document(head, std::slice::from_ref(flag));
        let flags =
            VerifiedFlags::check(&bytes, "thermostat", 5, &FirstByte(1)).expect("authentic");
        let decision = flags.decide("mode", device);
        assert_eq!(flags.is_on("mode", device), decision.map(|decision| decision.is_on));
        decision
    }

    const fn subject(kind: SubjectKind, name: &str) -> Subject<'_> {
        Subject { kind, name: name.as_bytes() }
    }
    const DEVICE: Subject<'_> = subject(SubjectKind::Device, "TH-1");
    const OTHER_DEVICE: Subject<'_> = subject(SubjectKind::Device, "TH-2");
    const BETA: Subject<'_> = subject(SubjectKind::Group, "beta");
    const STAFF: Subject<'_> = subject(SubjectKind::Group, "staff");
    const EU: Subject<'_> = subject(SubjectKind::Region, "EU");
    const US: Subject<'_> = subject(SubjectKind::Region, "US");

    const FACTS: DeviceFacts<'_> =
        DeviceFacts { id: b"TH-1", groups: &["alpha", "beta"], region: Some("EU") };

    const fn on<'a>(subjects: &'a [Subject<'a>]) -> NewRule<'a> {
        NewRule { value: true, share: Share::ALL, subjects }
    }

    const fn off<'a>(subjects: &'a [Subject<'a>]) -> NewRule<'a> {
        NewRule { value: false, share: Share::ALL, subjects }
    }

    #[test]
    fn precedence() {
        let at = place(Draw::Flag(&flag(false, false, &[]).name), &HEAD().seed, FACTS.id);
        let [without, with] = [at, at + 1].map(|ppm| Share::from_ppm(ppm).expect("in range"));
        let cases: &[(&str, bool, &[NewRule<'_>], bool, Reason)] = &[
            ("no rule, off", false, &[], false, Reason::Default),
            ("no rule, on", true, &[], true, Reason::Default),
            ("the device", false, &[on(&[DEVICE])], true, Reason::Rule(0)),
            ("another device", false, &[on(&[OTHER_DEVICE])], false, Reason::Default),
            ("one of two devices", false, &[on(&[OTHER_DEVICE, DEVICE])], true, Reason::Rule(0)),
            ("one of its groups", false, &[on(&[STAFF, BETA])], true, Reason::Rule(0)),
            ("none of its groups", false, &[on(&[STAFF])], false, Reason::Default),
            ("its region", false, &[on(&[EU])], true, Reason::Rule(0)),
            ("group and region", false, &[on(&[BETA, EU])], true, Reason::Rule(0)),
            ("group, but not region", false, &[on(&[BETA, US])], false, Reason::Default),
            ("group, but not device", false, &[on(&[OTHER_DEVICE, BETA])], false, Reason::Default),
            ("first of two", true, &[off(&[BETA]), on(&[DEVICE])], false, Reason::Rule(0)),
            ("first that matches", false, &[off(&[US]), on(&[EU])], true, Reason::Rule(1)),
            ("a rule against the default", true, &[off(&[EU])], false, Reason::Rule(0)),
            (
                "within the group, not within the share",
                false,
                &[NewRule { share: without, ..on(&[BETA]) }],
                false,
                Reason::Default,
            ),
            (
                "within the group and just within the share",
                false,
                &[NewRule { share: with, ..on(&[BETA]) }],
                true,
                Reason::Rule(0),
            ),
            (
                "within the share, not within the group",
                false,
                &[NewRule { share: with, ..on(&[STAFF]) }],
                false,
                Reason::Default,
            ),
            (
                "a share of 0",
                false,
                &[NewRule { share: Share::NONE, ..on(&[]) }],
                false,
                Reason::Default,
            ),
            ("a share of 100", false, &[on(&[])], true, Reason::Rule(0)),
        ];
        for (what, default, rules, is_on, reason) in cases {
            let decision = Decision { is_on: *is_on, reason: *reason };
            let alive = flag(*default, false, rules);
            assert_eq!(decide(&HEAD(), &alive, &FACTS), Some(decision), "{what}");
            let killed = Decision { is_on: false, reason: Reason::FlagKilled };
            let flag = flag(*default, true, rules);
            assert_eq!(decide(&HEAD(), &flag, &FACTS), Some(killed), "{what}, but killed");
            let killed = Decision { is_on: false, reason: Reason::DocumentKilled };
            let head = Head { is_killed: true, ..HEAD() };
            assert_eq!(decide(&head, &alive, &FACTS), Some(killed), "{what}, but all killed");
        }
    }

    #[test]
    fn a_device_that_knows_nothing_of_itself_is_named_by_no_rule() {
        let nobody = DeviceFacts::default();
        for subject in [DEVICE, BETA, EU] {
            let decision = decide(&HEAD(), &flag(false, false, &[on(&[subject])]), &nobody);
            assert_eq!(decision, Some(Decision { is_on: false, reason: Reason::Default }));
        }
    }

    #[test]
    fn what_is_not_listed_is_the_firmwares_own_to_decide_unless_all_is_killed() {
        let bytes = document(&HEAD(), &[flag(true, false, &[])]);
        let flags =
            VerifiedFlags::check(&bytes, "thermostat", 0, &FirstByte(1)).expect("authentic");
        for unknown in
            ["", "mod", "mode2", "no label at all, and longer than any label could ever be"]
        {
            assert_eq!(flags.is_on(unknown, &FACTS), None, "{unknown}");
        }
        let bytes = document(&Head { is_killed: true, ..HEAD() }, &[]);
        let flags =
            VerifiedFlags::check(&bytes, "thermostat", 0, &FirstByte(1)).expect("authentic");
        assert_eq!(flags.is_on("unknown", &FACTS), Some(false));
    }

    /// Rules of one flag share a draw, so that a wider rule further down includes whoever a narrower one has let in.
    #[test]
    fn who_is_in_at_a_share_stays_in_as_it_grows() {
        for n in 0..2000u32 {
            let id = std::format!("TH-{n}").into_bytes();
            let device = DeviceFacts { id: &id, ..FACTS };
            let is_on = [0, 1_000, 100_000, 200_000, 999_999, 1_000_000].map(|ppm| {
                let share = Share::from_ppm(ppm).expect("in range");
                let rules = [NewRule { share, ..on(&[]) }];
                decide(&HEAD(), &flag(false, false, &rules), &device).expect("listed").is_on
            });
            assert!(!is_on[0] && is_on[5] && is_on.is_sorted(), "{n}: {is_on:?}");
        }
    }

    #[test]
    fn each_refusal_has_its_error() {
        let bytes = document(&HEAD(), &[flag(true, false, &[])]);
        let check = |bytes: &[u8], product: &str, stored: u32, good: u8| {
            VerifiedFlags::check(bytes, product, stored, &FirstByte(good))
                .map(|flags| flags.version())
        };
        assert_eq!(check(&bytes, "thermostat", 5, 1), Ok(5));
        assert_eq!(check(&bytes, "thermostat", 5, 2), Err(DocumentError::BadSignature));
        assert_eq!(check(&bytes, "boiler", 5, 1), Err(DocumentError::WrongProduct));
        let error = DocumentError::VersionTooLow;
        assert_eq!(check(&bytes, "thermostat", 6, 1), Err(error));
        let longer = [&bytes[..], &[0]].concat();
        let error = DocumentError::Envelope(FormatError::TrailingBytes);
        assert_eq!(check(&longer, "thermostat", 5, 1), Err(error));
        let long = vec![0; 1025];
        let error = DocumentError::TooLong;
        assert_eq!(check(&long, "thermostat", 5, 1), Err(error));
        for cut in 0..bytes.len() {
            let error = check(&bytes[..cut], "thermostat", 5, 1).expect_err("cut");
            assert!(matches!(error, DocumentError::Envelope(FormatError::Truncated)));
        }
        for magic in [whittle_format::manifest::MAGIC, whittle_format::stage::MAGIC] {
            let error = FormatError::WrongMagic;
            let other = sealed(&[&magic[..], &[0; 100]].concat());
            assert_eq!(check(&other, "thermostat", 5, 1), Err(DocumentError::Document(error)));
        }
    }
}
