//! The base archive: the images that devices run, kept by their SHA-256.
//!
//! ```text
//! archive/
//!   catalog.json                    which product released which image, in which order
//!   images/<2 digits>/<SHA-256>.bin the images, never changed
//!   lock                            held while the catalog is rewritten
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use whittle_delta::compact::InstructionSet;
use whittle_format::Label;

use crate::image::Sha256Digest;
use crate::{Error, Image, Result, Source, files};

const CATALOG_FILE: &str = "catalog.json";
const LOCK_FILE: &str = "lock";
const IMAGES_DIR: &str = "images";
const SCHEMA: u32 = 1;
const MAX_CATALOG_BYTES: u64 = 64 << 20;

/// A released image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name of the product.
    pub product: String,
    /// Version of the image.
    pub version: String,
    /// SHA-256 of the image.
    pub sha256: Sha256Digest,
    /// Size of the image in bytes.
    pub bytes: u32,
    /// Counts up with every image that was added.
    pub sequence: u64,
    /// Address of the image's first byte, if its file told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_address: Option<u64>,
    /// Name of its instruction set, if its file told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_set: Option<String>,
}

impl Entry {
    fn instruction_set(&self) -> Option<InstructionSet> {
        let name = self.instruction_set.as_deref()?;
        InstructionSet::ALL.into_iter().find(|set| set.name() == name)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    schema: u32,
    entries: Vec<Entry>,
}

/// What an addition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// The image is new.
    New(Entry),
    /// The same image was there under the same version.
    AlreadyThere(Entry),
}

/// An archive in a directory.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// The archive in this directory, which need not exist yet.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Adds a released image.
    ///
    /// # Errors
    /// [`Error::Archive`] if the version is already taken by another image; [`Error::Io`].
    pub fn add(&self, product: &Label, version: &Label, image: &Image) -> Result<Added> {
        let _lock = self.lock()?;
        let mut catalog = self.catalog()?;
        let (product, version) = (product.to_string(), version.to_string());
        let same_name = |entry: &&Entry| entry.product == product && entry.version == version;
        if let Some(entry) = catalog.entries.iter().find(same_name) {
            if entry.sha256 == image.digest() {
                self.store(image)?;
                return Ok(Added::AlreadyThere(entry.clone()));
            }
            let other = entry.sha256.short();
            return Err(Error::Archive(format!(
                "{product} {version} is already archived as image {other}"
            )));
        }
        self.store(image)?;
        let last = catalog.entries.iter().map(|entry| entry.sequence).max();
        let sequence = last.map_or(0, |last| last.saturating_add(1));
        let Source { load_address, instruction_set, .. } = *image.source();
        let entry = Entry {
            product,
            version,
            sha256: image.digest(),
            bytes: image.size(),
            sequence,
            load_address,
            instruction_set: instruction_set.map(|set| set.name().to_owned()),
        };
        catalog.entries.push(entry.clone());
        self.write(&catalog)?;
        Ok(Added::New(entry))
    }

    /// Writes an image unless it is there as it should be.
    fn store(&self, image: &Image) -> Result<()> {
        let path = self.image_path(image.digest());
        if Image::read(&path).is_ok_and(|found| found == *image) {
            return Ok(());
        }
        let parent = files::parent(&path);
        std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        files::write_atomically(&path, image.bytes())
    }

    /// Whether there is an archive at all.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directory.join(CATALOG_FILE).exists()
    }

    /// Checks that there is an archive.
    ///
    /// # Errors
    /// [`Error::NoArchive`].
    pub fn check_exists(&self) -> Result<()> {
        if self.exists() { Ok(()) } else { Err(Error::NoArchive(self.directory.clone())) }
    }

    /// The released images in the order of their release, of one product or of all.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Archive`] for a damaged catalog.
    pub fn list(&self, product: Option<&Label>) -> Result<Vec<Entry>> {
        let mut entries = self.catalog()?.entries;
        entries.retain(|entry| product.is_none_or(|product| entry.product == product.as_str()));
        entries.sort_by_key(|entry| entry.sequence);
        Ok(entries)
    }

    /// The last `count` releases of a product, newest first, without the image `target`.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn latest(
        &self,
        product: &Label,
        count: usize,
        target: Sha256Digest,
    ) -> Result<Vec<Entry>> {
        let mut seen = BTreeSet::from([target]);
        let newest_first = self.list(Some(product))?.into_iter().rev();
        Ok(newest_first.filter(|entry| seen.insert(entry.sha256)).take(count).collect())
    }

    /// Reads an image and checks that it is the one that was added.
    ///
    /// # Errors
    /// [`Error::Archive`] if it has changed; [`Error::Io`].
    pub fn read(&self, entry: &Entry) -> Result<Image> {
        let path = self.image_path(entry.sha256);
        let image = Image::read(&path)?;
        if image.digest() != entry.sha256 {
            return Err(Error::Archive(format!(
                "`{}` has changed since it was archived",
                path.display()
            )));
        }
        let (load_address, instruction_set) = (entry.load_address, entry.instruction_set());
        Ok(image.with_source(Source { load_address, instruction_set, ..Source::default() }))
    }

    /// Keeps the last `keep` releases of each product, or of one, and removes the others; returns what was removed.
    ///
    /// With `dry_run` nothing is removed.
    ///
    /// # Errors
    /// As [`Self::list`], or [`Error::Io`] while removing.
    pub fn prune(&self, product: Option<&Label>, keep: usize, dry_run: bool) -> Result<Vec<Entry>> {
        self.check_exists()?;
        let _lock = self.lock()?;
        let mut catalog = self.catalog()?;
        let concerned = self.list(product)?;
        let is_old = |entry: &Entry| {
            let newer =
                |other: &&Entry| other.product == entry.product && other.sequence > entry.sequence;
            concerned.contains(entry) && concerned.iter().filter(newer).count() >= keep
        };
        let (removed, kept): (Vec<_>, Vec<_>) = catalog.entries.into_iter().partition(is_old);
        catalog.entries = kept;
        if dry_run || removed.is_empty() {
            return Ok(removed);
        }
        // The catalog first: an image without an entry is harmless, an entry without an image is not.
        self.write(&catalog)?;
        let needed: BTreeSet<_> = catalog.entries.iter().map(|entry| entry.sha256).collect();
        for entry in removed.iter().filter(|entry| !needed.contains(&entry.sha256)) {
            let path = self.image_path(entry.sha256);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(removed)
    }

    fn image_path(&self, digest: Sha256Digest) -> PathBuf {
        let name = digest.to_string();
        self.directory.join(IMAGES_DIR).join(&name[..2]).join(format!("{name}.bin"))
    }

    fn catalog(&self) -> Result<Catalog> {
        let path = self.directory.join(CATALOG_FILE);
        let damaged =
            |why: String| Error::Archive(format!("`{}` is damaged: {why}", path.display()));
        let bytes = match files::read_at_most(&path, MAX_CATALOG_BYTES) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Catalog { schema: SCHEMA, entries: Vec::new() });
            }
            read => read?.ok_or_else(|| damaged("it is too large".to_owned()))?,
        };
        let catalog: Catalog =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let named_badly = |entry: &&Entry| {
            entry.product.parse::<Label>().is_err() || entry.version.parse::<Label>().is_err()
        };
        if let Some(entry) = catalog.entries.iter().find(named_badly) {
            return Err(damaged(format!("entry {} has a bad name", entry.sequence)));
        }
        let is_unknown =
            |entry: &&Entry| entry.instruction_set.is_some() && entry.instruction_set().is_none();
        if let Some(entry) = catalog.entries.iter().find(is_unknown) {
            return Err(damaged(format!(
                "entry {} has an unknown instruction set",
                entry.sequence
            )));
        }
        if catalog.schema != SCHEMA {
            return Err(damaged(format!(
                "schema {} is unknown, this tool writes {SCHEMA}",
                catalog.schema
            )));
        }
        Ok(catalog)
    }

    fn write(&self, catalog: &Catalog) -> Result<()> {
        let path = self.directory.join(CATALOG_FILE);
        let json = serde_json::to_vec_pretty(catalog)
            .map_err(|error| Error::Archive(format!("the catalog cannot be written: {error}")))?;
        files::write_atomically(&path, &json)
    }

    /// Held while the catalog is read and rewritten, so that two pipelines lose nothing.
    fn lock(&self) -> Result<std::fs::File> {
        std::fs::create_dir_all(&self.directory).map_err(Error::io("create", &self.directory))?;
        let path = self.directory.join(LOCK_FILE);
        files::lock_file(&path).map_err(Error::io("lock", &path))
    }
}

/// Whether an archive would not be whole any more without this file.
#[must_use]
pub fn is_part(file: &Path) -> bool {
    let is_image = |archive: &Path| file.starts_with(archive.join(IMAGES_DIR));
    let is_archive = |archive: &&Path| archive.join(CATALOG_FILE).exists();
    file.ancestors()
        .skip(1)
        .take(3)
        .filter(is_archive)
        .any(|archive| is_image(archive) || file == archive.join(CATALOG_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> Label {
        name.parse().expect("a label")
    }

    fn image(byte: u8) -> Image {
        Image::new(vec![byte; 100]).expect("small")
    }

    #[test]
    fn the_latest_come_first_and_pruning_keeps_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = Archive::at(directory.path());
        let product = label("p");
        for n in 0..5 {
            let version = label(&format!("1.{n}"));
            assert!(matches!(archive.add(&product, &version, &image(n)), Ok(Added::New(_))));
            assert!(matches!(
                archive.add(&product, &version, &image(n)),
                Ok(Added::AlreadyThere(_))
            ));
        }
        assert!(matches!(archive.add(&product, &label("1.4"), &image(9)), Err(Error::Archive(_))));
        archive.add(&label("other"), &label("7"), &image(0)).expect("shares an image");

        let versions = |entries: Vec<Entry>| {
            entries.into_iter().map(|entry| entry.version).collect::<Vec<_>>()
        };
        let latest = archive.latest(&product, 3, image(4).digest()).expect("lists");
        assert_eq!(archive.read(&latest[0]).expect("reads"), image(3));
        assert_eq!(versions(latest), ["1.3", "1.2", "1.1"]);

        assert_eq!(
            versions(archive.prune(Some(&product), 2, true).expect("prunes")),
            ["1.0", "1.1", "1.2"]
        );
        assert_eq!(archive.list(None).expect("lists").len(), 6);
        archive.prune(None, 2, false).expect("prunes");
        assert_eq!(versions(archive.list(Some(&product)).expect("lists")), ["1.3", "1.4"]);
        let other = archive.list(Some(&label("other"))).expect("lists");
        assert_eq!(archive.read(&other[0]).expect("still there"), image(0));
    }

    #[test]
    fn a_changed_image_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = Archive::at(directory.path());
        let Ok(Added::New(entry)) = archive.add(&label("p"), &label("1"), &image(1)) else {
            panic!("new")
        };
        std::fs::write(archive.image_path(entry.sha256), [2; 100]).expect("writes");
        assert!(matches!(archive.read(&entry), Err(Error::Archive(_))));
        archive.add(&label("p"), &label("1"), &image(1)).expect("mends it");
        assert_eq!(archive.read(&entry).expect("as it was"), image(1));
    }

    #[test]
    fn an_image_with_two_versions_counts_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = Archive::at(directory.path());
        for (version, byte) in [("1", 1), ("2", 2), ("3", 3), ("4", 3), ("5", 3)] {
            archive.add(&label("p"), &label(version), &image(byte)).expect("adds");
        }
        let latest = archive.latest(&label("p"), 3, image(9).digest()).expect("lists");
        let versions: Vec<_> = latest.into_iter().map(|entry| entry.version).collect();
        assert_eq!(versions, ["5", "2", "1"]);
    }
}
