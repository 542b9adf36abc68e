//! The host against policies of all kinds.

mod cache;
mod determinism;
mod hostile;
mod released;
mod shipped;
mod support;
