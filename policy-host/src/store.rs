//! What one call gets: its limits, and what it used of them.

use std::time::Duration;

use wasmtime::{Engine, EngineWeak, ResourceLimiter, Store, Trap, UpdateDeadline};

use crate::Limits;
use crate::cpu_time;
use crate::error::{Fault, Usage};
use crate::survey::MAX_INSTANCES;

/// How often the time of a call is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Elements of all tables together; the largest interpreters that were tried have some 20,000.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 200_000;

/// Memories, and tables, of a component; there is one of each in all that were tried.
pub(crate) const MAX_PARTS: u32 = 8;

/// Makes the clock of an engine go on until the engine is dropped.
///
/// It sleeps rather than looking at a clock, so that it never counts too much.
pub(crate) fn start_ticking(engine: &Engine) {
    let engine: EngineWeak = engine.weak();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    });
}

/// A store for one call.
pub(crate) fn new(engine: &Engine, limits: &Limits) -> Store<Meter> {
    let mut store = Store::new(engine, Meter::new(limits));
    store.limiter(|meter| meter);
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    store.set_hostcall_fuel(limits.output_bytes);
    store.set_epoch_deadline(1);
    // From the first tick on: most calls end before it, and to ask for the time takes a fortieth of such a call.
    let (limit, mut start) = (limits.cpu_time, None);
    store.epoch_deadline_callback(move |_| {
        let now = cpu_time::of_this_thread();
        let used = now.saturating_sub(*start.get_or_insert(now));
        Ok(if used < limit { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt })
    });
    store
}

/// What the call has used until now.
pub(crate) fn usage(store: &Store<Meter>, limits: &Limits) -> Usage {
    let left = store.get_fuel().unwrap_or(0);
    Usage { fuel: limits.fuel.saturating_sub(left), memory_bytes: store.data().memory_bytes }
}

/// Tells what an error of wasmtime means; one that it has no type for becomes what `else_it_is` says.
pub(crate) fn fault(
    error: &wasmtime::Error,
    limits: &Limits,
    else_it_is: fn(String) -> Fault,
) -> Fault {
    match error.downcast_ref() {
        Some(&OverLimit::Bytes(wanted)) => {
            return Fault::OutOfMemory { wanted, limit: limits.memory_bytes };
        }
        Some(&OverLimit::Elements(wanted)) => {
            return Fault::TableTooLarge { wanted, limit: MAX_TABLE_ELEMENTS };
        }
        Some(OverLimit::OfHost(why)) => return Fault::Host(why.clone()),
        None => {}
    }
    if error.is::<std::str::Utf8Error>() {
        return Fault::NotUtf8;
    }
    match error.downcast_ref() {
        Some(Trap::OutOfFuel) => Fault::OutOfFuel { limit: limits.fuel },
        Some(Trap::Interrupt) => Fault::TooSlow { limit: limits.cpu_time },
        Some(trap) => Fault::Trap(trap.to_string()),
        // Its type is private to wasmtime; a test keeps watch over the text.
        None if error.root_cause().to_string().contains("fuel allocated for hostcalls") => {
            Fault::AnswerTooLarge { limit: limits.output_bytes }
        }
        None => else_it_is(error.root_cause().to_string()),
    }
}

/// Counts the memory of all instances of a call together, and refuses what is too much.
pub(crate) struct Meter {
    limit_bytes: usize,
    memory_bytes: usize,
    table_elements: usize,
}

impl Meter {
    fn new(limits: &Limits) -> Self {
        Self { limit_bytes: limits.memory_bytes, memory_bytes: 0, table_elements: 0 }
    }
}

/// A memory or table cannot grow so far.
#[derive(Debug, thiserror::Error)]
enum OverLimit {
    #[error("over the limit of memory: {0} bytes")]
    Bytes(usize),
    #[error("over the limit of tables: {0} elements")]
    Elements(usize),
    /// Within all limits, but the machine has no more.
    #[error("{0}")]
    OfHost(String),
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit_bytes {
            // An error ends the call, where `false` would let the policy go on without the memory.
            return Err(OverLimit::Bytes(wanted).into());
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        if wanted > MAX_TABLE_ELEMENTS {
            return Err(OverLimit::Elements(wanted).into());
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // What the limits or the memory's own maximum refuse is no matter of the machine.
        match error.downcast_ref::<std::io::Error>() {
            Some(error) => Err(OverLimit::OfHost(error.to_string()).into()),
            None => Ok(()),
        }
    }

    // The survey has counted them.

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_PARTS as usize
    }

    fn memories(&self) -> usize {
        MAX_PARTS as usize
    }
}
