//! Removes what no release needs any more.
//!
//! ```text
//! all indexes ─▶ which releases stay ─▶ indexes of the others go ─▶ objects that no index names go, if they are old enough
//! ```
//!
//! A release stays if a channel points to it, if it is one of the last few of its product, if it is named as active, by whoever calls
//! or by a rollout's stage in the store, or if it is young. All that its index names stays with it: its full image, and the deltas for whoever comes from older releases. What cannot
//! be understood ends it before anything is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use whittle_format::limits::{MAX_INDEX_ENVELOPE_BYTES, MAX_STAGE_ENVELOPE_BYTES};
use whittle_format::{Label, ShortDigest, Stage, shorten};
use whittle_patcher_nostd::{DocumentError, VerifiedStage};
use whittle_release::directory::{ReleaseIndex, verify_index};
use whittle_release::keys::Keyring;
use whittle_release::{Sha256Digest, stage};

use crate::busy::Removing;
use crate::layout::{
    BUSY, IndexPlace, OBJECTS, PRODUCTS, ProductFile, object_key, parse_approval, parse_index,
    parse_object, parse_product_file, release_key,
};
use crate::order::ReleaseOrder;
use crate::store::{Entry, Store};
use crate::{Error, Result, workers};

/// Indexes are small: so many are read at a time.
const READERS: usize = 8;

/// Largest list of releases to keep: a hundred thousand of them.
const MAX_KEEP_FILE_BYTES: u64 = 16 << 20;

/// Objects are removed in so many steps as this many make, between each of which the time is looked at.
const BATCH: usize = 64;

/// What is removed, and what is not.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many releases of each product stay, 1 or more.
    pub keep: usize,
    /// Releases that stay besides.
    pub active: Vec<Active>,
    /// How old something must be to be removed, in seconds: younger objects may belong to a release that is being published.
    pub grace_s: u64,
    /// Whether only to tell what would be removed.
    pub dry_run: bool,
    /// The time in seconds from 1970, UTC, for a dry run; otherwise the store's own clock counts.
    pub now_s: u64,
}

/// A release that devices have, or shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    product: Label,
    what: ActiveWhat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ActiveWhat {
    Version(Label),
    Target(ShortDigest),
}

impl Active {
    /// Names a release by its version.
    #[must_use]
    pub fn version(product: Label, version: Label) -> Self {
        Self { product, what: ActiveWhat::Version(version) }
    }

    /// Names it by its image.
    #[must_use]
    pub fn target(product: Label, image: &Sha256Digest) -> Self {
        Self { product, what: ActiveWhat::Target(shorten(&image.0)) }
    }

    /// Reads a list of releases: `{"active": [{"product": "p", "version": "1.2"}, {"product": "p", "sha256": "…"}]}`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::KeepFile`].
    pub fn read_list(path: &Path) -> Result<Vec<Self>> {
        let bytes = read_limited(path).map_err(Error::io("read", path))?;
        let wrong = |source| Error::KeepFile { path: path.to_owned(), source };
        let file: KeepFile = serde_json::from_slice(&bytes).map_err(wrong)?;
        file.active.into_iter().map(TryInto::try_into).collect::<Result<_, _>>().map_err(
            |why: String| Error::KeepFile {
                path: path.to_owned(),
                source: serde::de::Error::custom(why),
            },
        )
    }

    /// Takes the release that a rollout's signed stage is about, as `rollout` publishes it in `stage.bin`.
    ///
    /// # Errors
    /// [`Error::Release`].
    pub fn read_stage(path: &Path, keys: &Keyring) -> Result<Self> {
        Ok(Self::of_stage(&*stage::read(path, keys)?))
    }

    fn of_stage(stage: &Stage) -> Self {
        Self { product: stage.product, what: ActiveWhat::Target(stage.target_digest) }
    }

    fn is(&self, release: &whittle_format::index::Release) -> bool {
        let same = match &self.what {
            ActiveWhat::Version(version) => *version == release.target_version,
            ActiveWhat::Target(digest) => *digest == shorten(&release.target_digest),
        };
        same && self.product == release.product
    }

    fn describe(&self) -> String {
        match &self.what {
            ActiveWhat::Version(version) => format!("{} {version}", self.product),
            ActiveWhat::Target(digest) => {
                format!(
                    "the release of `{}` with image {}",
                    self.product,
                    whittle_release::image::hex(digest)
                )
            }
        }
    }
}

/// Reads a file whose end may never come.
fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_KEEP_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_KEEP_FILE_BYTES {
        let why = format!("it has more than {MAX_KEEP_FILE_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepFile {
    #[serde(default, rename = "schema")]
    _schema: Option<u32>,
    active: Vec<KeepEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepEntry {
    product: String,
    version: Option<String>,
    sha256: Option<Sha256Digest>,
}

impl TryFrom<KeepEntry> for Active {
    type Error = String;

    fn try_from(entry: KeepEntry) -> Result<Self, String> {
        let label =
            |text: &str| text.parse::<Label>().map_err(|error| format!("`{text}`: {error}"));
        let product = label(&entry.product)?;
        match (entry.version, entry.sha256) {
            (Some(version), None) => Ok(Self::version(product, label(&version)?)),
            (None, Some(image)) => Ok(Self::target(product, &image)),
            _ => Err(format!("an entry of `{product}` wants either `version` or `sha256`")),
        }
    }
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Collected {
    /// Releases that stay, and why.
    pub kept: Vec<Kept>,
    /// Releases that go.
    pub removed: Vec<Named>,
    /// Keys of the objects that go.
    pub objects: Vec<String>,
    /// Bytes of those.
    pub bytes: u64,
    /// Objects that no index names, but which are too young to go.
    pub young: usize,
    /// Keys in the store that belong to nothing; they stay.
    pub unknown: Vec<String>,
    /// Whether time ran out: the rest goes the next time.
    pub unfinished: bool,
}

/// A release by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Named {
    /// Name of the product.
    pub product: String,
    /// Its version.
    pub version: String,
}

/// A release that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kept {
    /// Which one.
    #[serde(flatten)]
    pub release: Named,
    /// The first reason that there is.
    pub why: Why,
}

/// Why a release stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A channel points to it.
    Channel,
    /// It was named as active.
    Active,
    /// It is one of the last few.
    Last,
    /// It is young.
    Young,
}

/// Removes what is not needed.
///
/// # Errors
/// [`Error`]. What was removed until then was not needed, either.
pub fn gc(store: &Store, keys: &Keyring, options: &Options) -> Result<Collected> {
    if options.keep == 0 {
        return Err(Error::KeepsNothing);
    }
    store.must_exist()?;
    let mut is_empty = true;
    for what in [PRODUCTS, OBJECTS, BUSY] {
        is_empty = is_empty && store.list(what)?.is_empty();
    }
    if is_empty {
        // No mark is left where no store is, such as in a place that was mistyped.
        if !options.dry_run {
            store.remove_leftovers(options.grace_s)?;
        }
        return Ok(Collected::default());
    }
    let busy = match options.dry_run {
        true => None,
        false => Some(Removing::begin(store, options.grace_s)?),
    };
    let now_s = busy.as_ref().map_or(options.now_s, Removing::now_s);
    let is_old = |entry: &Entry| now_s.saturating_sub(entry.modified_s) >= options.grace_s;
    let indexes = read_indexes(store, keys)?;
    let mut collected = Collected { unknown: indexes.unknown.clone(), ..Collected::default() };
    let chosen = choose(&indexes, options, &is_old)?;
    let needed = chosen.needed.iter().flat_map(|index| index.files());
    let needed: BTreeSet<String> = needed.map(|file| object_key(&file.digest)).collect();
    for entry in store.list(OBJECTS)? {
        if parse_object(&entry.key).is_none() {
            collected.unknown.push(entry.key);
        } else if needed.contains(&entry.key) {
            // Somebody may come for it.
        } else if is_old(&entry) {
            collected.bytes += entry.size;
            collected.objects.push(entry.key);
        } else {
            collected.young += 1;
        }
    }
    for (entry, release) in &indexes.approvals {
        if chosen.kept.contains_key(release) {
            // Devices may ask for it.
        } else if is_old(entry) {
            collected.bytes += entry.size;
            collected.objects.push(entry.key.clone());
        } else {
            collected.young += 1;
        }
    }
    let kept = chosen.kept.into_iter();
    collected.kept = kept.map(|(release, why)| Kept { release, why }).collect();
    collected.removed = chosen.removed.iter().map(|(named, _)| named.clone()).collect();
    if let Some(busy) = busy {
        collected.unfinished = !remove(store, &chosen.removed, &collected.objects, &busy)?;
        store.remove_leftovers(options.grace_s)?;
    }
    Ok(collected)
}

/// Removes indexes, then objects; tells whether there was time for all of them.
fn remove(
    store: &Store,
    indexes: &[(Named, String)],
    objects: &[String],
    busy: &Removing<'_>,
) -> Result<bool> {
    for (_, key) in indexes {
        store.remove(key)?;
    }
    for batch in objects.chunks(BATCH) {
        if busy.is_out_of_time() {
            return Ok(false);
        }
        workers::for_each(batch, READERS, |key| store.remove(key))?;
    }
    Ok(true)
}

/// All indexes of a store.
struct Indexes {
    releases: Vec<(Entry, ReleaseIndex)>,
    channels: Vec<ReleaseIndex>,
    /// What rollouts are about whose stages lie in the store.
    rollouts: Vec<Active>,
    /// With the releases that they approve.
    approvals: Vec<(Entry, Named)>,
    unknown: Vec<String>,
}

fn read_indexes(store: &Store, keys: &Keyring) -> Result<Indexes> {
    let (mut known, mut rollouts, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let mut approvals = Vec::new();
    for entry in store.list(PRODUCTS)? {
        if let Some((product, version)) = parse_approval(&entry.key) {
            let release = Named { product: product.to_string(), version: version.to_string() };
            approvals.push((entry, release));
            continue;
        }
        match (parse_index(&entry.key), parse_product_file(&entry.key)) {
            (Some(place), _) => known.push((entry, place)),
            (None, Some(ProductFile::Stage)) => rollouts.push(read_stage(store, &entry.key, keys)?),
            (None, Some(ProductFile::Other)) => {}
            (None, None) => unknown.push(entry.key),
        }
    }
    let read = workers::for_each(&known, READERS, |(entry, place)| {
        let found = store.get(&entry.key, MAX_INDEX_ENVELOPE_BYTES)?;
        let found = found.ok_or_else(|| Error::Absent(entry.key.clone()))?;
        let index = verify_index(&found.bytes, keys)
            .map_err(|error| Error::of_stored(&entry.key, error))?;
        check_place(&entry.key, place, &index)?;
        Ok::<_, Error>(index)
    })?;
    let (mut releases, mut channels) = (Vec::new(), Vec::new());
    for ((entry, place), index) in known.into_iter().zip(read) {
        match place {
            IndexPlace::Release { .. } => releases.push((entry, index)),
            IndexPlace::Channel { .. } => channels.push(index),
        }
    }
    Ok(Indexes { releases, channels, rollouts, approvals, unknown })
}

fn read_stage(store: &Store, key: &str, keys: &Keyring) -> Result<Active> {
    let found =
        store.get(key, MAX_STAGE_ENVELOPE_BYTES)?.ok_or_else(|| Error::Absent(key.to_owned()))?;
    let stage = VerifiedStage::authenticate(&found.bytes, keys);
    let stage = stage.map_err(|error| match error {
        DocumentError::UnknownKey => {
            Error::UnknownSigner { key: key.to_owned(), source: Box::new(error) }
        }
        error => Error::damaged(key, error.to_string()),
    })?;
    Ok(Active::of_stage(&stage))
}

/// An index stands where its product and its version say.
fn check_place(key: &str, place: &IndexPlace, index: &ReleaseIndex) -> Result<()> {
    let release = &index.release;
    let fits = match place {
        IndexPlace::Release { product, version } => {
            *product == release.product && *version == release.target_version
        }
        IndexPlace::Channel { product, .. } => *product == release.product,
    };
    let other = || format!("it is the index of {} {}", release.product, release.target_version);
    if fits { Ok(()) } else { Err(Error::damaged(key, other())) }
}

/// Which releases stay, and which go.
struct Choice<'a> {
    kept: BTreeMap<Named, Why>,
    /// Indexes of which all that they name stays.
    needed: Vec<&'a ReleaseIndex>,
    /// With the keys of their indexes.
    removed: Vec<(Named, String)>,
}

fn choose<'a>(
    indexes: &'a Indexes,
    options: &Options,
    is_old: &dyn Fn(&Entry) -> bool,
) -> Result<Choice<'a>> {
    let Indexes { releases, channels, rollouts, .. } = indexes;
    let all = || releases.iter().map(|(_, index)| index).chain(channels);
    for active in &options.active {
        if !all().any(|index| active.is(&index.release)) {
            return Err(Error::NoSuchRelease(active.describe()));
        }
    }
    let active = || options.active.iter().chain(rollouts);
    let mut newest_first: Vec<&(Entry, ReleaseIndex)> = releases.iter().collect();
    newest_first.sort_by_cached_key(|(entry, index)| {
        let order = (ReleaseOrder::of(&index.release), entry.modified_s, entry.key.clone());
        std::cmp::Reverse(order)
    });
    let kept = channels.iter().map(|index| (named(index), Why::Channel)).collect();
    let mut choice = Choice { kept, needed: channels.iter().collect(), removed: Vec::new() };
    let mut seen: BTreeMap<Label, usize> = BTreeMap::new();
    for (entry, index) in newest_first {
        let newer = seen.entry(index.release.product).or_default();
        *newer += 1;
        let reasons = [
            (Why::Channel, choice.kept.contains_key(&named(index))),
            (Why::Active, active().any(|active| active.is(&index.release))),
            (Why::Last, *newer <= options.keep),
            (Why::Young, !is_old(entry)),
        ];
        match reasons.into_iter().find(|(_, holds)| *holds) {
            Some((why, _)) => {
                choice.kept.insert(named(index), why);
                choice.needed.push(index);
            }
            None => {
                let release = &index.release;
                let key = release_key(&release.product, &release.target_version);
                choice.removed.push((named(index), key));
            }
        }
    }
    choice.removed.sort();
    Ok(choice)
}

fn named(index: &ReleaseIndex) -> Named {
    let release = &index.release;
    Named { product: release.product.to_string(), version: release.target_version.to_string() }
}
