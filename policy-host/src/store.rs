//! What one call gets: its limits, and what it used of them.

use std::time::Duration;

use wasmtime::{Engine, EngineWeak, ResourceLimiter, Store, Trap};

use crate::Limits;
use crate::error::{Fault, Usage};

/// How often the wall clock is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Elements of all tables together; the largest interpreters that were tried have some 20,000.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 200_000;

/// Instances, memories and tables of a component, each.
const MAX_PARTS: usize = 1_000;

/// Makes the wall clock of an engine go on until the engine is dropped.
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
    // The tick that is under way is not a whole one.
    let ticks = limits.wall_clock.as_millis().div_ceil(TICK.as_millis()) + 1;
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store
}

/// What the call has used until now.
pub(crate) fn usage(store: &Store<Meter>, limits: &Limits) -> Usage {
    let left = store.get_fuel().unwrap_or(0);
    Usage { fuel: limits.fuel.saturating_sub(left), memory_bytes: store.data().memory_bytes }
}

/// Tells what an error of wasmtime means.
pub(crate) fn fault(error: &wasmtime::Error, limits: &Limits) -> Fault {
    if let Some(&OverLimit { wanted }) = error.downcast_ref() {
        return Fault::OutOfMemory { wanted, limit: limits.memory_bytes };
    }
    if error.is::<std::str::Utf8Error>() {
        return Fault::NotUtf8;
    }
    match error.downcast_ref() {
        Some(Trap::OutOfFuel) => Fault::OutOfFuel { limit: limits.fuel },
        Some(Trap::Interrupt) => Fault::TooSlow { limit: limits.wall_clock },
        Some(trap) => Fault::Trap(trap.to_string()),
        // Its type is private to wasmtime; a test keeps watch over the text.
        None if error.root_cause().to_string().contains("fuel allocated for hostcalls") => {
            Fault::AnswerTooLarge { limit: limits.output_bytes }
        }
        None => Fault::Malformed(error.root_cause().to_string()),
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

/// A memory or table would have grown beyond the limit.
#[derive(Debug, thiserror::Error)]
#[error("over the limit of memory: {wanted} bytes")]
struct OverLimit {
    wanted: usize,
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
            return Err(OverLimit { wanted }.into());
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
            return Err(OverLimit { wanted: wanted.saturating_mul(size_of::<usize>()) }.into());
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}
