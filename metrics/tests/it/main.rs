//! Readers against files and servers of all kinds.
