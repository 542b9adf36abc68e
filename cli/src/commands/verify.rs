use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::directory::{self, VerifiedRelease};
use whittle_release::image::Sha256Digest;

use super::TrustArgs;
use crate::error::Result;
use crate::printer::Printer;

/// Verify every byte of a release directory or a package file.
///
/// A key is mandatory: without one there is no "valid". Checks the signatures, every file against the signed index,
/// every block, and that manifests and index agree.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A release directory, or a package file.
    path: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,
}

/// What a release or a package holds, all of it verified.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Verified {
    /// Always `true`: what is not valid is an error.
    verified: bool,
    /// Name of the product.
    product: String,
    /// Version of the target.
    target_version: String,
    /// SHA-256 of the target image.
    target_sha256: Sha256Digest,
    /// How many packages there are.
    packages: usize,
    /// Names of files in the directory that the index does not list: nothing vouches for them.
    unlisted: Vec<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let keys = args.trust.keyring()?;
    let verified = if args.path.is_dir() {
        let release = VerifiedRelease::open(&args.path, &keys)?;
        let unlisted = release.verify_files()?;
        let index = release.index();
        Verified {
            verified: true,
            product: index.release.product.to_string(),
            target_version: index.release.target_version.to_string(),
            target_sha256: Sha256Digest(index.release.target_digest),
            packages: index.packages.len(),
            unlisted,
        }
    } else {
        let bytes = directory::read_package_file(&args.path)?;
        let manifest =
            directory::authenticate_file(&args.path.display().to_string(), &bytes, &keys)?;
        Verified {
            verified: true,
            product: manifest.product.to_string(),
            target_version: manifest.target_version.to_string(),
            target_sha256: Sha256Digest(manifest.target_digest),
            packages: 1,
            unlisted: Vec::new(),
        }
    };
    for file in &verified.unlisted {
        printer
            .note(&format!("note: `{file}` is not listed in the index, so nothing vouches for it"));
    }
    printer.result(&verified, |v| {
        let packages = if v.packages == 1 {
            "1 package".to_owned()
        } else {
            format!("{} packages", v.packages)
        };
        format!(
            "valid: {} {}, {packages}, target {}",
            v.product,
            v.target_version,
            v.target_sha256.short()
        )
    })
}
