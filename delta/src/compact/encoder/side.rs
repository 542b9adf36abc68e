//! The encoder's end of the line: knows the plan, writes decisions and counts what they cost.

use alloc::vec::Vec;
use core::ops::Range;

use super::super::coder::{BitCoder, BitWriter};
use super::super::isa::{Code, Form, References};
use super::super::map::Entry;
use super::super::stream::{Event, Segment, Side};
use super::super::sweep::Cell;
use super::super::view::{Look, Source, Unit, View, unit_code};
use super::Job;
use super::costs::{Costs, Tally};
use super::ledger::Ledger;
use super::units::Slice;

/// Bits per byte of noise, less what models may still find in it: where bytes have more, a model would only lose.
const NOISE_BITS: f64 = 7.95;

pub(super) struct EncoderSide<'a> {
    writer: BitWriter,
    target: &'a [u8],
    segments: &'a [Segment],
    /// The segment that was asked for last.
    current: usize,
    map: &'a [Entry],
    references: Option<&'a References>,
    /// Bits since the last event.
    spent: f64,
    tally: Tally,
    /// Who wants to know it byte by byte, and what the coder has taken since the last event.
    ledger: Option<&'a mut Ledger>,
    taken: f64,
}

impl<'a> EncoderSide<'a> {
    pub(super) fn new(
        job: &'a Job<'a>,
        segments: &'a [Segment],
        map: &'a [Entry],
        ledger: Option<&'a mut Ledger>,
    ) -> Self {
        Self {
            writer: BitWriter::new(),
            target: job.target,
            segments,
            current: 0,
            map,
            references: job.references(),
            spent: 0.0,
            tally: Tally::default(),
            ledger,
            taken: 0.0,
        }
    }

    /// Tells the ledger that a step has made these bytes.
    pub(super) fn book(&mut self, made: Range<u32>) {
        if let Some(ledger) = &mut self.ledger {
            ledger.book(made);
        }
    }

    pub(super) fn finish(self) -> (Vec<u8>, Costs) {
        (self.writer.finish(), self.tally.costs())
    }
}

impl BitCoder for EncoderSide<'_> {
    const IS_TOLD: bool = true;

    fn bit(&mut self, bit: bool, p: u16) -> bool {
        let p_of_bit = if bit { f64::from(p) } else { 65536.0 - f64::from(p) };
        self.spent += 16.0 - p_of_bit.log2();
        if self.ledger.is_some() {
            self.taken += self.writer.bits(bit, p);
        }
        self.writer.bit(bit, p)
    }
}

impl Side for EncoderSide<'_> {
    fn target(&self, n: u32) -> u8 {
        self.target.get(n as usize).copied().unwrap_or(0)
    }

    fn segment(&mut self, n: u32) -> Segment {
        while self.segments.get(self.current).is_some_and(|segment| segment.end() <= n) {
            self.current += 1;
        }
        let end = Segment { start: n, len: 1, source: None };
        self.segments.get(self.current).copied().unwrap_or(end)
    }

    fn is_noise(&self, run: Segment) -> bool {
        let bytes = self.target.get(run.start as usize..run.end() as usize);
        crate::entropy(bytes.unwrap_or_default()) >= NOISE_BITS
    }

    fn map_entry(&self, index: usize) -> Entry {
        self.map.get(index).copied().unwrap_or_default()
    }

    fn map_len(&self) -> u32 {
        u32::try_from(self.map.len()).unwrap_or(0)
    }

    fn references(&self) -> Option<&References> {
        self.references
    }

    fn coded(&mut self, event: Event) {
        self.tally.note(event, self.spent);
        self.spent = 0.0;
        if let Some(ledger) = &mut self.ledger {
            ledger.note(event, core::mem::take(&mut self.taken));
        }
    }
}

/// Both images in memory, and what each byte of them is part of.
pub(super) struct SliceView<'a> {
    job: &'a Job<'a>,
    /// Target bytes that are coded.
    written: u32,
}

impl<'a> SliceView<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self { job, written: 0 }
    }

    /// The byte at a source if nothing is to be predicted of it.
    pub(super) fn plain_byte(&self, source: Source, written: u32) -> Option<u8> {
        let Self { job, .. } = self;
        let (image, cell) = match source {
            Source::Base(offset) => (job.base, job.base_cell(offset, written)),
            Source::Target(offset) => (job.target, job.units.target_cell(offset)),
        };
        let is_plain = cell.is_none_or(|cell| cell.form == Form::Plain);
        image.get(source.offset() as usize).copied().filter(|_| is_plain)
    }

    pub(super) fn look_at(&self, source: Source, written: u32) -> Look {
        let offset = source.offset();
        match source {
            Source::Base(_) => Look::at(&mut self.job.rest(written), offset),
            Source::Target(_) => Look::at(&mut self.written(written), offset),
        }
    }

    /// The target as far as it is written.
    fn written(&self, written: u32) -> Slice<'a> {
        let target = self.job.target;
        Slice(target.get(..written as usize).unwrap_or(target))
    }

    pub(super) fn unit_at(
        &self,
        references: Option<&References>,
        source: Source,
        written: u32,
    ) -> Unit {
        let (Self { job, .. }, Some(references)) = (self, references) else {
            return Unit::default();
        };
        let [pointer, _] = references.global_pointers;
        match source {
            Source::Base(offset) => {
                let cell = job.base_cell(offset, written).unwrap_or_default();
                Unit::read(pointer, &mut job.rest(written), offset, cell)
            }
            Source::Target(offset) => {
                let mut target = self.written(written);
                // Where all of a call is written, it has been found before.
                let known = job.units.target_cell(offset);
                match known.filter(|_| offset.saturating_add(4) <= written) {
                    Some(cell) => Unit::read(pointer, &mut target, offset, cell),
                    None => Unit::call(references, &mut target, offset),
                }
            }
        }
    }
}

impl View for SliceView<'_> {
    fn look(&mut self, source: Source) -> Look {
        self.look_at(source, self.written)
    }

    fn unit(&mut self, references: Option<&References>, source: Source) -> Unit {
        self.unit_at(references, source, self.written)
    }

    fn read(&mut self, source: Source, into: &mut [u8]) {
        let image = if source.is_base() { self.job.base } else { self.job.target };
        let bytes = image.get(source.offset() as usize..).unwrap_or_default();
        into.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    fn written_code(&mut self, references: &References, start: u32, cell: Cell) -> Code {
        let [_, pointer] = references.global_pointers;
        unit_code(pointer, &mut self.written(self.written), start, cell)
    }

    fn append(&mut self, bytes: &[u8]) {
        self.written += u32::try_from(bytes.len()).unwrap_or(0);
    }
}
