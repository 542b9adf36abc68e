//! The decoders that this build has.

#[cfg(feature = "zstd")]
use alloc::boxed::Box;

use whittle_delta::compact::{CompactDecoder, Memory};
use whittle_delta::stored::StoredDecoder;
use whittle_delta::{DecodeError, Decoder, Images, Sizes, Wants};
use whittle_format::Manifest;
use whittle_format::manifest::Codec;

use crate::{FlashError, PatchError};

/// What this build can decode.
pub(crate) const SUPPORTED: &[Codec] = &[
    Codec::Stored,
    Codec::Compact,
    #[cfg(feature = "zstd")]
    Codec::Zstd,
    #[cfg(feature = "bsdiff")]
    Codec::Bsdiff,
];

/// The decoder of one package.
#[expect(clippy::large_enum_variant, reason = "the large one is the rule on a microcontroller")]
pub(crate) enum CodecDecoder<'a> {
    Stored(StoredDecoder),
    Compact(CompactDecoder<'a>),
    #[cfg(feature = "zstd")]
    Zstd(Box<whittle_delta::zstd::ZstdDecoder>),
    #[cfg(feature = "bsdiff")]
    Bsdiff(whittle_delta::bsdiff40::BsdiffDecoder),
}

impl<'a> CodecDecoder<'a> {
    pub(crate) fn new(manifest: &Manifest, memory: Option<Memory<'a>>) -> Result<Self, PatchError> {
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

    pub(crate) fn push(
        &mut self,
        input: &mut &[u8],
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<Wants, DecodeError<FlashError>> {
        match self {
            Self::Stored(decoder) => decoder.push(input, images),
            Self::Compact(decoder) => decoder.push(input, images),
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
            Self::Stored(decoder) => decoder.finish(images),
            Self::Compact(decoder) => decoder.finish(images),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.finish(images),
            #[cfg(feature = "bsdiff")]
            Self::Bsdiff(decoder) => decoder.finish(images),
        }
    }
}
