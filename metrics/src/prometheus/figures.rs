//! Makes figures of what is answered.

use std::collections::BTreeMap;

use whittle_rollout::policy::types::Tally;
use whittle_rollout::{Cell, DeviceCounts, MetricObservation, Side};

use super::amount::{Absence, amounts};
use super::answer::shown;
use super::asker::{Asker, whole};
use super::error::ReadError;
use super::reader::Missing;
use super::source::{self, DeviceFigure, MetricQueries, SideQueries, TallyFigure};

impl Asker<'_> {
    /// How far the devices of each cell are.
    pub(super) fn devices(&self) -> Result<Vec<DeviceCounts>, ReadError> {
        let mut counts = vec![DeviceCounts::default(); self.of.cells.len()];
        for DeviceFigure { name, query, place } in self.of.source.devices.figures() {
            let what = source::devices(name);
            let values = self.values(&what, &query.value, whole)?.into_iter().zip(&self.of.cells);
            for ((value, cell), counts) in values.zip(&mut counts) {
                let value = value.or(query.absent_is_zero.then_some(0));
                *place(counts) = value.ok_or_else(|| ReadError::NoDevices {
                    what: what.clone(),
                    cell: shown(&cell.attributes),
                })?;
            }
        }
        Ok(counts)
    }

    /// Devices by version.
    pub(super) fn versions(&self) -> Result<BTreeMap<String, u32>, ReadError> {
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
    pub(super) fn metric(
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
        for TallyFigure { part, amount, place } in queries.figures() {
            let what = source::figure(metric, side_name(side), part);
            let found = amounts(self, &what, amount)?.into_iter().zip(&self.of.cells);
            for (((found, cell), devices), tally) in found.zip(devices).zip(&mut tallies) {
                let found = match found {
                    Err(Absence::Absent) if is_nobody(side, *devices, cell) => Ok(0.0),
                    found => found,
                };
                match found {
                    Ok(figure) => tally.iter_mut().for_each(|tally| *place(tally) = figure),
                    Err(why) => {
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
pub(super) fn side_name(side: Side) -> &'static str {
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
