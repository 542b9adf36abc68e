use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use whittle_format::Label;
use whittle_format::manifest::HardwareRange;
use whittle_release::apply::{Expectations, apply};
use whittle_release::build::{self, Base, Request};
use whittle_release::directory::{self, VerifiedRelease};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{DeviceProfile, Image};

use super::{print_table, row};
use crate::shell;

/// How many bases a release is built from.
const BASES: usize = 3;

pub(crate) fn run(corpus: &Path) -> Result<()> {
    let mut rows = vec![row([
        &"series",
        &"base",
        &"target",
        &"ours",
        &"kind",
        &"bsdiff",
        &"full",
        &"xz -9e",
        &"ours/bsdiff",
    ])];
    let mut logs = Vec::new();
    for series in series_in(corpus)? {
        measure(&series, &mut rows, &mut logs)?;
    }
    ensure!(!logs.is_empty(), "`{}` holds no series of at least two images", corpus.display());
    print_table(&rows);
    let geomean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    println!("pairs={} geomean_ours_over_bsdiff={geomean:.4}", logs.len());
    Ok(())
}

struct Series {
    name: String,
    images: Vec<PathBuf>,
}

/// The series of a corpus; of the fixtures, the images lie one level deeper.
fn series_in(corpus: &Path) -> Result<Vec<Series>> {
    let mut found = Vec::new();
    for directory in sorted(corpus)?.into_iter().filter(|path| path.is_dir()) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let deeper = directory.join("images");
        let images = sorted(if deeper.is_dir() { &deeper } else { &directory })?;
        let images: Vec<_> = images
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ext| ext == "bin"))
            .collect();
        if images.len() >= 2 {
            found.push(Series { name, images });
        }
    }
    Ok(found)
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read `{}`", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn measure(series: &Series, rows: &mut Vec<Vec<String>>, logs: &mut Vec<f64>) -> Result<()> {
    let (target_path, earlier) = series.images.split_last().context("a target")?;
    let base_paths: Vec<&PathBuf> = earlier.iter().rev().take(BASES).collect();
    let target = Image::read(target_path)?;
    let bases: Vec<Base> = base_paths
        .iter()
        .map(|path| Ok(Base { image: Image::read(path)?, version: None }))
        .collect::<Result<_>>()?;
    let label = |text: &str| text.parse::<Label>().map_err(anyhow::Error::from);
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
    let xz = shell::output("xz", &["-9e", "--stdout", &target_path.to_string_lossy()])?.len();
    for (base, path) in request.bases.iter().zip(&base_paths) {
        let applied = apply(&release, Some(&base.image), &keys, Expectations::default())?;
        ensure!(applied.image == target, "{}: applying gave another image", series.name);
        let package = index.package_for(base.image.digest())?;
        let (ours, full) = (package.size, index.full()?.size);
        let bsdiff = bsdiff_len(path, target_path, directory.path())?;
        let ratio = f64::from(ours) / bsdiff as f64;
        logs.push(ratio.ln());
        let kind = if package.base.is_some() { package.codec.name() } else { "full" };
        let stem =
            |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ratio = format!("{ratio:.3}");
        rows.push(row([
            &series.name,
            &stem(path),
            &stem(target_path),
            &ours,
            &kind,
            &bsdiff,
            &full,
            &xz,
            &ratio,
        ]));
    }
    Ok(())
}

fn bsdiff_len(base: &Path, target: &Path, directory: &Path) -> Result<u64> {
    let patch = directory.join("patch.bsdiff");
    shell::output(
        "bsdiff",
        &[&base.to_string_lossy(), &target.to_string_lossy(), &patch.to_string_lossy()],
    )?;
    Ok(std::fs::metadata(&patch)?.len())
}
