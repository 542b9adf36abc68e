use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use whittle_explain::{Images, Options, Program, Report, explain, html, text};
use whittle_release::files::write_atomically;
use whittle_release::{DeviceProfile, Image};

use super::diff::tell_mismatch;
use super::{CodeArgs, InputArgs};
use crate::error::{Error, Result};
use crate::out_file::OutFile;
use crate::printer::Printer;
use crate::values;

/// Tell why a delta is as big as it is, and what would make it smaller.
///
/// The bits are those that the compact codec really spends, by section, function and kind of change. What each advice saves is
/// measured by encoding again, or is an upper bound that says so.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image that devices run now.
    base: PathBuf,

    /// The new image.
    target: PathBuf,

    /// The ELF file that the base was made of: names functions and sections.
    #[arg(long, value_name = "FILE", conflicts_with = "base_map")]
    base_elf: Option<PathBuf>,

    /// The same of the new image.
    #[arg(long, value_name = "FILE", conflicts_with = "target_map")]
    target_elf: Option<PathBuf>,

    /// The linker's map of the base (GNU ld or LLD), where there is no ELF file.
    #[arg(long, value_name = "FILE")]
    base_map: Option<PathBuf>,

    /// The same of the new image.
    #[arg(long, value_name = "FILE")]
    target_map: Option<PathBuf>,

    /// RAM that the device has for decoding.
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "16M")]
    device_ram: u64,

    #[command(flatten)]
    code: CodeArgs,

    #[command(flatten)]
    input: InputArgs,

    /// How many functions and stretches are listed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    /// Also write a page with plots to this file; it needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<OutFile>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let base = args.input.read(&args.base, printer)?;
    let target = args.input.read(&args.target, printer)?;
    args.input.check_heeded(&[&base, &target])?;
    tell_mismatch(&base, &target, args.code, printer);
    let program = |elf: &Option<PathBuf>, map: &Option<PathBuf>, image: &Image| {
        elf.as_ref().or(map.as_ref()).map(|file| program(file, image, args, printer)).transpose()
    };
    let base_program = program(&args.base_elf, &args.base_map, &base)?;
    let target_program = program(&args.target_elf, &args.target_map, &target)?;
    let images = Images {
        base: base.bytes(),
        target: target.bytes(),
        base_program: base_program.as_ref(),
        target_program: target_program.as_ref(),
    };
    let (load_address, code) = (args.code.load_address, args.code.hint());
    let decoder_ram_bytes = args.device_ram;
    let profile =
        DeviceProfile { decoder_ram_bytes, load_address, code, ..DeviceProfile::default() };
    let encoder = profile.compact_options(Some(&base), &target, profile.declarable_ram_bytes());
    let report = explain_with_progress(&images, &Options { encoder, top: args.top }, printer);
    let report = report.map_err(|error| match error {
        whittle_explain::Error::Encode(error) => {
            Error::Explain(whittle_explain::Error::Encode(profile.declared(error)))
        }
        error => Error::Explain(error),
    })?;
    if let Some(path) = &args.html {
        let title = format!("{} → {}", args.base.display(), args.target.display());
        write_atomically(path, html::page(&report, &title).as_bytes())?;
    }
    printer.result(&report, |report| text::render(report, width()))
}

/// What a file tells of an image. What makes it doubtful that it is the image's own is said.
fn program(path: &Path, image: &Image, args: &Args, printer: &Printer) -> Result<Program> {
    let bytes = super::policy::read(path)?;
    let load_address = args.code.load_address.or(image.source().short_load_address());
    let failed = |source| Error::Program { path: path.to_owned(), source };
    let program = Program::parse_at(&bytes, image.bytes(), load_address).map_err(failed)?;
    for doubt in program.doubts() {
        let path = path.display();
        printer.note(&format!("caution: `{path}` may be the map of another build: {doubt}"));
    }
    Ok(program)
}

fn explain_with_progress(
    images: &Images<'_>,
    options: &Options,
    printer: &Printer,
) -> whittle_explain::Result<Report> {
    let bar = indicatif::ProgressBar::new(1000);
    if !printer.shows_progress() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let report = explain(images, options, &|done| bar.set_position(done.into()));
    bar.finish_and_clear();
    report
}

/// Columns of the terminal; in a log or a pull request, as many as still read well.
fn width() -> usize {
    const ELSEWHERE: usize = 110;
    let columns = terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| columns);
    columns.filter(|_| std::io::stdout().is_terminal()).map_or(ELSEWHERE, usize::from)
}
