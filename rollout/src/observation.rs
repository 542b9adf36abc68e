//! What comes in from the fleet, and what is wrong with it.
//!
//! Figures are taken as a whole or set aside as a whole: an observation of which a part is wrong is not to be trusted in the rest.
//! As long as the last observation was set aside, no rollout goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::calendar::Utc;
use crate::policy::types::{MetricKind, Tally};
use crate::statistics::{Count, Readings};
use crate::terms::{MetricTerms, Terms, bad_count};

/// What was gathered in a stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// When the stretch began, in seconds from 1970, UTC. Not before the end of the one before.
    pub from_s: u64,
    /// When it ended.
    pub until_s: u64,
    /// Each cell once; one that is missing has sent nothing.
    #[serde(default)]
    pub cells: Vec<CellObservation>,
    /// Devices of the whole fleet by the version that they report; empty if that is not known.
    #[serde(default)]
    pub versions: BTreeMap<String, u32>,
}

/// What was gathered from the devices of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CellObservation {
    /// Which cell.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// How far its devices are.
    pub devices: DeviceCounts,
    /// What was measured in this stretch of time, no name twice.
    #[serde(default)]
    pub metrics: Vec<MetricObservation>,
}

/// How far devices are, since the rollout began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DeviceCounts {
    /// Have been offered the new firmware. Never falls.
    pub offered: u32,
    /// Of those, have installed it at least once. Never falls.
    pub updated: u32,
    /// Of the updated, have committed it and still run it.
    pub committed: u32,
    /// Of the updated, went back, committed or not.
    pub rolled_back: u32,
    /// Of the updated, no longer work.
    pub bricked: u32,
    /// Of the updated, have not been heard of for too long.
    pub silent: u32,
}

impl DeviceCounts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered.saturating_add(other.offered),
            updated: self.updated.saturating_add(other.updated),
            committed: self.committed.saturating_add(other.committed),
            rolled_back: self.rolled_back.saturating_add(other.rolled_back),
            bricked: self.bricked.saturating_add(other.bricked),
            silent: self.silent.saturating_add(other.silent),
        }
    }
}

/// What was measured in a stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricObservation {
    /// Name of the metric.
    pub name: String,
    /// On new firmware.
    pub treated: Tally,
    /// On old firmware.
    pub control: Tally,
}

/// Which side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// New firmware.
    Treated,
    /// Old firmware.
    Control,
}

/// What is wrong with an observation. Whoever gathers the figures must act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// It ends before it begins, or takes no time.
    #[error("from {} to {} is no stretch of time", Utc(*from_s), Utc(*until_s))]
    Backwards {
        /// When it begins.
        from_s: u64,
        /// When it ends.
        until_s: u64,
    },
    /// It tells of what has not happened yet.
    #[error("ends at {}, but it is {}", Utc(*until_s), Utc(*now_s))]
    FromTheFuture {
        /// When it ends.
        until_s: u64,
        /// Now.
        now_s: u64,
    },
    /// A part of it has been counted already.
    #[error("begins at {}, but all up to {} has been counted", Utc(*from_s), Utc(*counted_until_s))]
    Overlap {
        /// When it begins.
        from_s: u64,
        /// Up to when all has been counted.
        counted_until_s: u64,
    },
    /// It tells of devices that are not in this rollout.
    #[error("unknown cell {0}")]
    UnknownCell(String),
    /// It tells of the same devices twice.
    #[error("cell {0} stands there twice")]
    CellTwice(String),
    /// It tells of something that is not measured.
    #[error("unknown metric `{0}`")]
    UnknownMetric(String),
    /// It tells of a metric twice.
    #[error("metric `{0}` stands there twice")]
    MetricTwice(String),
    /// A number of devices that never falls has fallen: its source has begun anew, or somebody reads another one.
    #[error("{what} devices fell from {before} to {got}")]
    Fell {
        /// Which devices.
        what: String,
        /// How many there were.
        before: u32,
        /// How many there are.
        got: u32,
    },
    /// Devices are counted twice.
    #[error("{got} devices are {what}, of {of}")]
    TooManyDevices {
        /// What they are.
        what: String,
        /// How many.
        got: u32,
        /// Of how many.
        of: u32,
    },
    /// A figure cannot be.
    #[error("`{metric}` of {side:?}: {what}")]
    Figure {
        /// Which metric.
        metric: String,
        /// On which side.
        side: Side,
        /// What is wrong.
        what: String,
    },
    /// More exposure than there are devices and hours.
    #[error("`{metric}` of {side:?}: exposure {got}, but there was {most} at most")]
    TooMuchExposure {
        /// Which metric.
        metric: String,
        /// On which side.
        side: Side,
        /// The exposure.
        got: f64,
        /// What it can be.
        most: f64,
    },
    /// More events of a rate than its devices can have had.
    #[error("`{metric}` of {side:?}: {got} events, but there were {most} at most")]
    TooManyEvents {
        /// Which metric.
        metric: String,
        /// On which side.
        side: Side,
        /// The events.
        got: f64,
        /// How many there can be.
        most: f64,
    },
    /// There are none: a file or a server could not be read.
    #[error("no figures: {0}")]
    Unread(String),
    /// The same within a cell.
    #[error("cell {cell}: {problem}")]
    InCell {
        /// Which cell, by its attributes.
        cell: String,
        /// What is wrong there.
        problem: Box<Problem>,
    },
    /// There are more devices than there are.
    #[error("{got} devices report a version, of {of}")]
    TooManyVersions {
        /// How many report one.
        got: u64,
        /// How many there are.
        of: u32,
    },
}

/// What is known before an observation comes.
pub(crate) struct Known<'a> {
    pub(crate) terms: &'a Terms,
    pub(crate) now_s: u64,
    pub(crate) counted_until_s: u64,
    pub(crate) cells: &'a [DeviceCounts],
}

impl Observation {
    /// Checks all of it; returns to which cell each part belongs.
    pub(crate) fn check(&self, known: &Known<'_>) -> Result<Vec<usize>, Problem> {
        let Self { from_s, until_s, .. } = *self;
        if until_s <= from_s {
            return Err(Problem::Backwards { from_s, until_s });
        }
        if until_s > known.now_s {
            return Err(Problem::FromTheFuture { until_s, now_s: known.now_s });
        }
        if from_s < known.counted_until_s {
            return Err(Problem::Overlap { from_s, counted_until_s: known.counted_until_s });
        }
        let of = known.terms.devices();
        let got = self.versions.values().map(|number| u64::from(*number)).sum();
        if got > u64::from(of) {
            return Err(Problem::TooManyVersions { got, of });
        }
        let cells = known.terms.cells.iter().enumerate();
        let known_cells: BTreeMap<_, _> = cells.map(|(at, cell)| (&cell.attributes, at)).collect();
        let mut seen = BTreeSet::new();
        let mut places = vec![];
        for cell in &self.cells {
            let name = || format!("{:?}", cell.attributes);
            let place = known_cells.get(&cell.attributes).copied();
            let place = place.ok_or_else(|| Problem::UnknownCell(name()))?;
            if !seen.insert(place) {
                return Err(Problem::CellTwice(name()));
            }
            places.push(place);
            self.check_cell(cell, known, place)
                .map_err(|problem| Problem::InCell { cell: name(), problem: Box::new(problem) })?;
        }
        Ok(places)
    }

    fn check_cell(
        &self,
        cell: &CellObservation,
        known: &Known<'_>,
        place: usize,
    ) -> Result<(), Problem> {
        let devices = known.terms.cells[place].devices;
        check_devices(cell.devices, known.cells[place], devices)?;
        let mut seen = BTreeSet::new();
        for metric in &cell.metrics {
            let terms = known.terms.metrics.iter().find(|terms| terms.name == metric.name);
            let terms = terms.ok_or_else(|| Problem::UnknownMetric(metric.name.clone()))?;
            if !seen.insert(&metric.name) {
                return Err(Problem::MetricTwice(metric.name.clone()));
            }
            let updated = cell.devices.updated;
            let treated = (Side::Treated, &metric.treated, updated);
            for (side, tally, devices) in [treated, (Side::Control, &metric.control, devices)] {
                self.check_tally(terms, side, tally)?;
                let most = self.most_exposure(terms, devices);
                check_exposure(terms, side, tally.exposure, most)?;
                check_events(terms, side, tally.count, most, devices)?;
            }
        }
        Ok(())
    }

    fn check_tally(&self, terms: &MetricTerms, side: Side, tally: &Tally) -> Result<(), Problem> {
        let problem = |what: String| Problem::Figure { metric: terms.name.clone(), side, what };
        if terms.kind == MetricKind::Mean {
            return match readings(terms, tally) {
                Ok(_) => Ok(()),
                Err(bad) => Err(problem(bad.to_string())),
            };
        }
        Count::new(tally.count, tally.exposure).map_err(|bad| problem(bad.to_string()))?;
        if terms.kind == MetricKind::Proportion && tally.count > tally.exposure {
            let what = format!("{} devices hit of {} asked", tally.count, tally.exposure);
            return Err(problem(what));
        }
        Ok(())
    }

    /// The exposure that so many devices can have had.
    fn most_exposure(&self, terms: &MetricTerms, devices: u32) -> f64 {
        // A device is asked once a minute, and has a reading each second, at most.
        const ASKED_AN_HOUR: f64 = 60.0;
        const READ_AN_HOUR: f64 = 3600.0;
        #[allow(clippy::cast_precision_loss)]
        let hours = (self.until_s - self.from_s) as f64 / 3600.0;
        let each = match terms.kind {
            // Devices report at times of their own, so that figures may reach back a bit.
            MetricKind::Rate => hours * 1.5,
            MetricKind::Proportion => hours * ASKED_AN_HOUR + 1.0,
            MetricKind::Mean => hours * READ_AN_HOUR + 1.0,
        };
        f64::from(devices) * each + 1.0
    }
}

/// More exposure than there can have been would make any rate look small.
fn check_exposure(terms: &MetricTerms, side: Side, got: f64, most: f64) -> Result<(), Problem> {
    if got <= most {
        return Ok(());
    }
    let metric = terms.name.clone();
    Err(Problem::TooMuchExposure { metric, side, got, most })
}

/// More events than there can have been on old firmware would hide any regression.
///
/// Held against the hours that devices can have had, not those that they report: in a boot loop they report few.
fn check_events(
    terms: &MetricTerms,
    side: Side,
    got: f64,
    most_hours: f64,
    devices: u32,
) -> Result<(), Problem> {
    if terms.kind != MetricKind::Rate {
        return Ok(());
    }
    let most = terms.most_events(most_hours, devices);
    if got <= most {
        return Ok(());
    }
    let metric = terms.name.clone();
    Err(Problem::TooManyEvents { metric, side, got, most })
}

fn check_devices(got: DeviceCounts, before: DeviceCounts, devices: u32) -> Result<(), Problem> {
    let falls = [
        ("offered", before.offered, got.offered),
        ("updated", before.updated, got.updated),
        ("bricked", before.bricked, got.bricked),
    ];
    if let Some((what, before, got)) = falls.into_iter().find(|(_, before, got)| got < before) {
        return Err(Problem::Fell { what: what.to_owned(), before, got });
    }
    let ended = got.committed.saturating_add(got.rolled_back).saturating_add(got.bricked);
    let parts = [
        ("offered", got.offered, devices),
        ("updated", got.updated, got.offered),
        ("committed, rolled back or bricked", ended, got.updated),
        ("silent", got.silent, got.updated),
    ];
    match parts.into_iter().find(|(_, got, of)| got > of) {
        Some((what, got, of)) => Err(Problem::TooManyDevices { what: what.to_owned(), got, of }),
        None => Ok(()),
    }
}

/// A tally as a count of what speaks against the firmware.
pub(crate) fn count(terms: &MetricTerms, tally: &Tally) -> Count {
    // What was observed has been checked, and a sum of such counts is one.
    Count::new(bad_count(terms, tally), tally.exposure).unwrap_or(Count::NONE)
}

/// A tally as readings.
pub(crate) fn readings(
    terms: &MetricTerms,
    tally: &Tally,
) -> Result<Readings, crate::statistics::BadReadings> {
    Readings::new(tally.exposure, tally.count, tally.squares, terms.most.unwrap_or(0.0))
}

/// Sums of two tallies.
pub(crate) fn sum(one: Tally, other: &Tally) -> Tally {
    Tally {
        count: one.count + other.count,
        exposure: one.exposure + other.exposure,
        squares: one.squares + other.squares,
    }
}

/// No figures.
pub(crate) const NOTHING: Tally = Tally { count: 0.0, exposure: 0.0, squares: 0.0 };
