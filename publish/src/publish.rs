//! Publishes releases: what never changes first, the small index that names it last.
//!
//! ```text
//! verify ─▶ may the channel have it? ─▶ objects, several at once ─▶ still there? ─▶ index of the release ─▶ index of the channel
//! ```
//!
//! A reader begins at an index, so it finds everything that an index names, whenever it looks and wherever the publisher was
//! killed. What is there already is not sent again, so publishing once more goes on where it was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use whittle_format::Label;
use whittle_format::limits::{
    MAX_APPROVAL_ENVELOPE_BYTES, MAX_INDEX_ENVELOPE_BYTES, MAX_KEYS_FILE_BYTES,
};
use whittle_release::Sha256Digest;
use whittle_release::approval::{APPROVAL_FILE, Approval, SignedApproval};
use whittle_release::directory::{ListedFile, VerifiedRelease, verify_index};
use whittle_release::image::hex;
use whittle_release::keys::{KeyId, Keyring};
use whittle_release::keys_file::KeysFile;

use crate::busy::Publishing;
use crate::layout::{approval_key, channel_key, keys_key, object_key, release_key};
use crate::order::ReleaseOrder;
use crate::store::{Condition, Lifetime, Object, Store, Written};
use crate::{Error, ReleaseKeys, Result, workers};

/// How often a channel is tried that others change.
const CHANNEL_TRIES: u32 = 8;

/// How something is published.
#[derive(Clone, Debug)]
pub struct Options {
    /// The channel that shall point to it.
    pub channel: Label,
    /// How many objects are sent at a time.
    pub threads: usize,
    /// Whether a channel may be taken back to an older release.
    pub allow_older: bool,
    /// A keys file, which devices of its product shall find beside their channels; none to leave there what is there.
    pub keys_file: Option<PathBuf>,
    /// Whether objects that are there are read back and compared; otherwise their sizes are.
    pub read_back: bool,
}

/// What came of publishing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Published {
    /// How many objects the releases have, each counted once.
    pub objects: usize,
    /// How many of them were sent.
    pub uploaded: usize,
    /// Bytes of those.
    pub uploaded_bytes: u64,
    /// The releases, the oldest first.
    pub releases: Vec<PublishedRelease>,
}

/// A release that is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishedRelease {
    /// Name of the product.
    pub product: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its image.
    pub target_sha256: Sha256Digest,
    /// The channel that points to it; none if a newer one of the product was published with it.
    pub channel: Option<String>,
    /// Version that the channel had before; none if it had none, or this release.
    pub replaces: Option<String>,
    /// Whether all of it was published before.
    pub was_there: bool,
}

/// Told as objects get done; called from several threads.
pub type Progress<'a> = &'a (dyn Fn(Event) + Sync);

/// A step of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many objects are to be looked at.
    Begin {
        /// How many.
        objects: usize,
    },
    /// An object was there, or is there now.
    Object {
        /// Its SHA-256, by which it is named.
        digest: Sha256Digest,
        /// Its size in bytes.
        bytes: u32,
        /// Whether it was sent.
        uploaded: bool,
    },
}

/// Publishes release directories, all of their objects before the first index. Of several releases of a product, the channel gets the
/// newest.
///
/// # Errors
/// [`Error`]. Readers then see what they saw before, or some of the releases; doing it again goes on.
pub fn publish(
    store: &Store,
    directories: &[PathBuf],
    keys: &ReleaseKeys,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Published> {
    let (mut releases, mut documents) = (Vec::new(), BTreeMap::new());
    for directory in directories {
        let release = VerifiedRelease::open(directory, keys.keyring())?;
        release.verify_files()?;
        documents.extend(read_approval(store, directory, &release, keys)?);
        releases.push(release);
    }
    releases.sort_by_key(|release| ReleaseOrder::of(&release.index().release));
    let publisher = Publisher { store, stored_keys: keys.stored(), options };
    for (number, release) in releases.iter().enumerate() {
        publisher.check_version(release)?;
        if is_newest(&releases, number) {
            publisher.check_channel(release)?;
        }
    }
    if let Some(file) = &options.keys_file {
        documents.extend(publisher.read_keys(file, &releases)?);
    }
    let busy = Publishing::begin(store)?;
    let mut published = publisher.send_objects(&releases, &busy, progress)?;
    publisher.make_sure(&releases, &busy)?;
    publisher.send_documents(&documents)?;
    for (number, release) in releases.iter().enumerate() {
        busy.keep_up()?;
        published.releases.push(publisher.name(release, is_newest(&releases, number))?);
    }
    if busy.may_have_lapsed() {
        // A write that took so long may name what somebody has removed in between.
        publisher.make_sure(&releases, &busy)?;
    }
    Ok(published)
}

/// Documents that devices read besides the indexes, by their keys.
type Documents = BTreeMap<String, Vec<u8>>;

/// Checks that a document which several sign takes no signature back.
fn keeps_signatures(
    key: &str,
    path: &Path,
    mut published: impl Iterator<Item = KeyId>,
    signers: &BTreeSet<KeyId>,
) -> Result<()> {
    match published.find(|signer| !signers.contains(signer)) {
        None => Ok(()),
        Some(signer) => Err(Error::FewerSignatures {
            key: key.to_owned(),
            signer: hex(&signer),
            path: path.to_owned(),
        }),
    }
}

/// Reads the approval that lies in a release directory, if there is one, and checks what it is about and what the keys of the release
/// have signed. Others may have signed it, too: devices know whom they trust.
fn read_approval(
    store: &Store,
    directory: &Path,
    release: &VerifiedRelease,
    keys: &ReleaseKeys,
) -> Result<Option<(String, Vec<u8>)>> {
    let path = directory.join(APPROVAL_FILE);
    if !path.try_exists().map_err(Error::io("read", &path))? {
        return Ok(None);
    }
    let signed = SignedApproval::read(&path)?;
    if signed.approval != Approval(release.index().release) {
        return Err(Error::OtherApproval(path));
    }
    signed.check(&keys.keyring().0)?;
    let Approval(head) = &signed.approval;
    let key = approval_key(&head.product, &head.target_version);
    if let Some(found) = store.get(&key, MAX_APPROVAL_ENVELOPE_BYTES)? {
        let published = SignedApproval::parse(&format!("`{key}`"), &found.bytes)?;
        if published.approval == signed.approval {
            keeps_signatures(&key, &path, published.signers(), &signed.signers().collect())?;
        }
    }
    Ok(Some((key, signed.emit()?)))
}

/// Whether no later one is of the same product: a channel gets the newest.
fn is_newest(releases: &[VerifiedRelease], number: usize) -> bool {
    let product = |release: &VerifiedRelease| release.index().release.product;
    let later = releases.iter().skip(number + 1);
    releases.get(number).is_some_and(|this| !later.map(product).any(|other| other == product(this)))
}

/// All files of the releases, each once.
fn all_files(releases: &[VerifiedRelease]) -> Vec<(&VerifiedRelease, ListedFile)> {
    let files = releases
        .iter()
        .flat_map(|release| release.index().files().into_iter().map(move |file| (release, file)));
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|(_, file)| file.digest);
    files.dedup_by_key(|(_, file)| file.digest);
    files
}

struct Publisher<'a> {
    store: &'a Store,
    /// What is in the store may be signed by these.
    stored_keys: &'a Keyring,
    options: &'a Options,
}

/// What a channel has.
struct Channel {
    object: Object,
    /// None if it is this very index.
    other: Option<whittle_format::index::Release>,
}

impl Publisher<'_> {
    fn send_objects(
        &self,
        releases: &[VerifiedRelease],
        busy: &Publishing<'_>,
        progress: Progress<'_>,
    ) -> Result<Published> {
        let files = all_files(releases);
        progress(Event::Begin { objects: files.len() });
        let sent = workers::for_each(&files, self.options.threads, |(release, file)| {
            busy.keep_up()?;
            let uploaded = self.send_object(release, file, self.options.read_back)?;
            progress(Event::Object { digest: file.digest, bytes: file.size, uploaded });
            Ok::<_, Error>((uploaded, u64::from(file.size)))
        })?;
        let uploaded: Vec<_> = sent.iter().filter(|(uploaded, _)| *uploaded).collect();
        Ok(Published {
            objects: files.len(),
            uploaded: uploaded.len(),
            uploaded_bytes: uploaded.iter().map(|(_, bytes)| bytes).sum(),
            releases: Vec::new(),
        })
    }

    /// Makes sure that nobody removes, and sends again what somebody has removed until now, who took this publisher for killed.
    fn make_sure(&self, releases: &[VerifiedRelease], busy: &Publishing<'_>) -> Result<()> {
        busy.renew()?;
        workers::for_each(&all_files(releases), self.options.threads, |(release, file)| {
            busy.keep_up()?;
            self.send_object(release, file, false)
        })?;
        Ok(())
    }

    /// Reads a keys file, which must be of a product that is published, signed as far as it tells itself by whom, and not older than
    /// the one that is there.
    fn read_keys(
        &self,
        path: &Path,
        releases: &[VerifiedRelease],
    ) -> Result<Option<(String, Vec<u8>)>> {
        let file = KeysFile::read(path)?;
        file.check(None)?;
        let head = &file.newest().head;
        if !releases.iter().any(|release| release.index().release.product == head.product) {
            let (path, product) = (path.to_owned(), head.product.to_string());
            return Err(Error::OtherKeys { path, product });
        }
        let key = keys_key(&head.product);
        if let Some(found) = self.store.get(&key, MAX_KEYS_FILE_BYTES)? {
            let published = KeysFile::parse(&format!("`{key}`"), &found.bytes)?;
            let current = published.newest().head.version;
            if head.version < current {
                return Err(Error::OlderKeys { key, current, version: head.version });
            }
            if head.version == current {
                let (old, new) = (published.newest_signers(), file.newest_signers().collect());
                keeps_signatures(&key, path, old, &new)?;
            }
        }
        Ok(Some((key, file.emit()?)))
    }

    /// Writes what devices read besides the indexes, unless it is there.
    fn send_documents(&self, documents: &Documents) -> Result<()> {
        for (key, bytes) in documents {
            let found = self.store.stat(key)?.filter(|found| found.size == bytes.len() as u64);
            let found = found.map(|_| self.store.get(key, bytes.len())).transpose()?.flatten();
            if found.is_none_or(|found| found.bytes != *bytes) {
                self.store.put(key, bytes, Condition::Always, Lifetime::UntilTheNext)?;
            }
        }
        Ok(())
    }

    /// Sends an object unless it is there as it should be; tells whether it was sent.
    fn send_object(
        &self,
        release: &VerifiedRelease,
        file: &ListedFile,
        read_back: bool,
    ) -> Result<bool> {
        let key = object_key(&file.digest);
        if self.is_there(&key, file, read_back)? {
            return Ok(false);
        }
        // Read again, and compared with the index again: the directory may have changed.
        let bytes = release.read_file(file)?;
        self.store.put(&key, &bytes, Condition::Always, Lifetime::ForEver)?;
        Ok(true)
    }

    fn is_there(&self, key: &str, file: &ListedFile, read_back: bool) -> Result<bool> {
        let size_fits = |size: u64| size == u64::from(file.size);
        if !read_back {
            return Ok(self.store.stat(key)?.is_some_and(|entry| size_fits(entry.size)));
        }
        let found = match self.store.get(key, file.size as usize) {
            // It is too large, so it is not this one.
            Err(Error::Damaged { .. }) => None,
            found => found?,
        };
        Ok(found.is_some_and(|found| Sha256Digest::of(&found.bytes) == file.digest))
    }

    /// Writes the index of a release, then, if it is the newest of its product, that of the channel.
    fn name(&self, release: &VerifiedRelease, is_newest: bool) -> Result<PublishedRelease> {
        let head = &release.index().release;
        let key = release_key(&head.product, &head.target_version);
        let mut was_there = self.check_version(release)?;
        if !was_there {
            let bytes = release.index_bytes();
            let written = self.store.put(&key, bytes, Condition::Absent, Lifetime::ForEver)?;
            if written == Written::Not {
                self.check_version(release)?;
            }
        }
        let mut replaces = None;
        if is_newest {
            let pointed = self.point_channel(release)?;
            was_there &= pointed.is_none();
            replaces = pointed.flatten();
        }
        Ok(PublishedRelease {
            product: head.product.to_string(),
            version: head.target_version.to_string(),
            target_sha256: Sha256Digest(head.target_digest),
            channel: is_newest.then(|| self.options.channel.to_string()),
            replaces,
            was_there,
        })
    }

    /// Points the channel to the release; tells which version it had before, if any; none if it had this one.
    fn point_channel(&self, release: &VerifiedRelease) -> Result<Option<Option<String>>> {
        let head = &release.index().release;
        let key = channel_key(&head.product, &self.options.channel);
        for _ in 0..CHANNEL_TRIES {
            let before = self.check_channel(release)?;
            let (condition, replaces) = match &before {
                Some(Channel { other: None, .. }) => return Ok(None),
                Some(Channel { object, other: Some(other) }) => {
                    (Condition::Unchanged(&object.tag), Some(other.target_version.to_string()))
                }
                None => (Condition::Absent, None),
            };
            let bytes = release.index_bytes();
            let written = self.store.put(&key, bytes, condition, Lifetime::UntilTheNext)?;
            if written == Written::Now {
                return Ok(Some(replaces));
            }
            // Somebody else was quicker: theirs may be the newer one.
        }
        Err(Error::Contended {
            product: head.product.to_string(),
            channel: self.options.channel.to_string(),
            tries: CHANNEL_TRIES,
        })
    }

    /// Checks that the version is not taken by another index; tells whether this one is there.
    fn check_version(&self, release: &VerifiedRelease) -> Result<bool> {
        let head = &release.index().release;
        let key = release_key(&head.product, &head.target_version);
        match self.store.get(&key, MAX_INDEX_ENVELOPE_BYTES)? {
            None => return Ok(false),
            Some(found) if found.bytes == release.index_bytes() => return Ok(true),
            Some(_) => {}
        }
        let (product, version) = (head.product.to_string(), head.target_version.to_string());
        Err(Error::VersionTaken { product, version })
    }

    /// Reads what the channel has, and checks that the release may take its place.
    fn check_channel(&self, release: &VerifiedRelease) -> Result<Option<Channel>> {
        let head = &release.index().release;
        let key = channel_key(&head.product, &self.options.channel);
        let Some(object) = self.store.get(&key, MAX_INDEX_ENVELOPE_BYTES)? else {
            return Ok(None);
        };
        if object.bytes == release.index_bytes() {
            return Ok(Some(Channel { object, other: None }));
        }
        let current = verify_index(&object.bytes, self.stored_keys)
            .map_err(|error| Error::of_stored(&key, error))?
            .release;
        if current.product != head.product {
            return Err(Error::damaged(&key, format!("it is of product `{}`", current.product)));
        }
        if !self.options.allow_older
            && ReleaseOrder::of(head).is_before(&ReleaseOrder::of(&current))
        {
            return Err(Error::Older {
                product: head.product.to_string(),
                channel: self.options.channel.to_string(),
                current: current.target_version.to_string(),
                current_counter: current.security_counter,
                version: head.target_version.to_string(),
                counter: head.security_counter,
            });
        }
        Ok(Some(Channel { object, other: Some(current) }))
    }
}
