//! Trying again: with waits that grow, spread by chance, and an end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DriverError, Surroundings};

/// How a driver tries again when its server fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetryConfig {
    /// How often something is tried, 1 or more.
    pub tries: u32,
    /// The first wait in milliseconds; each further one is twice as long.
    pub first_wait_ms: u64,
    /// The longest wait in milliseconds, also of those that a server asks for.
    pub longest_wait_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { tries: 6, first_wait_ms: 500, longest_wait_ms: 30_000, timeout_ms: 30_000 }
    }
}

impl RetryConfig {
    pub(crate) fn check(&self) -> Result<(), DriverError> {
        let wrong = |why: &str| Err(DriverError::config("retry", why));
        match self {
            Self { tries: 0, .. } => wrong("`tries` is 0, wanted 1 or more"),
            Self { timeout_ms: 0, .. } => wrong("`timeout-ms` is 0, wanted 1 or more"),
            Self { first_wait_ms, longest_wait_ms, .. } if first_wait_ms > longest_wait_ms => {
                wrong("`first-wait-ms` is above `longest-wait-ms`")
            }
            _ => Ok(()),
        }
    }
}

/// Why a try did not work.
pub(crate) enum Failure {
    /// It may work the next time; so long the server wants to be left alone.
    Passing { why: String, wait: Option<Duration> },
    /// It will not.
    Final(DriverError),
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Final(error)
    }
}

/// Waits between tries.
pub(crate) struct Retry<'a> {
    config: RetryConfig,
    surroundings: &'a dyn Surroundings,
    random: u64,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(config: RetryConfig, surroundings: &'a dyn Surroundings) -> Self {
        Self { config, surroundings, random: surroundings.seed() }
    }

    /// Tries until it works, fails for good, or has failed as often as it may.
    ///
    /// What is tried must look first whether an earlier try has worked after all, unless doing it twice does no harm.
    pub(crate) fn run<T>(
        &mut self,
        server: &'static str,
        action: &str,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, DriverError> {
        let mut tries = 0;
        loop {
            let (why, wait) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { why, wait }) => (why, wait),
            };
            tries += 1;
            let longest = Duration::from_millis(self.config.longest_wait_ms);
            if let Some(wait) = wait.filter(|wait| *wait > longest) {
                return Err(DriverError::Busy { server, action: action.to_owned(), wait });
            }
            if tries >= self.config.tries {
                return Err(DriverError::Unavailable {
                    server,
                    action: action.to_owned(),
                    tries,
                    why,
                });
            }
            let own = self.wait(tries);
            self.surroundings.sleep(wait.map_or(own, |wait| wait.max(own)));
        }
    }

    /// Waits once, as before a second try.
    pub(crate) fn wait_once(&mut self) {
        let wait = self.wait(1);
        self.surroundings.sleep(wait);
    }

    /// Half of the grown wait, and up to as much again by chance ("equal jitter" of
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    fn wait(&mut self, tries: u32) -> Duration {
        let factor = 1u64.checked_shl(tries - 1).unwrap_or(u64::MAX);
        let grown =
            self.config.first_wait_ms.saturating_mul(factor).min(self.config.longest_wait_ms);
        let half = grown / 2;
        Duration::from_millis(half + self.next() % (grown - half + 1))
    }

    /// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>: enough to spread clients.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Clock {
        waits_ms: RefCell<Vec<u64>>,
        seed: u64,
    }

    impl Surroundings for Clock {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
        fn now_s(&self) -> u64 {
            0
        }
        fn seed(&self) -> u64 {
            self.seed
        }
        fn sleep(&self, time: Duration) {
            self.waits_ms.borrow_mut().push(u64::try_from(time.as_millis()).expect("short"));
        }
    }

    fn failing(clock: &Clock, wait: Option<u64>) -> DriverError {
        let mut retry = Retry::new(RetryConfig::default(), clock);
        let fail =
            || Err(Failure::Passing { why: "503".into(), wait: wait.map(Duration::from_secs) });
        retry.run::<()>("the server", "start", fail).expect_err("never works")
    }

    #[test]
    fn waits_grow_are_spread_and_end() {
        let clocks = [1, 2].map(|seed| Clock { seed, ..Clock::default() });
        for clock in &clocks {
            let error = failing(clock, None);
            assert_eq!(error.to_string(), "the server failed 6 times to start: 503");
            assert!(error.is_passing());
            let waits = clock.waits_ms.borrow();
            assert_eq!(waits.len(), 5);
            for (wait, grown) in waits.iter().zip([500, 1000, 2000, 4000, 8000]) {
                assert!((grown / 2..=grown).contains(wait), "{waits:?}");
            }
        }
        assert_ne!(clocks[0].waits_ms, clocks[1].waits_ms);
    }

    #[test]
    fn what_the_server_asks_for_counts() {
        let clock = Clock::default();
        failing(&clock, Some(20));
        assert!(clock.waits_ms.borrow().iter().all(|wait| *wait == 20_000));
        let error = failing(&clock, Some(3600));
        assert_eq!(error.to_string(), "the server asks to wait 3600 s before it will start");
        assert_eq!(clock.waits_ms.borrow().len(), 5, "it did not wait for that");
    }
}
