//! What was counted in a stretch of time.
//!
//! Prometheus' own `increase` takes the first and last sample inside of the stretch and stretches what lies between them to its ends: a crash
//! between two stretches belongs to neither, and one inside counts as 1.07 crashes. In the mean that is right; for the few events of a
//! rollout, which tests take for whole numbers of devices, it is not. So counters are read at both ends, and each end is the beginning of the next
//! stretch.

use std::collections::{BTreeMap, BTreeSet};

use whittle_rollout::intake::{BadCounter, Counters};

use super::answer::{Labels, Sample, shown};
use super::asker::{Asker, figure};
use super::error::ReadError;
use super::source::{Amount, AmountQuery};

/// How long Prometheus takes the last sample of a series for its present one, in seconds, unless it is told otherwise.
const LOOKBACK_S: u64 = 300;

/// How far back a series is looked for that is not there at the beginning, in seconds: as far as a failure of scrapes may last until
/// somebody sees to it, and little enough for Prometheus to go through.
const MEMORY_S: u64 = 86_400;

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
    let mut new: BTreeSet<&Labels> = after.iter().map(|sample| &sample.labels).collect();
    new.retain(|labels| !left.contains_key(labels));
    if new_is_zero && !new.is_empty() {
        go_on(asker, what, &query, &new, &mut counters, &mut cells)?;
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
    add_resets(asker, what, resets.iter(), &mut cells)?;
    Ok(cells)
}

/// Lets counters go on from where they were: what was not scraped for a while is new to the stretch, and has not begun at zero.
fn go_on(
    asker: &Asker<'_>,
    what: &str,
    query: &str,
    new: &BTreeSet<&Labels>,
    counters: &mut Counters,
    cells: &mut [Option<Result<f64, Absence>>],
) -> Result<(), ReadError> {
    let earlier = format!("last_over_time({query}[{MEMORY_S}s])");
    let earlier = asker.ask(what, earlier, asker.from_s)?;
    let mut back = BTreeSet::new();
    for sample in earlier.iter().filter(|sample| new.contains(&sample.labels)) {
        figure(what, sample)?;
        let _ = counters.rise(&shown_whole(sample), sample.value);
        back.insert(nameless(&sample.labels));
    }
    if back.is_empty() {
        return Ok(());
    }
    // It may have begun anew meanwhile, and have passed where it was.
    let reach_s = asker.until_s - asker.from_s + MEMORY_S;
    let resets = asker.ask(what, format!("resets({query}[{reach_s}s])"), asker.until_s)?;
    // What it did before it went away is in the figure that it had then.
    let before = asker.ask(what, format!("resets({query}[{MEMORY_S}s])"), asker.from_s)?;
    let before: BTreeMap<_, _> =
        before.iter().map(|sample| (nameless(&sample.labels), sample.value)).collect();
    let resets = resets.iter().filter(|sample| {
        let labels = nameless(&sample.labels);
        back.contains(&labels) && sample.value > before.get(&labels).copied().unwrap_or(0.0)
    });
    add_resets(asker, what, resets, cells)
}

/// Notes in their cells which series have begun anew.
fn add_resets<'a>(
    asker: &Asker<'_>,
    what: &str,
    resets: impl Iterator<Item = &'a Sample>,
    cells: &mut [Option<Result<f64, Absence>>],
) -> Result<(), ReadError> {
    for sample in resets.filter(|sample| sample.value > 0.0) {
        let place = asker.of.cell(what, sample)?;
        add(&mut cells[place], Err(Absence::Restarted(shown(&sample.labels))));
    }
    Ok(())
}

/// The labels that are left when Prometheus has worked something out.
fn nameless(labels: &Labels) -> Labels {
    let others = labels.iter().filter(|(label, _)| *label != "__name__");
    others.map(|(label, value)| (label.clone(), value.clone())).collect()
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
