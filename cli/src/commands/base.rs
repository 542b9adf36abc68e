use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_format::Label;
use whittle_release::archive::{Added, Archive, Entry};

use super::InputArgs;
use crate::error::Result;
use crate::printer::{Printer, grouped, table};
use crate::values;

/// Directory of the archive where none is named.
pub(crate) const DEFAULT_ARCHIVE: &str = "whittle-bases";

/// Keep the images that devices run: `build` takes its bases from here.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(AddArgs),
    Ls(LsArgs),
    Prune(PruneArgs),
}

#[derive(Debug, clap::Args)]
struct ArchiveArg {
    /// Directory of the archive.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ARCHIVE)]
    archive: PathBuf,
}

/// Add a released image.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The image, in any format that is known; what is archived are the bytes in the device's flash.
    image: PathBuf,

    /// Name of the product.
    #[arg(long, value_parser = values::label)]
    product: Label,

    /// Version of the image.
    #[arg(long = "version", value_name = "VERSION", value_parser = values::label)]
    image_version: Label,

    #[command(flatten)]
    archive: ArchiveArg,

    #[command(flatten)]
    input: InputArgs,
}

/// List the archived images, oldest first.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only this product.
    #[arg(long, value_parser = values::label)]
    product: Option<Label>,

    #[command(flatten)]
    archive: ArchiveArg,
}

/// Remove all but the last images of each product.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// How many to keep.
    #[arg(long, value_name = "N")]
    keep: usize,

    /// Only this product.
    #[arg(long, value_parser = values::label)]
    product: Option<Label>,

    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    archive: ArchiveArg,
}

/// Images of the archive: those that it has, that was added, or that were removed.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Listing {
    /// The images, each with its product and version.
    images: Vec<Entry>,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> Result {
    match command {
        Command::Add(args) => add(args, printer),
        Command::Ls(args) => {
            let archive = Archive::at(&args.archive.archive);
            archive.check_exists()?;
            list(archive.list(args.product.as_ref())?, printer)
        }
        Command::Prune(args) => {
            let archive = Archive::at(&args.archive.archive);
            let removed = archive.prune(args.product.as_ref(), args.keep, args.dry_run)?;
            printer.note(&match (removed.len(), args.dry_run) {
                (0, _) => "nothing to remove".to_owned(),
                (count, true) => format!("{count} would be removed:"),
                (count, false) => format!("{count} removed:"),
            });
            list(removed, printer)
        }
    }
}

fn add(args: &AddArgs, printer: &Printer) -> Result {
    let image = args.input.read_only(&args.image, printer)?;
    let added =
        Archive::at(&args.archive.archive).add(&args.product, &args.image_version, &image)?;
    let entry = match added {
        Added::New(entry) => entry,
        Added::AlreadyThere(entry) => {
            printer.note("already archived");
            entry
        }
    };
    list(vec![entry], printer)
}

fn list(images: Vec<Entry>, printer: &Printer) -> Result {
    printer.result(&Listing { images }, |listing| {
        let row = |entry: &Entry| {
            vec![
                entry.product.clone(),
                entry.version.clone(),
                grouped(entry.bytes.into()),
                entry.sha256.to_string(),
            ]
        };
        table(&["product", "version", "bytes", "sha-256"], listing.images.iter().map(row))
    })
}
