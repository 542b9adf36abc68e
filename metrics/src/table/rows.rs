//! Reads a table: row by row, then whether each stretch of time has all of its rows.

use std::collections::BTreeMap;

use whittle_rollout::policy::types::Tally;
use whittle_rollout::{CellObservation, DeviceCounts, MetricObservation, Observation};

use super::columns::{self, Column, Devices, Part, Side};
use crate::file::BadFile;

/// Reads a table; observations are in the order of their times.
pub(crate) fn parse(text: &str) -> Result<Vec<Observation>, BadFile> {
    if text.trim().is_empty() {
        return Err(BadFile::Empty);
    }
    if !text.ends_with('\n') {
        let line = u64::try_from(text.lines().count()).unwrap_or(u64::MAX);
        return Err(BadFile::Cut { line });
    }
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    read(&mut reader, &mut record)?;
    let columns = columns::parse(record.iter())?;
    let mut stretches = BTreeMap::new();
    while read(&mut reader, &mut record)? {
        let row = Row::parse(&columns, &record)?;
        let stretch: &mut Stretch = stretches.entry((row.until_s, row.from_s)).or_default();
        stretch.take(row)?;
    }
    stretches.into_values().map(Stretch::finish).collect()
}

/// Whether there was another row. Text that is UTF-8 and stands in memory has no other way to fail.
fn read(reader: &mut csv::Reader<&[u8]>, record: &mut csv::StringRecord) -> Result<bool, BadFile> {
    reader.read_record(record).map_err(|error| BadFile::Io(error.into()))
}

/// What a stretch of time has so far.
#[derive(Default)]
struct Stretch {
    rows: u64,
    observation: Option<Observation>,
    /// Where each cell stands.
    lines: BTreeMap<BTreeMap<String, String>, u64>,
}

impl Stretch {
    fn take(&mut self, row: Row) -> Result<(), BadFile> {
        let Row { line, from_s, until_s, rows, cell, versions } = row;
        let empty = || Observation { from_s, until_s, cells: vec![], versions: BTreeMap::new() };
        let observation = self.observation.get_or_insert_with(empty);
        if observation.cells.is_empty() {
            self.rows = rows;
        } else if rows != self.rows {
            let wanted = self.rows;
            return Err(BadFile::OtherRows { line, got: rows, wanted, from_s, until_s });
        }
        if let Some(first) = self.lines.insert(cell.attributes.clone(), line) {
            return Err(BadFile::RowTwice { line, first });
        }
        observation.cells.push(cell);
        for (column, version, devices) in versions {
            let sum = observation.versions.entry(version).or_default();
            *sum = sum.checked_add(devices).ok_or_else(|| BadFile::Field {
                line,
                column,
                got: devices.to_string(),
                wanted: "at most 4,294,967,295 devices in all rows",
            })?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Observation, BadFile> {
        let observation = self.observation.ok_or(BadFile::Empty)?;
        let got = u64::try_from(observation.cells.len()).unwrap_or(u64::MAX);
        if got == self.rows {
            return Ok(observation);
        }
        let Observation { from_s, until_s, .. } = observation;
        Err(BadFile::Rows { got, wanted: self.rows, from_s, until_s })
    }
}

/// A row.
struct Row {
    line: u64,
    from_s: u64,
    until_s: u64,
    rows: u64,
    cell: CellObservation,
    /// Column, version and devices.
    versions: Vec<(String, String, u32)>,
}

impl Row {
    fn parse(columns: &[Column], record: &csv::StringRecord) -> Result<Self, BadFile> {
        let line = record.position().map_or(0, csv::Position::line);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (got, wanted) = (count(record.len()), count(columns.len()));
        if got != wanted {
            return Err(BadFile::Fields { line, got, wanted });
        }
        let devices = DeviceCounts::default();
        let cell = CellObservation { attributes: BTreeMap::new(), devices, metrics: vec![] };
        let mut row = Self { line, from_s: 0, until_s: 0, rows: 0, cell, versions: vec![] };
        let mut figures = BTreeMap::new();
        for (column, text) in columns.iter().zip(record) {
            let field = Field { line, column, text };
            field.check()?;
            row.take(&field, &mut figures)?;
        }
        for metric in columns::metrics(columns) {
            row.cell.metrics.extend(figures.remove(metric).map_or(Ok(None), Figures::finish)?);
        }
        Ok(row)
    }

    fn take<'a>(
        &mut self,
        field: &Field<'a>,
        figures: &mut BTreeMap<&'a str, Figures<'a>>,
    ) -> Result<(), BadFile> {
        match field.column {
            Column::FromS => self.from_s = field.whole(SECONDS)?,
            Column::UntilS => self.until_s = field.whole(SECONDS)?,
            Column::Rows => self.rows = field.whole("a number of rows")?,
            Column::Attribute(name) => {
                if !field.text.is_empty() {
                    self.cell.attributes.insert(name.clone(), field.text.to_owned());
                }
            }
            Column::Devices(which) => {
                *devices(&mut self.cell.devices, *which) = field.whole(DEVICES)?;
            }
            Column::Version(version) => {
                if !field.text.is_empty() {
                    let (column, devices) = (field.column.to_string(), field.whole(DEVICES)?);
                    self.versions.push((column, version.clone(), devices));
                }
            }
            Column::Figure { metric, side, part } => {
                let figures = figures.entry(metric).or_insert_with(|| Figures::of(metric));
                if field.text.is_empty() {
                    // That there may be none of this one does not make the others whole.
                    if *part != Part::Squares {
                        figures.empty = Some(*field);
                    }
                } else {
                    figures.found = true;
                    *tally(figures, *side, *part) = field.figure()?;
                }
            }
        }
        Ok(())
    }
}

const SECONDS: &str = "seconds from 1970, such as 1795680000";
const DEVICES: &str = "a number of devices, 0 to 4,294,967,295";

/// Figures of a metric in a row.
struct Figures<'a> {
    metric: &'a str,
    treated: Tally,
    control: Tally,
    found: bool,
    /// A field that is empty.
    empty: Option<Field<'a>>,
}

impl<'a> Figures<'a> {
    fn of(metric: &'a str) -> Self {
        let nothing = Tally { count: 0.0, exposure: 0.0, squares: 0.0 };
        Self { metric, treated: nothing, control: nothing, found: false, empty: None }
    }

    /// None if all fields are empty.
    fn finish(self) -> Result<Option<MetricObservation>, BadFile> {
        let Self { metric, treated, control, found, empty } = self;
        match empty {
            Some(field) if found => Err(field.bad("a figure, as other columns of the metric")),
            Some(_) => Ok(None),
            None => Ok(Some(MetricObservation { name: metric.to_owned(), treated, control })),
        }
    }
}

fn tally<'a>(figures: &'a mut Figures<'_>, side: Side, part: Part) -> &'a mut f64 {
    let tally = match side {
        Side::Treated => &mut figures.treated,
        Side::Control => &mut figures.control,
    };
    match part {
        Part::Count => &mut tally.count,
        Part::Exposure => &mut tally.exposure,
        Part::Squares => &mut tally.squares,
    }
}

fn devices(counts: &mut DeviceCounts, which: Devices) -> &mut u32 {
    match which {
        Devices::Offered => &mut counts.offered,
        Devices::Updated => &mut counts.updated,
        Devices::Committed => &mut counts.committed,
        Devices::RolledBack => &mut counts.rolled_back,
        Devices::Bricked => &mut counts.bricked,
        Devices::Silent => &mut counts.silent,
    }
}

/// A field of a row.
#[derive(Clone, Copy)]
struct Field<'a> {
    line: u64,
    column: &'a Column,
    text: &'a str,
}

impl Field<'_> {
    /// A quote that is never closed takes in the lines after it.
    fn check(&self) -> Result<(), BadFile> {
        if self.text.contains(char::is_control) {
            return Err(self.bad("text without line breaks; is a quote left open?"));
        }
        Ok(())
    }

    fn whole<T: std::str::FromStr>(&self, wanted: &'static str) -> Result<T, BadFile> {
        let is_plain = self.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = self.text.parse().ok().filter(|_| is_plain);
        number.ok_or_else(|| self.bad(wanted))
    }

    fn figure(&self) -> Result<f64, BadFile> {
        // A name of infinity is none, and what is too large becomes it.
        let starts = self.text.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        let figure = self.text.parse().ok().filter(|figure: &f64| figure.is_finite() && starts);
        figure.ok_or_else(|| self.bad("a number, 0 or more, such as 12 or 0.5"))
    }

    fn bad(&self, wanted: &'static str) -> BadFile {
        let (column, got) = (self.column.to_string(), short(self.text));
        BadFile::Field { line: self.line, column, got, wanted }
    }
}

/// The beginning of a text, as one line.
pub(super) fn short(text: &str) -> String {
    let shown = text.chars().take(40).flat_map(char::escape_debug);
    shown.chain(text.chars().nth(40).map(|_| '…')).collect()
}
