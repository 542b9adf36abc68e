//! Applies a package on the host, by the crate that runs on the device.

use std::path::Path;

use whittle_delta::bsdiff40;
use whittle_format::limits::MAX_IMAGE_BYTES;
use whittle_format::shorten;
use whittle_patcher_nostd::{Device, VerifiedManifest};

use crate::directory::{VerifiedRelease, authenticate_file, read_package_file};
use crate::image::{Image, hex};
use crate::keys::Keyring;
use crate::ram_flash::RamFlash;
use crate::{Error, Result, files, refusal, self_check};

/// What the device would check besides the signature; what is left out is not checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectations<'a> {
    /// Name of the product.
    pub product: Option<&'a str>,
    /// Hardware revision of the device.
    pub hardware_revision: Option<u16>,
    /// Security counter of the device.
    pub security_counter: Option<u32>,
}

/// An image that was made from a verified package.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The image.
    pub image: Image,
    /// What was applied.
    pub manifest: VerifiedManifest,
    /// Which package file was applied.
    pub file: String,
}

/// Applies a release directory, choosing the package by the base, or one package file.
///
/// # Errors
/// [`Error`]; nothing is written by this function at all.
pub fn apply(
    source: &Path,
    base: Option<&Image>,
    keys: &Keyring,
    expected: Expectations<'_>,
) -> Result<Applied> {
    let (file, bytes, manifest) = if source.is_dir() {
        let release = VerifiedRelease::open(source, keys)?;
        let package = match base {
            Some(base) => release.index().package_for(base.digest())?,
            None => release.index().full()?,
        };
        let (bytes, manifest) = release.read_package(&package)?;
        (release.index().file_name(&package), bytes, manifest)
    } else {
        let file = source.file_name().unwrap_or(source.as_os_str()).to_string_lossy().into_owned();
        let bytes = read_package_file(source)?;
        let manifest = authenticate_file(&file, &bytes, keys)?;
        (file, bytes, manifest)
    };
    let base = match (manifest.base(), base) {
        (Some(wanted), None) => return Err(Error::NoBase { wanted: hex(&wanted.digest[..4]) }),
        // A device hashes as much of its slot as the base is long; a file must be the base and nothing more.
        (Some(wanted), Some(base))
            if base.size() != wanted.size || shorten(&base.digest().0) != wanted.digest =>
        {
            let [wanted, got] =
                [&wanted.digest, &base.digest().0[..]].map(|digest| hex(&digest[..4]));
            return Err(Error::WrongBase { file, wanted, got });
        }
        (_, base) => base.map_or(&[][..], Image::bytes),
    };
    let fitting = self_check::device_for(&manifest);
    let device = Device {
        product: expected.product.unwrap_or(fitting.product),
        hardware_revision: expected.hardware_revision.unwrap_or(fitting.hardware_revision),
        security_counter: expected.security_counter.unwrap_or(0),
        ..fitting
    };
    let slot = RamFlash::with_room_for(manifest.target_size);
    let image = self_check::install(&bytes, &device, keys, &manifest, base, slot)
        .map_err(|error| refusal::of_package(error, format!("`{file}`"), &manifest, &device))?;
    Ok(Applied { image: Image::new(image)?, manifest, file })
}

/// Writes an image in one step: a crash leaves the old file or the new one.
///
/// # Errors
/// [`Error::Io`].
pub fn write_image(path: &Path, image: &Image) -> Result<()> {
    files::write_atomically(path, image.bytes())
}

/// Applies a bare BSDIFF40 patch, which nothing protects: neither the patch nor the base is authenticated.
///
/// # Errors
/// [`Error::BsdiffPatch`].
pub fn apply_bsdiff(what: &str, patch: &[u8], base: &Image) -> Result<Image> {
    let image = bsdiff40::apply(base.bytes(), patch, MAX_IMAGE_BYTES);
    Image::new(image.map_err(|source| Error::BsdiffPatch { what: what.to_owned(), source })?)
}
