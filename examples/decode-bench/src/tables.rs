//! The tables of each class, by the byte that names it: the one place here that names classes.

use whittle_delta::compact::{LargeTables, MediumTables, Memory, SmallTables};

static mut SMALL: SmallTables = SmallTables::NEW;
static mut MEDIUM: MediumTables = MediumTables::NEW;
static mut LARGE: LargeTables = LargeTables::NEW;

/// Clears and lends the tables of a payload's class; called once.
pub fn lend(payload: &[u8]) -> Option<Memory<'static>> {
    // SAFETY: one core, no interrupts, and this function is called once.
    #[allow(static_mut_refs)]
    unsafe {
        Some(match payload.first()? {
            0 => SMALL.lend(),
            1 => MEDIUM.lend(),
            2 => LARGE.lend(),
            _ => return None,
        })
    }
}
