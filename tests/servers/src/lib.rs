//! Servers for tests: ones that are not what they seem, a way to a server that breaks, and a local AWS.
//!
//! What goes wrong here is the test's, so it panics.

mod aws;
mod http;
mod proxy;

pub use aws::LocalAws;
pub use http::{Reply, Request, serve, serve_replies};
pub use proxy::{Fault, Proxy, Way};
