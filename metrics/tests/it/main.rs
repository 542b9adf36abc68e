//! Readers against files and servers of all kinds.

mod files;
mod hostile_server;
mod prometheus;
mod support;
