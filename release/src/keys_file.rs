//! Documents that change whom devices trust: written as JSON, signed by one key after the other, and chained to a keys file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use whittle_format::Label;
use whittle_format::keys::{self, Head, Keys, PublicKey};
use whittle_format::limits::{MAX_KEYS, MAX_KEYS_FILE_BYTES};
use whittle_patcher_nostd::{Ed25519, FactoryKeys, KeyId, KeySet, Roles, TrustedKey, key_id};

use crate::image::{from_hex, hex};
use crate::joint::{Joint, envelope_len};
use crate::keys::{Signer, parse_public, read_public_for_use};
use crate::{Culprit, Error, Result, files};

const MAX_SOURCE_BYTES: u64 = 1 << 20;

/// The roles as people write them.
pub const ROLE_NAMES: [(&str, Roles); 5] = [
    ("keys", Roles::KEYS),
    ("packages", Roles::PACKAGES),
    ("flags", Roles::FLAGS),
    ("stages", Roles::STAGES),
    ("installed", Roles::INSTALLED),
];

/// The names of roles, as people write them.
pub fn role_names(roles: Roles) -> impl Iterator<Item = &'static str> {
    ROLE_NAMES.into_iter().filter(move |(_, role)| roles.has_any(*role)).map(|(name, _)| name)
}

/// Reads the name of a role; `all` is all but `installed`, which they include.
#[must_use]
pub fn parse_role(name: &str) -> Option<Roles> {
    let named = ROLE_NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, role)| role);
    named.or((name == "all").then_some(Roles::ALL))
}

/// A document of keys as people write it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    product: String,
    version: u32,
    #[serde(default = "one")]
    key_threshold: u8,
    #[serde(default = "one")]
    package_threshold: u8,
    keys: Vec<KeySource>,
    #[serde(default)]
    revoked: Vec<String>,
}

/// A key as people write it: the name of a file beside the document, or the key itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    roles: Vec<String>,
}

fn one() -> u8 {
    1
}

/// What a document of keys says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDocument {
    /// What holds for the whole document.
    pub head: Head,
    /// The keys, in ascending order.
    pub keys: Vec<TrustedKey>,
    /// Ids of keys that are never trusted again, in ascending order.
    pub revoked: Vec<KeyId>,
}

impl KeyDocument {
    /// Reads a document as people write it; files of keys are beside it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`], [`Error::Json`], [`Error::BadKeys`] or [`Error::BadKey`]; [`Error::Refused`] for a
    /// file of a development key, unless such are allowed.
    pub fn read(path: &Path, allow_development: bool) -> Result<Self> {
        let too_large = || Error::FileTooLarge { path: path.to_owned(), limit: MAX_SOURCE_BYTES };
        let json = files::read_at_most(path, MAX_SOURCE_BYTES)?.ok_or_else(too_large)?;
        let source: Source =
            serde_json::from_slice(&json).map_err(Error::json(format!("`{}`", path.display())))?;
        source.document(files::parent(path), allow_development)
    }

    /// Trusts a key for these roles, besides those that it has.
    pub fn trust(&mut self, public_key: PublicKey, roles: Roles) {
        match self.keys.iter_mut().find(|key| key.public_key == public_key) {
            Some(key) => key.roles = key.roles.and(roles),
            None => self.keys.push(TrustedKey { public_key, roles }),
        }
        self.keys.sort_by_key(|key| key.public_key);
    }

    /// Takes in nothing new of a key, while what is installed goes on booting.
    ///
    /// # Errors
    /// [`Error::BadKeys`] for a key that is not there.
    pub fn retire(&mut self, id: KeyId) -> Result<()> {
        let key = self.keys.iter_mut().find(|key| key_id(&key.public_key) == id);
        let key = key.ok_or_else(|| missing(id))?;
        let was_for_packages = key.roles.has_any(Roles::PACKAGES.and(Roles::INSTALLED));
        if was_for_packages {
            key.roles = Roles::INSTALLED;
        } else {
            self.forget(id)?;
        }
        Ok(())
    }

    /// Takes a key out.
    ///
    /// # Errors
    /// [`Error::BadKeys`] for a key that is not there.
    pub fn forget(&mut self, id: KeyId) -> Result<()> {
        let before = self.keys.len();
        self.keys.retain(|key| key_id(&key.public_key) != id);
        if self.keys.len() < before { Ok(()) } else { Err(missing(id)) }
    }

    /// Never trusts a key again, whatever a later document says; what it has signed and is installed goes on booting.
    ///
    /// Returns whether the key was trusted: one that was not, since it had been dropped, cannot come back from then on.
    pub fn revoke(&mut self, id: KeyId) -> bool {
        let was_trusted = self.retire(id).is_ok();
        if !self.revoked.contains(&id) {
            self.revoked.push(id);
            self.revoked.sort_unstable();
        }
        was_trusted
    }

    /// How many signatures a document wants that follows this one.
    #[must_use]
    pub fn signatures_wanted(&self) -> u8 {
        self.head.key_threshold
    }

    fn parse(what: &str, payload: &[u8]) -> Result<Self> {
        let parsed = Keys::parse(payload).map_err(Error::format(what))?;
        Ok(Self {
            head: parsed.head,
            keys: parsed.keys().collect(),
            revoked: parsed.revoked().collect(),
        })
    }

    /// The keys with this role.
    fn holders(&self, role: Roles) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| key.roles.has_any(role)).map(|key| &key.public_key)
    }

    fn check_thresholds(&self) -> Result<()> {
        let Head { key_threshold, package_threshold, .. } = self.head;
        for (threshold, role, what) in [
            (key_threshold, Roles::KEYS, "sign the next document"),
            (package_threshold, Roles::PACKAGES, "approve a target"),
        ] {
            let holders = self.holders(role).count();
            if threshold == 0 || usize::from(threshold) > holders {
                let role = role_names(role).next().unwrap_or_default();
                return Err(Error::Usage(format!(
                    "{threshold} keys cannot {what}: 1 to as many as have the role `{role}` can, and {holders} have; one document can add keys and revoke others"
                )));
            }
        }
        Ok(())
    }

    fn emit(&self) -> Result<Vec<u8>> {
        self.check_thresholds()?;
        let is_revived = |key: &&TrustedKey| {
            key.roles != Roles::INSTALLED && self.revoked.contains(&key_id(&key.public_key))
        };
        if let Some(key) = self.keys.iter().find(is_revived) {
            let id = hex(&key_id(&key.public_key));
            return Err(Error::BadKeys(format!("key {id} is revoked, and trusted")));
        }
        let mut payload = vec![0; keys::MAX_LEN];
        let len = keys::emit(&self.head, &self.keys, &self.revoked, &mut payload)
            .map_err(Error::format("the keys to be signed"))?;
        payload.truncate(len);
        Ok(payload)
    }

    fn is_signed_alike(&self, other: &Self) -> bool {
        self.head.key_threshold == other.head.key_threshold
            && self.holders(Roles::KEYS).eq(other.holders(Roles::KEYS))
    }
}

fn missing(id: KeyId) -> Error {
    Error::BadKeys(format!("there is no key {}", hex(&id)))
}

impl Source {
    fn document(self, directory: &Path, allow_development: bool) -> Result<KeyDocument> {
        let product: Label = self.product.parse().map_err(Error::format("the product's name"))?;
        let mut keys = Vec::new();
        for key in &self.keys {
            keys.push(key.trusted(directory, allow_development)?);
        }
        keys.sort_by_key(|key: &TrustedKey| key.public_key);
        let ids = self.revoked.iter().map(|id| parse_id(id));
        let mut revoked: Vec<KeyId> = ids.collect::<Result<_>>()?;
        revoked.sort_unstable();
        let (version, key_threshold) = (self.version, self.key_threshold);
        let package_threshold = self.package_threshold;
        let head = Head { product, version, key_threshold, package_threshold };
        Ok(KeyDocument { head, keys, revoked })
    }
}

impl KeySource {
    fn trusted(&self, directory: &Path, allow_development: bool) -> Result<TrustedKey> {
        let unclear = || Error::BadKeys("a key wants either `file` or `public_key`".to_owned());
        let public_key = match (&self.file, &self.public_key) {
            (Some(file), None) => read_public_for_use(&directory.join(file), allow_development)?,
            (None, Some(text)) => parse_public(text.as_bytes())
                .ok_or_else(|| Error::BadKeys(format!("`{text}` is no Ed25519 public key")))?,
            _ => return Err(unclear()),
        };
        let mut roles = Roles::NONE;
        for name in &self.roles {
            let role = parse_role(name).ok_or_else(|| {
                let known = ROLE_NAMES.map(|(name, _)| name).join("`, `");
                Error::BadKeys(format!("`{name}` is no role: `{known}` and `all` are"))
            })?;
            roles = roles.and(role);
        }
        Ok(TrustedKey { public_key, roles })
    }
}

/// Reads a key id: 16 hexadecimal digits.
///
/// # Errors
/// [`Error::BadKeys`].
pub fn parse_id(text: &str) -> Result<KeyId> {
    from_hex(text).ok_or_else(|| Error::BadKeys(format!("`{text}` is no key id of 16 digits")))
}

/// What leads devices from the keys of their firmware to the newest ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysFile {
    documents: Vec<(KeyDocument, Joint)>,
}

impl KeysFile {
    /// Begins with a document that the firmware's own keys are to sign.
    ///
    /// # Errors
    /// [`Error::BadKeys`] or [`Error::Format`] for a document that no device would take.
    pub fn new(document: KeyDocument) -> Result<Self> {
        let joint = Joint::new(document.emit()?);
        Ok(Self { documents: vec![(document, joint)] })
    }

    /// Reads a file; whether its signatures count is another question.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`] or [`Error::Format`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_document(path, MAX_KEYS_FILE_BYTES)?;
        Self::parse(&format!("`{}`", path.display()), &bytes)
    }

    /// Parses a file; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Format`] or [`Error::BadKeys`].
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let (mut documents, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (joint, behind) = Joint::parse(what, rest)?;
            documents.push((KeyDocument::parse(what, &joint.payload)?, joint));
            rest = behind;
        }
        if documents.is_empty() {
            return Err(Error::BadKeys(format!("{what} is empty")));
        }
        Ok(Self { documents })
    }

    /// The newest document.
    ///
    /// # Panics
    /// Never: there is one.
    #[must_use]
    pub fn newest(&self) -> &KeyDocument {
        &self.documents[self.documents.len() - 1].0
    }

    /// Who is said to have signed the newest document.
    pub fn newest_signers(&self) -> impl Iterator<Item = KeyId> {
        self.documents.iter().next_back().into_iter().flat_map(|(_, joint)| joint.signers())
    }

    /// All documents, and who is said to have signed them.
    pub fn documents(&self) -> impl Iterator<Item = (&KeyDocument, Vec<KeyId>)> {
        self.documents.iter().map(|(document, joint)| (document, joint.signers().collect()))
    }

    /// Adds a document, which is not signed yet; `origin` are the keys of the firmware, if they are known.
    ///
    /// What devices do not need any more to believe it is left out: documents that leave those who sign as they were.
    ///
    /// # Errors
    /// [`Error::ProductChanged`], [`Error::VersionNotAbove`] or [`Error::BadKeys`]: no device would take it. [`Error::BadKeys`] for
    /// other signers, too, if no revocation would fit behind them: the last room is for one.
    pub fn then(mut self, document: KeyDocument, origin: Option<&KeySet>) -> Result<Self> {
        let newest = self.newest();
        let (got, previous) = (&document.head, &newest.head);
        if got.product != previous.product {
            let [got, previous] = [got.product, previous.product].map(|label| label.to_string());
            return Err(Error::ProductChanged { got, previous });
        }
        if got.version <= previous.version {
            return Err(Error::VersionNotAbove { got: got.version, previous: previous.version });
        }
        if let Some(id) = newest.revoked.iter().find(|id| !document.revoked.contains(id)) {
            return Err(Error::BadKeys(format!("key {} is revoked, and must stay so", hex(id))));
        }
        let joint = Joint::new(document.emit()?);
        let revokes = document.revoked.len() > newest.revoked.len();
        let changes_signers = !newest.is_signed_alike(&document);
        if self.newest_is_superfluous(origin) {
            self.documents.pop();
        }
        self.documents.push((document, joint));
        if changes_signers && !revokes && self.changes_that_fit(origin) == 0 {
            return Err(Error::BadKeys(format!(
                "no revocation would fit behind these signers: a keys file has at most {MAX_KEYS_FILE_BYTES} bytes. \
                 Change no signers but to revoke one, until firmware comes with the newest keys and begins a new file"
            )));
        }
        Ok(self)
    }

    /// Whether devices that come with these keys need not see the newest document once there is another one.
    fn newest_is_superfluous(&self, origin: Option<&KeySet>) -> bool {
        match self.documents.as_slice() {
            [only] => origin.is_some_and(|origin| signs_alike(origin, &only.0)),
            [.., before, last] => before.0.is_signed_alike(&last.0),
            [] => false,
        }
    }

    /// How many documents fit behind the newest one if each changes the signers, and the last one revokes a key and brings another
    /// in its place. `origin` are the keys of the firmware, if they are known.
    ///
    /// It counts as many signatures as are wanted, and as many keys as there are.
    #[must_use]
    pub fn changes_that_fit(&self, origin: Option<&KeySet>) -> usize {
        let mut taken = 0;
        let mut wanted = origin.map_or(1, KeySet::key_threshold);
        let mut last = 0;
        for (document, joint) in &self.documents {
            last = joint.len_with(joint.signers().count().max(wanted.into()));
            taken += last;
            wanted = document.head.key_threshold;
        }
        let Some((_, newest)) = self.documents.last() else { return 0 };
        if self.newest_is_superfluous(origin) {
            taken -= last;
        }
        let next = newest.len_with(wanted.into());
        let has_room_for_a_key = self.newest().keys.len() < MAX_KEYS;
        let replacement = if has_room_for_a_key { keys::KEY_LEN } else { 0 };
        let payload = newest.payload.len() + size_of::<KeyId>() + replacement;
        let revocation = envelope_len(payload, wanted.into());
        let left = MAX_KEYS_FILE_BYTES.checked_sub(taken + revocation);
        left.map_or(0, |left| 1 + left / next)
    }

    /// Checks the signatures: each is whole, and by a key that may sign; all documents but the newest have enough.
    ///
    /// `origin` are the keys of the firmware; where they are not known, of the first document those signatures are checked
    /// whose keys it trusts itself.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check(&self, origin: Option<&KeySet>) -> Result<()> {
        let factory = origin.map(|origin| {
            let keys = origin.keys().filter(|key| key.roles.has_any(Roles::KEYS));
            (keys.map(|key| key.public_key).collect::<Vec<_>>(), origin.key_threshold())
        });
        let mut signers = factory;
        let newest = self.newest().head.version;
        for (document, joint) in &self.documents {
            let version = document.head.version;
            let what = format!("version {version} of the keys");
            let bad = |why| Err(Error::Refused { what, why, culprit: Culprit::Key });
            let known: Vec<PublicKey> = match &signers {
                Some((keys, _)) => keys.clone(),
                None => document.keys.iter().map(|key| key.public_key).collect(),
            };
            for id in joint.signers() {
                let Some(key) = known.iter().find(|key| key_id(key) == id) else {
                    if signers.is_some() {
                        return bad(format!("it is signed by key {}, which may not", hex(&id)));
                    }
                    continue;
                };
                if document.revoked.contains(&id) {
                    return bad(format!("it is signed by key {}, which it revokes", hex(&id)));
                }
                if !joint.is_whole(key)? {
                    return bad(format!("it has a damaged signature of key {}", hex(&id)));
                }
            }
            let signed = joint.signers().count();
            if let Some((_, wanted)) = &signers
                && version != newest
                && signed < usize::from(*wanted)
            {
                return bad(format!("it has {signed} of {wanted} signatures, and is followed"));
            }
            let next = document.holders(Roles::KEYS).copied().collect();
            signers = Some((next, document.head.key_threshold));
        }
        Ok(())
    }

    /// Adds a signature to the newest document.
    ///
    /// # Errors
    /// What the signer returns.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<()> {
        match self.documents.last_mut() {
            Some((_, joint)) => joint.sign(signer),
            None => Ok(()),
        }
    }

    /// The bytes that devices take.
    ///
    /// # Errors
    /// [`Error::KeysTooLarge`], or [`Error::Format`] while nobody has signed.
    pub fn emit(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (_, joint) in &self.documents {
            bytes.extend(joint.emit()?);
        }
        match bytes.len() {
            got if got > MAX_KEYS_FILE_BYTES => {
                Err(Error::KeysTooLarge { got, limit: MAX_KEYS_FILE_BYTES })
            }
            _ => Ok(bytes),
        }
    }

    /// Writes it to a file, in one step; what stood there is replaced.
    ///
    /// # Errors
    /// As [`Self::emit`]; [`Error::Io`] or [`Error::NotAFile`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_atomically(path, &self.emit()?)
    }

    /// The keys that devices trust which come with these keys and take this file: asks the code that runs on devices.
    ///
    /// # Errors
    /// [`Error::Document`], or as [`Self::emit`].
    pub fn follow(&self, what: &Path, factory: &FactoryKeys<'_>) -> Result<KeySet> {
        let bytes = self.emit()?;
        let (origin, product) = (KeySet::new(factory), self.newest().head.product);
        origin
            .follow(&bytes, product.as_str(), &origin, &Ed25519)
            .map_err(Error::document(what, &bytes))
    }

    /// How many signatures the newest document has that count, and how many it wants; `None` if it follows the firmware's keys
    /// and nobody has told those.
    #[must_use]
    pub fn signatures(&self, origin: Option<&KeySet>) -> Option<(usize, u8)> {
        let (signers, wanted) = match self.documents.as_slice() {
            [.., before, _] => (before.0.keys.clone(), before.0.head.key_threshold),
            _ => (origin?.keys().copied().collect(), origin?.key_threshold()),
        };
        let (newest, joint) = self.documents.last()?;
        let counts = |id: &KeyId| {
            let mut holders = signers.iter().filter(|key| key.roles.has_any(Roles::KEYS));
            holders.any(|key| key_id(&key.public_key) == *id) && !newest.revoked.contains(id)
        };
        Some((joint.signers().filter(counts).count(), wanted))
    }
}

fn signs_alike(set: &KeySet, document: &KeyDocument) -> bool {
    let mut keys: Vec<_> =
        set.keys().filter(|key| key.roles.has_any(Roles::KEYS)).map(|key| key.public_key).collect();
    keys.sort_unstable();
    let documents = document.keys.iter().filter(|key| key.roles.has_any(Roles::KEYS));
    set.key_threshold() == document.head.key_threshold
        && documents.map(|key| key.public_key).eq(keys)
}
