//! The signed document that says whom devices of a product trust from now on.
//!
//! The payload of a [joint envelope](crate::joint), [`MAX_LEN`] bytes at most:
//!
//! ```text
//!  0  4  magic "WHK" 01 (the last byte is the format version)
//!  4  4  version of the document: never falls on a device
//!  8  1  how many keys must sign the next document of keys, 1 or more
//!  9  1  how many keys must approve a target, 1 or more; 1: the signature of its package is enough
//! 10  1  length p of the product     11  1  number k of keys, 1 to 8     12  1  number r of revoked ids, at most 16
//! 13  p  product
//!        k × key, in ascending order:  0 32 Ed25519 public key   32 1 roles: bit 0 documents of keys, bit 1 packages,
//!                                      bit 2 flags, bit 3 stages, bit 4 images that are installed already; one or more
//!        r × key id that is never trusted again, in ascending order:  0 8 first 8 bytes of the SHA-256 of the key
//! ```
//!
//! A device keeps what leads from the keys that its firmware has to the newest document: a **keys file**, envelopes one behind
//! the other, each signed by keys of the one before it.

use crate::envelope::KeyId;
use crate::label::Label;
use crate::limits::{MAX_KEYS, MAX_REVOKED};
use crate::manifest::label_len;
use crate::wire::{Field, Reader, Writer};
use crate::{FormatError, Part, limits};

mod field {
    use super::{Field, PublicKey};

    pub(super) const MAGIC: Field<[u8; 4]> = Field::first();
    pub(super) const VERSION: Field<u32> = MAGIC.then();
    pub(super) const KEY_THRESHOLD: Field<u8> = VERSION.then();
    pub(super) const PACKAGE_THRESHOLD: Field<u8> = KEY_THRESHOLD.then();
    pub(super) const PRODUCT_LEN: Field<u8> = PACKAGE_THRESHOLD.then();
    pub(super) const KEYS: Field<u8> = PRODUCT_LEN.then();
    pub(super) const REVOKED: Field<u8> = KEYS.then();
    pub(super) const FIXED_LEN: usize = REVOKED.end();

    pub(super) const PUBLIC_KEY: Field<PublicKey> = Field::first();
    pub(super) const ROLES: Field<u8> = PUBLIC_KEY.then();
    pub(super) const KEY_LEN: usize = ROLES.end();
}

/// A raw Ed25519 public key.
pub type PublicKey = [u8; 32];

/// Bytes that a key takes in the payload.
pub const KEY_LEN: usize = field::KEY_LEN;

const KEY_ID_LEN: usize = size_of::<KeyId>();

/// First bytes of the payload: three letters and the format version.
pub const MAGIC: [u8; 4] = *b"WHK\x01";

/// Longest payload.
pub const MAX_LEN: usize = field::FIXED_LEN
    + limits::MAX_LABEL_BYTES
    + MAX_KEYS * field::KEY_LEN
    + MAX_REVOKED * KEY_ID_LEN;

/// What signatures of a key count for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Roles(u8);

impl Roles {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The next documents of keys.
    pub const KEYS: Self = Self(1);
    /// Packages, approvals and indexes of releases.
    pub const PACKAGES: Self = Self(1 << 1);
    /// Flags documents.
    pub const FLAGS: Self = Self(1 << 2);
    /// Stages of rollouts.
    pub const STAGES: Self = Self(1 << 3);
    /// Images that are installed already: they go on booting, and nothing new is taken in.
    pub const INSTALLED: Self = Self(1 << 4);
    /// Everything.
    pub const ALL: Self = Self((1 << 5) - 1);

    /// Those that either of them has.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of these is among them.
    #[must_use]
    pub const fn has_any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    fn parse(bits: u8) -> Result<Self, FormatError> {
        let field = Part::KeyRoles;
        match bits {
            0 => Err(FormatError::OutOfRange { field }),
            bits if bits & !Self::ALL.0 != 0 => Err(FormatError::UnknownCode { field }),
            bits => Ok(Self(bits)),
        }
    }
}

/// A key that is trusted, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub public_key: PublicKey,
    /// What its signatures count for.
    pub roles: Roles,
}

impl TrustedKey {
    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let roles = Roles::parse(field::ROLES.get(bytes)?)?;
        Ok(Self { public_key: field::PUBLIC_KEY.get(bytes)?, roles })
    }
}

/// What holds for the whole document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which product the keys are for.
    pub product: Label,
    /// Never falls on a device.
    pub version: u32,
    /// How many keys must sign the next document.
    pub key_threshold: u8,
    /// How many keys must approve a target.
    pub package_threshold: u8,
}

/// A parsed document, borrowing the payload that it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// What holds for the whole document.
    pub head: Head,
    keys: &'a [u8],
    revoked: &'a [u8],
}

impl<'a> Keys<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// Any [`FormatError`]: every key is checked, and there are enough of them for both thresholds.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        field::MAGIC.expect(bytes, MAGIC)?;
        let counts = [
            (Part::Keys, field::KEYS.get(bytes)?, MAX_KEYS, field::KEY_LEN),
            (Part::RevokedKeys, field::REVOKED.get(bytes)?, MAX_REVOKED, KEY_ID_LEN),
        ];
        let mut rest = Reader::new(bytes, field::FIXED_LEN);
        let product = Label::parse(rest.take(field::PRODUCT_LEN.get(bytes)?.into())?)?;
        let mut lists: [&[u8]; 2] = [&[]; 2];
        for (list, (field, count, limit, len)) in lists.iter_mut().zip(counts) {
            let count = usize::from(count);
            if count > limit {
                return Err(FormatError::OutOfRange { field });
            }
            *list = rest.take(count.saturating_mul(len))?;
        }
        rest.finish()?;
        let [keys, revoked] = lists;
        for key in keys.chunks(field::KEY_LEN) {
            TrustedKey::parse(key)?;
        }
        let head = Head {
            product,
            version: field::VERSION.get(bytes)?,
            key_threshold: field::KEY_THRESHOLD.get(bytes)?,
            package_threshold: field::PACKAGE_THRESHOLD.get(bytes)?,
        };
        let document = Self { head, keys, revoked };
        check(&head, &document.keys(), document.revoked())?;
        Ok(document)
    }

    /// The keys, in ascending order.
    pub fn keys(&self) -> impl Iterator<Item = TrustedKey> + Clone + use<'a> {
        self.keys.chunks(field::KEY_LEN).filter_map(|key| TrustedKey::parse(key).ok())
    }

    /// Ids of keys that are never trusted again, in ascending order.
    pub fn revoked(&self) -> impl Iterator<Item = KeyId> + Clone + use<'a> {
        self.revoked.chunks(KEY_ID_LEN).filter_map(|id| id.first_chunk().copied())
    }
}

/// Emits a payload into `out` and returns its length, [`MAX_LEN`] at most.
///
/// # Errors
/// [`FormatError::OutOfRange`] for too many keys, for one without a role, or for a threshold that cannot be reached;
/// [`FormatError::Contradiction`] for keys or ids that are not in ascending order; [`FormatError::BufferTooSmall`].
pub fn emit(
    head: &Head,
    keys: &[TrustedKey],
    revoked: &[KeyId],
    out: &mut [u8],
) -> Result<usize, FormatError> {
    let count = |field, len: usize, limit: usize| match u8::try_from(len) {
        Ok(count) if len <= limit => Ok(count),
        _ => Err(FormatError::OutOfRange { field }),
    };
    let key_count = count(Part::Keys, keys.len(), MAX_KEYS)?;
    let revoked_count = count(Part::RevokedKeys, revoked.len(), MAX_REVOKED)?;
    check(head, &keys.iter().copied(), revoked.iter().copied())?;
    let product = head.product.as_bytes();
    let mut writer = Writer::new(out);
    let fixed = writer.claim(field::FIXED_LEN)?;
    field::MAGIC.set(fixed, MAGIC)?;
    field::VERSION.set(fixed, head.version)?;
    field::KEY_THRESHOLD.set(fixed, head.key_threshold)?;
    field::PACKAGE_THRESHOLD.set(fixed, head.package_threshold)?;
    field::PRODUCT_LEN.set(fixed, label_len(product)?)?;
    field::KEYS.set(fixed, key_count)?;
    field::REVOKED.set(fixed, revoked_count)?;
    writer.put(product)?;
    for key in keys {
        let entry = writer.claim(field::KEY_LEN)?;
        field::PUBLIC_KEY.set(entry, key.public_key)?;
        field::ROLES.set(entry, Roles::parse(key.roles.0)?.0)?;
    }
    revoked.iter().try_for_each(|id| writer.put(id))?;
    Ok(writer.len())
}

fn check(
    head: &Head,
    keys: &(impl Iterator<Item = TrustedKey> + Clone),
    revoked: impl Iterator<Item = KeyId>,
) -> Result<(), FormatError> {
    if !keys.clone().is_sorted_by(|a, b| a.public_key < b.public_key) {
        return Err(FormatError::Contradiction { field: Part::Keys });
    }
    if !revoked.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::Contradiction { field: Part::RevokedKeys });
    }
    let thresholds = [(head.key_threshold, Roles::KEYS), (head.package_threshold, Roles::PACKAGES)];
    for (threshold, role) in thresholds {
        let holders = keys.clone().filter(|key| key.roles.has_any(role)).count();
        if threshold == 0 || usize::from(threshold) > holders {
            return Err(FormatError::OutOfRange { field: Part::Threshold });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    type Document = (Head, Vec<TrustedKey>, Vec<KeyId>);

    prop_compose! {
        fn document()(
            product in "[A-Za-z0-9_+][A-Za-z0-9._+-]{0,31}",
            version in any::<u32>(),
            thresholds in any::<[u8; 2]>(),
            keys in proptest::collection::btree_map(any::<PublicKey>(), 1..=Roles::ALL.0, 0..MAX_KEYS),
            last in any::<PublicKey>(),
            revoked in proptest::collection::btree_set(any::<KeyId>(), 0..=MAX_REVOKED),
        ) -> Document {
            let mut keys = keys;
            keys.insert(last, Roles::ALL.0);
            let keys: Vec<_> = keys
                .into_iter()
                .map(|(public_key, roles)| TrustedKey { public_key, roles: Roles(roles) })
                .collect();
            let [key_threshold, package_threshold] = [(thresholds[0], Roles::KEYS), (thresholds[1], Roles::PACKAGES)]
                .map(|(draw, role)| {
                    let holders = keys.iter().filter(|key| key.roles.has_any(role)).count();
                    1 + draw % u8::try_from(holders).expect("8 at most")
                });
            let product = product.parse().expect("label characters");
            let head = Head { product, version, key_threshold, package_threshold };
            (head, keys, revoked.into_iter().collect())
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit((head, keys, revoked) in document()) {
            let mut out = [0; MAX_LEN];
            let len = emit(&head, &keys, &revoked, &mut out).expect("room");
            let parsed = Keys::parse(&out[..len]).expect("own bytes");
            prop_assert_eq!(parsed.head, head);
            prop_assert_eq!(parsed.keys().collect::<Vec<_>>(), keys);
            prop_assert_eq!(parsed.revoked().collect::<Vec<_>>(), revoked);
            for cut in 0..len {
                prop_assert!(Keys::parse(&out[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn what_parses_emits_the_same_bytes((head, keys, revoked) in document(), at in 0..MAX_LEN, bit in 0..8u32) {
            let mut out = [0; MAX_LEN];
            let len = emit(&head, &keys, &revoked, &mut out).expect("room");
            out[at % len] ^= 1u8 << bit;
            if let Ok(flipped) = Keys::parse(&out[..len]) {
                let (keys, revoked): (Vec<_>, Vec<_>) = (flipped.keys().collect(), flipped.revoked().collect());
                let mut again = [0; MAX_LEN];
                let again_len = emit(&flipped.head, &keys, &revoked, &mut again).expect("parsed");
                prop_assert_eq!(&out[..len], &again[..again_len]);
            }
        }
    }

    #[test]
    fn a_threshold_that_cannot_be_reached_is_refused() {
        let key = |n: u8, roles| TrustedKey { public_key: [n; 32], roles };
        let keys = [key(1, Roles::KEYS), key(2, Roles::PACKAGES), key(3, Roles::ALL)];
        let mut out = [0; MAX_LEN];
        for (key_threshold, package_threshold, is_good) in
            [(1, 1, true), (2, 2, true), (0, 1, false), (1, 0, false), (3, 1, false), (1, 3, false)]
        {
            let product = "p".parse().expect("a label");
            let head = Head { product, version: 1, key_threshold, package_threshold };
            let outcome = emit(&head, &keys, &[], &mut out);
            assert_eq!(outcome.is_ok(), is_good, "{key_threshold} {package_threshold}");
        }
    }
}
