//! The device side of whittle for C firmware, as `whittle.h` declares it.
//!
//! The header is made from these sources (`cargo xtask header`), so what is documented here is documented there. Each
//! function turns pointers into references, calls [`Updater`](whittle_patcher_nostd::Updater) and turns what comes back
//! into a number. The rest of the crate keeps C from doing what Rust would not compile:
//!
//! * **Handles know where they live** (`handle`): one that was never opened, was copied or is in use is refused.
//! * **A download borrows its updater**: until it is finished or closed, the updater refuses everything else.
//! * **Flash has one geometry** (`flash`): flash drivers are functions, so the sizes that the device crate wants as
//!   constants are constants of the library, and any flash whose own sizes divide them will do.
//!
//! What remains is the caller's promise, and the `SAFETY` comments name it "the header's rules": pointers that are not
//! null point to as much as is declared, what `struct whittle_config` points to stays where it is, and one thread at a
//! time uses a handle.
#![no_std]
#![allow(clippy::missing_safety_doc, reason = "the header's rules hold for all functions alike")]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod download;
pub mod error;
pub mod flags;
pub mod flash;
mod handle;
pub mod image;
pub mod in_place;
pub mod install;
#[cfg(feature = "panic-handler")]
mod panic;
mod pointer;
pub mod stage;
pub mod state;
pub mod updater;
pub mod verifier;
