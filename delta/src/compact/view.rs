//! The two images as one address space: the base, and behind it what is already written of the target.

use super::isa::{Bytes, Code, Form, References};
use super::model::SourceContext;
use super::sweep::Cell;
use crate::in_place::Gone;

/// A place to copy from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An offset in the base.
    Base(u32),
    /// An offset in the target.
    Target(u32),
}

impl Source {
    /// The place in the space of base and target, one behind the other.
    pub(super) fn from_virtual(place: u32, base_size: u32, written: u32) -> Option<Self> {
        match place.checked_sub(base_size) {
            None => Some(Self::Base(place)),
            Some(offset) if offset < written => Some(Self::Target(offset)),
            Some(_) => None,
        }
    }

    pub(super) fn is_base(self) -> bool {
        matches!(self, Self::Base(_))
    }

    /// The offset in its image.
    pub(super) fn offset(self) -> u32 {
        match self {
            Self::Base(offset) | Self::Target(offset) => offset,
        }
    }

    /// The place so many bytes behind in the same image.
    pub(super) fn behind(self, off: u32) -> Self {
        match self {
            Self::Base(offset) => Self::Base(offset.wrapping_add(off)),
            Self::Target(offset) => Self::Target(offset.wrapping_add(off)),
        }
    }
}

/// The unit that a byte is part of: a reference, a word, or a plain byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unit {
    pub(super) cell: Cell,
    pub(super) code: Code,
}

impl Unit {
    /// The unit that a sweep has found at an offset.
    pub(super) fn read(
        global_pointer: u32,
        bytes: &mut impl Bytes,
        offset: u32,
        cell: Cell,
    ) -> Self {
        let code = if cell.form == Form::Plain {
            Code::default()
        } else {
            unit_code(global_pointer, bytes, offset.wrapping_sub(cell.index.into()), cell)
        };
        Self { cell, code }
    }

    /// What is told of a byte of the target without a sweep: calls keep what they refer to.
    pub(super) fn call(references: &References, bytes: &mut impl Bytes, offset: u32) -> Self {
        for index in (0..4).filter(|index| offset >= *index && (offset - index) & 1 == 0) {
            let Some(own) = bytes.word(offset - index) else { continue };
            if let Some(form) = Form::of_call(references.set, own, offset - index) {
                let index = u8::try_from(index).unwrap_or(0);
                let cell = Cell { form, index, distance: 0 };
                return Self { cell, code: Code { own, ..Code::default() } };
            }
        }
        Self::default()
    }
}

/// A byte of the source and its neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) raw: u8,
    pub(super) context: SourceContext,
}

impl Look {
    /// Looks at a byte.
    pub(super) fn at(bytes: &mut impl Bytes, offset: u32) -> Self {
        // The byte in front of it and the one behind it; what is not there is zero.
        let around = match offset.checked_sub(1) {
            Some(first) => bytes.up_to_four(first),
            None => bytes.up_to_four(0) << 8,
        };
        let [before, raw, next, _] = around.to_le_bytes();
        let (half, partner) =
            if offset & 1 == 0 { ([raw, next], next) } else { ([before, raw], before) };
        let context = SourceContext { partner, half: u16::from_le_bytes(half) };
        Self { raw, context }
    }
}

/// The bytes of a unit and of the other half of its pair.
pub(super) fn unit_code(
    global_pointer: u32,
    bytes: &mut impl Bytes,
    start: u32,
    cell: Cell,
) -> Code {
    let own = bytes.up_to_four(start);
    let other = if cell.distance != 0 {
        bytes.up_to_four(start.wrapping_add_signed(cell.distance.into()))
    } else if cell.form.is_global() {
        global_pointer
    } else {
        0
    };
    Code { own, other, distance: cell.distance }
}

/// An image of which some bytes are gone: they read as zeros.
///
/// What of a base is gone depends on the target byte at hand ([`InPlace`](crate::InPlace)); of a target, nothing is.
pub(super) struct Rest<'a, B> {
    pub(super) bytes: B,
    pub(super) gone: Gone<'a>,
}

impl<B: Bytes> Bytes for Rest<'_, B> {
    fn len(&self) -> u32 {
        self.bytes.len()
    }

    fn up_to_four(&mut self, offset: u32) -> u32 {
        let next = offset.saturating_add(3);
        match (self.gone.has(offset), self.gone.has(next)) {
            (false, false) => self.bytes.up_to_four(offset),
            (true, true) => 0,
            (true, false) => {
                let gone = self.gone.in_sector(offset);
                self.bytes.up_to_four(offset + gone) << (8 * gone)
            }
            (false, true) => {
                let gone = 4 - self.gone.in_sector(offset);
                self.bytes.up_to_four(offset - gone) >> (8 * gone)
            }
        }
    }
}

/// Where source bytes come from and target bytes go.
///
/// A view that fails answers anything from then on; whoever runs the machine asks it after each step.
pub(super) trait View {
    /// Looks at a source; of the target, only what is written is there.
    fn look(&mut self, source: Source) -> Look;

    /// The unit that a source byte is part of.
    fn unit(&mut self, references: Option<&References>, source: Source) -> Unit;

    /// Reads source bytes, all of which are there.
    fn read(&mut self, source: Source, into: &mut [u8]);

    /// The bytes of a unit of the target that is written, whose first one stands at `place`.
    fn written_code(&mut self, references: &References, place: u32, cell: Cell) -> Code;

    /// Takes the next target bytes.
    fn append(&mut self, bytes: &[u8]);
}
