//! Makes an observation of what a Prometheus answers.

use std::cell::{Cell as Shared, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use whittle_rollout::policy::types::Tally;
use whittle_rollout::{
    Cell, CellObservation, DeviceCounts, MetricObservation, Observation, Side, Terms,
};

use super::amount::{Absence, amounts};
use super::answer::{Sample, shown};
use super::auth::{Authorization, Surroundings};
use super::check::{BadSource, attributes, check};
use super::client::{AskError, Client};
use super::source::{self, MetricQueries, SideQueries, Source};
use super::trust::trust;
use super::variables::{Variables, fill};

/// Reads observations of one rollout from a Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    source: Source,
    client: Client,
    cells: Vec<Cell>,
    /// Attributes, and the label of each.
    labels: Vec<(String, String)>,
    version: String,
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

/// Why there is no observation. Nothing was counted: the same stretch of time, or a longer one, can be asked for again. Until then the
/// engine sees its figures grow stale, and holds.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A query has no answer that counts.
    #[error("cannot read {what}")]
    Ask {
        /// What was asked for.
        what: String,
        /// Why there is no answer.
        source: AskError,
    },
    /// A series of devices that are not in this rollout.
    #[error("{what}: the series {labels} belongs to no cell of the rollout")]
    UnknownCell {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
    },
    /// Several series where one is wanted.
    #[error("{what}: the series {labels} is the second one of its cell, wanted a sum")]
    CellTwice {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
    },
    /// A value that cannot be.
    #[error("{what}: the series {labels} has {got}, wanted {wanted}")]
    Figure {
        /// What was asked for.
        what: String,
        /// Its labels.
        labels: String,
        /// The value.
        got: f64,
        /// What it should be.
        wanted: &'static str,
    },
    /// Without them nothing can be said of the cell.
    #[error("{what}: nothing about cell {cell}")]
    NoDevices {
        /// What was asked for.
        what: String,
        /// The cell.
        cell: String,
    },
    /// A series without the label that holds the version.
    #[error("versions: the series {labels} has no label `{label}`")]
    NoVersion {
        /// Its labels.
        labels: String,
        /// The label.
        label: String,
    },
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
        let label = |name: &String| (name.clone(), source.label(name).to_owned());
        Ok(Self {
            client: Client::new(source, authorization, trust),
            cells: terms.cells.clone(),
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
        let retries = Shared::new(self.source.retries);
        let asker = Asker { of: self, from_s, until_s, retries, known: RefCell::default() };
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
        let place = self.cells.iter().position(|cell| cell.attributes == attributes);
        place.ok_or_else(|| ReadError::UnknownCell {
            what: what.to_owned(),
            labels: shown(&sample.labels),
        })
    }

    pub(super) fn cell_count(&self) -> usize {
        self.cells.len()
    }
}

/// Answers by query and moment.
type Known = BTreeMap<(String, u64), Rc<Vec<Sample>>>;

/// Asks for the figures of one stretch of time.
pub(super) struct Asker<'a> {
    pub(super) of: &'a Prometheus,
    pub(super) from_s: u64,
    pub(super) until_s: u64,
    retries: Shared<u32>,
    /// Answers, so that a query that stands there twice has the same answer twice.
    known: RefCell<Known>,
}

impl Asker<'_> {
    /// A query with its variables filled in.
    pub(super) fn filled(&self, query: &str) -> String {
        let window_s = self.until_s - self.from_s;
        fill(query, &Variables { window_s, version: &self.of.version })
    }

    /// The answer to a query without variables at a moment.
    pub(super) fn ask(
        &self,
        what: &str,
        query: String,
        at_s: u64,
    ) -> Result<Rc<Vec<Sample>>, ReadError> {
        let key = (query, at_s);
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let samples = self.of.client.ask(&key.0, at_s, &self.retries);
        let samples = samples.map_err(|source| ReadError::Ask { what: what.to_owned(), source })?;
        let samples = Rc::new(samples);
        self.known.borrow_mut().insert(key, Rc::clone(&samples));
        Ok(samples)
    }

    /// One value for each cell, at the end; none where there is none.
    pub(super) fn values<T: Clone>(
        &self,
        what: &str,
        query: &str,
        read: fn(&str, &Sample) -> Result<T, ReadError>,
    ) -> Result<Vec<Option<T>>, ReadError> {
        let samples = self.ask(what, self.filled(query), self.until_s)?;
        let mut values = vec![None; self.of.cell_count()];
        for sample in samples.iter() {
            let place = self.of.cell(what, sample)?;
            if values[place].replace(read(what, sample)?).is_some() {
                let (what, labels) = (what.to_owned(), shown(&sample.labels));
                return Err(ReadError::CellTwice { what, labels });
            }
        }
        Ok(values)
    }

    fn devices(&self) -> Result<Vec<DeviceCounts>, ReadError> {
        let mut all = vec![];
        for (name, query) in self.of.source.devices.named() {
            let what = source::devices(name);
            let values = self.values(&what, &query.value, whole)?.into_iter().zip(&self.of.cells);
            let counts = values.map(|(value, cell)| {
                let value = value.or(query.absent_is_zero.then_some(0));
                value.ok_or_else(|| ReadError::NoDevices {
                    what: what.clone(),
                    cell: shown(&cell.attributes),
                })
            });
            all.push(counts.collect::<Result<Vec<_>, _>>()?);
        }
        let counts = (0..self.of.cells.len()).map(|place| DeviceCounts {
            offered: all[0][place],
            updated: all[1][place],
            committed: all[2][place],
            rolled_back: all[3][place],
            bricked: all[4][place],
            silent: all[5][place],
        });
        Ok(counts.collect())
    }

    fn versions(&self) -> Result<BTreeMap<String, u32>, ReadError> {
        let mut versions = BTreeMap::new();
        let Some(query) = &self.of.source.versions else { return Ok(versions) };
        let what = "versions";
        for sample in self.ask(what, self.filled(&query.value), self.until_s)?.iter() {
            let labels = || shown(&sample.labels);
            let version = sample.labels.get(&query.label).ok_or_else(|| ReadError::NoVersion {
                labels: labels(),
                label: query.label.clone(),
            })?;
            let devices = whole(what, sample)?;
            if versions.insert(version.clone(), devices).is_some() {
                return Err(ReadError::CellTwice { what: what.to_owned(), labels: labels() });
            }
        }
        Ok(versions)
    }

    /// A metric of each cell; none where a part of it is missing.
    fn metric(
        &self,
        name: &str,
        queries: &MetricQueries,
        devices: &[DeviceCounts],
        missing: &mut Vec<Missing>,
    ) -> Result<Vec<Option<MetricObservation>>, ReadError> {
        let treated = self.side(name, Side::Treated, &queries.treated, devices, missing)?;
        let control = self.side(name, Side::Control, &queries.control, devices, missing)?;
        let both = treated.into_iter().zip(control).map(|(treated, control)| {
            let (treated, control) = treated.zip(control)?;
            Some(MetricObservation { name: name.to_owned(), treated, control })
        });
        Ok(both.collect())
    }

    fn side(
        &self,
        metric: &str,
        side: Side,
        queries: &SideQueries,
        devices: &[DeviceCounts],
        missing: &mut Vec<Missing>,
    ) -> Result<Vec<Option<Tally>>, ReadError> {
        let nothing = Tally { count: 0.0, exposure: 0.0, squares: 0.0 };
        let mut tallies = vec![Some(nothing); self.of.cells.len()];
        let squares = queries.squares.iter().map(|squares| ("squares", squares));
        let parts = [("count", &queries.count), ("exposure", &queries.exposure)];
        for (part, amount) in parts.into_iter().chain(squares) {
            let what = source::figure(metric, side_name(side), part);
            for (place, found) in amounts(self, &what, amount)?.into_iter().enumerate() {
                let cell = &self.of.cells[place];
                let found = match found {
                    Err(Absence::Absent) if is_nobody(side, devices[place], cell) => Ok(0.0),
                    found => found,
                };
                match (found, &mut tallies[place]) {
                    (Ok(figure), Some(tally)) => match part {
                        "count" => tally.count = figure,
                        "exposure" => tally.exposure = figure,
                        _ => tally.squares = figure,
                    },
                    (Ok(_), None) => {}
                    (Err(why), tally) => {
                        *tally = None;
                        let (cell, metric) = (shown(&cell.attributes), metric.to_owned());
                        missing.push(Missing { cell, metric, side, part, why });
                    }
                }
            }
        }
        Ok(tallies)
    }
}

/// What a side is called in errors.
fn side_name(side: Side) -> &'static str {
    match side {
        Side::Treated => "treated",
        Side::Control => "control",
    }
}

/// Whether no device of the cell is on that side, so that nobody could have sent anything.
fn is_nobody(side: Side, devices: DeviceCounts, cell: &Cell) -> bool {
    match side {
        Side::Treated => devices.updated == 0,
        Side::Control => devices.updated >= cell.devices,
    }
}

/// The value of a series as a figure.
pub(super) fn figure(what: &str, sample: &Sample) -> Result<f64, ReadError> {
    let got = sample.value;
    if got.is_finite() && got >= 0.0 {
        return Ok(got);
    }
    let (what, labels) = (what.to_owned(), shown(&sample.labels));
    Err(ReadError::Figure { what, labels, got, wanted: "a number, 0 or more" })
}

/// The value of a series as a number of devices.
fn whole(what: &str, sample: &Sample) -> Result<u32, ReadError> {
    let got = figure(what, sample)?;
    if got.fract() == 0.0 && got <= f64::from(u32::MAX) {
        // A whole number, and none that is negative: that was looked at.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return Ok(got as u32);
    }
    let (what, labels) = (what.to_owned(), shown(&sample.labels));
    Err(ReadError::Figure { what, labels, got, wanted: "a whole number of devices" })
}
