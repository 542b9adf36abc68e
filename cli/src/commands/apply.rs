use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use whittle_release::Image;
use whittle_release::apply::{self, Expectations};
use whittle_release::directory::read_package_file;
use whittle_release::image::Sha256Digest;

use super::InputArgs;
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, grouped};

/// Apply a release to a base image, with the code that runs on the device.
///
/// Of a release directory, the package for the given base is chosen; the full image is taken with `--full`. Nothing is
/// written unless everything has been verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A release directory, or a package file.
    path: PathBuf,

    /// The image that the device runs now.
    #[arg(long, value_name = "FILE", required_unless_present = "full")]
    base: Option<PathBuf>,

    /// Take the full image, which needs no base.
    #[arg(long, conflicts_with = "base")]
    full: bool,

    /// Public key to trust, in PEM; may be given several times.
    #[arg(long = "pubkey", value_name = "FILE", required_unless_present = "unsigned_bsdiff")]
    pubkeys: Vec<PathBuf>,

    /// File for the new image; it appears in one step, or not at all.
    #[arg(long, value_name = "FILE")]
    out: OutFile,

    /// Refuse packages for another product.
    #[arg(long, value_name = "NAME")]
    product: Option<String>,

    /// Refuse packages that are not for this hardware revision.
    #[arg(long, value_name = "N")]
    hardware_revision: Option<u16>,

    /// Refuse packages with a lower security counter, as a device would.
    #[arg(long, value_name = "N")]
    security_counter: Option<u32>,

    /// The file is a bare BSDIFF40 patch, which no signature protects.
    #[arg(long, conflicts_with_all = ["pubkeys", "full", "product", "hardware_revision", "security_counter"])]
    unsigned_bsdiff: bool,

    #[command(flatten)]
    input: InputArgs,
}

/// An image that was rebuilt from a package.
#[derive(JsonSchema, Serialize)]
pub(crate) struct AppliedView<'a> {
    /// Whether a trusted key signed the package; never so for a bare BSDIFF40 patch.
    verified: bool,
    /// Name of the package file that was applied; of a bare patch, its path.
    package: String,
    /// `delta`, `full`, or `bsdiff` for a bare patch.
    #[schemars(extend("enum" = ["delta", "full", "bsdiff"]))]
    kind: &'a str,
    /// Version of the new image; none for a bare patch, which has none.
    target_version: Option<String>,
    /// Size of the new image in bytes.
    target_bytes: u32,
    /// SHA-256 of the new image.
    target_sha256: Sha256Digest,
    /// Path of the file that was written.
    out: String,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let read = |path: &PathBuf| args.input.read_only(path, printer);
    let base = args.base.as_ref().map(read).transpose()?;
    if args.unsigned_bsdiff {
        return apply_bsdiff(args, base.as_ref(), printer);
    }
    let expected = Expectations {
        product: args.product.as_deref(),
        hardware_revision: args.hardware_revision,
        security_counter: args.security_counter,
    };
    let keys = super::keyring(&args.pubkeys)?;
    let applied = apply::apply(&args.path, base.as_ref(), &keys, expected)?;
    apply::write_image(&args.out, &applied.image)?;
    let view = AppliedView {
        verified: true,
        package: applied.file,
        kind: applied.manifest.kind.name(),
        target_version: Some(applied.manifest.target_version.to_string()),
        target_bytes: applied.image.size(),
        target_sha256: applied.image.digest(),
        out: args.out.display().to_string(),
    };
    show(&view, printer)
}

fn apply_bsdiff(args: &Args, base: Option<&Image>, printer: &Printer) -> Result {
    let base = base.ok_or_else(|| Error::Usage("a BSDIFF40 patch needs `--base`".to_owned()))?;
    let patch = read_package_file(&args.path)?;
    let file = args.path.display().to_string();

    let image = apply::apply_bsdiff(&file, &patch, base)?;
    apply::write_image(&args.out, &image)?;
    printer.note("UNVERIFIED: nothing protects a bare BSDIFF40 patch, and nothing tells whether this was its base");
    let view = AppliedView {
        verified: false,
        package: file,
        kind: "bsdiff",
        target_version: None,
        target_bytes: image.size(),
        target_sha256: image.digest(),
        out: args.out.display().to_string(),
    };
    show(&view, printer)
}

fn show(view: &AppliedView<'_>, printer: &Printer) -> Result {
    printer.result(view, |v| {
        let bytes = grouped(v.target_bytes.into());
        format!(
            "{} ({} bytes, sha-256 {}) from `{}`",
            v.out,
            bytes,
            v.target_sha256.short(),
            v.package
        )
    })
}
