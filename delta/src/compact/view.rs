//! The two images as one address space: the base, and behind it what is already written of the target.

use super::isa::{Bytes, Code, Form, References};
use super::model::SourceContext;
use super::sweep::Cell;

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
    pub(super) fn from_virtual(place: i64, base_size: u32, written: u32) -> Option<Self> {
        let place = u32::try_from(place).ok()?;
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

    /// The next byte of the same image, if it is there.
    pub(super) fn next(self, base_size: u32, written: u32) -> Option<Self> {
        match self {
            Self::Base(offset) => (offset + 1 < base_size).then_some(Self::Base(offset + 1)),
            Self::Target(offset) => (offset + 1 < written).then_some(Self::Target(offset + 1)),
        }
    }
}

/// A byte of the source and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) raw: u8,
    /// The byte two places in front of it.
    pub(super) before_that: u8,
    pub(super) context: SourceContext,
    pub(super) cell: Cell,
    /// The unit that it is part of, if that is a reference or a word.
    pub(super) code: Code,
}

impl Look {
    const NOTHING: Self = Self {
        raw: 0,
        before_that: 0,
        context: SourceContext { before: 0, partner: 0, half: None },
        cell: Cell { form: Form::Plain, index: 0, distance: 0 },
        code: Code { own: 0, other: 0, distance: 0 },
    };

    /// Looks at a byte and its neighbours.
    pub(super) fn at<B: Bytes>(bytes: &mut B, offset: u32) -> Result<Self, B::Error> {
        // All four bytes at once, where they are there.
        let word = match offset.checked_sub(2) {
            Some(first) => bytes.word(first)?,
            None => None,
        };
        if let Some(word) = word {
            let [before_that, before, raw, next] = word.to_le_bytes();
            let is_even = offset & 1 == 0;
            let half = if is_even { [raw, next] } else { [before, raw] };
            let partner = if is_even { next } else { before };
            let context = SourceContext { before, partner, half: Some(u16::from_le_bytes(half)) };
            return Ok(Self { raw, before_that, context, ..Self::NOTHING });
        }
        let mut byte = |offset: Option<u32>| match offset {
            Some(offset) => Ok(bytes.byte(offset)?.unwrap_or(0)),
            None => Ok(0),
        };
        let raw = byte(Some(offset))?;
        let before = byte(offset.checked_sub(1))?;
        let before_that = byte(offset.checked_sub(2))?;
        let next = byte(offset.checked_add(1))?;
        let partner = if offset & 1 == 0 { next } else { before };
        let context = SourceContext { before, partner, half: bytes.half(offset & !1)? };
        Ok(Self { raw, before_that, context, ..Self::NOTHING })
    }

    /// Adds what a sweep of the base says.
    pub(super) fn with_cell<B: Bytes>(
        mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
        cell: Cell,
    ) -> Result<Self, B::Error> {
        self.cell = cell;
        if cell.form != Form::Plain {
            let start = offset.wrapping_sub(cell.index.into());
            self.code = unit_code(references.global_pointers[0], bytes, start, cell)?;
        }
        Ok(self)
    }

    /// Adds what is told of the target without a sweep: calls keep what they refer to.
    pub(super) fn with_call<B: Bytes>(
        mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
    ) -> Result<Self, B::Error> {
        for index in (0..4).filter(|index| offset >= *index && (offset - index) & 1 == 0) {
            let Some(own) = bytes.word(offset - index)? else { continue };
            if let Some(form) = Form::of_call(references.set, own, offset - index) {
                let index = u8::try_from(index).unwrap_or(0);
                self.cell = Cell { form, index, distance: 0 };
                self.code = Code { own, ..Code::default() };
                break;
            }
        }
        Ok(self)
    }
}

/// The bytes of a unit and of the other half of its pair.
pub(super) fn unit_code<B: Bytes>(
    global_pointer: u32,
    bytes: &mut B,
    start: u32,
    cell: Cell,
) -> Result<Code, B::Error> {
    let own = bytes.up_to_four(start)?;
    let other = if cell.distance != 0 {
        bytes.up_to_four(start.wrapping_add_signed(cell.distance.into()))?
    } else if cell.form.is_global() {
        global_pointer
    } else {
        0
    };
    Ok(Code { own, other, distance: cell.distance })
}

/// Where source bytes come from and target bytes go.
pub(super) trait View {
    /// Why bytes are not to be had.
    type Error;

    /// Looks at a source; of the target, only what lies in front of `written` is there.
    fn look(
        &mut self,
        references: Option<&References>,
        source: Source,
        written: u32,
    ) -> Result<Look, Self::Error>;

    /// How many bytes from a source on are part of nothing, up to `limit`; perhaps fewer than there are.
    fn plain_run(
        &mut self,
        references: Option<&References>,
        source: Source,
        written: u32,
        limit: usize,
    ) -> Result<usize, Self::Error>;

    /// Reads source bytes, all of which are there.
    fn read(&mut self, source: Source, into: &mut [u8]) -> Result<(), Self::Error>;

    /// The bytes of a unit of the target that is written.
    fn written_code(
        &mut self,
        references: &References,
        start: u32,
        cell: Cell,
        written: u32,
    ) -> Result<Code, Self::Error>;

    /// Takes the next target bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}
