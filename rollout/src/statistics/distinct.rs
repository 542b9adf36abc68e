//! Counts distinct devices per day instead of events.
//!
//! A device that crashes once crashes again while it boots. Such events come in clusters, and a test that takes them for
//! independent ones stops up to 43 % of healthy rollouts. Whether a device had any event that day is one fact, and the test of
//! [`RatioTest`](super::RatioTest) holds for it whatever the clusters look like. Where a good part of all devices is hit each day,
//! the ratio of distinct devices is nearer to 1 than that of events. A device keeps that it was counted when it changes from old to
//! new firmware: were it forgotten, new firmware would look worse by the share that is hit each day.

use std::collections::BTreeSet;

/// Why an event cannot be assigned to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDay {
    /// The event is older than the days that are still remembered, so whether its device was counted is not known.
    #[error("event of day {day}, but days before {oldest} are closed")]
    Closed {
        /// Day of the event, from 1970.
        day: u64,
        /// The oldest day that is still open.
        oldest: u64,
    },
}

/// Remembers which devices were counted on the newest day and on the one before, for what arrives late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinctDevices {
    newest: u64,
    counted: [BTreeSet<u64>; 2],
}

const DAY_S: u64 = 86_400;

impl DistinctDevices {
    /// Says whether the event of a device counts: true for its first one on that day (UTC).
    ///
    /// # Errors
    ///
    /// If the day is closed: the day before the newest one is the oldest that is open. Nothing is counted.
    pub fn count(&mut self, device: u64, at_s: u64) -> Result<bool, BadDay> {
        let day = at_s / DAY_S;
        if day > self.newest {
            let previous = std::mem::take(&mut self.counted[0]);
            self.counted[1] = if day == self.newest + 1 { previous } else { BTreeSet::new() };
            self.newest = day;
        }
        match self.newest - day {
            age @ 0..=1 => Ok(self.counted[usize::from(age == 1)].insert(device)),
            _ => Err(BadDay::Closed { day, oldest: self.newest.saturating_sub(1) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_boot_loop_counts_once_a_day() {
        let mut devices = DistinctDevices::default();
        assert_eq!(devices.count(7, 100 * DAY_S), Ok(true));
        assert_eq!(devices.count(7, 100 * DAY_S + 60), Ok(false));
        assert_eq!(devices.count(8, 100 * DAY_S + 60), Ok(true));
        assert_eq!(devices.count(7, 101 * DAY_S), Ok(true));
        assert_eq!(devices.count(8, 100 * DAY_S + 90), Ok(false), "late, and counted already");
        assert_eq!(devices.count(9, 100 * DAY_S + 90), Ok(true), "late, but new");
        assert_eq!(devices.count(9, 99 * DAY_S), Err(BadDay::Closed { day: 99, oldest: 100 }));
    }

    proptest! {
        #[test]
        fn as_many_count_as_there_are_devices_and_days(events in proptest::collection::vec((0u64..20, 0u64..172_800), 0..200)) {
            let mut devices = DistinctDevices::default();
            let mut counted = 0;
            for (device, at_s) in &events {
                counted += usize::from(devices.count(*device, *at_s).unwrap());
            }
            let distinct: BTreeSet<_> = events.iter().map(|(device, at_s)| (device, at_s / DAY_S)).collect();
            prop_assert_eq!(counted, distinct.len());
        }
    }
}
