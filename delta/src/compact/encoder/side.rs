//! The encoder's end of the line: knows the plan, writes decisions and counts what they cost.

use alloc::vec::Vec;
use core::convert::Infallible;

use super::super::coder::{BitCoder, BitWriter};
use super::super::map::Entry;
use super::super::stream::{Event, Segment, Side};
use super::super::view::{Source, View};
use super::super::window::Window;
use super::Job;
use super::costs::{Costs, Tally};

pub(super) struct EncoderSide<'a> {
    writer: BitWriter,
    target: &'a [u8],
    segments: &'a [Segment],
    /// The segment that was asked for last.
    current: usize,
    map: &'a [Entry],
    load: Option<u32>,
    /// Bits since the last event.
    spent: f64,
    tally: Tally,
}

impl<'a> EncoderSide<'a> {
    pub(super) fn new(job: &Job<'a>, segments: &'a [Segment], map: &'a [Entry]) -> Self {
        Self {
            writer: BitWriter::new(),
            target: job.target,
            segments,
            current: 0,
            map,
            load: job.load,
            spent: 0.0,
            tally: Tally::default(),
        }
    }

    pub(super) fn finish(self) -> (Vec<u8>, Costs) {
        (self.writer.finish(), self.tally.costs())
    }
}

impl BitCoder for EncoderSide<'_> {
    fn bit(&mut self, bit: bool, p: u16) -> bool {
        let p_of_bit = if bit { f64::from(p) } else { 65536.0 - f64::from(p) };
        self.spent += 16.0 - p_of_bit.log2();
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

    fn map_entry(&self, index: usize) -> Entry {
        self.map.get(index).copied().unwrap_or_default()
    }

    fn header(&self) -> (u32, Option<u32>) {
        (u32::try_from(self.map.len()).unwrap_or(0), self.load)
    }

    fn coded(&mut self, event: Event) {
        self.tally.note(event, self.spent);
        self.spent = 0.0;
    }
}

/// Both images in memory.
pub(super) struct SliceView<'a> {
    base: &'a [u8],
    target: &'a [u8],
}

impl<'a> SliceView<'a> {
    pub(super) fn new(base: &'a [u8], target: &'a [u8]) -> Self {
        Self { base, target }
    }

    /// The bytes around a source.
    pub(super) fn window_at(&self, source: Source, written: u32) -> Window {
        let image = match source {
            Source::Base(_) => self.base,
            Source::Target(_) => self.target.get(..written as usize).unwrap_or(self.target),
        };
        let len = u32::try_from(image.len()).unwrap_or(u32::MAX);
        let (first, end) = Window::bounds(source.offset(), len);
        Window::new(
            source.offset(),
            first,
            image.get(first as usize..end as usize).unwrap_or_default(),
        )
    }
}

impl View for SliceView<'_> {
    type Error = Infallible;

    fn window(&mut self, source: Source, written: u32) -> Result<Window, Infallible> {
        Ok(self.window_at(source, written))
    }

    fn append(&mut self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}
