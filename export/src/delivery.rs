//! What is exported: a release, or a bundle of releases, once every byte of it has been verified.

use std::path::Path;

use whittle_format::Label;
use whittle_format::index::AttachmentKind;
use whittle_release::Sha256Digest;
use whittle_release::build::INDEX_FILE;
use whittle_release::bundle::{BUNDLE_FILE, Listed, VerifiedBundle};
use whittle_release::directory::{ListedFile, VerifiedRelease};
use whittle_release::keys::Keyring;

use crate::Result;

/// Release notes above this size are left out of what carries them as text; their hash is there all the same.
pub const MAX_NOTES_BYTES: u32 = 64 << 10;

/// A release or a bundle that a trusted key signed.
#[derive(Clone, Debug)]
pub struct Delivery {
    product: Label,
    version: Label,
    parts: Vec<Part>,
    bundle: Option<VerifiedBundle>,
}

/// One release of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The release.
    pub release: VerifiedRelease,
    /// Its release notes, where there are some that are text of at most [`MAX_NOTES_BYTES`].
    pub notes: Option<String>,
    /// Directory of the release within the bundle.
    directory: Option<Label>,
}

impl Delivery {
    /// Opens a directory: a bundle if it holds one, else a release. All files of it are verified.
    ///
    /// # Errors
    /// As [`VerifiedRelease::open`], [`VerifiedRelease::verify_files`] and [`VerifiedBundle::open`].
    pub fn open(directory: &Path, keys: &Keyring) -> Result<Self> {
        // A link that leads nowhere is no bundle, and no reason to take the directory for a release either.
        if std::fs::symlink_metadata(directory.join(BUNDLE_FILE)).is_err() {
            let release = VerifiedRelease::open(directory, keys)?;
            let of = &release.index().release;
            let (product, version) = (of.product, of.target_version);
            return Ok(Self {
                product,
                version,
                parts: vec![Part::of(release, None)?],
                bundle: None,
            });
        }
        let bundle = VerifiedBundle::open(directory, keys)?;
        let part =
            |listed: &Listed| Part::of(listed.release.clone(), Some(listed.component.product));
        let parts = bundle.components().iter().map(part).collect::<Result<_>>()?;
        let (product, version) = (*bundle.product(), *bundle.version());
        Ok(Self { product, version, parts, bundle: Some(bundle) })
    }

    /// Name of the product: that of the device, if it is a bundle.
    #[must_use]
    pub fn product(&self) -> &Label {
        &self.product
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Label {
        &self.version
    }

    /// The releases, in the order in which they are installed.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The bundle, if it is one.
    #[must_use]
    pub fn bundle(&self) -> Option<&VerifiedBundle> {
        self.bundle.as_ref()
    }
}

impl Part {
    fn of(release: VerifiedRelease, directory: Option<Label>) -> Result<Self> {
        release.verify_files()?;
        let notes = notes(&release)?;
        Ok(Self { release, notes, directory })
    }

    /// Where a file of the release lies, from the directory that was opened on.
    #[must_use]
    pub fn path(&self, file: &str) -> String {
        match &self.directory {
            Some(directory) => format!("{directory}/{file}"),
            None => file.to_owned(),
        }
    }

    /// All files of the release: the index, the packages, the attachments.
    #[must_use]
    pub fn files(&self) -> Vec<ListedFile> {
        let (size, digest) = self.release.index_file();
        let index = ListedFile { name: INDEX_FILE.to_owned(), size, digest };
        std::iter::once(index).chain(self.release.index().files()).collect()
    }

    /// The attachments of the release, each with what it is.
    pub fn attachments(&self) -> impl Iterator<Item = (AttachmentKind, ListedFile)> {
        let index = self.release.index();
        let files = index.files().into_iter().skip(index.packages.len());
        index.attachments.iter().map(|attachment| attachment.kind).zip(files)
    }

    /// SHA-256 of the target.
    #[must_use]
    pub fn target(&self) -> Sha256Digest {
        Sha256Digest(self.release.index().release.target_digest)
    }
}

fn notes(release: &VerifiedRelease) -> Result<Option<String>> {
    let index = release.index();
    let files = index.files().into_iter().skip(index.packages.len());
    let mut listed = index.attachments.iter().zip(files);
    let wanted = listed
        .find(|(attachment, _)| attachment.kind == AttachmentKind::Notes)
        .filter(|(attachment, _)| attachment.size <= MAX_NOTES_BYTES);
    let bytes = wanted.map(|(_, file)| release.read_file(&file)).transpose()?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}
