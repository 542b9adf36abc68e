use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use whittle_policy_host::Policy;
use whittle_policy_host::types::{Setting, Snapshot, Verdict};

use super::PolicyArgs;
use crate::error::{self, Error, Result};
use crate::printer::Printer;

/// Compare what a policy decides with what it should.
///
/// Each case is two files: `NAME.snapshot.json` and `NAME.verdict.json`. All cases are tried, whatever becomes of the others.
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

/// A policy that was tried on cases.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Tested {
    /// How many cases there are.
    cases: usize,
    /// Whether verdicts were written instead of compared.
    updated: bool,
    /// Cases in which it says something else.
    failed: Vec<Failed>,
}

/// A case in which a policy says something else.
#[derive(JsonSchema, Serialize)]
struct Failed {
    /// Name of the case.
    case: String,
    /// What is wrong: lines with `-` are wanted, lines with `+` were found.
    why: String,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let policy = args.policy.load(printer)?;
    let settings = args.policy.settings(&policy)?;
    let names = find(&args.cases)?;
    if names.is_empty() {
        let text = format!("no `*{SNAPSHOT}` in `{}`", args.cases.display());
        return Err(Error::Usage(text));
    }
    let mut tested = Tested { cases: names.len(), updated: args.update, failed: vec![] };
    for name in names {
        let case = Case { directory: &args.cases, name: &name };
        let outcome = if args.update {
            case.update(&policy, &settings).map(|()| None)
        } else {
            case.compare(&policy, &settings)
        };
        if let Some(why) = outcome.unwrap_or_else(|error| Some(error::chain(&error))) {
            tested.failed.push(Failed { case: name, why });
        }
    }
    for Failed { case, why } in &tested.failed {
        printer.note(&format!("{case}:\n  {}", why.trim_end().replace('\n', "\n  ")));
    }
    printer.result(&tested, |tested| {
        let what = if tested.updated { "written" } else { "as expected" };
        format!("{} of {} cases {what}", tested.cases - tested.failed.len(), tested.cases)
    })?;
    match tested.failed.len() {
        0 => Ok(()),
        failed => Err(Error::SelfCheck(format!("{failed} of {} cases fail", tested.cases))),
    }
}

/// Names of the cases in a directory, also of those that lack one of their files.
fn find(directory: &Path) -> Result<BTreeSet<String>> {
    let error =
        |source| whittle_release::Error::Io { action: "read", path: directory.to_owned(), source };
    let mut names = BTreeSet::new();
    for file in fs::read_dir(directory).map_err(error)? {
        let name = file.map_err(error)?.file_name().to_string_lossy().into_owned();
        let case = name.strip_suffix(SNAPSHOT).or_else(|| name.strip_suffix(VERDICT));
        names.extend(case.map(str::to_owned));
    }
    Ok(names)
}

struct Case<'a> {
    directory: &'a Path,
    name: &'a str,
}

impl Case<'_> {
    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}{ending}", self.name))
    }

    fn decide(&self, policy: &Policy, settings: &[Setting]) -> Result<Verdict> {
        let mut snapshot: Snapshot = super::read_json("snapshot", &self.path(SNAPSHOT))?;
        super::apply(settings, &mut snapshot.settings);
        Ok(policy.evaluate(&snapshot)?.value)
    }

    fn update(&self, policy: &Policy, settings: &[Setting]) -> Result {
        let text = serde_json::to_string_pretty(&self.decide(policy, settings)?)? + "\n";
        let path = self.path(VERDICT);
        let error =
            |source| whittle_release::Error::Io { action: "write", path: path.clone(), source };
        Ok(fs::write(&path, text).map_err(error)?)
    }

    /// How the verdict differs from what is wanted; none if it does not.
    fn compare(&self, policy: &Policy, settings: &[Setting]) -> Result<Option<String>> {
        let found = self.decide(policy, settings)?;
        let path = self.path(VERDICT);
        if !path.exists() {
            return Ok(Some(format!("there is no `{}`; `--update` writes it", path.display())));
        }
        difference(&super::read_json("verdict", &path)?, &found)
    }
}

/// The lines in which two verdicts differ, in their order, if they do.
fn difference(wanted: &Verdict, found: &Verdict) -> Result<Option<String>> {
    if wanted == found {
        return Ok(None);
    }
    let (wanted, found) =
        (serde_json::to_string_pretty(wanted)?, serde_json::to_string_pretty(found)?);
    let lines = TextDiff::from_lines(&wanted, &found);
    let lines = lines.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        Some(format!("{sign} {}\n", change.value().trim_end()))
    });
    Ok(Some(lines.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reasons_in_another_order_are_a_difference() {
        let verdict = |codes: [&str; 2]| {
            let reasons = codes.map(|code| serde_json::json!({"code": code, "text": "x"}));
            let verdict = serde_json::json!({"decision": "hold", "reasons": reasons, "memo": ""});
            serde_json::from_value::<Verdict>(verdict).expect("a verdict")
        };
        let (one, other) = (verdict(["a", "b"]), verdict(["b", "a"]));
        let lines = difference(&one, &other).expect("it is written").expect("they differ");
        assert!(lines.contains("- ") && lines.contains("+ "), "{lines}");
        assert_eq!(difference(&one, &one).expect("it is written"), None);
    }
}
