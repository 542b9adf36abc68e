//! Makes increments of counters that only ever rise, as metrics systems keep them.

use std::collections::BTreeMap;

/// Why a counter gave no increment.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadCounter {
    /// A reading is no finite number, or below zero.
    #[error("{0} is no counter")]
    NoCounter(f64),
    /// The counter begins anew: its source was restarted. What happened in between is not known; the next reading counts again.
    #[error("the counter fell from {before} to {got}")]
    Fell {
        /// The reading before.
        before: f64,
        /// This one.
        got: f64,
    },
}

/// The last readings of counters, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    last: BTreeMap<String, f64>,
}

impl Counters {
    /// Takes a reading. Returns by how much the counter has risen; none for its first reading, of which nobody knows since when.
    ///
    /// # Errors
    ///
    /// If it is no counter (the reading before stays), or if it has fallen (this reading becomes the one to count from).
    pub fn rise(&mut self, name: &str, reading: f64) -> Result<Option<f64>, BadCounter> {
        if !reading.is_finite() || reading < 0.0 {
            return Err(BadCounter::NoCounter(reading));
        }
        match self.last.insert(name.to_owned(), reading) {
            None => Ok(None),
            Some(before) if reading < before => Err(BadCounter::Fell { before, got: reading }),
            Some(before) => Ok(Some(reading - before)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_no_increment() {
        let mut counters = Counters::default();
        assert_eq!(counters.rise("crashes", 10.0), Ok(None));
        assert_eq!(counters.rise("crashes", 12.0), Ok(Some(2.0)));
        assert_eq!(counters.rise("crashes", 3.0), Err(BadCounter::Fell { before: 12.0, got: 3.0 }));
        assert_eq!(counters.rise("crashes", 4.0), Ok(Some(1.0)));
        assert!(matches!(counters.rise("crashes", f64::NAN), Err(BadCounter::NoCounter(_))));
        assert_eq!(counters.rise("crashes", -1.0), Err(BadCounter::NoCounter(-1.0)));
        assert_eq!(counters.rise("crashes", 6.0), Ok(Some(2.0)));
    }
}
