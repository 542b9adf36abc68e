use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::detached::{self, Attached};
use whittle_release::directory;

use crate::error::Result;
use crate::printer::Printer;

/// Take signatures back that were made elsewhere, and finish the release.
///
/// Each `FILE.tbs` that `build --emit-tbs` wrote wants an Ed25519 signature over its bytes in `FILE.sig`: 64 bytes, raw, in
/// hexadecimal digits or in base64. Once the packages are signed there is the index to be signed, too, so this runs twice. The
/// release is the same, byte for byte, as if it had been signed at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of `build --emit-tbs`.
    directory: PathBuf,

    /// Directory of the release; it must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A release that is signed elsewhere: what it has, and what is still to be signed.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Outcome {
    /// Where the release is; absent as long as signatures are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    /// Names of the files in the release directory; empty as long as signatures are wanted.
    files: Vec<String>,
    /// Paths of the files that are to be signed next; empty once the release is complete.
    wanted: Vec<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    directory::check_free(&args.out)?;
    match detached::attach(&args.directory)? {
        Attached::Wanted(files) => tell_wanted(&files, printer),
        Attached::Complete(files) => {
            directory::write(&args.out, &files)?;
            let outcome = Outcome {
                out: Some(args.out.display().to_string()),
                files: files.into_iter().map(|(name, _)| name).collect(),
                wanted: Vec::new(),
            };
            printer.result(&outcome, |outcome| {
                format!("{}\n\nin {}", outcome.files.join("\n"), args.out.display())
            })
        }
    }
}

/// Names what is to be signed next.
pub(crate) fn tell_wanted(files: &[PathBuf], printer: &Printer) -> Result {
    let wanted = files.iter().map(|file| file.display().to_string()).collect();
    printer.result(&Outcome { out: None, files: Vec::new(), wanted }, |outcome| {
        outcome.wanted.join("\n")
    })?;
    printer.note("Sign each of these files with Ed25519, put the signature beside it as `.sig`, and run `whittle attach`.");
    Ok(())
}
