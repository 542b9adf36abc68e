pub(super) mod fleet;

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::manifest::HardwareRange;
use whittle_release::apply::{self, Expectations};
use whittle_release::build::{self, Base, Report, Request};
use whittle_release::directory::VerifiedRelease;
use whittle_release::files::DirectoryLock;
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{DeviceProfile, Error as ReleaseError, Image, directory};

use super::build::artifact_table;
use crate::error::{Error, Result};
use crate::printer::{Printer, grouped};

/// The thermostat's releases: the target last, its last three bases in front.
const RELEASES: [(&str, &[u8]); 4] = [
    ("1.1.1", include_bytes!("../../../fixtures/thermostat/images/1.1.1.bin")),
    ("1.2.0", include_bytes!("../../../fixtures/thermostat/images/1.2.0.bin")),
    ("1.2.1", include_bytes!("../../../fixtures/thermostat/images/1.2.1.bin")),
    ("1.2.2", include_bytes!("../../../fixtures/thermostat/images/1.2.2.bin")),
];

const PRODUCT: &str = "thermostat";

/// Tells a directory of ours from one that must not be touched.
const MARKER_FILE: &str = "made-by-whittle-demo";

/// Where things are left, unless told otherwise.
const OUT: &str = "whittle-demo";

/// See it work: build a smart thermostat's release from its last three versions, sign, verify and apply it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,

    /// Directory for everything that is made; an earlier demo in it is replaced [default: `whittle-demo`; `fleet` keeps nothing].
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Fleet(fleet::Args),
}

/// A release that was built, verified and applied to see how that goes.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Demo {
    /// Path of the directory in which everything is.
    out: String,
    /// Path of the release directory.
    release: String,
    /// Path of the public key.
    public_key: String,
    /// Paths of images that were rebuilt and compared with the target, byte for byte.
    applied: Vec<String>,
    #[serde(flatten)]
    report: Report,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let out = args.out.as_deref();
    match &args.what {
        Some(What::Fleet(args)) => fleet::run(args, out, printer),
        None => run_release(out.unwrap_or(Path::new(OUT)), printer),
    }
}

fn run_release(out: &Path, printer: &Printer) -> Result {
    let _lock = clear(out)?;
    let key = PrivateKey::generate()?;
    let (_, public_key) = key.write_development_pair(&out.join("keys"))?;
    let images = write_images(&out.join("images"))?;
    let (target_version, target) = &images[images.len() - 1];
    let bases = images[..images.len() - 1].iter().rev();
    let bases = bases
        .map(|(version, image)| Base { image: image.clone(), version: Some(version.clone()) })
        .collect();

    let request = Request {
        product: PRODUCT.parse().map_err(|error| Error::Usage(format!("{error}")))?,
        target_version: target_version.parse().map_err(|error| Error::Usage(format!("{error}")))?,
        hardware: HardwareRange::ANY,
        security_counter: 1,
        target: target.clone(),
        bases,
        profile: DeviceProfile::default(),
        attachments: Vec::new(),
        signer: &key,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let built = build::build(&request, &|_| {})?;
    let release = out.join("release");
    directory::write(&release, &built.files)?;
    let keys = Keyring::of(&key);
    VerifiedRelease::open(&release, &keys)?.verify_files()?;

    let applied_dir = out.join("applied");
    let mut applied = Vec::new();
    for artifact in &built.report.artifacts {
        let base =
            request.bases.iter().find(|base| Some(base.image.digest()) == artifact.base_sha256);
        let package = release.join(&artifact.file);
        let image =
            apply::apply(&package, base.map(|base| &base.image), &keys, Expectations::default())?
                .image;
        if image != *target {
            let why = "applying gave another image".to_owned();
            return Err(ReleaseError::SelfCheck { what: artifact.file.clone(), why }.into());
        }
        let path = applied_dir.join(artifact.file.replace(".pkg", ".bin"));
        create_dir(&applied_dir)?;
        apply::write_image(&path, &image)?;
        applied.push(path.display().to_string());
    }
    let [out, release, public_key] =
        [out, &release, &public_key].map(|path: &Path| path.display().to_string());
    let demo = Demo { out, release, public_key, applied, report: built.report };
    printer.result(&demo, human)
}

fn human(demo: &Demo) -> String {
    let report = &demo.report;
    let (out, release, key) = (&demo.out, &demo.release, &demo.public_key);
    let (oldest, _) = RELEASES[0];
    format!(
        "{} {}: {} bytes, built from its last {} versions, signed, verified, and applied from each of them.\n\n\
         {}\n\n\
                  keys      {out}/keys\nimages    {out}/images\nrelease   {release}\nresults   {out}/applied (each equal to the new image, byte for byte)\n\n\
         Try it:\n  whittle inspect {release}\n  whittle verify {release} --pubkey {key}\n  \
         whittle apply {release} --pubkey {key} --base {out}/images/{oldest}.bin --out new.bin",
        report.product,
        report.target_version,
        grouped(report.target_bytes.into()),
        RELEASES.len() - 1,
        artifact_table(report),
    )
}

/// Makes an empty directory, replacing an earlier demo but nothing else; no other demo runs in it as long as the lock is held.
fn clear(out: &Path) -> Result<DirectoryLock> {
    create_dir(out)?;
    let lock = DirectoryLock::now(out)?;
    let there = std::fs::read_dir(out).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let there = there.map_err(io("read", out))?;
    let marker = out.join(MARKER_FILE);
    if !there.is_empty() && !marker.exists() {
        return Err(ReleaseError::OutputExists(out.to_owned()).into());
    }
    for path in there.iter().map(DirEntry::path).filter(|path| *path != marker) {
        let removed = match path.is_dir() && !path.is_symlink() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.map_err(io("replace", &path))?;
    }
    std::fs::write(&marker, "`whittle demo` replaces this directory.\n")
        .map_err(io("write", &marker))?;
    Ok(lock)
}

fn write_images(directory: &Path) -> Result<Vec<(String, Image)>> {
    create_dir(directory)?;
    let write = |(version, bytes): &(&str, &[u8])| {
        let image = Image::new(bytes.to_vec())?;
        apply::write_image(&directory.join(format!("{version}.bin")), &image)?;
        Ok(((*version).to_owned(), image))
    };
    RELEASES.iter().map(write).collect()
}

fn create_dir(directory: &Path) -> Result {
    Ok(std::fs::create_dir_all(directory).map_err(io("create", directory))?)
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ReleaseError {
    let path = path.to_owned();
    move |source| ReleaseError::Io { action, path, source }
}
