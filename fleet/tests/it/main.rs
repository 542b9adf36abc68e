//! Drivers against devices and servers.

mod aws;
mod engine;
mod fake_hawkbit;
mod fake_mender;
mod hawkbit;
mod mender;
mod published;
mod scenario;
mod support;
mod way;
