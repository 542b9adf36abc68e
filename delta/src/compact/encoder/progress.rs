//! How far an encoding is.

use core::cell::Cell;

/// Counts target bytes that are parsed, over all passes.
pub(super) struct Progress<'a> {
    done: Cell<u64>,
    total: u64,
    /// Told the share that is done, of 1000, whenever it has risen.
    report: &'a dyn Fn(u32),
}

impl<'a> Progress<'a> {
    pub(super) fn new(total: u64, report: &'a dyn Fn(u32)) -> Self {
        Self { done: Cell::new(0), total: total.max(1), report }
    }

    /// Notes one more byte.
    pub(super) fn advance(&self) {
        let share = |done: u64| u32::try_from(done.min(self.total) * 1000 / self.total);
        let (before, after) = (self.done.get(), self.done.get() + 1);
        self.done.set(after);
        if let (Ok(before), Ok(after)) = (share(before), share(after))
            && after > before
        {
            (self.report)(after);
        }
    }
}
