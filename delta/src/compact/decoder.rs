//! The decoder: fed with bytes, it steps as long as a whole step's input is at hand.

use super::class::{Class, Shape};
use super::coder::BitReader;
use super::isa::{Code, Form, References};
use super::lines::{Cached, Lines, Which};
use super::map::{AddressMap, Entry, PackedEntry};
use super::mixer::{Flag, Slot};
use super::model::{self, ByteWeights, FlagWeights};
use super::predict::{self, Learned, Moved, Predictor};
use super::stream::{Fault, Machine, Numbers, Segment, Side};
use super::sweep::{Cell, Sweep};
use super::view::{Look, Rest, Source, Unit, View, unit_code};
use crate::in_place::Gone;
use crate::{DecodeError, Decoder, Images, InPlace, Sizes, Wants};

/// What the decoder remembers, with room as its memory class says: see [`MediumTables`](super::MediumTables) and its like.
///
/// A stream is made for one class; a decoder of a larger one decodes it too.
#[derive(Clone, Debug)]
pub struct Tables<
    const SLOTS: usize,
    const MAP: usize,
    const FLAGS: usize,
    const FLAG_SETS: usize,
    const FAMILY_SETS: usize,
    const PATH_SETS: usize,
    const RECENT: usize,
    const SUBSTITUTIONS: usize,
    const MOVED: usize,
> {
    slots: [Slot; SLOTS],
    map: [PackedEntry; MAP],
    flags: [Flag; FLAGS],
    flag_weights: [FlagWeights; FLAG_SETS],
    family_weights: [ByteWeights; FAMILY_SETS],
    path_weights: [ByteWeights; PATH_SETS],
    recent: [u8; RECENT],
    substitutions: [[u8; 3]; SUBSTITUTIONS],
    fixed: model::Fixed,
    moved: [Moved; MOVED],
    learned: predict::Fixed,
    numbers: Numbers,
}

impl<
    const SLOTS: usize,
    const MAP: usize,
    const FLAGS: usize,
    const FLAG_SETS: usize,
    const FAMILY_SETS: usize,
    const PATH_SETS: usize,
    const RECENT: usize,
    const SUBSTITUTIONS: usize,
    const MOVED: usize,
> Tables<SLOTS, MAP, FLAGS, FLAG_SETS, FAMILY_SETS, PATH_SETS, RECENT, SUBSTITUTIONS, MOVED>
{
    /// Tables of zeros, which a static of a firmware does not pay for in flash.
    pub const NEW: Self = Self {
        slots: [Slot::new(0); SLOTS],
        map: [PackedEntry::ZERO; MAP],
        flags: [Flag::new(0); FLAGS],
        flag_weights: [model::NO_FLAG_WEIGHTS; FLAG_SETS],
        family_weights: [model::NO_BYTE_WEIGHTS; FAMILY_SETS],
        path_weights: [model::NO_BYTE_WEIGHTS; PATH_SETS],
        recent: [0; RECENT],
        substitutions: [[0; 3]; SUBSTITUTIONS],
        fixed: model::Fixed::EMPTY,
        moved: [(0, 0); MOVED],
        learned: predict::Fixed::EMPTY,
        numbers: Numbers::EMPTY,
    };

    /// Lends the tables to one decoder, which forgets what they hold.
    pub fn lend(&mut self) -> Memory<'_> {
        const {
            assert!(SLOTS.is_power_of_two() && FLAGS.is_power_of_two() && RECENT.is_power_of_two());
            assert!(SUBSTITUTIONS.is_power_of_two() && MOVED.is_power_of_two());
        };
        Memory {
            slots: &mut self.slots,
            map: &mut self.map,
            flags: &mut self.flags,
            flag_weights: &mut self.flag_weights,
            family_weights: &mut self.family_weights,
            path_weights: &mut self.path_weights,
            recent: &mut self.recent,
            substitutions: &mut self.substitutions,
            fixed: &mut self.fixed,
            moved: &mut self.moved,
            learned: &mut self.learned,
            numbers: &mut self.numbers,
        }
    }
}

/// Tables of some size, lent to a decoder.
pub struct Memory<'a> {
    slots: &'a mut [Slot],
    map: &'a mut [PackedEntry],
    flags: &'a mut [Flag],
    flag_weights: &'a mut [FlagWeights],
    family_weights: &'a mut [ByteWeights],
    path_weights: &'a mut [ByteWeights],
    recent: &'a mut [u8],
    substitutions: &'a mut [[u8; 3]],
    fixed: &'a mut model::Fixed,
    moved: &'a mut [Moved],
    learned: &'a mut predict::Fixed,
    numbers: &'a mut Numbers,
}

impl<'a> Memory<'a> {
    /// RAM of the largest class that fits, with the decoder.
    fn ram_bytes(&self) -> u64 {
        let fitting = Class::ALL.into_iter().rev().find(|class| self.fits(class.shape()));
        fitting.map_or(0, Class::ram_bytes)
    }

    fn fits(&self, shape: Shape) -> bool {
        self.slots.len() >= shape.slots
            && self.map.len() >= shape.map
            && self.flags.len() >= shape.flag_count()
            && self.flag_weights.len() >= shape.flag_sets
            && self.family_weights.len() >= shape.family_sets
            && self.path_weights.len() >= shape.path_sets()
            && self.recent.len() >= shape.recent_count()
            && self.substitutions.len() >= shape.substitutions
            && self.moved.len() >= shape.moved
    }

    /// A machine that uses as much of the tables as the class has; `None` if there is not as much.
    pub(super) fn into_machine(
        self,
        sizes: Sizes,
        in_place: Option<InPlace<'a>>,
        class: Class,
    ) -> Option<Machine<'a>> {
        let shape = class.shape();
        let mut model = model::Model {
            fixed: self.fixed,
            slots: self.slots.get_mut(..shape.slots)?,
            flags: self.flags.get_mut(..shape.flag_count())?,
            flag_weights: self.flag_weights.get_mut(..shape.flag_sets)?,
            family_weights: self.family_weights.get_mut(..shape.family_sets)?,
            path_weights: self.path_weights.get_mut(..shape.path_sets())?,
            recent: self.recent.get_mut(..shape.recent_count())?,
            substitutions: self.substitutions.get_mut(..shape.substitutions)?,
        };
        let map = AddressMap::new(self.map.get_mut(..shape.map)?);
        model.reset();
        self.numbers.reset();
        let learned = Learned::new(self.learned, self.moved.get_mut(..shape.moved)?);
        let predictor = Predictor { map, learned, references: None, base_size: sizes.base };
        Some(Machine::new(model, predictor, self.numbers, sizes.target, in_place))
    }
}

/// Largest image, in bytes: places in base and target together stay far below 2^32.
const MAX_IMAGE: u32 = 1 << 30;

/// RAM of the decoder besides its tables.
pub(super) const DECODER_BYTES: usize = size_of::<CompactDecoder<'_>>();

/// Decodes a `compact` payload.
pub struct CompactDecoder<'a> {
    sizes: Sizes,
    pub(super) stage: Stage<'a>,
}

/// What a decoder is given before it begins.
pub(super) struct Lent<'a> {
    memory: Memory<'a>,
    in_place: Option<InPlace<'a>>,
}

#[expect(clippy::large_enum_variant, reason = "the large one is the rule, and there is no heap")]
pub(super) enum Stage<'a> {
    /// The first byte has not come yet.
    Waiting(Option<Lent<'a>>),
    Running {
        class: Class,
        machine: Machine<'a>,
        reader: BitReader,
        lines: [Lines; 2],
        sweep: Sweep,
        /// The seat that the target had reached for that sweep.
        seat: u32,
    },
}

impl<'a> CompactDecoder<'a> {
    /// A decoder with these tables; they may be larger than the stream wants.
    #[must_use]
    pub fn new(sizes: Sizes, memory: Memory<'a>) -> Self {
        Self { sizes, stage: Stage::Waiting(Some(Lent { memory, in_place: None })) }
    }

    /// A decoder for a payload whose target takes the room of its base: one that was encoded for this.
    ///
    /// While it makes a target byte, it reads nothing of the base that [`InPlace::is_gone`] then.
    #[must_use]
    pub fn in_place(sizes: Sizes, memory: Memory<'a>, in_place: InPlace<'a>) -> Self {
        let lent = Lent { memory, in_place: Some(in_place) };
        Self { sizes, stage: Stage::Waiting(Some(lent)) }
    }

    /// Makes the machine of the class that the first byte names.
    pub(super) fn start<E>(&mut self, code: u8) -> Result<(), DecodeError<E>> {
        let Stage::Waiting(lent) = &mut self.stage else { return Ok(()) };
        let Lent { memory, in_place } = lent.take().ok_or(DecodeError::Corrupt)?;
        if self.sizes.base > MAX_IMAGE || self.sizes.target > MAX_IMAGE {
            return Err(DecodeError::Corrupt);
        }
        let class = Class::from_code(code).ok_or(DecodeError::Corrupt)?;
        let limit = memory.ram_bytes();
        let machine = memory.into_machine(self.sizes, in_place, class);
        let machine = machine.ok_or(DecodeError::Memory { needed: class.ram_bytes(), limit })?;
        self.stage = Stage::Running {
            class,
            machine,
            reader: BitReader::new(),
            lines: [Lines::EMPTY; 2],
            sweep: Sweep::EMPTY,
            seat: 0,
        };
        Ok(())
    }

    /// Steps as long as a whole step's input is at hand, and there is room.
    fn run<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let sizes = self.sizes;
        let Stage::Running { machine, reader, lines, sweep, seat, .. } = &mut self.stage else {
            return Ok(Wants::Input);
        };
        while !machine.is_done() && reader.is_ready() {
            if images.room() < machine.step_bytes() {
                return Ok(Wants::Room);
            }
            // What bytes are part of may depend on those that have gone.
            let gone = machine.gone();
            if gone.seat() != *seat {
                (*seat, *sweep) = (gone.seat(), Sweep::EMPTY);
            }
            let mut view = ImageView { images, sizes, gone, lines, sweep };
            machine.step(reader, &mut view).map_err(|fault| match fault {
                Fault::View(cause) => DecodeError::Images(cause),
                Fault::Corrupt => DecodeError::Corrupt,
            })?;
            if reader.is_exhausted() {
                return Err(DecodeError::Incomplete {
                    written: machine.written(),
                    target: sizes.target,
                });
            }
        }
        Ok(Wants::Input)
    }
}

impl Decoder for CompactDecoder<'_> {
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        if let Stage::Waiting(_) = self.stage {
            let Some((code, rest)) = input.split_first() else { return Ok(Wants::Input) };
            self.start(*code)?;
            *input = rest;
        }
        loop {
            let Stage::Running { machine, reader, .. } = &mut self.stage else {
                return Ok(Wants::Input);
            };
            if !input.is_empty() && machine.is_done() && !reader.is_within_lookahead() {
                return Err(DecodeError::TrailingBytes);
            }
            *input = reader.fill(input);
            let wants = self.run(images)?;
            if wants == Wants::Room || input.is_empty() {
                return Ok(wants);
            }
        }
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let (sizes, incomplete) =
            (self.sizes, DecodeError::Incomplete { written: 0, target: self.sizes.target });
        let Stage::Running { reader, .. } = &mut self.stage else { return Err(incomplete) };
        reader.end();
        if self.run(images)? == Wants::Room {
            return Ok(Wants::Room);
        }
        let Stage::Running { machine, reader, .. } = &self.stage else { return Err(incomplete) };
        if !machine.is_done() {
            return Err(DecodeError::Incomplete {
                written: machine.written(),
                target: sizes.target,
            });
        }
        if reader.has_unread() { Err(DecodeError::TrailingBytes) } else { Ok(Wants::Nothing) }
    }
}

/// The decoder's side of the line knows nothing beforehand.
impl Side for BitReader {
    fn target(&self, _: u32) -> u8 {
        0
    }

    fn segment(&mut self, n: u32) -> Segment {
        Segment { start: n, len: 1, source: None }
    }

    fn map_entry(&self, _: usize) -> Entry {
        Entry::default()
    }

    fn map_len(&self) -> u32 {
        0
    }

    fn references(&self) -> Option<&References> {
        None
    }
}

struct ImageView<'x, I> {
    images: &'x mut I,
    sizes: Sizes,
    /// What of the base is gone.
    gone: Gone<'x>,
    /// Lines of the base and of the target.
    lines: &'x mut [Lines; 2],
    sweep: &'x mut Sweep,
}

impl<I: Images> ImageView<'_, I> {
    /// The image that a source lies in; of the target, as much as is written.
    fn image(&mut self, source: Source, written: u32) -> (Rest<'_, Cached<'_, I>>, &mut Sweep) {
        let Self { images, sizes, gone, lines: [base, target], sweep } = self;
        let (lines, which, len, gone) = match source {
            Source::Base(_) => (base, Which::Base, sizes.base, *gone),
            Source::Target(_) => (target, Which::Target, written, Gone::NOTHING),
        };
        (Rest { bytes: Cached { lines, images, which, len }, gone }, sweep)
    }
}

impl<I: Images> View for ImageView<'_, I> {
    type Error = I::Error;

    fn look(
        &mut self,
        references: Option<&References>,
        source: Source,
        written: u32,
    ) -> Result<Look, I::Error> {
        let unit = self.unit(references, source, written)?;
        Look::at(&mut self.image(source, written).0, source.offset(), unit)
    }

    fn unit(
        &mut self,
        references: Option<&References>,
        source: Source,
        written: u32,
    ) -> Result<Unit, I::Error> {
        let Some(references) = references else { return Ok(Unit::default()) };
        let (mut image, sweep) = self.image(source, written);
        match source {
            Source::Base(offset) => {
                let cell = sweep.cell(references, &mut image, offset)?;
                Unit::read(references.global_pointers[0], &mut image, offset, cell)
            }
            Source::Target(offset) => Unit::call(references, &mut image, offset),
        }
    }

    fn plain_run(
        &mut self,
        references: Option<&References>,
        source: Source,
        written: u32,
        limit: u32,
    ) -> Result<u32, I::Error> {
        let Some(known) = references else { return Ok(limit) };
        match source {
            Source::Base(offset) => {
                let (mut base, sweep) = self.image(source, written);
                sweep.plain_run(known, &mut base, offset, limit)
            }
            Source::Target(_) => {
                let unit = self.unit(references, source, written)?;
                Ok(u32::from(unit.cell.form == Form::Plain))
            }
        }
    }

    fn read(&mut self, source: Source, into: &mut [u8]) -> Result<(), I::Error> {
        match source {
            Source::Base(offset) => self.images.read_base(offset, into),
            Source::Target(offset) => self.images.read_target(offset, into),
        }
    }

    fn written_code(
        &mut self,
        references: &References,
        place: u32,
        cell: Cell,
        written: u32,
    ) -> Result<Code, I::Error> {
        let [_, pointer] = references.global_pointers;
        unit_code(pointer, &mut self.image(Source::Target(place), written).0, place, cell)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), I::Error> {
        self.images.append(bytes)
    }
}
