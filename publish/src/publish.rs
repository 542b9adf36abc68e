//! Publishes releases: what never changes first, the small index that names it last.
//!
//! ```text
//! verify ─▶ may the channel have it? ─▶ objects, several at once ─▶ still there? ─▶ index of the release ─▶ index of the channel
//! ```
//!
//! A reader begins at an index, so it finds everything that an index names, whenever it looks and wherever the publisher was
//! killed. What is there already is not sent again, so publishing once more goes on where it was interrupted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use whittle_format::Label;
use whittle_format::index::Release;
use whittle_format::limits::MAX_INDEX_ENVELOPE_BYTES;
use whittle_release::Sha256Digest;
use whittle_release::directory::{ListedFile, VerifiedRelease, verify_index};
use whittle_release::keys::Keyring;

use crate::busy::Publishing;
use crate::document::Document;
use crate::layout::{channel_key, object_key, release_key};
use crate::order::ReleaseOrder;
use crate::store::{Condition, Lifetime, Store, Tag, Written};
use crate::{Error, ReleaseKeys, Result, workers};

/// How often something is tried that others change.
const TRIES: u32 = 8;

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
        documents.extend(Document::approval(directory, &release, keys)?.map(by_key));
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
        documents.extend([by_key(Document::keys(file, &releases)?)]);
    }
    for document in documents.values() {
        publisher.look_at(document)?;
    }
    let busy = Publishing::begin(store)?;
    let mut published = publisher.send_objects(&releases, &busy, progress)?;
    publisher.make_sure(&releases, &busy)?;
    for document in documents.values() {
        publisher.replace(&document.key, &document.bytes, || publisher.look_at(document))?;
    }
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

/// Of two documents for the same place the last one counts.
fn by_key(document: Document) -> (String, Document) {
    (document.key.clone(), document)
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

/// What stands where something is to be written that changes.
enum Before<T> {
    Nothing,
    /// This very thing.
    This,
    /// Another one, which may be replaced, and what it says.
    Other(Tag, T),
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

    /// Looks at what is published in the place of a document, which must not be newer.
    fn look_at(&self, document: &Document) -> Result<Before<()>> {
        let Document { key, bytes, limit, .. } = document;
        self.before(key, bytes, *limit, |published| document.check_follows(published))
    }

    /// Reads what is there, and checks that this may take its place.
    fn before<T>(
        &self,
        key: &str,
        bytes: &[u8],
        limit: usize,
        check: impl Fn(&[u8]) -> Result<T>,
    ) -> Result<Before<T>> {
        Ok(match self.store.get(key, limit)? {
            None => Before::Nothing,
            Some(found) if found.bytes == bytes => Before::This,
            Some(found) => {
                let says = check(&found.bytes)?;
                Before::Other(found.tag, says)
            }
        })
    }

    /// Writes what takes the place of another, if that is still what was looked at; tells what was there before, unless it was this
    /// very thing.
    fn replace<T>(
        &self,
        key: &str,
        bytes: &[u8],
        look: impl Fn() -> Result<Before<T>>,
    ) -> Result<Option<Option<T>>> {
        for _ in 0..TRIES {
            let before = look()?;
            let condition = match &before {
                Before::This => return Ok(None),
                Before::Nothing => Condition::Absent,
                Before::Other(tag, _) => Condition::Unchanged(tag),
            };
            let written = self.store.put(key, bytes, condition, Lifetime::UntilTheNext)?;
            if written == Written::Now {
                return Ok(Some(match before {
                    Before::Other(_, says) => Some(says),
                    Before::Nothing | Before::This => None,
                }));
            }
            // Somebody else was quicker: theirs may be the newer one.
        }
        Err(Error::Contended { key: key.to_owned(), tries: TRIES })
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
        let replaced = self.replace(&key, release.index_bytes(), || self.check_channel(release))?;
        Ok(replaced.map(|before| before.map(|before| before.target_version.to_string())))
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
    fn check_channel(&self, release: &VerifiedRelease) -> Result<Before<Release>> {
        let key = channel_key(&release.index().release.product, &self.options.channel);
        let bytes = release.index_bytes();
        self.before(&key, bytes, MAX_INDEX_ENVELOPE_BYTES, |published| {
            self.check_follows(release, &key, published)
        })
    }

    /// Checks that a release may take the place of the one that a channel has, which it returns.
    fn check_follows(
        &self,
        release: &VerifiedRelease,
        key: &str,
        published: &[u8],
    ) -> Result<Release> {
        let head = &release.index().release;
        let current = verify_index(published, self.stored_keys)
            .map_err(|error| Error::of_stored(key, error))?
            .release;
        if current.product != head.product {
            return Err(Error::damaged(key, format!("it is of product `{}`", current.product)));
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
        Ok(current)
    }
}
