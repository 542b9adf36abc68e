//! The signed list of the releases that make up a device: its boot loader, its application, its radio.
//!
//! The payload of a bundle envelope. Each component is a release of its own, with its own product and index; the bundle says in which
//! order they are installed, and what must be there before one of them is.
//!
//! ```text
//!  0  4  magic "WHB" 01 (the last byte is the format version)
//!  4  1  length of the product        5  1  length of the version
//!  6  1  components c                 7  1  requirements r
//!  8  …  product, version of the whole
//!        c × component, in the order in which they are installed:
//!            0 4 size of the file of its index     4 32 SHA-256 of that file     36 32 SHA-256 of its target
//!           68 1 length of its product            69 32 product, filled with zeros
//!          101 1 length of its version           102 32 version, filled with zeros
//!        r × requirement:
//!            0 1 number of the component           1 1 number of the one that it requires
//!            2 2 major   4 2 minor   6 4 patch: lowest version of that one
//! ```
//!
//! A component may be installed once every component that it requires has its lowest version or a higher one. The versions that the
//! bundle itself brings satisfy all requirements, so whoever keeps to the order ends with a device that does.

use core::fmt;

use crate::index::{Record, Records, check_count, put_records};
use crate::label::Label;
use crate::limits;
use crate::manifest::label_len;
use crate::wire::{Field, Reader, Writer};
use crate::{Digest, FormatError, Part};

mod field {
    use super::{Digest, Field, limits::MAX_LABEL_BYTES};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const PRODUCT_LEN: Field<u8> = MAGIC.then();
    pub(super) const VERSION_LEN: Field<u8> = PRODUCT_LEN.then();
    pub(super) const COMPONENTS: Field<u8> = VERSION_LEN.then();
    pub(super) const REQUIREMENTS: Field<u8> = COMPONENTS.then();
    pub(super) const FIXED_LEN: usize = REQUIREMENTS.end();

    pub(super) const INDEX_SIZE: Field<u32> = Field::first();
    pub(super) const INDEX_DIGEST: Field<Digest> = INDEX_SIZE.then();
    pub(super) const TARGET_DIGEST: Field<Digest> = INDEX_DIGEST.then();
    pub(super) const COMPONENT_PRODUCT_LEN: Field<u8> = TARGET_DIGEST.then();
    pub(super) const COMPONENT_PRODUCT: Field<[u8; MAX_LABEL_BYTES]> = COMPONENT_PRODUCT_LEN.then();
    pub(super) const COMPONENT_VERSION_LEN: Field<u8> = COMPONENT_PRODUCT.then();
    pub(super) const COMPONENT_VERSION: Field<[u8; MAX_LABEL_BYTES]> = COMPONENT_VERSION_LEN.then();

    pub(super) const COMPONENT: Field<u8> = Field::first();
    pub(super) const REQUIRED: Field<u8> = COMPONENT.then();
    pub(super) const MAJOR: Field<u16> = REQUIRED.then();
    pub(super) const MINOR: Field<u16> = MAJOR.then();
    pub(super) const PATCH: Field<u32> = MINOR.then();
}

/// First bytes of a bundle payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHB\x01";

/// A version that can be compared: three numbers, and whether something was released under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes with what is incompatible.
    pub major: u16,
    /// Changes with what is new.
    pub minor: u16,
    /// Changes with what is mended.
    pub patch: u32,
    /// False for what comes before the release: `2.0.0-rc1` is below `2.0.0`.
    pub is_final: bool,
}

impl Version {
    /// The version that a label stands for: `1.2.3`, then nothing, or `+` and a build, or `-` and a name of what comes before it.
    ///
    /// Versions before a release all count the same.
    #[must_use]
    pub fn of(label: &Label) -> Option<Self> {
        let label = label.as_bytes();
        let end = label.iter().position(|byte| matches!(byte, b'+' | b'-'));
        let is_final = end.and_then(|end| label.get(end)) != Some(&b'-');
        let mut numbers = label.get(..end.unwrap_or(label.len()))?.split(|byte| *byte == b'.');
        let (major, minor) = (number(numbers.next()?)?, number(numbers.next()?)?);
        let patch = number(numbers.next()?)?;
        let (major, minor) = (u16::try_from(major).ok()?, u16::try_from(minor).ok()?);
        numbers.next().is_none().then_some(Self { major, minor, patch, is_final })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch, is_final } = self;
        write!(f, "{major}.{minor}.{patch}{}", if *is_final { "" } else { "-" })
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    let add = |number: u32, digit: &u8| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// A release that is part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Product of the release, which tells the component from all others.
    pub product: Label,
    /// Version of its target.
    pub version: Label,
    /// SHA-256 of its target.
    pub target_digest: Digest,
    /// Size of the file of its index in bytes.
    pub index_size: u32,
    /// SHA-256 of that file.
    pub index_digest: Digest,
}

/// What must be there before a component is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Number of the component in the bundle.
    pub component: u8,
    /// Number of the component that it requires.
    pub required: u8,
    /// Lowest version of that one; a released one.
    pub at_least: Version,
}

impl Record for Component {
    const LEN: usize = field::COMPONENT_VERSION.end();
    const MAX_COUNT: usize = limits::MAX_COMPONENTS;
    const FIELD: Part = Part::Components;

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let (product, version) = (field::COMPONENT_PRODUCT, field::COMPONENT_VERSION);
        Ok(Self {
            product: filled(product.get(bytes)?, field::COMPONENT_PRODUCT_LEN.get(bytes)?)?,
            version: filled(version.get(bytes)?, field::COMPONENT_VERSION_LEN.get(bytes)?)?,
            target_digest: field::TARGET_DIGEST.get(bytes)?,
            index_size: field::INDEX_SIZE.get(bytes)?,
            index_digest: field::INDEX_DIGEST.get(bytes)?,
        })
    }

    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError> {
        field::INDEX_SIZE.set(out, self.index_size)?;
        field::INDEX_DIGEST.set(out, self.index_digest)?;
        field::TARGET_DIGEST.set(out, self.target_digest)?;
        field::COMPONENT_PRODUCT_LEN.set(out, label_len(self.product.as_bytes())?)?;
        field::COMPONENT_PRODUCT.set(out, self.product.filled())?;
        field::COMPONENT_VERSION_LEN.set(out, label_len(self.version.as_bytes())?)?;
        field::COMPONENT_VERSION.set(out, self.version.filled())
    }
}

/// The label in a field that zeros fill up.
fn filled(bytes: [u8; limits::MAX_LABEL_BYTES], len: u8) -> Result<Label, FormatError> {
    let (name, rest) = bytes.split_at_checked(len.into()).ok_or(FormatError::BadLabel)?;
    let label = Label::parse(name)?;
    if rest.iter().all(|byte| *byte == 0) { Ok(label) } else { Err(FormatError::BadLabel) }
}

impl Record for Requirement {
    const LEN: usize = field::PATCH.end();
    const MAX_COUNT: usize = limits::MAX_REQUIREMENTS;
    const FIELD: Part = Part::Requirements;

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let at_least = Version {
            major: field::MAJOR.get(bytes)?,
            minor: field::MINOR.get(bytes)?,
            patch: field::PATCH.get(bytes)?,
            is_final: true,
        };
        let (component, required) = (field::COMPONENT.get(bytes)?, field::REQUIRED.get(bytes)?);
        Ok(Self { component, required, at_least })
    }

    fn emit(&self, out: &mut [u8]) -> Result<(), FormatError> {
        if !self.at_least.is_final {
            return Err(FormatError::OutOfRange { field: Part::RequiredVersion });
        }
        field::COMPONENT.set(out, self.component)?;
        field::REQUIRED.set(out, self.required)?;
        field::MAJOR.set(out, self.at_least.major)?;
        field::MINOR.set(out, self.at_least.minor)?;
        field::PATCH.set(out, self.at_least.patch)
    }
}

/// A parsed bundle, borrowing the payload it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// Which product the whole is.
    pub product: Label,
    /// Version of the whole.
    pub version: Label,
    /// The components in the order in which they are installed.
    pub components: Records<'a, Component>,
    /// What must be there before one of them is installed.
    pub requirements: Records<'a, Requirement>,
}

impl<'a> Bundle<'a> {
    /// Parses a payload whose signature has been checked.
    ///
    /// # Errors
    /// Any [`FormatError`]; no two components have the same product, and the bundle satisfies its own requirements.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        let mut rest = Reader::new(bytes, field::FIXED_LEN);
        let product = Label::parse(rest.take(field::PRODUCT_LEN.get(bytes)?.into())?)?;
        let version = Label::parse(rest.take(field::VERSION_LEN.get(bytes)?.into())?)?;
        let components = Records::parse(&mut rest, field::COMPONENTS.get(bytes)?)?;
        let requirements = Records::parse(&mut rest, field::REQUIREMENTS.get(bytes)?)?;
        rest.finish()?;
        check(|| components.iter(), requirements.iter())?;
        Ok(Self { product, version, components, requirements })
    }
}

/// Emits a bundle payload into `out` and returns its length.
///
/// # Errors
/// [`FormatError::OutOfRange`] for no component or more than the limits allow, [`FormatError::Contradiction`] for two components of one product
/// or a requirement that the bundle does not satisfy, or [`FormatError::BufferTooSmall`].
pub fn emit(
    product: &Label,
    version: &Label,
    components: &[Component],
    requirements: &[Requirement],
    out: &mut [u8],
) -> Result<usize, FormatError> {
    check(|| components.iter().copied(), requirements.iter().copied())?;
    let mut writer = Writer::new(out);
    let fixed = writer.claim(field::FIXED_LEN)?;
    field::MAGIC.set(fixed, MAGIC)?;
    field::PRODUCT_LEN.set(fixed, label_len(product.as_bytes())?)?;
    field::VERSION_LEN.set(fixed, label_len(version.as_bytes())?)?;
    field::COMPONENTS.set(fixed, check_count::<Component>(components.len())?)?;
    field::REQUIREMENTS.set(fixed, check_count::<Requirement>(requirements.len())?)?;
    writer.put(product.as_bytes())?;
    writer.put(version.as_bytes())?;
    put_records(&mut writer, components)?;
    put_records(&mut writer, requirements)?;
    Ok(writer.len())
}

fn check<C: Iterator<Item = Component>>(
    components: impl Fn() -> C,
    mut requirements: impl Iterator<Item = Requirement>,
) -> Result<(), FormatError> {
    if components().next().is_none() {
        return Err(FormatError::OutOfRange { field: Part::Components });
    }
    let is_again = |(number, component): (usize, Component)| {
        components().take(number).any(|other| other.product == component.product)
    };
    if components().enumerate().any(is_again) {
        return Err(FormatError::Contradiction { field: Part::ComponentProduct });
    }
    let is_satisfied = |requirement: Requirement| {
        let Requirement { component, required, at_least } = requirement;
        let version = components().nth(required.into()).and_then(|c| Version::of(&c.version));
        let is_there = components().nth(component.into()).is_some();
        is_there && component != required && version.is_some_and(|version| version >= at_least)
    };
    if requirements.all(is_satisfied) {
        Ok(())
    } else {
        Err(FormatError::Contradiction { field: Part::Requirements })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn label(name: &str) -> Label {
        name.parse().unwrap()
    }

    fn version(text: &str) -> Version {
        Version::of(&label(text)).unwrap()
    }

    fn component(product: &str, version: &str, fill: u8) -> Component {
        Component {
            product: label(product),
            version: label(version),
            target_digest: [fill; 32],
            index_size: 0x1234,
            index_digest: [fill + 1; 32],
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let ordered = ["0.0.1", "0.9.0", "0.10.0", "1.0.0-rc2", "1.0.0", "1.0.1", "65535.0.0"];
        assert!(ordered.map(version).is_sorted_by(|a, b| a < b));
        assert_eq!(version("1.4.2+7"), version("1.4.2"));
        assert_eq!(version("1.4.2-rc1+7"), version("1.4.2-rc2"));
        for other in
            ["1", "1.2", "1.2.3.4", "1.2.x", "v1.2.3", "1..3", "65536.0.0", "1.2.4294967296"]
        {
            assert_eq!(Version::of(&label(other)), None, "{other}");
        }
    }

    #[test]
    fn the_bytes_do_not_change() {
        let components = [component("boot", "1.3.0", 0x11), component("app", "2.0.0", 0x22)];
        let requirements = [Requirement { component: 1, required: 0, at_least: version("1.2.3") }];
        let mut out = [0; 512];
        let len = emit(&label("hub"), &label("7"), &components, &requirements, &mut out).unwrap();
        let part = |product: &[u8], version: &[u8], fill: u8| {
            let mut bytes = [&[0x34, 0x12, 0, 0], &[fill + 1; 32][..], &[fill; 32]].concat();
            for name in [product, version] {
                bytes.push(u8::try_from(name.len()).unwrap());
                bytes.extend_from_slice(name);
                bytes.resize(bytes.len() + 32 - name.len(), 0);
            }
            bytes
        };
        let wanted = [
            &b"WHB\x01\x03\x01\x02\x01hub7"[..],
            &part(b"boot", b"1.3.0", 0x11),
            &part(b"app", b"2.0.0", 0x22),
            &[1, 0, 1, 0, 2, 0, 3, 0, 0, 0],
        ];
        assert_eq!(&out[..len], wanted.concat());
    }

    #[test]
    fn contradictions_are_refused() {
        let boot = component("boot", "1.3.0", 1);
        let app = component("app", "nightly", 2);
        let emit = |components: &[Component], requirements: &[(u8, u8, &str)]| {
            let requirements: Vec<_> = requirements
                .iter()
                .map(|(component, required, at_least)| Requirement {
                    component: *component,
                    required: *required,
                    at_least: version(at_least),
                })
                .collect();
            let mut out = [0; 4096];
            emit(&label("hub"), &label("7"), components, &requirements, &mut out)
        };
        assert!(emit(&[boot, app], &[(1, 0, "1.3.0")]).is_ok());
        let unsatisfied = Err(FormatError::Contradiction { field: Part::Requirements });
        for requirement in [(1, 0, "1.3.1"), (1, 1, "0.0.0"), (2, 0, "1.0.0"), (0, 2, "1.0.0")] {
            assert_eq!(emit(&[boot, app], &[requirement]), unsatisfied, "{requirement:?}");
        }
        // What has no numbers cannot be required.
        assert_eq!(emit(&[boot, app], &[(0, 1, "0.0.0")]), unsatisfied);
        let twice = Err(FormatError::Contradiction { field: Part::ComponentProduct });
        assert_eq!(emit(&[boot, boot], &[]), twice);
        let none = Err(FormatError::OutOfRange { field: Part::Components });
        assert_eq!(emit(&[], &[]), none);
        let version = Err(FormatError::OutOfRange { field: Part::RequiredVersion });
        assert_eq!(emit(&[boot, app], &[(1, 0, "1.3.0-rc1")]), version);
    }

    prop_compose! {
        fn parts()(
            names in proptest::collection::btree_set("[a-z]{1,32}", 1..8),
            numbers in vec((0..3u16, 0..3u16, 0..3u32), 8),
            requirements in vec((any::<u8>(), any::<u8>(), (0..2u16, 0..2u16, 0..2u32)), 0..6),
        ) -> (Vec<Component>, Vec<Requirement>) {
            let version = |(major, minor, patch)| Version { major, minor, patch, is_final: true };
            let components: Vec<_> = names
                .iter()
                .zip(numbers)
                .map(|(name, numbers)| component(name, &std::format!("{}", version(numbers)), 3))
                .collect();
            let count = u8::try_from(components.len()).unwrap();
            let requirements = requirements
                .into_iter()
                .map(|(a, b, numbers)| (a % count, b % count, version(numbers)))
                .filter(|(a, b, at_least)| {
                    let there = Version::of(&components[usize::from(*b)].version).unwrap();
                    a != b && there >= *at_least
                })
                .map(|(component, required, at_least)| Requirement { component, required, at_least })
                .collect();
            (components, requirements)
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit((components, requirements) in parts(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let (product, version) = (label("hub"), label("2026-11"));
            let mut out = [0; 4096];
            let len = emit(&product, &version, &components, &requirements, &mut out).unwrap();
            let bundle = Bundle::parse(&out[..len]).unwrap();
            prop_assert_eq!((bundle.product, bundle.version), (product, version));
            prop_assert_eq!(bundle.components.iter().collect::<Vec<_>>(), components);
            prop_assert_eq!(bundle.requirements.iter().collect::<Vec<_>>(), requirements);
            for cut in 0..len {
                prop_assert!(Bundle::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
            // Whatever parses is emitted as the same bytes.
            out[at.index(len)] ^= 1u8 << bit;
            if let Ok(flipped) = Bundle::parse(&out[..len]) {
                let parts = (flipped.components.iter().collect::<Vec<_>>(), flipped.requirements.iter().collect::<Vec<_>>());
                let mut again = [0; 4096];
                let again_len = emit(&flipped.product, &flipped.version, &parts.0, &parts.1, &mut again).unwrap();
                prop_assert_eq!(&out[..len], &again[..again_len]);
            }
        }
    }
}
