//! Decides how a rollout of new firmware goes on. Pure: no files, clock, network or random numbers.

pub mod statistics;
