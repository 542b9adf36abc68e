//! The `compact` codec: structure-aware deltas and full images for microcontrollers.
//!
//! It predicts how call targets, literal loads and pointers have moved between two images, and codes hits and misses
//! with a mixed-context binary arithmetic coder. Old flash and flash already written are its dictionary, so what RAM
//! it takes is for its models alone.
//!
//! | room | holds |
//! |---|---|
//! | `coder` | the arithmetic coder |
//! | `mixer` | adaptive probabilities, mixing, numbers |
//! | `curves` | what corrects the mixer, where there is room |
//! | `layout` | where images lie in the address space |
//! | `isa` | instruction sets: what bytes refer to, and what they would look like from elsewhere |
//! | `sweep` | which unit each byte of the base is part of |
//! | `map` | how addresses have moved |
//! | `predict` | the next byte, from a source byte |
//! | `position` | where in an instruction the next byte stands |
//! | `model` | whether that is right, and what it is if not |
//! | `header`, `stream` | what is coded in which order, for both directions |
//! | `lines` | a small cache in front of flash |
//! | `decoder` | the direction of the device |
//! | `checkpoint` | what a decoder knows, as bytes |
//! | `encoder` | the direction of the host |

// The models count in fixed-width arithmetic whose bounds are given beside it; whatever comes from a stream is checked
// before use, and the property tests run with overflow checks.
#![allow(clippy::arithmetic_side_effects, reason = "see above")]
#![allow(clippy::too_many_arguments, reason = "a model's contexts are what it is made of")]

mod checkpoint;
mod class;
mod coder;
mod curves;
mod decoder;
#[cfg(feature = "encode")]
mod encoder;
mod header;
mod isa;
mod layout;
mod lines;
mod map;
mod mixer;
mod model;
mod position;
mod predict;
mod stream;
mod sweep;
mod view;

pub use class::{Class, MediumTables, SmallTables, TinyTables};
#[cfg(feature = "large")]
pub use class::{HugeTables, LargeTables, LargestTables};
pub use decoder::{CompactDecoder, Memory, Tables};
#[cfg(feature = "encode")]
pub use encoder::{
    AddressMove, ByteCost, ClassChoice, CodeHint, CopiedFrom, ENCODER_REVISION, Effort, Explained,
    ImagePiece, Options, Told, encode, encode_explained, encode_in_place, encode_reporting,
    rearrange,
};
pub use isa::InstructionSet;

/// The element at an index that the caller keeps in range, or which wraps round a power of two; some element otherwise,
/// rather than a panic.
fn pick<T, const N: usize>(array: &mut [T; N], index: usize) -> &mut T {
    #[allow(clippy::indexing_slicing, reason = "in range by the line itself")]
    &mut array[within::<N>(index)]
}

/// A copy of the element at an index, as [`pick`].
fn peek<T: Copy, const N: usize>(array: &[T; N], index: usize) -> T {
    #[allow(clippy::indexing_slicing, reason = "in range by the line itself")]
    array[within::<N>(index)]
}

/// The index itself if it is below `N`, by one cheap instruction.
fn within<const N: usize>(index: usize) -> usize {
    const { assert!(N > 0) };
    if N.is_power_of_two() { index % N } else { index.min(N - 1) }
}

/// Keeps the first `len` elements, if there are as many.
// Once for all tables.
#[inline(never)]
fn keep<T>(table: &mut &mut [T], len: usize) -> Option<()> {
    if len > table.len() {
        return None;
    }
    *table = core::mem::take(table).get_mut(..len).unwrap_or_default();
    Some(())
}

/// The element at an index, which wraps around in a table whose size is a power of two; `None` only of an empty table,
/// which none that is lent is.
fn fold<T>(table: &mut [T], index: usize) -> Option<&mut T> {
    table.get_mut(index & table.len().wrapping_sub(1))
}

/// A copy of the element at an index, as [`fold`].
fn folded<T: Copy>(table: &[T], index: usize) -> Option<T> {
    table.get(index & table.len().wrapping_sub(1)).copied()
}
