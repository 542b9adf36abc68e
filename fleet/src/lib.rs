//! Does to a fleet what a rollout orders.
//!
//! ```text
//! Rollout ─▶ Orders ─┐
//!         └▶ Campaign ┴▶ Driver::apply ─▶ published  signed stage and flags, which devices check themselves: no server
//!                                      └▶ waves ───▶ hawkbit, mender, aws    the server that the fleet has already
//! ```
//!
//! Orders are repeated until they change, and applying them twice does no harm: what is there already is read back from the
//! fleet's own server (or from what was published) under names that follow from the rollout and its release, so that a driver
//! remembers nothing and goes on after a kill at any point.
//!
//! The crate reads no environment, no clock and no random numbers: [`Surroundings`] hands them in. A driver is made of its
//! [`DriverConfig`], which is read from TOML.
//!
//! # Example
//!
//! ```no_run
//! use whittle_fleet::{Campaign, DriverConfig, DriverError, Report, Surroundings};
//! use whittle_rollout::Rollout;
//!
//! fn drive(
//!     toml: &str, name: &str, rollout: &Rollout, at_s: u64, surroundings: &dyn Surroundings,
//! ) -> Result<Report, DriverError> {
//!     let config: DriverConfig = toml::from_str(toml).expect("a configuration");
//!     let mut driver = config.open(surroundings)?;
//!     driver.apply(&rollout.orders(at_s), &Campaign::of(name, rollout))
//! }
//! ```

pub mod aws;
mod campaign;
mod config;
mod driver;
mod error;
mod files;
pub mod hawkbit;
mod http;
pub mod mender;
mod pages;
pub mod published;
mod retry;
mod secret;
mod waves;

pub use campaign::{Campaign, Ring};
pub use config::DriverConfig;
pub use driver::{Change, ChangeKind, Driver, Report, Surroundings};
pub use error::DriverError;
pub use retry::RetryConfig;
pub use secret::SecretSource;
