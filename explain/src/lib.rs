//! Tells why a delta is as big as it is.
//!
//! ```text
//! images ──▶ encode, with an account of every bit ──┐
//! ELF files, maps ──▶ sections, symbols ────────────┼──▶ by section, symbol, kind of change ──▶ Report ──▶ text, JSON, HTML
//! bytes ──▶ stamps, fillers, tables, noise ─────────┘
//! a target without what could be spared ──▶ encode again ──▶ what it would save
//! ```
//!
//! The bits are those of the payload that the `compact` codec really makes, and their sum is its size. What each advice saves is
//! measured where the target can be had without what the advice is about; where it cannot, there is an upper bound, which says
//! so.
//!
//! ```
//! use whittle_explain::{Images, Options, explain};
//!
//! let base: Vec<u8> = (0..4000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
//! let mut target = base.clone();
//! target.splice(8000..8000, *b"built Nov 24 2025 at 16:00:00");
//! let images = Images { base: &base, target: &target, base_program: None, target_program: None };
//! let report = explain(&images, &Options::default(), &|_| {})?;
//! assert!(report.payload_bytes < 60);
//! println!("{}", whittle_explain::text::render(&report, 100));
//! # Ok::<(), whittle_explain::Error>(())
//! ```
//!
//! Left to others: files, the terminal, and what a device or a team may spend (`whittle_release::budget`).

mod account;
mod advice;
mod content;
mod error;
pub mod html;
mod kind;
mod program;
mod relink;
mod report;
mod stamp;
pub mod text;

pub use account::{Images, Options, explain};
pub use error::{Error, Result};
pub use kind::Kind;
pub use program::{Doubt, Program, Section, Symbol};
pub use report::{
    Advice, Basis, Change, How, KindCost, RegionCost, Report, RunCost, SectionCost, StampCost,
    SymbolCost,
};
pub use stamp::StampKind;
