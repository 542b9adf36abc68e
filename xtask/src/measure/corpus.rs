//! A corpus of firmware: one directory per series, whose images sort by version.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use whittle_format::Label;
use whittle_format::manifest::HardwareRange;
use whittle_release::apply::{Expectations, apply};
use whittle_release::build::{self, Base, Request};
use whittle_release::directory::{self, VerifiedRelease};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{DeviceProfile, Image};

/// How many bases a release is built from.
const BASES: usize = 3;

/// Successive images of one product.
pub(super) struct Series {
    pub(super) name: String,
    images: Vec<PathBuf>,
}

/// The series of a corpus. Among the fixtures they are what has a directory `images`: there is more than series.
///
/// # Errors
/// If it holds no series of at least two images.
pub(super) fn series_in(corpus: &Path) -> Result<Vec<Series>> {
    // Other programs run in the root, wherever this one does.
    let corpus = std::path::absolute(corpus)?;
    let mut found = Vec::new();
    let directories: Vec<_> = sorted(&corpus)?.into_iter().filter(|path| path.is_dir()).collect();
    let is_deeper = directories.iter().any(|directory| directory.join("images").is_dir());
    for directory in directories {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = if is_deeper { directory.join("images") } else { directory };
        let images = if place.is_dir() { sorted(&place)? } else { vec![] };
        let images: Vec<_> = images
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ext| ext == "bin"))
            .collect();
        if images.len() >= 2 {
            found.push(Series { name, images });
        }
    }
    ensure!(!found.is_empty(), "`{}` holds no series of at least two images", corpus.display());
    Ok(found)
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read `{}`", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

impl Series {
    /// The last image.
    pub(super) fn target(&self) -> &Path {
        self.images.last().map_or(Path::new(""), PathBuf::as_path)
    }

    /// The images before it that a release is built from, the latest first.
    pub(super) fn bases(&self) -> impl Iterator<Item = &Path> {
        self.images.iter().rev().skip(1).take(BASES).map(PathBuf::as_path)
    }

    /// The pairs that are measured.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        self.bases().map(|base| Pair { series: &self.name, base, target: self.target() })
    }

    /// The pair of the last two images.
    pub(super) fn last_pair(&self) -> Pair<'_> {
        let base = self.bases().next().unwrap_or(Path::new(""));
        Pair { series: &self.name, base, target: self.target() }
    }
}

/// A base and a target of a series.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) series: &'a str,
    pub(super) base: &'a Path,
    pub(super) target: &'a Path,
}

impl Pair<'_> {
    /// How a file of peers' sizes names it.
    pub(super) fn key(&self) -> String {
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let series = self.series;
        format!("{series}/{} > {series}/{}", name(self.base), name(self.target))
    }
}

/// A file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a release of whittle's takes, in bytes of whole package files.
pub(super) struct Sizes {
    /// The full image.
    pub(super) full: u64,
    /// What a device on each base fetches, in the order of [`Series::bases`].
    pub(super) downloads: Vec<Download>,
}

/// What a device on some base fetches.
pub(super) struct Download {
    pub(super) bytes: u64,
    /// The codec of a delta, or `full`.
    pub(super) kind: &'static str,
}

/// Builds the release of a series' last image, applies every package, and returns their sizes.
///
/// # Errors
/// If building fails, or applying does not give the image.
pub(super) fn release(series: &Series) -> Result<Sizes> {
    let label = |text: &str| text.parse::<Label>().map_err(anyhow::Error::from);
    let target = Image::read(series.target())?;
    let bases: Vec<Base> = series
        .bases()
        .map(|path| Ok(Base { image: Image::read(path)?, version: None }))
        .collect::<Result<_>>()?;
    let key = PrivateKey::from_seed(&[1; 32]);
    let request = Request {
        product: label("measured")?,
        target_version: label("1")?,
        hardware: HardwareRange::ANY,
        security_counter: 0,
        target: target.clone(),
        bases,
        profile: DeviceProfile::default(),
        attachments: Vec::new(),
        signer: &key,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let built = build::build(&request, &|_| {})?;
    let directory = tempfile::tempdir()?;
    let release = directory.path().join("release");
    directory::write(&release, &built.files)?;
    let keys = Keyring::of(&key);
    let index = VerifiedRelease::open(&release, &keys)?.index().clone();
    let mut downloads = Vec::new();
    for base in &request.bases {
        let applied = apply(&release, Some(&base.image), &keys, Expectations::default())?;
        ensure!(applied.image == target, "{}: applying gave another image", series.name);
        let package = index.package_for(base.image.digest())?;
        let kind = if package.base.is_some() { package.codec.name() } else { "full" };
        downloads.push(Download { bytes: package.size.into(), kind });
    }
    Ok(Sizes { full: index.full()?.size.into(), downloads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_named_by_series_and_files() {
        let pair =
            Pair { series: "s", base: Path::new("/c/s/a.bin"), target: Path::new("/c/s/b.bin") };
        assert_eq!(pair.key(), "s/a.bin > s/b.bin");
    }

    #[test]
    fn the_last_image_is_measured_against_three_before_it() -> Result<()> {
        let corpus = tempfile::tempdir()?;
        let series = corpus.path().join("s");
        std::fs::create_dir(&series)?;
        for name in ["3.bin", "1.bin", "5.bin", "2.bin", "4.bin", "notes.txt"] {
            std::fs::write(series.join(name), name)?;
        }
        let found = series_in(corpus.path())?;
        let bases: Vec<String> = found[0].bases().map(stem).collect();
        assert_eq!(
            (stem(found[0].target()).as_str(), bases),
            ("5", ["4", "3", "2"].map(str::to_owned).to_vec())
        );
        Ok(())
    }
}
