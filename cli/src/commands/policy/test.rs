use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use whittle_policy_host::Policy;
use whittle_policy_host::types::{Setting, Snapshot, Verdict};

use super::PolicyArgs;
use crate::error::{Error, Result};
use crate::printer::Printer;

/// Compare what a policy decides with what it should.
///
/// Each case is two files: `NAME.snapshot.json` and `NAME.verdict.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,

    /// Directory of the cases.
    #[arg(value_name = "DIR")]
    cases: PathBuf,

    /// Write the verdicts instead of comparing them; look at what changed before it is committed.
    #[arg(long)]
    update: bool,
}

const SNAPSHOT: &str = ".snapshot.json";
const VERDICT: &str = ".verdict.json";

#[derive(Serialize)]
struct Tested {
    cases: usize,
    updated: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let settings = args.policy.settings(policy.info())?;
    let cases = find(&args.cases)?;
    if cases.is_empty() {
        let text = format!("no `*{SNAPSHOT}` in `{}`", args.cases.display());
        return Err(Error::Usage(text));
    }
    let mut failed = 0;
    for case in &cases {
        let found = decide(&policy, &settings, case)?;
        let path = sibling(case, VERDICT);
        if args.update {
            write(&path, &found)?;
        } else if let Some(difference) = difference(&super::read_json("verdict", &path)?, &found)? {
            failed += 1;
            printer.note(&format!("{}:\n{difference}", path.display()));
        }
    }
    if failed > 0 {
        return Err(Error::SelfCheck(format!("{failed} of {} cases differ", cases.len())));
    }
    let tested = Tested { cases: cases.len(), updated: args.update };
    printer.result(&tested, |tested| {
        let what = if tested.updated { "written" } else { "as expected" };
        format!("{} cases {what}", tested.cases)
    })
}

/// The snapshots in a directory, by name.
fn find(directory: &Path) -> Result<Vec<PathBuf>> {
    let error =
        |source| whittle_release::Error::Io { action: "read", path: directory.to_owned(), source };
    let files = fs::read_dir(directory).map_err(error)?;
    let mut paths = files
        .map(|file| file.map(|file| file.path()).map_err(error))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(SNAPSHOT));
    paths.sort();
    Ok(paths)
}

fn decide(policy: &Policy, settings: &[Setting], case: &Path) -> Result<Verdict> {
    let mut snapshot: Snapshot = super::read_json("snapshot", case)?;
    super::apply(settings, &mut snapshot.settings);
    Ok(policy.evaluate(&snapshot)?.value)
}

fn sibling(snapshot: &Path, ending: &str) -> PathBuf {
    let name = snapshot.to_string_lossy();
    PathBuf::from(format!("{}{ending}", name.strip_suffix(SNAPSHOT).unwrap_or(&name)))
}

fn write(path: &Path, verdict: &Verdict) -> Result {
    let text = serde_json::to_string_pretty(verdict)? + "\n";
    let error =
        |source| whittle_release::Error::Io { action: "write", path: path.to_owned(), source };
    Ok(fs::write(path, text).map_err(error)?)
}

/// The lines in which two verdicts differ, if they do.
fn difference(wanted: &Verdict, found: &Verdict) -> Result<Option<String>> {
    if wanted == found {
        return Ok(None);
    }
    let (wanted, found) =
        (serde_json::to_string_pretty(wanted)?, serde_json::to_string_pretty(found)?);
    let only = |sign, of: &str, other: &str| {
        let lines = of.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    Ok(Some(only('-', &wanted, &found) + &only('+', &found, &wanted)))
}
