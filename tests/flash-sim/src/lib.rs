//! NOR flash in memory that does what real flash does when the power fails: for tests of updaters and boot loaders.
//!
//! [`SimFlash`] implements `embedded-storage`'s `NorFlash` with the geometry as const parameters: writing can only
//! clear bits, erasing sets whole sectors, and everything is counted. All regions of a device hang on one [`Supply`],
//! which counts every word written and every sector erased in any of them, and can be told to cut the power at one of
//! these steps with an [`Outcome`]. From then on every access fails, until [`Supply::restore`] brings the power back and
//! the code under test starts anew on what is left.
//!
//! | what may be left | of the word being written | of the sector being erased |
//! |---|---|---|
//! | [`Outcome::Nothing`] | as before | as before |
//! | [`Outcome::Prefix`] | its first half | its first half is erased |
//! | [`Outcome::AllButLast`] | all but its last byte | all but its last word is erased |
//! | [`Outcome::RandomBits`] | any subset of the bits | any subset of the bits |
//! | [`Outcome::Unstable`] | bits that read differently each time | the same |
//! | [`Outcome::Weak`] | all of it, but one bit reads differently each time | the same |
//! | [`Outcome::Done`] | all of it, but the caller never learns | the same |
//!
//! ```
//! use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
//! use whittle_flash_sim::{Cut, Outcome, SimFlash, Supply};
//!
//! let supply = Supply::telling();
//! let mut slot = SimFlash::<1, 4, 4096>::used(8192).named("slot").on(&supply);
//! supply.arm(Cut { step: 1, outcome: Outcome::Prefix }, 7);
//! slot.erase(0, 4096).expect("step 0");
//! slot.write(0, b"firmware").expect_err("step 1, the first of its words, is torn");
//! supply.restore();
//! assert_eq!(slot.bytes()[..8], *b"fi\xff\xff\xff\xff\xff\xff");
//! println!("{}", supply.story());
//! ```

mod cells;
mod flash;
mod supply;
#[cfg(test)]
mod tests;

pub use flash::{Access, Chip, SimError, SimFlash};
pub use supply::{Cut, Outcome, Supply};
