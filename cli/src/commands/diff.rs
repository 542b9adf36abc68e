use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_delta::compact::{self, Class, CodeHint};
use whittle_delta::{EncodeError, Encoded, bsdiff40, zstd};
use whittle_format::manifest::Codec;
use whittle_release::{Alternative, DeviceProfile, Error as ReleaseError, Image, Source, apply};

use super::{CodeArgs, InputArgs};
use crate::error::Result;
use crate::out_file::OutFile;
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

    #[command(flatten)]
    code: CodeArgs,

    #[command(flatten)]
    input: InputArgs,

    /// Also try each memory class of the compact codec, and doing without what is known of code.
    #[arg(long)]
    all: bool,

    /// Also write the bare BSDIFF40 patch, for a device that applies such patches; nothing protects it.
    #[arg(long, value_name = "FILE")]
    write_bsdiff: Option<OutFile>,
}

/// What each codec makes of a pair of images.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Comparison {
    /// Size of the base in bytes.
    base_bytes: u32,
    /// Size of the target in bytes.
    target_bytes: u32,
    /// What was tried.
    codecs: Vec<Row>,
}

/// What a codec made.
#[derive(PartialEq, JsonSchema, Serialize)]
struct Row {
    /// `delta` from the base, or `full`: the target alone.
    #[schemars(extend("enum" = ["delta", "full"]))]
    kind: &'static str,
    #[serde(flatten)]
    made: Alternative,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let [base, target] = [&args.base, &args.target].map(|path| args.input.read(path, printer));
    let (base, target) = (base?, target?);
    args.input.check_heeded(&[&base, &target])?;
    tell_mismatch(&base, &target, args.code, printer);
    let mut comparison =
        Comparison { base_bytes: base.size(), target_bytes: target.size(), codecs: Vec::new() };
    for image in [Some(&base), None] {
        let base = image.map(Image::bytes);
        for choice in compact_choices(args) {
            let (load_address, code) = (args.code.load_address, choice.code);
            let profile = DeviceProfile { load_address, code, ..DeviceProfile::default() };
            let told = profile.compact_options(image, &target, choice.decoder_ram_bytes);
            let options = compact::Options { class: choice.class, ..told };
            match compact::encode(base, target.bytes(), options) {
                Err(error @ EncodeError::TooLarge { .. }) => {
                    printer.note(&format!("compact: {error}"));
                    break;
                }
                made => comparison.add(base, Codec::Compact, &made.map_err(failed(base))?),
            }
        }
        let made = zstd::encode(base, target.bytes(), zstd::Options::default());
        comparison.add(base, Codec::Zstd, &made.map_err(failed(base))?);
        if let Some(base) = base {
            let made = bsdiff40::encode(base, target.bytes()).map_err(failed(Some(base)))?;
            if let Some(path) = &args.write_bsdiff {
                apply::write_image(path, &Image::new(made.payload.clone())?)?;
            }
            comparison.add(Some(base), Codec::Bsdiff, &made);
        }
    }
    printer.result(&comparison, human)
}

/// Tells what `build` refuses or warns of: that two files are for different processors, or for different addresses.
pub(super) fn tell_mismatch(base: &Image, target: &Image, code: CodeArgs, printer: &Printer) {
    let notes = mismatches(base.source(), target.source(), code);
    notes.iter().for_each(|note| printer.note(note));
}

fn mismatches(base: &Source, target: &Source, code: CodeArgs) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(got), Some(wanted)) = (base.instruction_set, target.instruction_set)
        && got != wanted
        && code.instruction_set.is_none()
    {
        let (got, wanted) = (got.name(), wanted.name());
        notes.push(format!(
            "the base is code of {got}, the target of {wanted}: `whittle build` refuses such a base"
        ));
    }
    if let (Some(got), Some(wanted)) = (base.load_address, target.load_address)
        && got != wanted
        && code.load_address.is_none()
    {
        notes.push(format!(
            "the base lies at {got:#x}, the target at {wanted:#x}: right only for devices that run images from several slots"
        ));
    }
    notes
}

/// Decoder RAM, class and hint of each encoding that is tried; the last one is what `build` would make.
fn compact_choices(args: &Args) -> Vec<compact::Options> {
    let code = args.code.hint();
    let plain = compact::Options { decoder_ram_bytes: u64::MAX, code, ..Default::default() };
    if !args.all {
        return vec![plain];
    }
    let classes =
        Class::ALL.map(|class| compact::Options { code, ..compact::Options::of_class(class) });
    let unknown = compact::Options { code: CodeHint::Unknown, ..plain };
    let unknown = (code != CodeHint::Unknown).then_some(unknown);
    classes.into_iter().chain(unknown).chain([plain]).collect()
}

fn failed(base: Option<&[u8]>) -> impl FnOnce(EncodeError) -> ReleaseError {
    let what = if base.is_some() { "the delta" } else { "the full image" };
    move |source| ReleaseError::Encode { what: what.to_owned(), source }
}

impl Comparison {
    fn add(&mut self, base: Option<&[u8]>, codec: Codec, encoded: &Encoded) {
        let kind = if base.is_some() { "delta" } else { "full" };
        let row = Row { kind, made: Alternative::of(codec, encoded) };
        if !self.codecs.contains(&row) {
            self.codecs.push(row);
        }
    }
}

fn human(comparison: &Comparison) -> String {
    let row = |Row { kind, made }: &Row| {
        vec![
            (*kind).to_owned(),
            made.codec.to_owned(),
            made.memory_class.unwrap_or("-").to_owned(),
            made.instruction_set.unwrap_or("-").to_owned(),
            grouped(made.payload_bytes),
            grouped(made.decoder_ram_bytes),
        ]
    };
    let header = ["kind", "codec", "class", "code", "payload", "decoder RAM"];
    table(&header, comparison.codecs.iter().map(row))
}

#[cfg(test)]
mod tests {
    use whittle_delta::compact::InstructionSet;

    use super::*;
    use crate::commands::InstructionSetArg;

    #[test]
    fn what_build_would_not_take_is_told() {
        let source = |set, address| Source {
            load_address: Some(address),
            instruction_set: Some(set),
            ..Source::default()
        };
        let base = source(InstructionSet::Thumb, 0x0800_4000);
        let target = source(InstructionSet::Riscv32, 0x0802_0000);
        let nothing_said = CodeArgs { load_address: None, instruction_set: None };
        let notes = mismatches(&base, &target, nothing_said);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("thumb") && note.contains("riscv32")));
        assert!(notes.iter().any(|note| note.contains("0x8004000") && note.contains("0x8020000")));
        let said = CodeArgs {
            load_address: Some(0x0800_4000),
            instruction_set: Some(InstructionSetArg::Thumb),
        };
        assert!(mismatches(&base, &target, said).is_empty());
        assert!(mismatches(&base, &base, nothing_said).is_empty());
    }
}
