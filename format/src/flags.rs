//! The signed document that says which features of a product are on, and where.
//!
//! The payload of a flags envelope, [`MAX_LEN`] bytes at most, because a device keeps it in its journal:
//!
//! ```text
//!  0  4  magic "WHF" 01 (the last byte is the format version)
//!  4  4  version of the document: never falls on a device
//!  8 16  seed of the draws
//! 24  1  switches of the document: bit 0 kill
//! 25  1  length p of the product      26  1  number f of flags
//! 27  p  product
//!        f × flag, in ascending order of their names:
//!            0  1  switches: bit 0 default, bit 1 kill
//!            1  1  number r of rules
//!            2  1  length n of the name
//!            3  n  name
//!                  r × rule, the first that matches decides:
//!                      0  1  bits 0-6: number s of subjects, bit 7: the value
//!                      1  4  share in parts per million
//!                            s × subject:
//!                                0  1  bits 0-5: length of its name less one, bits 6-7: 0 device, 1 group, 2 region
//!                                1  …  name
//! ```
//!
//! What the parts mean when they come together is decided where devices ask: in the device crate.

use crate::envelope::OVERHEAD;
use crate::label::Label;
use crate::limits;
use crate::manifest::{at_most, label_len};
use crate::share::{Seed, Share};
use crate::wire::{Field, Reader, Writer};
use crate::{FormatError, Part};

mod field {
    use super::{Field, Seed};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const VERSION: Field<u32> = MAGIC.then();
    pub(super) const SEED: Field<Seed> = VERSION.then();
    pub(super) const SWITCHES: Field<u8> = SEED.then();
    pub(super) const PRODUCT_LEN: Field<u8> = SWITCHES.then();
    pub(super) const FLAGS: Field<u8> = PRODUCT_LEN.then();
    pub(super) const FIXED_LEN: usize = FLAGS.end();

    pub(super) const FLAG_SWITCHES: Field<u8> = Field::first();
    pub(super) const FLAG_RULES: Field<u8> = FLAG_SWITCHES.then();
    pub(super) const FLAG_NAME_LEN: Field<u8> = FLAG_RULES.then();
    pub(super) const FLAG_LEN: usize = FLAG_NAME_LEN.end();

    pub(super) const RULE_HEAD: Field<u8> = Field::first();
    pub(super) const RULE_SHARE: Field<u32> = RULE_HEAD.then();
    pub(super) const RULE_LEN: usize = RULE_SHARE.end();

    pub(super) const SUBJECT_HEAD: Field<u8> = Field::first();
    pub(super) const SUBJECT_LEN: usize = SUBJECT_HEAD.end();
}

/// First bytes of a flags payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHF\x01";

/// Longest flags payload.
pub const MAX_LEN: usize = limits::MAX_FLAGS_ENVELOPE_BYTES - OVERHEAD;

const DOCUMENT_KILL: u8 = 1;
const FLAG_DEFAULT: u8 = 1;
const FLAG_KILL: u8 = 1 << 1;
const RULE_VALUE: u8 = 1 << 7;
const SUBJECT_KIND_SHIFT: u32 = 6;
const SUBJECT_LEN_MASK: u8 = (1 << SUBJECT_KIND_SHIFT) - 1;

/// Most subjects of one rule.
pub const MAX_SUBJECTS: u8 = RULE_VALUE - 1;

const _: () = assert!(limits::MAX_DEVICE_ID_BYTES <= SUBJECT_LEN_MASK as usize + 1);

/// What holds for the whole document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which product the flags are for.
    pub product: Label,
    /// Never falls on a device.
    pub version: u32,
    /// Salts the draws of every flag; another seed draws other devices.
    pub seed: Seed,
    /// Every flag is off, whatever else is said.
    pub is_killed: bool,
}

/// Whom a rule is about. The number is the code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SubjectKind {
    /// One device, by its id.
    Device = 0,
    /// The devices of a group.
    Group = 1,
    /// The devices of a region.
    Region = 2,
}

/// A device, group or region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Which of them.
    pub kind: SubjectKind,
    /// A device's id, 1 to 64 bytes; a group's or region's name, which is a [`Label`].
    pub name: &'a [u8],
}

impl<'a> Subject<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let head = field::SUBJECT_HEAD.get(reader.take(field::SUBJECT_LEN)?)?;
        let kind = match head >> SUBJECT_KIND_SHIFT {
            0 => SubjectKind::Device,
            1 => SubjectKind::Group,
            2 => SubjectKind::Region,
            _ => return Err(FormatError::UnknownCode { field: Part::Subject }),
        };
        let name = reader.take(usize::from(head & SUBJECT_LEN_MASK).saturating_add(1))?;
        Self { kind, name }.check()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        self.check()?;
        let len_less_one = label_len(self.name)?.saturating_sub(1);
        let head = ((self.kind as u8) << SUBJECT_KIND_SHIFT) | len_less_one;
        field::SUBJECT_HEAD.set(writer.claim(field::SUBJECT_LEN)?, head)?;
        writer.put(self.name)
    }

    fn check(self) -> Result<Self, FormatError> {
        match self.kind {
            SubjectKind::Device => check_device_id(self.name)?,
            SubjectKind::Group | SubjectKind::Region => _ = Label::parse(self.name)?,
        }
        Ok(self)
    }
}

/// Checks that bytes can name a device in a rule.
///
/// # Errors
/// [`FormatError::OutOfRange`] unless they are 1 to [`limits::MAX_DEVICE_ID_BYTES`].
pub fn check_device_id(id: &[u8]) -> Result<(), FormatError> {
    let (got, limit) = (id.len(), limits::MAX_DEVICE_ID_BYTES);
    let [got, limit] = [got, limit].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
    match got {
        0 => Err(FormatError::OutOfRange { field: Part::DeviceId }),
        _ => at_most(Part::DeviceId, got, limit),
    }
}

/// Gives a value to the devices that it matches.
#[derive(Clone, Debug)]
pub struct Rule<'a> {
    /// Whether the flag is on for them.
    pub value: bool,
    /// Only so many of them.
    pub share: Share,
    /// Only these.
    pub subjects: Parts<'a, Subject<'a>>,
}

impl<'a> Rule<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let fixed = reader.take(field::RULE_LEN)?;
        let head = field::RULE_HEAD.get(fixed)?;
        Ok(Self {
            value: head & RULE_VALUE != 0,
            share: Share::from_ppm(field::RULE_SHARE.get(fixed)?)?,
            subjects: Parts::parse(reader, head & !RULE_VALUE, Subject::parse)?,
        })
    }
}

/// A switch in the firmware that the document decides about.
#[derive(Clone, Debug)]
pub struct Flag<'a> {
    /// Its name.
    pub name: Label,
    /// Its value where no rule matches.
    pub default: bool,
    /// It is off, whatever its rules say.
    pub is_killed: bool,
    /// The first that matches decides.
    pub rules: Parts<'a, Rule<'a>>,
}

impl<'a> Flag<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        let fixed = reader.take(field::FLAG_LEN)?;
        let switches = field::FLAG_SWITCHES.get(fixed)?;
        check_switches(Part::FlagSwitches, switches, FLAG_DEFAULT | FLAG_KILL)?;
        Ok(Self {
            name: Label::parse(reader.take(field::FLAG_NAME_LEN.get(fixed)?.into())?)?,
            default: switches & FLAG_DEFAULT != 0,
            is_killed: switches & FLAG_KILL != 0,
            rules: Parts::parse(reader, field::FLAG_RULES.get(fixed)?, Rule::parse)?,
        })
    }
}

/// Parts that follow each other; each has been checked when the document was parsed.
#[derive(Clone, Debug)]
pub struct Parts<'a, T> {
    reader: Reader<'a>,
    left: u8,
    parse: ParsePart<'a, T>,
}

type ParsePart<'a, T> = fn(&mut Reader<'a>) -> Result<T, FormatError>;

impl<'a, T> Parts<'a, T> {
    /// Checks the next `count` parts and remembers where they begin.
    fn parse(
        reader: &mut Reader<'a>,
        count: u8,
        parse: ParsePart<'a, T>,
    ) -> Result<Self, FormatError> {
        let parts = Self { reader: reader.clone(), left: count, parse };
        for _ in 0..count {
            parse(reader)?;
        }
        Ok(parts)
    }
}

impl<T> Iterator for Parts<'_, T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        (self.parse)(&mut self.reader).ok()
    }
}

/// A parsed document, borrowing the payload that it was parsed from.
#[derive(Clone, Debug)]
pub struct Flags<'a> {
    /// What holds for the whole document.
    pub head: Head,
    flags: Parts<'a, Flag<'a>>,
}

impl<'a> Flags<'a> {
    /// Parses a payload whose signature has been checked.
    ///
    /// # Errors
    /// Any [`FormatError`]; every part is checked, and no name stands there twice.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        check_len(bytes.len())?;
        let switches = field::SWITCHES.get(bytes)?;
        check_switches(Part::DocumentSwitches, switches, DOCUMENT_KILL)?;
        let mut rest = Reader::new(bytes, field::FIXED_LEN);
        let head = Head {
            product: Label::parse(rest.take(field::PRODUCT_LEN.get(bytes)?.into())?)?,
            version: field::VERSION.get(bytes)?,
            seed: field::SEED.get(bytes)?,
            is_killed: switches & DOCUMENT_KILL != 0,
        };
        let flags = Parts::parse(&mut rest, field::FLAGS.get(bytes)?, Flag::parse)?;
        rest.finish()?;
        check_order(flags.clone().map(|flag| flag.name))?;
        Ok(Self { head, flags })
    }

    /// The flags in the order of their names.
    pub fn iter(&self) -> Parts<'a, Flag<'a>> {
        self.flags.clone()
    }
}

/// A rule to be emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRule<'a> {
    /// As in [`Rule`].
    pub value: bool,
    /// As in [`Rule`].
    pub share: Share,
    /// As in [`Rule`]; [`MAX_SUBJECTS`] at most.
    pub subjects: &'a [Subject<'a>],
}

impl NewRule<'_> {
    /// How many bytes it takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let subject_len =
            |subject: &Subject<'_>| field::SUBJECT_LEN.saturating_add(subject.name.len());
        self.subjects.iter().map(subject_len).fold(field::RULE_LEN, usize::saturating_add)
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        let count = count(Part::Subjects, self.subjects.len(), MAX_SUBJECTS)?;
        let fixed = writer.claim(field::RULE_LEN)?;
        field::RULE_HEAD.set(fixed, count | if self.value { RULE_VALUE } else { 0 })?;
        field::RULE_SHARE.set(fixed, self.share.ppm())?;
        self.subjects.iter().try_for_each(|subject| subject.emit(writer))
    }
}

/// A flag to be emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFlag<'a> {
    /// As in [`Flag`].
    pub name: Label,
    /// As in [`Flag`].
    pub default: bool,
    /// As in [`Flag`].
    pub is_killed: bool,
    /// As in [`Flag`]; 255 at most.
    pub rules: &'a [NewRule<'a>],
}

impl NewFlag<'_> {
    /// How many bytes it takes, with its rules.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let own = field::FLAG_LEN.saturating_add(self.name.as_bytes().len());
        self.rules.iter().map(NewRule::encoded_len).fold(own, usize::saturating_add)
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        let name = self.name.as_bytes();
        let default = if self.default { FLAG_DEFAULT } else { 0 };
        let kill = if self.is_killed { FLAG_KILL } else { 0 };
        let fixed = writer.claim(field::FLAG_LEN)?;
        field::FLAG_SWITCHES.set(fixed, default | kill)?;
        field::FLAG_RULES.set(fixed, count(Part::Rules, self.rules.len(), u8::MAX)?)?;
        field::FLAG_NAME_LEN.set(fixed, label_len(name)?)?;
        writer.put(name)?;
        self.rules.iter().try_for_each(|rule| rule.emit(writer))
    }
}

/// How many bytes a payload takes, whether or not that is too many.
#[must_use]
pub fn encoded_len(head: &Head, flags: &[NewFlag<'_>]) -> usize {
    let own = field::FIXED_LEN.saturating_add(head.product.as_bytes().len());
    flags.iter().map(NewFlag::encoded_len).fold(own, usize::saturating_add)
}

/// Emits a payload into `out` and returns its length, [`MAX_LEN`] at most.
///
/// # Errors
/// [`FormatError::OutOfRange`] for too many bytes or parts, [`FormatError::Contradiction`] for flags that are not in
/// ascending order of their names, or [`FormatError::BufferTooSmall`].
pub fn emit(head: &Head, flags: &[NewFlag<'_>], out: &mut [u8]) -> Result<usize, FormatError> {
    check_len(encoded_len(head, flags))?;
    check_order(flags.iter().map(|flag| flag.name))?;
    let product = head.product.as_bytes();
    let mut writer = Writer::new(out);
    let fixed = writer.claim(field::FIXED_LEN)?;
    field::MAGIC.set(fixed, MAGIC)?;
    field::VERSION.set(fixed, head.version)?;
    field::SEED.set(fixed, head.seed)?;
    field::SWITCHES.set(fixed, if head.is_killed { DOCUMENT_KILL } else { 0 })?;
    field::PRODUCT_LEN.set(fixed, label_len(product)?)?;
    field::FLAGS.set(fixed, count(Part::Flags, flags.len(), u8::MAX)?)?;
    writer.put(product)?;
    flags.iter().try_for_each(|flag| flag.emit(&mut writer))?;
    Ok(writer.len())
}

fn check_len(len: usize) -> Result<(), FormatError> {
    let [got, limit] = [len, MAX_LEN].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
    at_most(Part::FlagsDocument, got, limit)
}

fn check_switches(field: Part, got: u8, known: u8) -> Result<(), FormatError> {
    if got & !known == 0 { Ok(()) } else { Err(FormatError::UnknownCode { field }) }
}

/// Names that ascend are never there twice, and one document has one encoding.
fn check_order(names: impl Iterator<Item = Label>) -> Result<(), FormatError> {
    if names.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()) {
        Ok(())
    } else {
        Err(FormatError::Contradiction { field: Part::FlagOrder })
    }
}

fn count(field: Part, len: usize, limit: u8) -> Result<u8, FormatError> {
    let got = u32::try_from(len).unwrap_or(u32::MAX);
    at_most(field, got, limit.into())?;
    u8::try_from(len).map_err(|_| FormatError::OutOfRange { field })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// A rule and a flag that own their parts.
    type OwnedRule = (bool, u32, Vec<(u8, Vec<u8>)>);
    type OwnedFlag = (std::string::String, bool, bool, Vec<OwnedRule>);

    fn subject() -> impl Strategy<Value = (u8, Vec<u8>)> {
        let name = "[A-Z0-9][A-Z0-9-]{0,4}".prop_map(std::string::String::into_bytes);
        let id = proptest::collection::vec(any::<u8>(), 1..=limits::MAX_DEVICE_ID_BYTES / 4);
        prop_oneof![(Just(0), id), (1..3u8, name)]
    }

    fn flag() -> impl Strategy<Value = OwnedFlag> {
        let subjects = proptest::collection::vec(subject(), 0..4);
        let rule = (any::<bool>(), 0..=Share::WHOLE_PPM, subjects);
        let rules = proptest::collection::vec(rule, 0..3);
        ("[a-z][a-z0-9.-]{0,11}", any::<bool>(), any::<bool>(), rules)
    }

    prop_compose! {
        fn head()(version in any::<u32>(), seed in any::<Seed>(), is_killed in any::<bool>()) -> Head {
            Head { product: "thermostat".parse().expect("a label"), version, seed, is_killed }
        }
    }

    fn flags() -> impl Strategy<Value = Vec<OwnedFlag>> {
        proptest::collection::vec(flag(), 0..5).prop_map(|mut flags| {
            flags.sort();
            flags.dedup_by(|a, b| a.0 == b.0);
            flags
        })
    }

    /// Emits what is given in parts that own themselves.
    fn emitted(head: &Head, flags: &[OwnedFlag]) -> Vec<u8> {
        let mut new: Vec<NewFlag<'_>> = Vec::new();
        for (name, default, is_killed, rules) in flags {
            let mut new_rules: Vec<NewRule<'_>> = Vec::new();
            for (value, ppm, names) in rules {
                let subject = |(kind, name): &'_ (u8, Vec<u8>)| Subject {
                    kind: [SubjectKind::Device, SubjectKind::Group, SubjectKind::Region]
                        [usize::from(*kind)],
                    name: name.clone().leak(),
                };
                let subjects = names.iter().map(subject).collect::<Vec<_>>().leak();
                let share = Share::from_ppm(*ppm).expect("in range");
                new_rules.push(NewRule { value: *value, share, subjects });
            }
            new.push(NewFlag {
                name: name.parse().expect("a label"),
                default: *default,
                is_killed: *is_killed,
                rules: new_rules.leak(),
            });
        }
        let mut out = vec![0; MAX_LEN];
        let len = emit(head, &new, &mut out).expect("within limits");
        assert_eq!(len, encoded_len(head, &new));
        out.truncate(len);
        out
    }

    /// Copies a parsed document into parts that own themselves.
    fn owned(document: &Flags<'_>) -> Vec<OwnedFlag> {
        let subject = |subject: Subject<'_>| (subject.kind as u8, subject.name.to_vec());
        let rule =
            |rule: Rule<'_>| (rule.value, rule.share.ppm(), rule.subjects.map(subject).collect());
        document
            .iter()
            .map(|flag| {
                (
                    flag.name.as_str().into(),
                    flag.default,
                    flag.is_killed,
                    flag.rules.map(rule).collect(),
                )
            })
            .collect()
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(head in head(), flags in flags()) {
            let bytes = emitted(&head, &flags);
            let parsed = Flags::parse(&bytes).expect("own bytes");
            prop_assert_eq!(parsed.head, head);
            prop_assert_eq!(owned(&parsed), flags);
            for cut in 0..bytes.len() {
                prop_assert!(Flags::parse(&bytes[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn what_parses_emits_the_same_bytes(head in head(), flags in flags(), at in any::<usize>(), bit in 0..8u32) {
            let mut bytes = emitted(&head, &flags);
            let at = at % bytes.len();
            bytes[at] ^= 1u8 << bit;
            if let Ok(flipped) = Flags::parse(&bytes) {
                prop_assert_eq!(emitted(&flipped.head, &owned(&flipped)), bytes.clone());
            }
        }
    }

    fn document(flags: &[NewFlag<'_>]) -> Result<Vec<u8>, FormatError> {
        let head = Head {
            product: "p".parse().expect("a label"),
            version: 1,
            seed: [0; 16],
            is_killed: false,
        };
        let mut out = vec![0; MAX_LEN];
        let len = emit(&head, flags, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    fn plain(name: &str) -> NewFlag<'_> {
        NewFlag {
            name: name.parse().expect("a label"),
            default: false,
            is_killed: false,
            rules: &[],
        }
    }

    #[test]
    fn names_ascend() {
        let error = FormatError::Contradiction { field: Part::FlagOrder };
        for wrong in [["b", "a"], ["a", "a"]] {
            assert_eq!(document(&wrong.map(plain)), Err(error), "{wrong:?}");
        }
        let mut bytes = document(&["a", "b"].map(plain)).expect("in order");
        let last = bytes.len() - 1;
        bytes[last] = b'a';
        assert_eq!(Flags::parse(&bytes).map(|_| ()), Err(error));
    }

    #[test]
    fn unknown_switches_and_subjects_are_refused() {
        let everyone = [Subject { kind: SubjectKind::Region, name: b"EU" }];
        let rules = [NewRule { value: true, share: Share::ALL, subjects: &everyone }];
        let bytes = document(&[NewFlag { rules: &rules, ..plain("a") }]).expect("in order");
        for (at, bit) in [(24, 1), (28, 2), (37, 6)] {
            let mut wrong = bytes.clone();
            wrong[at] |= 1 << bit;
            let error = Flags::parse(&wrong).map(|_| ()).expect_err("an unknown bit");
            assert!(matches!(error, FormatError::UnknownCode { .. }), "{at}: {error}");
        }
    }

    #[test]
    fn limits_are_kept_at_both_ends() {
        for (len, is_allowed) in [(0, false), (1, true), (64, true), (65, false)] {
            assert_eq!(check_device_id(&vec![7; len]).is_ok(), is_allowed, "{len}");
        }
        let one = [Subject { kind: SubjectKind::Device, name: b"d" }; 128];
        for (count, is_allowed) in [(127, true), (128, false)] {
            let rules = [NewRule { value: true, share: Share::ALL, subjects: &one[..count] }];
            let flag = NewFlag { rules: &rules, ..plain("a") };
            assert_eq!(document(&[flag]).is_ok(), is_allowed, "{count}");
        }
        // A head of 28 bytes and flags of 4 + 5 r bytes: 938 is met exactly, and 939 is one too many.
        let rules = [NewRule { value: true, share: Share::NONE, subjects: &[] }; 181];
        let fits = NewFlag { rules: &rules, ..plain("a") };
        let bytes =
            document(&[NewFlag { name: "ab".parse().expect("a label"), ..fits }]).expect("fits");
        assert_eq!(bytes.len(), MAX_LEN);
        let error = document(&[NewFlag { name: "abc".parse().expect("a label"), ..fits }]);
        let field = Part::FlagsDocument;
        assert_eq!(error, Err(FormatError::OutOfRange { field }));
    }
}
