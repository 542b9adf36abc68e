use std::path::{Path, PathBuf};

use whittle_format::Label;
use whittle_publish::Source;
use whittle_publish::pull::{self, MAX_PIECE_LOG2, MIN_PIECE_LOG2, Pulled, Request, Which};
use whittle_release::Error as ReleaseError;
use whittle_release::image::Sha256Digest;

use super::{InputArgs, TrustArgs};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::{Printer, grouped};
use crate::values;

/// Fetch a package as a device does: the index, the smallest package for the base, piece by piece, each verified.
///
/// What was fetched before it was interrupted lies beside `--out`, and is not fetched again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where from: `https://…`, `http://…`, a directory, `file:///path`, or `s3://bucket/prefix`.
    #[arg(long, value_name = "PLACE")]
    from: String,

    /// Name of the product.
    #[arg(long, value_name = "NAME", value_parser = values::label)]
    product: Label,

    /// Channel to take the release from.
    #[arg(long, value_name = "NAME", value_parser = values::label, default_value = "stable")]
    channel: Label,

    /// Take this release, whatever the channel has.
    #[arg(long = "version", value_name = "VERSION", value_parser = values::label, conflicts_with = "channel")]
    release_version: Option<Label>,

    /// The image that the device runs.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["base_sha256", "full"])]
    base: Option<PathBuf>,

    /// SHA-256 of the image that the device runs.
    #[arg(long, value_name = "DIGITS", conflicts_with = "base")]
    base_sha256: Option<Sha256Digest>,

    /// Take the full image.
    #[arg(long, conflicts_with_all = ["base", "base_sha256"])]
    full: bool,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    input: InputArgs,

    /// Security counter of the device: a release below it is refused.
    #[arg(long, value_name = "N", default_value_t = 0)]
    security_counter: u32,

    /// Size of the pieces that are asked for one by one: a power of two from 16 to 16M; 16 to 1K are blocks of CoAP.
    #[arg(long, value_name = "SIZE", value_parser = piece_log2, default_value = "64K")]
    piece_size: u8,

    /// Package file to write.
    #[arg(long, value_name = "FILE")]
    out: OutFile,
}

fn piece_log2(text: &str) -> Result<u8, String> {
    let bytes = values::size(text)?;
    let log2 = u8::try_from(bytes.max(1).ilog2()).unwrap_or(u8::MAX);
    if bytes.is_power_of_two() && (MIN_PIECE_LOG2..=MAX_PIECE_LOG2).contains(&log2) {
        Ok(log2)
    } else {
        Err("wanted a power of two between 16 and 16M".to_owned())
    }
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let keys = args.trust.keyring()?;
    let base = match &args.base {
        Some(path) => Some(args.input.read_only(path, printer)?.digest()),
        None => args.base_sha256,
    };
    let request = Request {
        product: args.product,
        which: args.release_version.map_or(Which::Channel(args.channel), Which::Version),
        base,
        security_counter: args.security_counter,
        piece_log2: args.piece_size,
    };
    if is_within(&args.out, &args.from) {
        let (flag, path) = ("--out".to_owned(), args.out.to_path_buf());
        return Err(Error::Overwrites { flag, path, what: "a part of the store".to_owned() });
    }
    check_is_there(&args.from)?;
    let source = Source::open(&args.from, super::variables())?;
    let bar = indicatif::ProgressBar::new(0);
    if !printer.shows_progress() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let pulled = pull::pull(&source, &keys, &request, &args.out, &|have, of| {
        bar.set_length(of);
        bar.set_position(have);
    });
    bar.finish_and_clear();
    printer.result(&pulled?, human)
}

/// Checks that a store that is a directory is there: else every name in it would be what is missing.
fn check_is_there(place: &str) -> Result {
    let directory = match place.split_once("://") {
        None => place,
        Some(("file", path)) => path.strip_prefix("localhost").unwrap_or(path),
        Some(_) => return Ok(()),
    };
    let io = |source| ReleaseError::Io { action: "read", path: directory.into(), source };
    Ok(std::fs::read_dir(directory).map(|_| ()).map_err(io)?)
}

/// Whether a file that is there belongs to a store that is a directory.
fn is_within(file: &Path, place: &str) -> bool {
    let store = Path::new(place.strip_prefix("file://").unwrap_or(place));
    let (Ok(file), Ok(store)) = (file.canonicalize(), store.canonicalize()) else { return false };
    let key = file.strip_prefix(store).ok().and_then(Path::to_str);
    key.is_some_and(whittle_publish::layout::is_key)
}

fn human(pulled: &Pulled) -> String {
    let resumed = match pulled.resumed_bytes {
        0 => String::new(),
        bytes => format!("; {} bytes were there already", grouped(bytes)),
    };
    format!(
        "{} {}, {} ({}), {} bytes in {} pieces{resumed}",
        pulled.product,
        pulled.version,
        pulled.kind,
        pulled.codec,
        grouped(pulled.bytes),
        pulled.pieces
    )
}
