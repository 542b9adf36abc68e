//! The front of the device: from raw bytes to a verified, admitted manifest and authentic payload.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_format::ShortDigest;
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;

use crate::admission::{Device, Room, admit};
use crate::blocks::BlockReader;
use crate::verify::{Purpose, VerifiedManifest, Verifier, verify_manifest};
use crate::{FormatError, Part, PatchError};

/// Takes bytes until something has been learnt from them.
pub(crate) struct Receiver<'a, V> {
    device: Device<'a>,
    verifier: V,
    envelope: [u8; MAX_MANIFEST_ENVELOPE_BYTES],
    envelope_len: usize,
    /// The manifest, once it has been admitted.
    manifest: Option<VerifiedManifest>,
    blocks: BlockReader<'a>,
    /// An error was returned; it is returned again.
    failed: Option<PatchError>,
}

/// What the bytes so far have led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The manifest is verified and fits the device: [`Receiver::manifest`] has it.
    Admitted,
    /// The next stretch of payload is authentic; [`Receiver::payload`] has it.
    Payload,
    /// Nothing until more bytes come.
    NeedMore,
    /// The package is complete.
    End,
}

impl<'a, V: Verifier> Receiver<'a, V> {
    #[inline(never)]
    pub(crate) fn new(device: &Device<'a>, verifier: V, block_buffer: &'a mut [u8]) -> Self {
        Self {
            device: *device,
            verifier,
            envelope: [0; MAX_MANIFEST_ENVELOPE_BYTES],
            envelope_len: 0,
            manifest: None,
            blocks: BlockReader::new(block_buffer),
            failed: None,
        }
    }

    /// The error that stopped it, or what a package that ends here lacks.
    pub(crate) fn finish(&self) -> Result<&VerifiedManifest, PatchError> {
        self.check()?;
        let whole = self.manifest.as_ref().filter(|_| self.blocks.is_done());
        whole.ok_or(PatchError::Truncated)
    }

    fn check(&self) -> Result<(), PatchError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// The manifest, once it has been admitted.
    pub(crate) fn manifest(&self) -> Option<&VerifiedManifest> {
        self.manifest.as_ref()
    }

    /// The envelope, as far as it has come.
    pub(crate) fn envelope(&self) -> &[u8] {
        self.envelope.get(..self.envelope_len).unwrap_or_default()
    }

    /// Remembers an error of a later stage, so that nothing goes on behind it.
    pub(crate) fn fail(&mut self, error: PatchError) -> PatchError {
        self.failed = Some(error);
        error
    }

    pub(crate) fn next<B: ReadNorFlash>(
        &mut self,
        input: &mut &[u8],
        base: &mut B,
        slot_bytes: usize,
    ) -> Result<Event, PatchError> {
        self.check()?;
        let outcome = if self.manifest.is_none() {
            self.take_envelope(input, base, slot_bytes)
        } else if self.blocks.is_done() {
            Ok(Event::End)
        } else {
            let is_complete = self.blocks.push(input);
            is_complete.map(|is| if is { Event::Payload } else { Event::NeedMore })
        };
        outcome.map_err(|error| self.fail(error))
    }

    /// The payload that the last [`Event::Payload`] told of.
    pub(crate) fn payload(&self) -> &[u8] {
        self.blocks.data()
    }

    /// The block that the last [`Event::Payload`] told of, as it came.
    pub(crate) fn block(&self) -> &[u8] {
        self.blocks.block()
    }

    /// Goes on behind `complete` blocks, the last of which named the hash of the one that is wanted next.
    pub(crate) fn skip(&mut self, complete: u32, wanted: Option<ShortDigest>) {
        self.blocks.skip(complete, wanted);
    }

    fn take_envelope<B: ReadNorFlash>(
        &mut self,
        input: &mut &[u8],
        base: &mut B,
        slot_bytes: usize,
    ) -> Result<Event, PatchError> {
        loop {
            match Envelope::length(self.envelope()).map_err(PatchError::Envelope)? {
                Some(len) if len > MAX_MANIFEST_ENVELOPE_BYTES => return Err(TOO_LONG),
                Some(len) if len == self.envelope_len => break,
                _ => {}
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(Event::NeedMore) };
            *self.envelope.get_mut(self.envelope_len).ok_or(TOO_LONG)? = *byte;
            self.envelope_len = self.envelope_len.saturating_add(1);
            *input = rest;
        }
        self.manifest = Some(verify_manifest(self.envelope(), Purpose::Arriving, &self.verifier)?);
        let Some(manifest) = &self.manifest else { return Err(PatchError::Truncated) };
        let room = Room { slot: slot_bytes, block_buffer: self.blocks.room() };
        let admitted = admit(manifest, &self.device, room, base);
        self.blocks.begin(manifest);
        if admitted.is_err() {
            self.manifest = None;
        }
        admitted.map(|()| Event::Admitted)
    }
}

const TOO_LONG: PatchError =
    PatchError::Envelope(FormatError::OutOfRange { field: Part::ManifestEnvelope });
