//! The decoders that this build has.

#[cfg(feature = "zstd")]
use alloc::boxed::Box;

use whittle_delta::compact::{CompactDecoder, Memory};
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
#[expect(clippy::large_enum_variant, reason = "any of them may be the one, and there is no heap")]
pub(crate) enum CodecDecoder<'a> {
    /// It will be one with this memory.
    Waiting(Option<Memory<'a>>),
    Stored(StoredDecoder),
    Compact(CompactDecoder<'a>),
    #[cfg(feature = "in-place")]
    InPlace(InPlaceDecoder<'a>),
    #[cfg(feature = "zstd")]
    Zstd(Box<whittle_delta::zstd::ZstdDecoder>),
    #[cfg(feature = "bsdiff")]
    Bsdiff(whittle_delta::bsdiff40::BsdiffDecoder),
}

impl<'a> CodecDecoder<'a> {
    pub(crate) fn new(
        manifest: &Manifest,
        memory: Option<Memory<'a>>,
        #[cfg(feature = "in-place")] arrangement: Option<ArrangementBuffers<'a>>,
    ) -> Result<Self, PatchError> {
        let sizes = Sizes {
            base: manifest.base().map_or(0, |base| base.size),
            target: manifest.target_size,
            payload: manifest.payload_size,
        };
        #[cfg(any(feature = "zstd", feature = "bsdiff"))]
        let limit = u64::from(manifest.decoder_ram_bytes());
        match manifest.codec {
            Codec::Stored => Ok(Self::Stored(StoredDecoder::new(sizes))),
            Codec::Compact => {
                let memory =
                    memory.ok_or(PatchError::UnsupportedCodec { codec: Codec::Compact })?;
                Ok(Self::Compact(CompactDecoder::new(sizes, memory)))
            }
            #[cfg(feature = "in-place")]
            Codec::InPlace => {
                let lent = memory.zip(arrangement);
                let (memory, arrangement) =
                    lent.ok_or(PatchError::UnsupportedCodec { codec: Codec::InPlace })?;
                Ok(Self::InPlace(InPlaceDecoder::new(sizes, memory, arrangement)))
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                Ok(Self::Zstd(Box::new(whittle_delta::zstd::ZstdDecoder::new(sizes, limit))))
            }
            #[cfg(feature = "bsdiff")]
            Codec::Bsdiff => {
                let decoder = whittle_delta::bsdiff40::BsdiffDecoder::new(sizes, limit);
                decoder.map(Self::Bsdiff).map_err(PatchError::Payload)
            }
            codec => Err(PatchError::UnsupportedCodec { codec }),
        }
    }

    /// Takes the memory that it has waited with.
    pub(crate) fn take_memory(&mut self) -> Option<Memory<'a>> {
        match self {
            Self::Waiting(memory) => memory.take(),
            _ => None,
        }
    }

    pub(crate) fn push(
        &mut self,
        input: &mut &[u8],
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<Wants, DecodeError<FlashError>> {
        match self {
            Self::Waiting(_) => Err(DecodeError::Incomplete),
            Self::Stored(decoder) => decoder.push(input, images),
            Self::Compact(decoder) => decoder.push(input, images),
            #[cfg(feature = "in-place")]
            Self::InPlace(decoder) => decoder.push(input, images),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.push(input, images),
            #[cfg(feature = "bsdiff")]
            Self::Bsdiff(decoder) => decoder.push(input, images),
        }
    }

    pub(crate) fn finish(
        &mut self,
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<Wants, DecodeError<FlashError>> {
        match self {
            Self::Waiting(_) => Err(DecodeError::Incomplete),
            Self::Stored(decoder) => decoder.finish(images),
            Self::Compact(decoder) => decoder.finish(images),
            #[cfg(feature = "in-place")]
            Self::InPlace(decoder) => decoder.finish(images),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.finish(images),
            #[cfg(feature = "bsdiff")]
            Self::Bsdiff(decoder) => decoder.finish(images),
        }
    }
}

#[cfg(feature = "in-place")]
impl<'a> CodecDecoder<'a> {
    /// How the base is rearranged, where that is known and matters.
    pub(crate) fn arrangement(&self) -> Option<Arrangement<'a>> {
        match self {
            Self::InPlace(decoder) => decoder.arrangement(),
            _ => None,
        }
    }

    /// Most bytes of the decoder's state, as far as that is known.
    pub(crate) fn state_bytes(&self) -> u64 {
        match self {
            Self::Waiting(_) => 0,
            Self::Stored(decoder) => decoder.state_bytes(),
            Self::Compact(decoder) => decoder.state_bytes(),
            Self::InPlace(decoder) => decoder.state_bytes(),
            #[cfg(any(feature = "zstd", feature = "bsdiff"))]
            _ => u64::MAX,
        }
    }

    /// Passes on the decoder's state; codecs that cannot be stopped have none.
    pub(crate) fn pass_state<S: StateBytes>(
        &mut self,
        state: &mut S,
    ) -> Result<(), StateError<S::Error>> {
        match self {
            Self::Waiting(_) => Err(StateError::Corrupt),
            Self::Stored(decoder) => decoder.pass_state(state),
            Self::Compact(decoder) => decoder.pass_state(state),
            Self::InPlace(decoder) => decoder.pass_state(state),
            #[cfg(any(feature = "zstd", feature = "bsdiff"))]
            _ => Err(StateError::Corrupt),
        }
    }
}
