//! The file in which people write a rollout down.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use whittle_fleet::DriverConfig;
use whittle_metrics::Source;
use whittle_policy_host::Policy;
use whittle_rollout::{Draft, Terms};
use whittle_rollout_store::RolloutName;

use super::drive::Fleet;
use super::figures::{Figures, directory_of};
use crate::commands::policy;
use crate::error::{Error, Result};
use crate::printer::Printer;
use crate::{time, words};

/// A rollout as people write it down, in TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutFile {
    /// File of the policy's component, from this file's directory, or the name of a policy that comes with whittle.
    policy: String,
    /// What is rolled out, to whom, and within which limits.
    rollout: Draft,
    /// Where its figures are read from; without it, `observe` brings them.
    #[serde(default)]
    source: Option<Source>,
    /// How its devices are reached; without it, orders are only told.
    #[serde(default)]
    fleet: Option<DriverConfig>,
    /// Where the file lies.
    #[serde(skip)]
    path: PathBuf,
}

impl RolloutFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = policy::read(path)?;
        let bad = |why: String| Error::BadRollout { path: path.to_owned(), why };
        let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
        let file: Self = toml::from_str(&text).map_err(|error| bad(told(&text, &error)))?;
        Ok(Self { path: path.to_owned(), ..file })
    }

    /// Loads the policy.
    pub(super) fn policy(&self, printer: &Printer) -> Result<Policy> {
        let beside = directory_of(&self.path).join(&self.policy);
        let policy = if beside.is_file() { &beside.to_string_lossy() } else { &*self.policy };
        policy::load(&policy::host(printer), policy)
    }

    /// How its devices are reached, if the file says so.
    pub(super) fn fleet(&self) -> Option<Fleet> {
        self.fleet.clone().map(|fleet| Fleet(fleet.beside(directory_of(&self.path))))
    }

    /// Where its figures are read from, if the file says so.
    pub(super) fn figures(&self) -> Option<Figures> {
        let directory = directory_of(&self.path).to_owned();
        self.source.clone().map(|source| Figures { source, directory })
    }

    /// The same where nothing else will do.
    pub(super) fn must_have_figures(&self) -> Result<Figures> {
        let why = || "it has no `[source]`: where are its figures?".to_owned();
        self.figures().ok_or_else(|| Error::BadRollout { path: self.path.clone(), why: why() })
    }

    /// The same where nothing else will do.
    pub(super) fn must_drive(&self) -> Result<Fleet> {
        let why = || "it has no `[fleet]`: how are its devices reached?".to_owned();
        self.fleet().ok_or_else(|| Error::BadRollout { path: self.path.clone(), why: why() })
    }

    /// Refuses to have anything done to a rollout by the file of another one.
    pub(super) fn must_be_of(&self, name: &RolloutName, terms: &Terms) -> Result {
        let Draft { build, version, .. } = &self.rollout;
        if (build, version) == (&terms.build, &terms.version) {
            return Ok(());
        }
        let why = format!(
            "it is about version {version}, build {build}; `{name}` rolls out version {}, build {}",
            terms.version, terms.build
        );
        Err(Error::BadRollout { path: self.path.clone(), why })
    }

    /// The terms of a rollout that starts at `at_s`, by its policy.
    pub(super) fn terms(self, at_s: u64, policy: &Policy) -> Result<Terms> {
        let Self { mut rollout, path, .. } = self;
        let bad = |why: String| Error::BadRollout { path: path.clone(), why };
        for zone in rollout.zones() {
            time::look_up(zone, at_s).map_err(bad)?;
        }
        rollout.terms(at_s, policy).map_err(|error| bad(error.to_string()))
    }
}

/// What is wrong with a text, and in which line; without the line itself, which may hold a secret that does not belong there.
fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    let message = error.message();
    // These repeat the value.
    let repeats = ["unknown variant", "invalid type: string", "invalid value: string"];
    let expected = message.find(", expected").and_then(|at| message.get(at..));
    let message = match expected.filter(|_| repeats.iter().any(|begin| message.starts_with(begin)))
    {
        Some(expected) => format!("not what is wanted here{expected}"),
        None => message.to_owned(),
    };
    let message = words::plain(&message).replace("an object", "a table");
    format!("{}{message}", line.unwrap_or_default())
}
