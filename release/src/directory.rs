//! A release as a directory: written in one step, and trusted only after its index has been verified.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use whittle_format::envelope::Envelope;
use whittle_format::index::{self, Index};
use whittle_format::limits::{MAX_IMAGE_BYTES, MAX_INDEX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES};
use whittle_format::{Manifest, shorten};
use whittle_patcher_nostd::{PatchError, VerifiedManifest, Verifier, VerifyError, authenticate};

use crate::build::{INDEX_FILE, attachment_file_name, package_file_name};
use crate::image::Sha256Digest;
use crate::keys::{KeyId, Keyring};
use crate::{Error, Result, files};

/// Largest package file: a payload, its block hashes at the smallest block size, and an envelope.
const MAX_PACKAGE_BYTES: u64 = MAX_PAYLOAD_BYTES as u64 * 4 / 3 + 4096;

/// Writes a release into a directory that does not exist yet, or is empty.
///
/// The files are written into a temporary directory beside it and renamed in one step.
///
/// # Errors
/// [`Error::OutputExists`], or [`Error::Io`]; the directory is then as it was.
pub fn write(out: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    check_free(out)?;
    let parent = files::parent(out);
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let staging = tempfile::Builder::new()
        .prefix(files::TEMPORARY_PREFIX)
        .tempdir_in(parent)
        .map_err(Error::io("write into", parent))?;
    // The temporary directory is private; what is renamed into place has the usual permissions.
    let release = staging.path().join("release");
    std::fs::create_dir(&release).map_err(Error::io("create", &release))?;
    for (name, bytes) in files {
        let path = release.join(name);
        let written = std::fs::File::create_new(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        });
        written.map_err(Error::io("write", &path))?;
    }
    if out.exists() {
        std::fs::remove_dir(out).map_err(Error::io("replace", out))?;
    }
    files::sync_directory(&release)?;
    std::fs::rename(&release, out).map_err(Error::io("create", out))?;
    files::sync_directory(parent)
}

/// Checks that a release can be written here, before anything is built for it.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::NotADirectory`] or [`Error::Io`].
pub fn check_free(out: &Path) -> Result<()> {
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::OutputExists(out.to_owned())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(Error::NotADirectory(out.to_owned()))
        }
        Err(error) => Err(Error::io("read", out)(error)),
    }
}

/// Compares a release directory with the files that it should hold, byte for byte.
///
/// # Errors
/// [`Error::NotReproducible`] names the first difference.
pub fn compare(out: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in files {
        let path = out.join(name);
        match files::read_at_most(&path, bytes.len() as u64) {
            Ok(Some(found)) if found == *bytes => {}
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NotReproducible(format!("`{}` is missing", path.display())));
            }
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(Error::NotReproducible(format!(
                    "`{}` has other bytes",
                    path.display()
                )));
            }
        }
    }
    match unlisted(out, files.iter().map(|(name, _)| name.clone()))?.first() {
        Some(extra) => Err(Error::NotReproducible(format!("`{extra}` would not be built"))),
        None => Ok(()),
    }
}

fn unlisted(directory: &Path, listed: impl Iterator<Item = String>) -> Result<Vec<String>> {
    let listed: BTreeSet<String> = listed.collect();
    let entries = std::fs::read_dir(directory).map_err(Error::io("read", directory))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> =
        names.collect::<std::io::Result<_>>().map_err(Error::io("read", directory))?;
    Ok(names.difference(&listed).cloned().collect())
}

/// What an index says, copied out of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseIndex {
    /// What all packages have in common.
    pub release: index::Release,
    /// The bases that the release was built for.
    pub bases: Vec<index::Base>,
    /// The package files.
    pub packages: Vec<index::Package>,
    /// Further files.
    pub attachments: Vec<index::Attachment>,
    /// Which key is said to have signed it.
    pub key_id: KeyId,
}

/// A file that an index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name in the release directory.
    pub name: String,
    /// Its size in bytes.
    pub size: u32,
    /// Its SHA-256.
    pub digest: Sha256Digest,
}

impl ReleaseIndex {
    /// The name of a package's file.
    #[must_use]
    pub fn file_name(&self, package: &index::Package) -> String {
        let base = package.base.and_then(|number| self.bases.get(usize::from(number)));
        let base = base.map(|base| Sha256Digest(base.digest));
        package_file_name(&self.release.product, &self.release.target_version, base)
    }

    /// All files that the index lists: packages, then attachments.
    #[must_use]
    pub fn files(&self) -> Vec<ListedFile> {
        let packages = self.packages.iter().map(|package| ListedFile {
            name: self.file_name(package),
            size: package.size,
            digest: Sha256Digest(package.digest),
        });
        let attachments = self.attachments.iter().map(|attachment| ListedFile {
            name: attachment_file_name(attachment.kind).to_owned(),
            size: attachment.size,
            digest: Sha256Digest(attachment.digest),
        });
        packages.chain(attachments).collect()
    }

    /// The package for a device that runs this image: its smallest delta, else the full image.
    ///
    /// # Errors
    /// [`Error::UnknownBase`] if the release was not built for the image.
    pub fn package_for(&self, base: Sha256Digest) -> Result<index::Package> {
        let number = self.bases.iter().position(|listed| listed.digest == base.0);
        let number = number.ok_or(Error::UnknownBase { base })?;
        let deltas =
            self.packages.iter().filter(|package| package.base.map(usize::from) == Some(number));
        deltas.min_by_key(|package| package.size).copied().map_or_else(|| self.full(), Ok)
    }

    /// The full image's package.
    ///
    /// # Errors
    /// [`Error::IndexContradiction`] if the index lists none.
    pub fn full(&self) -> Result<index::Package> {
        let full = self
            .packages
            .iter()
            .filter(|package| package.base.is_none())
            .min_by_key(|package| package.size);
        full.copied()
            .ok_or(Error::IndexContradiction { file: INDEX_FILE.to_owned(), field: "full image" })
    }
}

/// Reads an index without verifying it: for showing, never for acting.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`].
pub fn read_unverified(directory: &Path) -> Result<ReleaseIndex> {
    parse_index(&read_index(directory)?, None)
}

/// Parses the bytes of an index, of wherever they come from, and checks the signature.
///
/// # Errors
/// [`Error::Format`], or [`Error::Package`] or [`Error::Refused`] for a signature that does not count.
pub fn verify_index(bytes: &[u8], keys: &Keyring) -> Result<ReleaseIndex> {
    parse_index(bytes, Some(keys))
}

/// Parses the manifest in front of a package and checks its signature; also returns where its blocks begin. `bytes` is the front
/// of the package, at least its envelope.
///
/// # Errors
/// [`Error::Format`], or [`Error::Package`] or [`Error::Refused`] for a signature that does not count.
pub fn verify_manifest(what: &str, bytes: &[u8], keys: &Keyring) -> Result<(Manifest, usize)> {
    let what = || format!("`{what}`");
    let (envelope, rest) = Envelope::parse(bytes).map_err(Error::format(what()))?;
    verify_signature(&envelope, keys).map_err(Error::signed(what(), bytes))?;
    let manifest = Manifest::parse(envelope.payload).map_err(Error::format(what()))?;
    Ok((manifest, bytes.len() - rest.len()))
}

fn read_index(directory: &Path) -> Result<Vec<u8>> {
    files::read_document(&directory.join(INDEX_FILE), MAX_INDEX_ENVELOPE_BYTES)
}

fn parse_index(bytes: &[u8], keys: Option<&Keyring>) -> Result<ReleaseIndex> {
    let envelope = match keys {
        Some(keys) => verified_envelope(INDEX_FILE, bytes, keys)?,
        None => whole_envelope(INDEX_FILE, bytes)?,
    };
    let index = Index::parse(envelope.payload).map_err(Error::format(format!("`{INDEX_FILE}`")))?;
    Ok(ReleaseIndex {
        release: index.release,
        bases: index.bases.iter().collect(),
        packages: index.packages.iter().collect(),
        attachments: index.attachments.iter().collect(),
        key_id: envelope.key_id,
    })
}

/// The payload of a file that is one envelope, once its signature has been checked.
pub(crate) fn verified_payload<'a>(
    file: &str,
    bytes: &'a [u8],
    keys: &Keyring,
) -> Result<&'a [u8]> {
    verified_envelope(file, bytes, keys).map(|envelope| envelope.payload)
}

fn verified_envelope<'a>(file: &str, bytes: &'a [u8], keys: &Keyring) -> Result<Envelope<'a>> {
    let envelope = whole_envelope(file, bytes)?;
    verify_signature(&envelope, keys).map_err(Error::signed(format!("`{file}`"), bytes))?;
    Ok(envelope)
}

fn whole_envelope<'a>(file: &str, bytes: &'a [u8]) -> Result<Envelope<'a>> {
    let what = || format!("`{file}`");
    let (envelope, rest) = Envelope::parse(bytes).map_err(Error::format(what()))?;
    if rest.is_empty() {
        Ok(envelope)
    } else {
        Err(Error::format(what())(whittle_format::FormatError::TrailingBytes))
    }
}

fn verify_signature(envelope: &Envelope<'_>, keys: &Keyring) -> Result<(), PatchError> {
    let key_id = envelope.key_id;
    let mut tbs = vec![0; envelope.payload.len() + whittle_format::envelope::TBS_OVERHEAD];
    let len = whittle_format::envelope::tbs(&key_id, envelope.payload, &mut tbs)
        .map_err(PatchError::Envelope)?;
    keys.verify(&key_id, &tbs[..len], envelope.signature).map_err(|error| match error {
        VerifyError::UnknownKey => PatchError::UnknownKey,
        VerifyError::BadSignature => PatchError::BadSignature,
        VerifyError::NotApproved => PatchError::NotApproved,
    })
}

/// A release directory whose index a trusted key signed.
#[derive(Clone, Debug)]
pub struct VerifiedRelease {
    directory: PathBuf,
    index: ReleaseIndex,
    index_bytes: Vec<u8>,
    keys: Keyring,
}

impl VerifiedRelease {
    /// Reads the index and checks its signature.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], or [`Error::Package`] for a signature that does not count.
    pub fn open(directory: &Path, keys: &Keyring) -> Result<Self> {
        let index_bytes = read_index(directory)?;
        let index = verify_index(&index_bytes, keys)?;
        Ok(Self { directory: directory.to_owned(), index, index_bytes, keys: keys.clone() })
    }

    /// The bytes of the index, as they are signed.
    #[must_use]
    pub fn index_bytes(&self) -> &[u8] {
        &self.index_bytes
    }

    /// Reads a file that the index lists, and checks its size and digest.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::WrongFileSize`] or [`Error::NotTheListedFile`].
    pub fn read_file(&self, file: &ListedFile) -> Result<Vec<u8>> {
        self.read_listed(&file.name, file.size, &file.digest.0)
    }

    /// Size and SHA-256 of the index's file, by which a bundle lists the release.
    #[must_use]
    pub fn index_file(&self) -> (u32, Sha256Digest) {
        let size = u32::try_from(self.index_bytes.len()).unwrap_or(u32::MAX);
        (size, Sha256Digest::of(&self.index_bytes))
    }

    /// The verified index.
    #[must_use]
    pub fn index(&self) -> &ReleaseIndex {
        &self.index
    }

    /// Reads a package and checks that it is the listed one, authentic to its last byte, and says what the index says.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read_package(&self, package: &index::Package) -> Result<(Vec<u8>, VerifiedManifest)> {
        let file = self.index.file_name(package);
        let bytes = self.read_listed(&file, package.size, &package.digest)?;
        let manifest = authenticate_file(&file, &bytes, &self.keys)?;
        self.check_consistency(&file, package, &manifest)?;
        Ok((bytes, manifest))
    }

    /// Checks every file of the release; returns the names of files that the index does not list.
    ///
    /// # Errors
    /// [`Error`] for the first file that is not as it should be.
    pub fn verify_files(&self) -> Result<Vec<String>> {
        let mut listed = vec![INDEX_FILE.to_owned()];
        for package in &self.index.packages {
            self.read_package(package)?;
            listed.push(self.index.file_name(package));
        }
        for attachment in &self.index.attachments {
            let file = attachment_file_name(attachment.kind);
            self.read_listed(file, attachment.size, &attachment.digest)?;
            listed.push(file.to_owned());
        }
        unlisted(&self.directory, listed.into_iter())
    }

    fn read_listed(&self, file: &str, size: u32, digest: &[u8; 32]) -> Result<Vec<u8>> {
        let path = self.directory.join(file);
        let wrong_size =
            |got| Error::WrongFileSize { file: file.to_owned(), got, wanted: size.into() };
        let bytes = files::read_at_most(&path, size.into())?;
        let bytes = bytes.ok_or_else(|| {
            wrong_size(std::fs::metadata(&path).map_or(u64::MAX, |found| found.len()))
        })?;
        if bytes.len() as u64 != u64::from(size) {
            return Err(wrong_size(bytes.len() as u64));
        }
        if Sha256Digest::of(&bytes).0 != *digest {
            return Err(Error::NotTheListedFile { file: file.to_owned() });
        }
        Ok(bytes)
    }

    fn check_consistency(
        &self,
        file: &str,
        package: &index::Package,
        manifest: &Manifest,
    ) -> Result<()> {
        let release = &self.index.release;
        let base = package.base.and_then(|number| self.index.bases.get(usize::from(number)));
        let base = base.map(|base| (base.size, shorten(&base.digest)));
        let equal = [
            ("product", manifest.product == release.product),
            ("target version", manifest.target_version == release.target_version),
            ("hardware revisions", manifest.hardware == release.hardware),
            ("security counter", manifest.security_counter == release.security_counter),
            ("target size", manifest.target_size == release.target_size),
            ("target digest", manifest.target_digest == release.target_digest),
            ("base", manifest.base().map(|base| (base.size, base.digest)) == base),
            ("codec", (manifest.codec, manifest.encoder) == (package.codec, package.encoder)),
            ("memory class", manifest.memory_class == package.memory_class),
            ("block size", manifest.block_log2 == package.block_log2),
        ];
        match equal.into_iter().find(|(_, equal)| !equal) {
            Some((field, _)) => Err(Error::IndexContradiction { file: file.to_owned(), field }),
            None => Ok(()),
        }
    }
}

/// Reads a package file of any size that the format allows.
///
/// # Errors
/// [`Error::Io`] or [`Error::ImageTooLarge`].
pub fn read_package_file(path: &Path) -> Result<Vec<u8>> {
    let too_large =
        || Error::ImageTooLarge { got: MAX_PACKAGE_BYTES + 1, limit: MAX_IMAGE_BYTES.into() };
    files::read_at_most(path, MAX_PACKAGE_BYTES)?.ok_or_else(too_large)
}

/// Checks that every byte of a package file is authentic.
///
/// # Errors
/// [`Error::Package`].
pub fn authenticate_file(what: &str, bytes: &[u8], keys: &Keyring) -> Result<VerifiedManifest> {
    let mut block = vec![0; 1 << whittle_format::limits::MAX_BLOCK_LOG2];
    authenticate(bytes, keys, &mut block).map_err(Error::signed(format!("`{what}`"), bytes))
}

/// Parses a package's manifest without verifying it: for showing, never for acting. Also returns the key id and how
/// many bytes follow the manifest.
///
/// # Errors
/// [`Error::Format`].
pub fn read_manifest_unverified(what: &str, bytes: &[u8]) -> Result<(Manifest, KeyId, usize)> {
    let what = format!("`{what}`");
    let (envelope, rest) = Envelope::parse(bytes).map_err(Error::format(what.clone()))?;
    let manifest = Manifest::parse(envelope.payload).map_err(Error::format(what))?;
    Ok((manifest, envelope.key_id, rest.len()))
}
