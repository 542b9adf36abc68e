//! Whom a device trusts, where that may change: documents of keys, and targets that several keys approve.
//!
//! ```text
//! keys of the firmware ─▶ document ─▶ document ─▶ the keys that count now
//!                    signed by as many of the keys in front of it as those ask for
//! ```
//!
//! * **Nothing but signatures is believed.** What leads from the firmware's keys to those that count is kept as it came, a
//!   *keys file*, and is verified anew each time the device starts: who can write to the journal gains no key.
//! * **Versions never fall**, and what is revoked stays revoked.
//! * **A document cannot brick.** One by which the image that runs would not boot any more is refused; a key with the role
//!   [`Roles::INSTALLED`] lets it boot while nothing new of that key is taken in.
//! * **A target that several keys must approve** has an approval, which covers every package that leads to it. It is asked for
//!   before a package is taken in and before it is installed; a boot asks for one signature, for which a slot has room.

use whittle_format::approval::{self, Approval};
use whittle_format::envelope::{SIGNATURE_LEN, payload_of_tbs};
use whittle_format::joint::{self, JointEnvelope};
use whittle_format::keys::{self, Keys};
pub use whittle_format::keys::{Roles, TrustedKey};
use whittle_format::limits::{
    MAX_APPROVAL_ENVELOPE_BYTES, MAX_KEYS, MAX_KEYS_FILE_BYTES, MAX_REVOKED,
};
use whittle_format::{FormatError, Manifest, flags, index, manifest, stage};

use crate::DocumentError;
use crate::verify::{KeyId, PublicKey, Purpose, Verifier, VerifyError, key_id};

/// Checks Ed25519 signatures by keys that it is given, in software or by the crypto that the chip has.
pub trait KeyChecker {
    /// Checks a signature over `message` by this key, as strictly as a [`Verifier`] must.
    ///
    /// # Errors
    /// [`VerifyError::BadSignature`].
    fn check(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError>;
}

/// Checks signatures with ed25519-dalek.
#[cfg(feature = "ed25519")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

#[cfg(feature = "ed25519")]
impl KeyChecker for Ed25519 {
    fn check(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        crate::verify::verify_ed25519(key, message, signature)
    }
}

/// The keys that firmware comes with, 8 at most; more are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactoryKeys<'a> {
    /// The keys, and what each is trusted for.
    pub keys: &'a [TrustedKey],
    /// How many of them must sign a document of keys.
    pub key_threshold: u8,
    /// How many of them must approve a target; 1: the signature of its package is enough.
    pub package_threshold: u8,
}

/// Keys that are trusted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySet {
    version: u32,
    key_threshold: u8,
    package_threshold: u8,
    /// Those without a role are none.
    keys: [TrustedKey; MAX_KEYS],
    revoked: [Option<KeyId>; MAX_REVOKED],
}

impl KeySet {
    /// Those that firmware comes with.
    #[must_use]
    pub fn new(factory: &FactoryKeys<'_>) -> Self {
        let FactoryKeys { keys, key_threshold, package_threshold } = *factory;
        let mut set = Self {
            version: 0,
            key_threshold,
            package_threshold,
            keys: [TrustedKey { public_key: [0; 32], roles: Roles::NONE }; MAX_KEYS],
            revoked: [None; MAX_REVOKED],
        };
        for (to, from) in set.keys.iter_mut().zip(keys) {
            *to = *from;
        }
        set
    }

    /// Version of the document that they come from; 0 for those of the firmware.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many keys must sign the next document.
    #[must_use]
    pub fn key_threshold(&self) -> u8 {
        self.key_threshold
    }

    /// How many keys must approve a target.
    #[must_use]
    pub fn package_threshold(&self) -> u8 {
        self.package_threshold
    }

    /// The keys that have a role.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter().filter(|key| key.roles != Roles::NONE)
    }

    /// Ids of keys that are never trusted again.
    pub fn revoked(&self) -> impl Iterator<Item = KeyId> {
        self.revoked.iter().copied().flatten()
    }

    /// Follows a keys file from these keys on to those that it ends with.
    ///
    /// `kept` are the keys that the device has, which may be these: their version does not fall, what they revoke stays revoked,
    /// and what comes behind them is signed by them.
    ///
    /// # Errors
    /// [`DocumentError`]; `kept` still holds.
    pub fn follow(
        &self,
        file: &[u8],
        product: &str,
        kept: &Self,
        checker: &impl KeyChecker,
    ) -> Result<Self, DocumentError> {
        if file.len() > MAX_KEYS_FILE_BYTES {
            return Err(DocumentError::TooLong);
        }
        let (mut set, mut rest, mut is_beyond) = (*self, file, false);
        while !rest.is_empty() {
            let (envelope, behind) = JointEnvelope::parse(rest).map_err(DocumentError::Envelope)?;
            let document = Keys::parse(envelope.payload).map_err(DocumentError::Document)?;
            if document.head.product.as_bytes() != product.as_bytes() {
                return Err(DocumentError::WrongProduct);
            }
            if !is_beyond && document.head.version > kept.version {
                is_beyond = true;
                if !set.is_signed_alike(kept) {
                    return Err(DocumentError::OtherKeys);
                }
            }
            set = set.followed_by(&envelope, &document, checker)?;
            rest = behind;
        }
        if set.version < kept.version {
            return Err(DocumentError::VersionTooLow);
        }
        if set.version == kept.version && set != *kept {
            return Err(DocumentError::OtherKeys);
        }
        if kept.revoked().all(|id| set.has_revoked(&id)) {
            Ok(set)
        } else {
            Err(DocumentError::RevokedKey)
        }
    }

    /// The keys of a document that enough of these have signed.
    fn followed_by(
        &self,
        envelope: &JointEnvelope<'_>,
        document: &Keys<'_>,
        checker: &impl KeyChecker,
    ) -> Result<Self, DocumentError> {
        let head = &document.head;
        if head.version <= self.version {
            return Err(DocumentError::VersionTooLow);
        }
        let mut next = Self {
            version: head.version,
            key_threshold: head.key_threshold,
            package_threshold: head.package_threshold,
            ..Self::new(&FactoryKeys { keys: &[], key_threshold: 0, package_threshold: 0 })
        };
        for (to, from) in next.keys.iter_mut().zip(document.keys()) {
            *to = from;
        }
        for (to, from) in next.revoked.iter_mut().zip(document.revoked()) {
            *to = Some(from);
        }
        let mut tbs = [0; keys::MAX_LEN + joint::TBS_OVERHEAD];
        let signed = self.count(envelope, Roles::KEYS, Some(&next), &mut tbs, checker)?;
        enough(signed, self.key_threshold)?;
        let is_revived = |key: &TrustedKey| {
            key.roles != Roles::INSTALLED && next.has_revoked(&key_id(&key.public_key))
        };
        let is_left_out = self.revoked().any(|id| !next.has_revoked(&id));
        if is_left_out || next.keys().any(is_revived) {
            return Err(DocumentError::RevokedKey);
        }
        Ok(next)
    }

    /// How many keys with this role have signed; those that `next` revokes do not count. What others sign is passed over.
    fn count(
        &self,
        envelope: &JointEnvelope<'_>,
        role: Roles,
        next: Option<&Self>,
        tbs: &mut [u8],
        checker: &impl KeyChecker,
    ) -> Result<u8, DocumentError> {
        let mut count = 0u8;
        for (id, signature) in envelope.signatures() {
            let is_revoked = next.is_some_and(|next| next.has_revoked(&id));
            let Some(key) = self.find(&id, role).filter(|_| !is_revoked) else { continue };
            let len = envelope.tbs(&id, tbs).map_err(DocumentError::Envelope)?;
            let message = tbs.get(..len).unwrap_or_default();
            let bad = |_| DocumentError::BadSignature;
            checker.check(&key.public_key, message, signature).map_err(bad)?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// The key with this id, if it has one of these roles.
    fn find(&self, id: &KeyId, roles: Roles) -> Option<&TrustedKey> {
        let mut holders = self.keys.iter().filter(|key| key.roles.has_any(roles));
        holders.find(|key| key_id(&key.public_key) == *id)
    }

    fn has_revoked(&self, id: &KeyId) -> bool {
        self.revoked().any(|revoked| revoked == *id)
    }

    /// Whether the same keys, and as many of them, sign the next document.
    fn is_signed_alike(&self, other: &Self) -> bool {
        let signs = |set: &Self, wanted: &TrustedKey| {
            let mut keys = set.keys.iter().filter(|key| key.roles.has_any(Roles::KEYS));
            keys.any(|key| key.public_key == wanted.public_key)
        };
        let within = |some: &Self, all: &Self| {
            let mut keys = some.keys.iter().filter(|key| key.roles.has_any(Roles::KEYS));
            keys.all(|key| signs(all, key))
        };
        self.key_threshold == other.key_threshold && within(self, other) && within(other, self)
    }
}

fn enough(signed: u8, wanted: u8) -> Result<(), DocumentError> {
    match signed {
        0 => Err(DocumentError::UnknownKey),
        signed if signed < wanted => Err(DocumentError::TooFewSignatures),
        _ => Ok(()),
    }
}

/// The verifier of a device whose keys may change: the [`Updater`](crate::Updater) that is
/// [opened with it](crate::Updater::open_with_keys) keeps it up to date.
///
/// It takes about 600 bytes, and an installation holds up to three of them.
#[derive(Clone, Copy, Debug)]
pub struct DeviceKeys<'a, C> {
    factory: &'a FactoryKeys<'a>,
    checker: C,
    set: KeySet,
    pub(crate) approval: Option<Approval>,
}

const _: () = assert!(size_of::<DeviceKeys<'static, ()>>() <= 600);

impl<'a, C: KeyChecker> DeviceKeys<'a, C> {
    /// Trusts what the firmware comes with.
    #[must_use]
    pub fn new(factory: &'a FactoryKeys<'a>, checker: C) -> Self {
        Self { factory, checker, set: KeySet::new(factory), approval: None }
    }

    /// The keys that count now.
    #[must_use]
    pub fn keys(&self) -> &KeySet {
        &self.set
    }

    /// Trusts what a keys file leads to, unless that is older than what is trusted already.
    ///
    /// For boot loaders that cannot open their journal, and have a copy of the file elsewhere.
    ///
    /// # Errors
    /// [`DocumentError`]; what was trusted before still is.
    pub fn load(&mut self, file: &[u8], product: &str) -> Result<(), DocumentError> {
        self.set = self.follow(file, product)?;
        Ok(())
    }

    pub(crate) fn follow(&self, file: &[u8], product: &str) -> Result<KeySet, DocumentError> {
        KeySet::new(self.factory).follow(file, product, &self.set, &self.checker)
    }

    pub(crate) fn with(self, set: KeySet) -> Self {
        Self { set, ..self }
    }

    /// Checks that as many keys as must have approved a target of this product.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn check_approval(&self, bytes: &[u8], product: &str) -> Result<Approval, DocumentError> {
        if bytes.len() > MAX_APPROVAL_ENVELOPE_BYTES {
            return Err(DocumentError::TooLong);
        }
        let (envelope, rest) = JointEnvelope::parse(bytes).map_err(DocumentError::Envelope)?;
        if !rest.is_empty() {
            return Err(DocumentError::Envelope(FormatError::TrailingBytes));
        }
        let mut tbs = [0; approval::MAX_LEN + joint::TBS_OVERHEAD];
        if envelope.payload.len() > approval::MAX_LEN {
            return Err(DocumentError::TooLong);
        }
        let role = Roles::PACKAGES;
        let signed = self.set.count(&envelope, role, None, &mut tbs, &self.checker)?;
        enough(signed, self.set.package_threshold)?;
        let approval = Approval::parse(envelope.payload).map_err(DocumentError::Document)?;
        if approval.0.product.as_bytes() == product.as_bytes() {
            Ok(approval)
        } else {
            Err(DocumentError::WrongProduct)
        }
    }

    /// Whether a package may be taken in as far as approvals go.
    fn is_approved(&self, payload: &[u8]) -> bool {
        let approved = || {
            let manifest = Manifest::parse(payload).ok()?;
            Some(self.approval? == Approval::of(&manifest))
        };
        self.set.package_threshold <= 1 || approved() == Some(true)
    }
}

impl<C: KeyChecker> Verifier for DeviceKeys<'_, C> {
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        self.verify_for(Purpose::Arriving, key_id, message, signature)
    }

    fn verify_for(
        &self,
        purpose: Purpose,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        let payload = payload_of_tbs(message).unwrap_or_default();
        let key = self.set.find(key_id, roles(payload, purpose)).ok_or(VerifyError::UnknownKey)?;
        self.checker.check(&key.public_key, message, signature)?;
        let is_package = payload.starts_with(&manifest::MAGIC);
        if is_package && purpose == Purpose::Arriving && !self.is_approved(payload) {
            return Err(VerifyError::NotApproved);
        }
        Ok(())
    }
}

/// One of these roles a key must have that signs such a document: what it is for follows from what is signed.
fn roles(payload: &[u8], purpose: Purpose) -> Roles {
    match (payload.first_chunk(), purpose) {
        (Some(&manifest::MAGIC), Purpose::Installed) => Roles::PACKAGES.and(Roles::INSTALLED),
        (Some(&(manifest::MAGIC | index::MAGIC)), _) => Roles::PACKAGES,
        (Some(&flags::MAGIC), _) => Roles::FLAGS,
        (Some(&stage::MAGIC), _) => Roles::STAGES,
        _ => Roles::NONE,
    }
}
