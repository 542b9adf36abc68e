//! Between lengths in memory and offsets in flash.
//!
//! Flash has at most 2^32 bytes, and so has memory on every target; where that did not hold, the largest number makes the
//! next comparison with a capacity fail.
//!
//! To offsets is added what has been compared with a capacity or a limit, so that no sum reaches 2^32: they are added with
//! `wrapping_add`, which is less code than anything that looks at overflow.

/// A length as an offset.
pub(crate) fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// An offset as a length.
pub(crate) fn to_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
