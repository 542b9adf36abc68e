use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_metrics::{BadFile, FileError, Format, MAX_FILE_BYTES};
use whittle_rollout::{Entry, Observation, Outcome};
use whittle_rollout_store::Session;

use super::Clock;
use super::figures::Taken;
use super::file::RolloutFile;
use super::opened::StoreArgs;
use super::report::Report;
use crate::error::{self, Error, Result};
use crate::exit::Exit;
use crate::printer::Printer;
use crate::time;

/// Take figures from the fleet into a rollout.
///
/// Figures are taken as a whole, or set aside as a whole if anything about them cannot be; then nothing goes on until better ones
/// come, and the exit code is 4.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rollout: StoreArgs,

    /// What was gathered, as JSON or CSV by the file's name; `-` for JSON from standard input. See `docs/rollouts.md`.
    #[arg(required_unless_present = "source")]
    figures: Option<PathBuf>,

    /// Read them instead where this file of the rollout says, in `[source]`; `tick` does so by itself.
    #[arg(long, value_name = "FILE", conflicts_with = "figures")]
    source: Option<PathBuf>,

    #[command(flatten)]
    clock: Clock,
}

/// Figures that came in, and what the rollout is like with them.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Observed {
    #[serde(flatten)]
    taken: Taken,
    #[serde(flatten)]
    report: Report,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let at_s = args.clock.now_s();
    let source = args.source.as_ref().map(|file| RolloutFile::read(file)).transpose()?;
    let mut session = args.rollout.open()?;
    let mut taken = match source {
        Some(file) => {
            file.must_be_of(&args.rollout.name, session.rollout().state().terms())?;
            file.must_have_figures()?.take(&mut session, at_s)?
        }
        None => Taken::default(),
    };
    if let Some(path) = &args.figures {
        from_file(path, &mut session, at_s, &mut taken)?;
    }
    taken.tell(printer);
    if let Some(ready_s) = taken.ready_s {
        printer.note(&format!("there is nothing to read before {}", time::shown(ready_s)));
    }
    let report = Report::of(&args.rollout.name, session.rollout(), at_s);
    let observed = Observed { taken, report };
    printer.result(&observed, |observed| observed.report.page())?;
    observed.taken.or_set_aside()
}

/// Takes all figures of a file, or none. What is in it and cannot be read is noted in the rollout, which then holds; a file that is not
/// there is not.
fn from_file(path: &Path, session: &mut Session, at_s: u64, taken: &mut Taken) -> Result {
    let all = match read(path) {
        Err(error @ Error::BadFigures(_)) if error.exit() == Exit::BadInput => {
            session.miss(at_s, &error::chain(&error))?;
            return Err(error);
        }
        read => read?,
    };
    let mut rehearsed = session.rollout().clone();
    let is_bad = |figures: &&Observation| {
        let entry = rehearsed.observe(at_s.max(rehearsed.state().now_s()), (*figures).clone());
        matches!(entry, Ok(Entry { outcome: Outcome::SetAside(_), .. })) && !session.knows(figures)
    };
    let bad = all.iter().find(is_bad);
    for figures in bad.map_or(&all[..], std::slice::from_ref) {
        taken.note(session.observe(at_s, figures)?.outcome);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Observation>> {
    let read = if path == Path::new("-") {
        from_stdin().and_then(|bytes| whittle_metrics::parse("-", Format::Json, &bytes))
    } else {
        whittle_metrics::read(path)
    };
    read.map_err(|error| Error::BadFigures(Box::new(error)))
}

fn from_stdin() -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![];
    // One more than is accepted, so that it is found to be too much.
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    match std::io::stdin().take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FileError { file: "-".to_owned(), source: BadFile::Io(error) }),
    }
}
