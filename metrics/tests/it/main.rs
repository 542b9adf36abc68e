//! Readers against files and servers of all kinds.

mod files;
mod holds;
mod hostile_server;
mod prometheus;
mod real;
mod server;
mod sources;
mod support;
mod tls;
