//! embassy's time: the board's first timer is the clock, and the second one the alarm.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::NVIC;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use whittle_mps2::{Interrupt, SECOND_TIMER, TICKS_PER_US, clock_ticks};

/// The alarm comes that often at least, so that no wrap of the clock is missed.
const LONGEST_US: u64 = (u32::MAX / TICKS_PER_US / 2) as u64;

struct State {
    queue: Queue,
    last_ticks: u32,
    wraps: u32,
}

struct Time {
    state: Mutex<RefCell<State>>,
}

embassy_time_driver::time_driver_impl!(static TIME: Time = Time {
    state: Mutex::new(RefCell::new(State { queue: Queue::new(), last_ticks: 0, wraps: 0 })),
});

/// Called once, when the clock runs.
pub fn start() {
    critical_section::with(|token| TIME.wake(token));
    // SAFETY: the handler below is ready.
    unsafe { NVIC::unmask(Interrupt::TIMER1) }
}

impl Driver for Time {
    fn now(&self) -> u64 {
        critical_section::with(|token| self.state.borrow_ref_mut(token).now_us())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| {
            if self.state.borrow_ref_mut(token).queue.schedule_wake(at, waker) {
                self.wake(token);
            }
        });
    }
}

impl Time {
    /// Wakes whose time has come, and sets the alarm for the next one.
    fn wake(&self, token: CriticalSection<'_>) {
        let state = &mut *self.state.borrow_ref_mut(token);
        let now_us = state.now_us();
        let next_us = state.queue.next_expiration(now_us);
        let wait_us = next_us.saturating_sub(now_us).clamp(1, LONGEST_US) as u32;
        SECOND_TIMER.every(wait_us * TICKS_PER_US);
    }
}

impl State {
    fn now_us(&mut self) -> u64 {
        let ticks = clock_ticks();
        self.wraps += u32::from(ticks < self.last_ticks);
        self.last_ticks = ticks;
        ((u64::from(self.wraps) << 32) | u64::from(ticks)) / u64::from(TICKS_PER_US)
    }
}

#[unsafe(no_mangle)]
extern "C" fn TIMER1() {
    SECOND_TIMER.acknowledge();
    critical_section::with(|token| TIME.wake(token));
}
