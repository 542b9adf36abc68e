//! What was counted in a stretch of time.
//!
//! Prometheus' own `increase` takes the first and last sample inside of the stretch and stretches what lies between them to its ends: a crash
//! between two stretches belongs to neither, and one inside counts as 1.07 crashes. In the mean that is right; for the few events of a
//! rollout, which tests take for whole numbers of devices, it is not. So counters are read at both ends, and each end is the beginning of the next
//! stretch.

use std::collections::BTreeMap;

use whittle_rollout::intake::{BadCounter, Counters};

use super::answer::{Labels, Sample, shown};
use super::asker::{Asker, figure};
use super::error::ReadError;
use super::source::{Amount, AmountQuery};

/// How long Prometheus takes the last sample of a series for its present one, in seconds, unless it is told otherwise.
const LOOKBACK_S: u64 = 300;

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// The answer has nothing about the cell.
    #[error("is not in the answer")]
    Absent,
    /// Nobody knows since when the counter has been counting; the next stretch counts again.
    #[error("begins with {0}, which is new")]
    New(String),
    /// Its last events are not known.
    #[error("ends with {0}, which is gone")]
    Gone(String),
    /// What was counted before it began anew is not known; the next stretch counts again.
    #[error("is not known: {0} has begun anew")]
    Restarted(String),
}

impl Absence {
    /// Whether asking later, for a stretch with the same beginning, may find it: scrapes that failed for a while are followed by others, and
    /// counters keep what they have counted.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Absent | Self::Gone(_))
    }
}

/// The amount of each cell.
pub(super) fn amounts(
    asker: &Asker<'_>,
    what: &str,
    amount: &Amount,
) -> Result<Vec<Result<f64, Absence>>, ReadError> {
    let absent = if amount.absent_is_zero { Ok(0.0) } else { Err(Absence::Absent) };
    match &amount.query {
        AmountQuery::Value(query) => {
            let values = asker.values(what, query, figure)?.into_iter();
            Ok(values.map(|value| value.map_or_else(|| absent.clone(), Ok)).collect())
        }
        AmountQuery::Counter(query) => {
            let cells = risen(asker, what, query, amount.absent_is_zero)?.into_iter();
            Ok(cells.map(|cell| cell.unwrap_or_else(|| absent.clone())).collect())
        }
    }
}

/// By how much all series of each cell have risen; none without any series.
fn risen(
    asker: &Asker<'_>,
    what: &str,
    query: &str,
    new_is_zero: bool,
) -> Result<Vec<Option<Result<f64, Absence>>>, ReadError> {
    let query = asker.filled(query);
    // A value at the beginning may be as old as that.
    let reach_s = asker.until_s - asker.from_s + LOOKBACK_S;
    let before = asker.ask(what, query.clone(), asker.from_s)?;
    let after = asker.ask(what, query.clone(), asker.until_s)?;
    let resets = asker.ask(what, format!("resets({query}[{reach_s}s])"), asker.until_s)?;

    let mut counters = Counters::default();
    let mut cells = vec![None; asker.of.cells.len()];
    let mut left: BTreeMap<&Labels, usize> = BTreeMap::new();
    for sample in before.iter() {
        left.insert(&sample.labels, asker.of.cell(what, sample)?);
        figure(what, sample)?;
        // The first reading of a counter is never wrong.
        let _ = counters.rise(&shown_whole(sample), sample.value);
    }
    for sample in after.iter() {
        let place = asker.of.cell(what, sample)?;
        let got = figure(what, sample)?;
        left.remove(&sample.labels);
        let rise = match counters.rise(&shown_whole(sample), got) {
            Ok(Some(rise)) => Ok(rise),
            Ok(None) if new_is_zero => Ok(got),
            Ok(None) => Err(Absence::New(shown(&sample.labels))),
            Err(BadCounter::Fell { .. } | BadCounter::NoCounter(_)) => {
                Err(Absence::Restarted(shown(&sample.labels)))
            }
        };
        add(&mut cells[place], rise);
    }
    for (labels, place) in left {
        add(&mut cells[place], Err(Absence::Gone(shown(labels))));
    }
    for sample in resets.iter().filter(|sample| sample.value > 0.0) {
        let place = asker.of.cell(what, sample)?;
        add(&mut cells[place], Err(Absence::Restarted(shown(&sample.labels))));
    }
    Ok(cells)
}

/// Adds what a series has to its cell. The first absence stays.
fn add(cell: &mut Option<Result<f64, Absence>>, rise: Result<f64, Absence>) {
    *cell = Some(match (cell.take(), rise) {
        (None, rise) => rise,
        (Some(Ok(sum)), Ok(rise)) => Ok(sum + rise),
        (Some(Err(why)), _) | (Some(Ok(_)), Err(why)) => Err(why),
    });
}

/// A name of a series that no other one has.
fn shown_whole(sample: &Sample) -> String {
    format!("{:?}", sample.labels)
}
