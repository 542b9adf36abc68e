//! Runs rollout policies: WebAssembly components that import nothing.
//!
//! A policy is code from somebody else. It is called in a fresh instance each time, reaches nothing but its argument,
//! and has limits on fuel, memory, time, input and answer; what it answers is held against the contract in
//! `wit/policy.wit` before anybody sees it. The same component and input give the same answer and use the same fuel on
//! every machine; [`Fault::TooSlow`] and how deep a recursion may go are the exceptions, and both are errors.
//!
//! This is the only crate that knows wasmtime. What a verdict means for a rollout, and what is done about errors, is
//! left to the caller; so are guard rails, which hold whatever a policy says.
//!
//! ```no_run
//! use whittle_policy_host::{Cache, Host, Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let snapshot = todo!();
//! let host = Host::new(Limits::default(), Some(Cache::in_directory("compiled-policies")));
//! let policy = host.load(&std::fs::read("canary.wasm")?)?;
//! let answer = policy.evaluate(&snapshot)?;
//! println!("{:?}, for {} fuel", answer.value.decision, answer.usage.fuel);
//! # Ok(())
//! # }
//! ```

mod cache;
mod compiler;
mod contract;
mod cpu_time;
mod digest;
mod error;
mod host;
mod rollout_policy;
pub mod sample;
pub mod shipped;
mod store;
mod survey;
mod v0_1;

pub use cache::Cache;
pub use compiler::{ChildCompiler, serve as serve_compiler};
pub use contract::{MAX_MEMO_BYTES, Violation};
pub use digest::PolicyDigest;
pub use error::{CallError, Fault, Function, LoadError, PolicyLabel, Usage};
pub use host::{Answer, Host, Limits, Origin, Policy};
pub use whittle_rollout::policy::types;
