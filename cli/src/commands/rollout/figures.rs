//! Reads the figures of a rollout where its file says that they are.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use whittle_metrics::Source;
use whittle_metrics::prometheus::{Answer, Prometheus, Surroundings};
use whittle_rollout::{Outcome, Terms};
use whittle_rollout_store::Session;

use crate::error::{self, Error, Result};
use crate::printer::Printer;

/// Where the figures of a rollout are, and from where paths in it are taken.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) source: Source,
    pub(super) directory: PathBuf,
}

/// What came of reading.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Taken {
    /// How many observations were counted.
    pub(super) counted: usize,
    /// What was not there, and why; its figures grow stale.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
    /// When there is something to read, in seconds from 1970, UTC, if there was nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ready_s: Option<u64>,
    /// Why figures were set aside, if they were.
    #[serde(skip)]
    pub(super) problem: Option<whittle_rollout::Problem>,
}

impl Taken {
    /// Notes what became of an observation.
    pub(super) fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::SetAside(problem) => self.problem = Some(problem),
            _ => self.counted += 1,
        }
    }

    /// Says what somebody should know.
    pub(super) fn tell(&self, printer: &Printer) {
        for missing in &self.missing {
            printer.note(&format!("caution: {missing}"));
        }
    }

    /// An error if figures were set aside.
    pub(super) fn or_set_aside(self) -> Result {
        self.problem.map_or(Ok(()), |problem| Err(Error::SetAside(problem)))
    }
}

impl Figures {
    /// Whether they can be read for a rollout of these terms; asks no server.
    pub(super) fn check(&self, terms: &Terms) -> Result {
        self.reader(terms).map(drop)
    }

    fn reader(&self, terms: &Terms) -> Result<Prometheus> {
        let Source::Prometheus(source) = &self.source;
        let variable = |name: &str| std::env::var(name).ok();
        let surroundings = Surroundings { directory: &self.directory, variable: &variable };
        Prometheus::new(source, terms, &surroundings).map_err(|bad| Error::BadSource(Box::new(bad)))
    }

    /// Reads what was gathered since the figures before, into the rollout. That there are none is noted there as well.
    pub(super) fn take(&self, session: &mut Session, at_s: u64) -> Result<Taken> {
        let taken = self.read(session, at_s);
        if let Err(error @ (Error::Unread(_) | Error::BadSource(_))) = &taken {
            session.miss(at_s, &error::chain(error))?;
        }
        taken
    }

    fn read(&self, session: &mut Session, at_s: u64) -> Result<Taken> {
        let state = session.rollout().state();
        let reader = self.reader(state.terms())?;
        let answer = reader.observe(state.counted_until_s(), at_s);
        match answer.map_err(|error| Error::Unread(Box::new(error)))? {
            Answer::NotYet { ready_s } => Ok(Taken { ready_s: Some(ready_s), ..Taken::default() }),
            Answer::Figures(reading) => {
                let missing = reading.missing.iter().map(ToString::to_string).collect();
                let mut taken = Taken { missing, ..Taken::default() };
                // None if somebody else has taken them meanwhile.
                if let Some(entry) = session.observe_next(at_s, &reading.observation)? {
                    taken.note(entry.outcome);
                }
                Ok(taken)
            }
        }
    }
}

/// From where paths in a rollout's file are taken.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
