//! Makes an observation of what a Prometheus answers.

use std::collections::BTreeMap;

use whittle_rollout::{Cell, CellObservation, Observation, Side, Terms};

use super::amount::Absence;
use super::answer::{Sample, shown};
use super::asker::Asker;
use super::auth::{Authorization, Surroundings};
use super::check::{BadSource, attributes, check};
use super::client::Client;
use super::error::ReadError;
use super::figures::side_name;
use super::source::Source;
use super::trust::trust;

/// Reads observations of one rollout from a Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    pub(super) source: Source,
    pub(super) client: Client,
    pub(super) cells: Vec<Cell>,
    /// Where the cell with these attributes stands.
    places: BTreeMap<BTreeMap<String, String>, usize>,
    /// Attributes, and the label of each.
    labels: Vec<(String, String)>,
    pub(super) version: String,
}

/// What came of reading an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Figures, for the engine to judge.
    Figures(Reading),
    /// The stretch of time is too short, or its last figures may still be on their way.
    NotYet {
        /// When there is something to read, in seconds from 1970, UTC.
        ready_s: u64,
    },
}

/// Figures, and which of them are not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// All that is known. A metric of a cell of which a part is missing is left out, so that the engine sees its figures grow stale.
    pub observation: Observation,
    /// What is left out, and why. Empty if all is there.
    pub missing: Vec<Missing>,
}

/// A figure that is not there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("no `{metric}` of cell {cell}: the {part}, {}, {why}", side_name(*side))]
pub struct Missing {
    /// Which cell, as `{hw="C"}`.
    pub cell: String,
    /// Which metric.
    pub metric: String,
    /// On which side.
    pub side: Side,
    /// `count`, `exposure` or `squares`.
    pub part: &'static str,
    /// Why.
    pub why: Absence,
}

impl Prometheus {
    /// A reader for a rollout. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// If the source cannot answer what the terms ask for, or its secret or certificates are not to be had.
    pub fn new(
        source: &Source,
        terms: &Terms,
        surroundings: &Surroundings<'_>,
    ) -> Result<Self, BadSource> {
        check(source, terms)?;
        let authorization =
            source.auth.as_ref().map(|auth| Authorization::of(auth, surroundings)).transpose()?;
        let authorities = source.authorities.as_ref().map(|path| surroundings.directory.join(path));
        let trust = trust(authorities.as_deref()).map_err(|source| BadSource::Authorities {
            path: authorities.unwrap_or_default(),
            source,
        })?;
        let cells = terms.cells.iter().enumerate();
        let places = cells.map(|(place, cell)| (cell.attributes.clone(), place));
        let label = |name: &String| (name.clone(), source.label(name).to_owned());
        Ok(Self {
            client: Client::new(source, authorization, trust),
            cells: terms.cells.clone(),
            places: places.collect(),
            labels: attributes(terms).into_iter().map(label).collect(),
            version: terms.version.clone(),
            source: source.clone(),
        })
    }

    /// Reads what was gathered from `from_s` until as late as figures have settled; times in seconds from 1970, UTC.
    ///
    /// `from_s` is the end of the observation before, or the start of the rollout. Blocks until all is answered: at most `timeout_s` for
    /// each query and each of `retries`.
    ///
    /// # Errors
    ///
    /// If any query has no answer that counts, or an answer is of other devices or impossible.
    pub fn observe(&self, from_s: u64, now_s: u64) -> Result<Answer, ReadError> {
        let until_s = now_s.saturating_sub(self.source.settle_s);
        let least_s = from_s.saturating_add(self.source.least_window_s);
        if until_s < least_s {
            return Ok(Answer::NotYet { ready_s: least_s.saturating_add(self.source.settle_s) });
        }
        let asker = Asker::new(self, from_s, until_s);
        let devices = asker.devices()?;
        let mut missing = vec![];
        let mut metrics = vec![vec![]; self.cells.len()];
        for (name, queries) in &self.source.metrics {
            let found = asker.metric(name, queries, &devices, &mut missing)?;
            for (metrics, found) in metrics.iter_mut().zip(found) {
                metrics.extend(found);
            }
        }
        let cells = self.cells.iter().zip(devices).zip(metrics);
        let cells = cells.map(|((cell, devices), metrics)| CellObservation {
            attributes: cell.attributes.clone(),
            devices,
            metrics,
        });
        let cells = cells.collect();
        let observation = Observation { from_s, until_s, cells, versions: asker.versions()? };
        Ok(Answer::Figures(Reading { observation, missing }))
    }

    /// The place of the cell that a series belongs to.
    pub(super) fn cell(&self, what: &str, sample: &Sample) -> Result<usize, ReadError> {
        let value = |(name, label): &(String, String)| {
            let value = sample.labels.get(label);
            value.map(|value| (name.clone(), value.clone()))
        };
        let attributes: BTreeMap<_, _> = self.labels.iter().filter_map(value).collect();
        let place = self.places.get(&attributes).copied();
        place.ok_or_else(|| ReadError::UnknownCell {
            what: what.to_owned(),
            labels: shown(&sample.labels),
        })
    }
}
