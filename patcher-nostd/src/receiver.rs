//! The front of the device: from raw bytes to a verified, admitted manifest and authentic payload.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_format::ShortDigest;
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;

use crate::admission::{Device, Room, admit};
use crate::blocks::BlockReader;
use crate::verify::{VerifiedManifest, Verifier, verify_manifest};
use crate::{FormatError, Part, PatchError};

/// Takes bytes until something has been learnt from them.
pub(crate) struct Receiver<'a, V> {
    device: Device<'a>,
    verifier: V,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Envelope {
        bytes: [u8; MAX_MANIFEST_ENVELOPE_BYTES],
        filled: usize,
        block_buffer: &'a mut [u8],
    },
    Blocks {
        manifest: VerifiedManifest,
        blocks: BlockReader<'a>,
    },
    /// An error was returned; it is returned again.
    Failed(PatchError),
}

/// What the bytes so far have led to.
pub(crate) enum Event {
    /// The manifest is verified and fits the device.
    Admitted(VerifiedManifest),
    /// The next stretch of payload is authentic; [`Receiver::payload`] has it.
    Payload,
    /// Nothing until more bytes come.
    NeedMore,
    /// The package is complete.
    End,
}

impl<'a, V: Verifier> Receiver<'a, V> {
    pub(crate) fn new(device: &Device<'a>, verifier: V, block_buffer: &'a mut [u8]) -> Self {
        let stage =
            Stage::Envelope { bytes: [0; MAX_MANIFEST_ENVELOPE_BYTES], filled: 0, block_buffer };
        Self { device: *device, verifier, stage }
    }

    /// The error that stopped it, or what a package that ends here lacks.
    pub(crate) fn finish(&self) -> Result<VerifiedManifest, PatchError> {
        match &self.stage {
            Stage::Failed(error) => Err(*error),
            Stage::Blocks { manifest, blocks } if blocks.is_done() => Ok(*manifest),
            _ => Err(PatchError::Truncated),
        }
    }

    /// The manifest, once it has been admitted.
    pub(crate) fn manifest(&self) -> Option<VerifiedManifest> {
        match &self.stage {
            Stage::Blocks { manifest, .. } => Some(*manifest),
            _ => None,
        }
    }

    /// Remembers an error of a later stage, so that nothing goes on behind it.
    pub(crate) fn fail(&mut self, error: PatchError) -> PatchError {
        self.stage = Stage::Failed(error);
        error
    }

    pub(crate) fn next<B: ReadNorFlash>(
        &mut self,
        input: &mut &[u8],
        base: &mut B,
        slot_bytes: usize,
    ) -> Result<Event, PatchError> {
        if let Stage::Envelope { .. } = self.stage {
            let admitted =
                self.take_envelope(input, base, slot_bytes).map_err(|error| self.fail(error))?;
            return Ok(admitted.map_or(Event::NeedMore, Event::Admitted));
        }
        let outcome = match &mut self.stage {
            Stage::Blocks { blocks, .. } if blocks.is_done() => return Ok(Event::End),
            Stage::Blocks { blocks, .. } => blocks.push(input),
            Stage::Failed(error) => Err(*error),
            Stage::Envelope { .. } => Err(PatchError::Truncated),
        };
        match outcome {
            Ok(true) => Ok(Event::Payload),
            Ok(false) => Ok(Event::NeedMore),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// The payload that the last [`Event::Payload`] told of.
    pub(crate) fn payload(&self) -> &[u8] {
        match &self.stage {
            Stage::Blocks { blocks, .. } => blocks.data(),
            _ => &[],
        }
    }

    /// The block that the last [`Event::Payload`] told of, as it came.
    pub(crate) fn block(&self) -> &[u8] {
        match &self.stage {
            Stage::Blocks { blocks, .. } => blocks.block(),
            _ => &[],
        }
    }

    /// Goes on behind `complete` blocks, the last of which named the hash of the one that is wanted next.
    pub(crate) fn skip(&mut self, complete: u32, wanted: Option<ShortDigest>) {
        if let Stage::Blocks { blocks, .. } = &mut self.stage {
            blocks.skip(complete, wanted);
        }
    }

    fn take_envelope<B: ReadNorFlash>(
        &mut self,
        input: &mut &[u8],
        base: &mut B,
        slot_bytes: usize,
    ) -> Result<Option<VerifiedManifest>, PatchError> {
        let Stage::Envelope { bytes, filled, block_buffer } = &mut self.stage else {
            return Ok(None);
        };
        let envelope = loop {
            let got = bytes.get(..*filled).unwrap_or_default();
            match Envelope::length(got).map_err(PatchError::Envelope)? {
                Some(len) if len > MAX_MANIFEST_ENVELOPE_BYTES => return Err(TOO_LONG),
                Some(len) if len == *filled => break got,
                _ => {}
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            let Some(room) = bytes.get_mut(*filled) else { return Err(TOO_LONG) };
            *room = *byte;
            *filled = filled.saturating_add(1);
            *input = rest;
        };
        let manifest = verify_manifest(envelope, &self.verifier)?;
        let room = Room { slot: slot_bytes, block_buffer: block_buffer.len() };
        admit(&manifest, &self.device, room, base)?;
        let blocks = BlockReader::new(&manifest, core::mem::take(block_buffer))?;
        self.stage = Stage::Blocks { manifest, blocks };
        Ok(Some(manifest))
    }
}

const TOO_LONG: PatchError =
    PatchError::Envelope(FormatError::OutOfRange { field: Part::ManifestEnvelope });
