use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::Manifest;
use whittle_format::manifest::HardwareRange;
use whittle_release::build::INDEX_FILE;
use whittle_release::directory::{self, ReleaseIndex, VerifiedRelease};
use whittle_release::image::{Sha256Digest, hex};

use crate::error::Result;
use crate::printer::{Printer, grouped, table};
use crate::schema;

/// Show what a package or a release directory says of itself.
///
/// Works without a key, and then prints UNVERIFIED: anybody could have written it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A package file, or a release directory.
    path: PathBuf,

    /// Public key to verify with, in PEM; may be given several times.
    #[arg(long = "pubkey", value_name = "FILE")]
    pubkeys: Vec<PathBuf>,
}

/// What packages and indexes say alike.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Head {
    /// Whether a trusted key signed it; `false` if none was given, and then anybody may have written the rest.
    verified: bool,
    /// Id of the key that signed it, or is said to have.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
    /// Name of the product.
    product: String,
    /// Version of the target.
    target_version: String,
    /// Lowest hardware revision that it is for.
    hardware_min: u16,
    /// Highest hardware revision that it is for.
    hardware_max: u16,
    /// Its security counter: devices with a higher one refuse it.
    security_counter: u32,
    /// Size of the target in bytes.
    target_bytes: u32,
    /// SHA-256 of the target image.
    target_sha256: Sha256Digest,
}

/// What a package says of itself.
#[derive(JsonSchema, Serialize)]
pub(crate) struct PackageView {
    #[serde(flatten)]
    head: Head,
    /// `delta` or `full`.
    #[schemars(extend("enum" = ["delta", "full"]))]
    kind: &'static str,
    /// Size of the base in bytes; none for a full image.
    base_bytes: Option<u32>,
    /// First 16 bytes of the base's SHA-256; none for a full image.
    #[schemars(regex(pattern = schema::HEX_16_BYTES))]
    base_sha256_prefix: Option<String>,
    /// Name of the codec.
    codec: &'static str,
    /// Revision of the encoder.
    encoder: u16,
    /// RAM in bytes that the decoder needs at most.
    decoder_ram_bytes: u32,
    /// Size in bytes of the blocks that are authenticated one by one.
    block_bytes: u32,
    /// Size of the payload in bytes.
    payload_bytes: u32,
    /// Size of the package in bytes: all that a device fetches.
    download_bytes: usize,
}

/// What the index of a release says. The files that it lists are not looked at.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ReleaseView {
    #[serde(flatten)]
    head: Head,
    /// The images that it was built for.
    bases: Vec<BaseView>,
    /// The packages.
    packages: Vec<ListedPackage>,
}

/// An image that devices run now.
#[derive(JsonSchema, Serialize)]
struct BaseView {
    /// SHA-256 of the image.
    sha256: Sha256Digest,
    /// Size of the image in bytes.
    bytes: u32,
    /// Name of the package file that a device with this base fetches.
    served_by: String,
}

/// A package, as the index lists it.
#[derive(JsonSchema, Serialize)]
struct ListedPackage {
    /// Name of its file in the release directory.
    file: String,
    /// `delta` or `full`.
    #[schemars(extend("enum" = ["delta", "full"]))]
    kind: &'static str,
    /// Name of the codec.
    codec: &'static str,
    /// SHA-256 of the base; none for the full image.
    base_sha256: Option<Sha256Digest>,
    /// RAM in bytes that the decoder needs at most, as a power of two.
    decoder_ram_bytes: u64,
    /// Size of the package in bytes: all that a device fetches.
    download_bytes: u32,
    /// SHA-256 of the package file.
    sha256: Sha256Digest,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let is_release =
        args.path.is_dir() || args.path.file_name().is_some_and(|name| name == INDEX_FILE);
    if is_release { inspect_release(args, printer) } else { inspect_package(args, printer) }
}

fn inspect_package(args: &Args, printer: &Printer) -> Result {
    let what = args.path.display().to_string();
    let bytes = directory::read_package_file(&args.path)?;
    let (manifest, key_id, _) = directory::read_manifest_unverified(&what, &bytes)?;
    let verified = !args.pubkeys.is_empty();
    if verified {
        directory::authenticate_file(&what, &bytes, &super::keyring(&args.pubkeys)?)?;
    }
    printer.result(&package_view(&manifest, verified, hex(&key_id), bytes.len()), |view| {
        let base = match (&view.base_sha256_prefix, view.base_bytes) {
            (Some(prefix), Some(bytes)) => format!("{prefix}… ({} bytes)", grouped(bytes.into())),
            _ => "none".to_owned(),
        };
        let rows = [
            ("product", view.head.product.clone()),
            ("target version", view.head.target_version.clone()),
            ("hardware", hardware(manifest.hardware)),
            ("security counter", view.head.security_counter.to_string()),
            (
                "target",
                format!(
                    "{} ({} bytes)",
                    view.head.target_sha256,
                    grouped(view.head.target_bytes.into())
                ),
            ),
            ("kind", view.kind.to_owned()),
            ("base", base),
            ("codec", format!("{} (encoder {})", view.codec, view.encoder)),
            ("decoder RAM", format!("{} bytes", grouped(view.decoder_ram_bytes.into()))),
            ("blocks of", format!("{} bytes", grouped(view.block_bytes.into()))),
            ("payload", format!("{} bytes", grouped(view.payload_bytes.into()))),
            ("download", format!("{} bytes", grouped(view.download_bytes as u64))),
        ];
        let lines =
            rows.iter().map(|(name, value)| format!("{name:<17} {value}\n")).collect::<String>();
        format!("{}\n{lines}", seal(view.head.verified, &view.head.key_id))
    })
}

fn package_view(
    manifest: &Manifest,
    verified: bool,
    key_id: String,
    download_bytes: usize,
) -> PackageView {
    let base = manifest.base();
    PackageView {
        head: Head {
            verified,
            key_id,
            product: manifest.product.to_string(),
            target_version: manifest.target_version.to_string(),
            hardware_min: manifest.hardware.min,
            hardware_max: manifest.hardware.max,
            security_counter: manifest.security_counter,
            target_bytes: manifest.target_size,
            target_sha256: Sha256Digest(manifest.target_digest),
        },
        kind: manifest.kind.name(),
        base_bytes: base.map(|base| base.size),
        base_sha256_prefix: base.map(|base| hex(&base.digest)),
        codec: manifest.codec.name(),
        encoder: manifest.encoder,
        decoder_ram_bytes: manifest.decoder_ram_bytes(),
        block_bytes: 1 << manifest.block_log2,
        payload_bytes: manifest.payload_size,
        download_bytes,
    }
}

fn inspect_release(args: &Args, printer: &Printer) -> Result {
    let directory =
        if args.path.is_dir() { &args.path } else { args.path.parent().unwrap_or(Path::new(".")) };
    let verified = !args.pubkeys.is_empty();
    let index = if verified {
        VerifiedRelease::open(directory, &super::keyring(&args.pubkeys)?)?.index().clone()
    } else {
        directory::read_unverified(directory)?
    };
    printer.result(&release_view(&index, verified)?, |view| {
        let packages = view.packages.iter().map(|package| {
            let base = package.base_sha256.map_or("-".to_owned(), |digest| digest.short());
            let bytes = grouped(package.download_bytes.into());
            vec![
                package.kind.to_owned(),
                base,
                package.codec.to_owned(),
                bytes,
                package.file.clone(),
            ]
        });
        let bases = view.bases.iter().map(|base| {
            vec![base.sha256.short(), grouped(base.bytes.into()), base.served_by.clone()]
        });
        format!(
            "{}\n{} {} · hardware {} · security counter {} · target {} ({} bytes)\n\n{}\n\n{}",
            if view.head.verified {
                index_seal(&view.head.key_id)
            } else {
                seal(false, &view.head.key_id)
            },
            view.head.product,
            view.head.target_version,
            hardware(index.release.hardware),
            view.head.security_counter,
            view.head.target_sha256.short(),
            grouped(view.head.target_bytes.into()),
            table(&["kind", "base", "codec", "download", "file"], packages),
            table(&["devices with base", "bytes", "fetch"], bases),
        )
    })
}

fn release_view(index: &ReleaseIndex, verified: bool) -> Result<ReleaseView> {
    let release = &index.release;
    let served_by = |digest| index.package_for(digest).map(|package| index.file_name(&package));
    let bases = index.bases.iter().map(|base| {
        let sha256 = Sha256Digest(base.digest);
        Ok(BaseView { sha256, bytes: base.size, served_by: served_by(sha256)? })
    });
    let packages = index.packages.iter().map(|package| {
        let base = package.base.and_then(|number| index.bases.get(usize::from(number)));
        ListedPackage {
            file: index.file_name(package),
            kind: if base.is_some() { "delta" } else { "full" },
            codec: package.codec.name(),
            base_sha256: base.map(|base| Sha256Digest(base.digest)),
            decoder_ram_bytes: 1u64.checked_shl(package.memory_class.into()).unwrap_or(u64::MAX),
            download_bytes: package.size,
            sha256: Sha256Digest(package.digest),
        }
    });
    Ok(ReleaseView {
        head: Head {
            verified,
            key_id: hex(&index.key_id),
            product: release.product.to_string(),
            target_version: release.target_version.to_string(),
            hardware_min: release.hardware.min,
            hardware_max: release.hardware.max,
            security_counter: release.security_counter,
            target_bytes: release.target_size,
            target_sha256: Sha256Digest(release.target_digest),
        },
        bases: bases.collect::<Result<_>>()?,
        packages: packages.collect(),
    })
}

pub(super) fn hardware(range: HardwareRange) -> String {
    match range {
        HardwareRange::ANY => "any".to_owned(),
        HardwareRange { min, max } if min == max => min.to_string(),
        HardwareRange { min, max } => format!("{min}-{max}"),
    }
}

fn index_seal(key_id: &str) -> String {
    format!("VERIFIED index, signed by key {key_id}; `whittle verify` also checks the files")
}

fn seal(verified: bool, key_id: &str) -> String {
    if verified {
        format!("VERIFIED, signed by key {key_id}")
    } else {
        format!("UNVERIFIED: says it is signed by key {key_id}; pass --pubkey to verify")
    }
}
