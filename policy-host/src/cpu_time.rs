//! How long a call has computed: time that other processes take is not counted, so that load fails no policy.

use std::time::Duration;

/// Processor time of this thread.
#[cfg(unix)]
pub(crate) fn of_this_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().unwrap_or_default()
}

/// Where there is no such clock, time since the first call.
#[cfg(not(unix))]
pub(crate) fn of_this_thread() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
