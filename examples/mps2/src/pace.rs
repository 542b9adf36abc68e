//! How punctual a loop is.

use crate::timer::{TICKS_PER_US, clock_ticks};

/// Counts the rounds of a loop that has a period, and measures how late they are.
pub struct Pace {
    period_ticks: u32,
    due: u32,
    rounds: u32,
    latest_ticks: u32,
}

impl Pace {
    /// A loop whose first round is due in a period.
    pub fn from_now(period_us: u32) -> Self {
        let period_ticks = period_us * TICKS_PER_US;
        let due = clock_ticks().wrapping_add(period_ticks);
        Self { period_ticks, due, rounds: 0, latest_ticks: 0 }
    }

    /// A round begins.
    pub fn round(&mut self) {
        let late = clock_ticks().wrapping_sub(self.due);
        // Half of all numbers are before it was due.
        if late <= u32::MAX / 2 {
            self.latest_ticks = self.latest_ticks.max(late);
        }
        self.due = self.due.wrapping_add(self.period_ticks);
        self.rounds += 1;
    }

    /// Rounds until now.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// By how much the latest round was late.
    pub fn latest_us(&self) -> u32 {
        self.latest_ticks / TICKS_PER_US
    }
}
