//! The image as it is: for images that do not compress and devices that cannot decompress.

use crate::{DecodeError, Decoder, Images, Resume, Sizes, StateBytes, StateError, Wants, state};

/// RAM that the decoder needs, in bytes.
pub const DECODER_RAM_BYTES: u64 = 64;

/// Bytes of the decoder's state ([`Resume`]).
pub const STATE_BYTES: u64 = 4;

/// Copies the payload to the target.
#[derive(Clone, Debug)]
pub struct StoredDecoder {
    sizes: Sizes,
    written: u32,
}

impl StoredDecoder {
    /// A decoder for an image of the declared size.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        Self { sizes, written: 0 }
    }
}

impl Decoder for StoredDecoder {
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        let left = self.sizes.target.saturating_sub(self.written);
        let room = usize::try_from(images.room()).unwrap_or(usize::MAX);
        let (now, later) = input.split_at_checked(room).unwrap_or((*input, &[]));
        let len = u32::try_from(now.len()).ok().filter(|len| *len <= left);
        let len = len.ok_or(DecodeError::TargetOverrun)?;
        images.append(now).map_err(DecodeError::Images)?;
        self.written = self.written.saturating_add(len);
        *input = later;
        Ok(if later.is_empty() { Wants::Input } else { Wants::Room })
    }

    fn finish<I: Images>(&mut self, _images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        if self.written == self.sizes.target {
            Ok(Wants::Nothing)
        } else {
            Err(DecodeError::Incomplete)
        }
    }
}

impl Resume for StoredDecoder {
    fn state_bytes(&self) -> u64 {
        STATE_BYTES
    }

    fn pass_state<S: StateBytes>(&mut self, state: &mut S) -> Result<(), StateError<S::Error>> {
        state::pass(state, |state| {
            state.u32(&mut self.written);
            state.check(self.written <= self.sizes.target);
        })
    }
}

/// Encodes an image: the payload is the image.
#[cfg(feature = "encode")]
#[must_use]
pub fn encode(target: &[u8]) -> crate::Encoded {
    crate::Encoded {
        payload: target.to_vec(),
        decoder_ram_bytes: DECODER_RAM_BYTES,
        encoder: 1,
        instruction_set: None,
    }
}
