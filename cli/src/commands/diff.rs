use std::path::PathBuf;

use serde::Serialize;
use whittle_delta::{bsdiff40, compact, zstd};
use whittle_release::{Error as ReleaseError, Image, apply};

use crate::error::Result;
use crate::printer::{Printer, grouped, table};

/// Compare what each codec would make of a pair of images, without building a release.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image that devices run now.
    #[arg(long, value_name = "FILE")]
    base: PathBuf,

    /// The new image.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,

    /// Also write the bare BSDIFF40 patch, for a device that applies such patches; nothing protects it.
    #[arg(long, value_name = "FILE")]
    write_bsdiff: Option<PathBuf>,
}

#[derive(Serialize)]
struct Comparison {
    base_bytes: u32,
    target_bytes: u32,
    codecs: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    codec: &'static str,
    payload_bytes: usize,
    decoder_ram_bytes: u64,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let (base, target) = (Image::read(&args.base)?, Image::read(&args.target)?);
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| ReleaseError::Encode { what, source }
    };
    let patch =
        bsdiff40::encode(base.bytes(), target.bytes()).map_err(failed("the bsdiff delta"))?;
    let options = zstd::Options::default();
    let delta = zstd::encode(Some(base.bytes()), target.bytes(), options)
        .map_err(failed("the zstd delta"))?;
    let full = zstd::encode(None, target.bytes(), options).map_err(failed("the full image"))?;
    let options = compact::Options { decoder_ram_bytes: u64::MAX, ..Default::default() };
    let encode_compact = |base| compact::encode(base, target.bytes(), options);
    let compact = encode_compact(Some(base.bytes())).map_err(failed("the compact delta"))?;
    let full_compact = encode_compact(None).map_err(failed("the full image"))?;
    if let Some(path) = &args.write_bsdiff {
        apply::write_image(path, &Image::new(patch.payload.clone())?)?;
    }
    let row = |kind, codec, encoded: &whittle_delta::Encoded| Row {
        kind,
        codec,
        payload_bytes: encoded.payload.len(),
        decoder_ram_bytes: encoded.decoder_ram_bytes,
    };
    let comparison = Comparison {
        base_bytes: base.size(),
        target_bytes: target.size(),
        codecs: vec![
            row("delta", "compact", &compact),
            row("delta", "zstd", &delta),
            row("delta", "bsdiff", &patch),
            row("full", "compact", &full_compact),
            row("full", "zstd", &full),
        ],
    };
    printer.result(&comparison, |comparison| {
        let row = |row: &Row| {
            let (bytes, ram) = (grouped(row.payload_bytes as u64), grouped(row.decoder_ram_bytes));
            vec![row.kind.to_owned(), row.codec.to_owned(), bytes, ram]
        };
        table(&["kind", "codec", "payload", "decoder RAM"], comparison.codecs.iter().map(row))
    })
}
