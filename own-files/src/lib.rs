//! Files that nobody but their owner can have written.
//!
//! What a program puts aside to save work later is believed when it is read back, or it saves nothing. [`SealedDirectory`] keeps
//! what may be believed: only its owner can reach it, and each entry carries a MAC.

pub mod longest_unused;
mod private;
mod sealed;

pub use private::make_directory;
pub use sealed::SealedDirectory;
