//! Both images in memory, for hosts and tests.

use alloc::vec::Vec;
use core::convert::Infallible;

use crate::Images;

/// The base as a slice, and what is written of the target.
///
/// # Panics
/// Reads panic where a decoder asks for what is not there: decoders promise not to.
#[derive(Clone, Debug)]
pub struct InMemory<'a> {
    /// The base; empty for a full image.
    pub base: &'a [u8],
    /// The target so far.
    pub target: Vec<u8>,
}

impl<'a> InMemory<'a> {
    /// Nothing written yet.
    #[must_use]
    pub fn new(base: &'a [u8]) -> Self {
        Self { base, target: Vec::new() }
    }
}

impl Images for InMemory<'_> {
    type Error = Infallible;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Infallible> {
        copy(self.base, offset, into);
        Ok(())
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Infallible> {
        copy(&self.target, offset, into);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.target.extend_from_slice(bytes);
        Ok(())
    }
}

#[allow(clippy::indexing_slicing, reason = "a decoder that leaves its regions shall be found out")]
fn copy(from: &[u8], offset: u32, into: &mut [u8]) {
    into.copy_from_slice(&from[offset as usize..][..into.len()]);
}
