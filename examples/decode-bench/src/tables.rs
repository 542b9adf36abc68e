//! The tables of each class that microcontrollers have room for, by the byte that names it: the one place here that names
//! classes.

use whittle_delta::compact::{LargeTables, MediumTables, Memory, SmallTables, TinyTables};

static mut TINY: TinyTables = TinyTables::NEW;
static mut SMALL: SmallTables = SmallTables::NEW;
static mut MEDIUM: MediumTables = MediumTables::NEW;
static mut LARGE: LargeTables = LargeTables::NEW;

/// Clears and lends the tables of a payload's class; called once.
pub fn lend(payload: &[u8]) -> Option<Memory<'static>> {
    // SAFETY: one core, no interrupts, and this function is called once.
    #[allow(static_mut_refs)]
    unsafe {
        Some(match payload.first()? {
            0 => TINY.lend(),
            1 => SMALL.lend(),
            2 => MEDIUM.lend(),
            3 => LARGE.lend(),
            _ => return None,
        })
    }
}
