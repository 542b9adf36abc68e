//! The decoders that this build has.

#[cfg(feature = "zstd")]
use alloc::boxed::Box;

use whittle_delta::stored::StoredDecoder;
use whittle_delta::{DecodeError, Decoder, Images, Sizes};
use whittle_format::Manifest;
use whittle_format::manifest::Codec;

use crate::{FlashError, PatchError};

/// What this build can decode.
pub(crate) const SUPPORTED: &[Codec] = &[
    Codec::Stored,
    #[cfg(feature = "zstd")]
    Codec::Zstd,
    #[cfg(feature = "bsdiff")]
    Codec::Bsdiff,
];

/// The decoder of one package.
pub(crate) enum CodecDecoder {
    Stored(StoredDecoder),
    #[cfg(feature = "zstd")]
    Zstd(Box<whittle_delta::zstd::ZstdDecoder>),
    #[cfg(feature = "bsdiff")]
    Bsdiff(whittle_delta::bsdiff40::BsdiffDecoder),
}

impl CodecDecoder {
    pub(crate) fn new(manifest: &Manifest) -> Result<Self, PatchError> {
        let sizes = Sizes {
            base: manifest.base().map_or(0, |base| base.size),
            target: manifest.target_size,
            payload: manifest.payload_size,
        };
        #[cfg(any(feature = "zstd", feature = "bsdiff"))]
        let limit = u64::from(manifest.decoder_ram_bytes());
        match manifest.codec {
            Codec::Stored => Ok(Self::Stored(StoredDecoder::new(sizes))),
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
        payload: &[u8],
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<(), DecodeError<FlashError>> {
        match self {
            Self::Stored(decoder) => decoder.push(payload, images),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.push(payload, images),
            #[cfg(feature = "bsdiff")]
            Self::Bsdiff(decoder) => decoder.push(payload, images),
        }
    }

    pub(crate) fn finish(
        &mut self,
        images: &mut impl Images<Error = FlashError>,
    ) -> Result<(), DecodeError<FlashError>> {
        match self {
            Self::Stored(decoder) => decoder.finish(images),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.finish(images),
            #[cfg(feature = "bsdiff")]
            Self::Bsdiff(decoder) => decoder.finish(images),
        }
    }
}
