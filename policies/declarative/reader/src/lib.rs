//! Reads the text of the declarative policy.
//!
//! It is a crate of its own because it runs at every look, and so is compiled to be quick where the rest of the policy is
//! compiled to be small. How the text is written is told by the policy.

mod condition;
mod document;
mod table;
mod toml;

pub use document::Document;
