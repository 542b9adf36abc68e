//! Asks for one stretch of time, each query once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::answer::{Sample, shown};
use super::error::ReadError;
use super::reader::Prometheus;
use super::variables::{Variables, fill};

/// Answers by query and moment.
type Known = BTreeMap<(String, u64), Rc<Vec<Sample>>>;

/// Asks for the figures of one stretch of time.
pub(super) struct Asker<'a> {
    pub(super) of: &'a Prometheus,
    pub(super) from_s: u64,
    pub(super) until_s: u64,
    retries: Cell<u32>,
    /// Answers, so that a query that stands there twice has the same answer twice.
    known: RefCell<Known>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(of: &'a Prometheus, from_s: u64, until_s: u64) -> Self {
        let retries = Cell::new(of.source.retries);
        Self { of, from_s, until_s, retries, known: RefCell::default() }
    }

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
        let mut values = vec![None; self.of.cells.len()];
        for sample in samples.iter() {
            let place = self.of.cell(what, sample)?;
            if values[place].replace(read(what, sample)?).is_some() {
                let (what, labels) = (what.to_owned(), shown(&sample.labels));
                return Err(ReadError::CellTwice { what, labels });
            }
        }
        Ok(values)
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
pub(super) fn whole(what: &str, sample: &Sample) -> Result<u32, ReadError> {
    let got = figure(what, sample)?;
    if got.fract() == 0.0 && got <= f64::from(u32::MAX) {
        // A whole number, and none that is negative: that was looked at.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return Ok(got as u32);
    }
    let (what, labels) = (what.to_owned(), shown(&sample.labels));
    Err(ReadError::Figure { what, labels, got, wanted: "a whole number of devices" })
}
