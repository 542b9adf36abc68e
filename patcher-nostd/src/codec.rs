//! The decoders that this build has.

#[cfg(feature = "zstd")]
use alloc::boxed::Box;
use core::marker::PhantomData;

use whittle_delta::compact::{CompactDecoder, Memory};
#[cfg(feature = "stored")]
use whittle_delta::stored::StoredDecoder;
#[cfg(feature = "in-place")]
use whittle_delta::{
    Arrangement, ArrangementBuffers, InPlaceDecoder, Resume as _, StateBytes, StateError,
};
use whittle_delta::{DecodeError, Decoder, Images, Sizes, Wants};
use whittle_format::Manifest;
use whittle_format::manifest::Codec;

use crate::{FlashError, PatchError};

/// What this build can decode.
pub(crate) const SUPPORTED: &[Codec] = &[
    #[cfg(feature = "stored")]
    Codec::Stored,
    Codec::Compact,
    #[cfg(feature = "in-place")]
    Codec::InPlace,
    #[cfg(feature = "zstd")]
    Codec::Zstd,
    #[cfg(feature = "bsdiff")]
    Codec::Bsdiff,
];

/// The decoder of one package.
pub(crate) struct CodecDecoder<'a> {
    /// What the `compact` codec was lent, and its decoder.
    // It stays where it is, since moving it takes more code than a look at what has been chosen.
    memory: Option<Memory<'a>>,
    chosen: Chosen<'a>,
}

#[cfg_attr(
    feature = "in-place",
    expect(clippy::large_enum_variant, reason = "any may be the one, and there is no heap")
)]
enum Chosen<'a> {
    Nothing(PhantomData<&'a ()>),
    #[cfg(feature = "stored")]
    Stored(StoredDecoder),
    Compact,
    #[cfg(feature = "in-place")]
    InPlace(InPlaceDecoder<'a>),
    #[cfg(feature = "zstd")]
    Zstd(Box<whittle_delta::zstd::ZstdDecoder>),
    #[cfg(feature = "bsdiff")]
    Bsdiff(whittle_delta::bsdiff40::BsdiffDecoder),
}

impl<'a> CodecDecoder<'a> {
    /// One that will decode with this memory.
    pub(crate) fn new(memory: Option<Memory<'a>>) -> Self {
        Self { memory, chosen: Chosen::Nothing(PhantomData) }
    }

    /// Chooses the decoder for a package.
    pub(crate) fn begin(
        &mut self,
        manifest: &Manifest,
        #[cfg(feature = "in-place")] arrangement: Option<ArrangementBuffers<'a>>,
    ) -> Result<(), PatchError> {
        let sizes = Sizes {
            base: manifest.base().map_or(0, |base| base.size),
            target: manifest.target_size,
            payload: manifest.payload_size,
        };
        let unsupported = PatchError::UnsupportedCodec { codec: manifest.codec };
        #[cfg(any(feature = "zstd", feature = "bsdiff"))]
        let limit = u64::from(manifest.decoder_ram_bytes());
        self.chosen = match manifest.codec {
            #[cfg(feature = "stored")]
            Codec::Stored => Chosen::Stored(StoredDecoder::new(sizes)),
            Codec::Compact => {
                self.memory.as_mut().ok_or(unsupported)?.decoder().begin(sizes);
                Chosen::Compact
            }
            #[cfg(feature = "in-place")]
            Codec::InPlace => {
                let lent = self.memory.take().zip(arrangement);
                let (memory, arrangement) = lent.ok_or(unsupported)?;
                Chosen::InPlace(InPlaceDecoder::new(sizes, memory, arrangement))
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                Chosen::Zstd(Box::new(whittle_delta::zstd::ZstdDecoder::new(sizes, limit)))
            }
            #[cfg(feature = "bsdiff")]
            Codec::Bsdiff => {
                let decoder = whittle_delta::bsdiff40::BsdiffDecoder::new(sizes, limit);
                Chosen::Bsdiff(decoder.map_err(PatchError::Payload)?)
            }
            _ => return Err(unsupported),
        };
        Ok(())
    }

    pub(crate) fn push(
        &mut self,
        input: &mut &[u8],
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<Wants, DecodeError<FlashError>> {
        match &mut self.chosen {
            Chosen::Nothing(_) => Err(DecodeError::Incomplete),
            #[cfg(feature = "stored")]
            Chosen::Stored(decoder) => decoder.push(input, images),
            Chosen::Compact => compact(&mut self.memory)?.push(input, images),
            #[cfg(feature = "in-place")]
            Chosen::InPlace(decoder) => decoder.push(input, images),
            #[cfg(feature = "zstd")]
            Chosen::Zstd(decoder) => decoder.push(input, images),
            #[cfg(feature = "bsdiff")]
            Chosen::Bsdiff(decoder) => decoder.push(input, images),
        }
    }

    pub(crate) fn finish(
        &mut self,
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<Wants, DecodeError<FlashError>> {
        match &mut self.chosen {
            Chosen::Nothing(_) => Err(DecodeError::Incomplete),
            #[cfg(feature = "stored")]
            Chosen::Stored(decoder) => decoder.finish(images),
            Chosen::Compact => compact(&mut self.memory)?.finish(images),
            #[cfg(feature = "in-place")]
            Chosen::InPlace(decoder) => decoder.finish(images),
            #[cfg(feature = "zstd")]
            Chosen::Zstd(decoder) => decoder.finish(images),
            #[cfg(feature = "bsdiff")]
            Chosen::Bsdiff(decoder) => decoder.finish(images),
        }
    }
}

/// The decoder of the `compact` codec, which is chosen only where memory was lent.
fn compact<'m, 'a, E>(
    memory: &'m mut Option<Memory<'a>>,
) -> Result<&'m mut CompactDecoder<'a>, DecodeError<E>> {
    memory.as_mut().map(Memory::decoder).ok_or(DecodeError::Memory)
}

#[cfg(feature = "in-place")]
impl<'a> CodecDecoder<'a> {
    /// How the base is rearranged, where that is known and matters.
    pub(crate) fn arrangement(&self) -> Option<Arrangement<'a>> {
        match &self.chosen {
            Chosen::InPlace(decoder) => decoder.arrangement(),
            _ => None,
        }
    }

    /// Most bytes of the decoder's state, as far as that is known.
    pub(crate) fn state_bytes(&mut self) -> u64 {
        match &self.chosen {
            Chosen::Nothing(_) => 0,
            #[cfg(feature = "stored")]
            Chosen::Stored(decoder) => decoder.state_bytes(),
            Chosen::Compact => {
                self.memory.as_mut().map_or(0, |memory| memory.decoder().state_bytes())
            }
            Chosen::InPlace(decoder) => decoder.state_bytes(),
            #[cfg(any(feature = "zstd", feature = "bsdiff"))]
            _ => u64::MAX,
        }
    }

    /// Passes on the decoder's state; codecs that cannot be stopped have none.
    pub(crate) fn pass_state<S: StateBytes>(
        &mut self,
        state: &mut S,
    ) -> Result<(), StateError<S::Error>> {
        match &mut self.chosen {
            Chosen::Nothing(_) => Err(StateError::Corrupt),
            #[cfg(feature = "stored")]
            Chosen::Stored(decoder) => decoder.pass_state(state),
            Chosen::Compact => match &mut self.memory {
                Some(memory) => memory.decoder().pass_state(state),
                None => Err(StateError::Corrupt),
            },
            Chosen::InPlace(decoder) => decoder.pass_state(state),
            #[cfg(any(feature = "zstd", feature = "bsdiff"))]
            _ => Err(StateError::Corrupt),
        }
    }
}
