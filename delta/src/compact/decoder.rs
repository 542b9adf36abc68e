//! The decoder: fed with bytes, it steps as long as a whole step's input is at hand.

use super::class::Class;
use super::coder::BitReader;
use super::isa::{Code, References};
use super::lines::{Cached, Flash, Lines, Which};
use super::map::{AddressMap, Entry, PackedEntry};
use super::mixer::{Flag, Slot};
use super::model::{self, ByteWeights, FlagWeights};
use super::predict::{self, Learned, Predictor};
use super::stream::{Corrupt, Machine, Numbers, Segment, Side};
use super::sweep::{Cell, Sweep};
use super::view::{Look, Rest, Source, Unit, View, unit_code};
use super::words;
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
    const CELLS: usize,
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
    cells: [words::Cell; CELLS],
    learned: predict::Fixed,
    numbers: Numbers,
    lines: [Lines; 2],
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
    const CELLS: usize,
> Tables<SLOTS, MAP, FLAGS, FLAG_SETS, FAMILY_SETS, PATH_SETS, RECENT, SUBSTITUTIONS, CELLS>
{
    /// Tables of zeros, which a static of a firmware does not pay for in flash.
    pub const NEW: Self = Self {
        slots: [Slot::NEW; SLOTS],
        map: [PackedEntry::ZERO; MAP],
        flags: [Flag::NEW; FLAGS],
        flag_weights: [model::NEW_FLAG_WEIGHTS; FLAG_SETS],
        family_weights: [model::NEW_BYTE_WEIGHTS; FAMILY_SETS],
        path_weights: [model::NEW_BYTE_WEIGHTS; PATH_SETS],
        recent: [0; RECENT],
        substitutions: [[0; 3]; SUBSTITUTIONS],
        fixed: model::Fixed::NEW,
        cells: [words::Cell::NEW; CELLS],
        learned: predict::Fixed::NEW,
        numbers: Numbers::NEW,
        lines: [Lines::EMPTY; 2],
    };

    /// Lends the tables to one decoder, which forgets what they hold.
    #[inline(never)]
    pub fn lend(&mut self) -> Memory<'_> {
        const {
            assert!(SLOTS.is_power_of_two() && FLAGS.is_power_of_two() && RECENT.is_power_of_two());
            assert!(SUBSTITUTIONS.is_power_of_two() && CELLS.is_power_of_two());
        };
        *self = Self::NEW;
        let model = model::Model {
            fixed: &mut self.fixed,
            slots: &mut self.slots,
            flags: &mut self.flags,
            flag_weights: &mut self.flag_weights,
            family_weights: &mut self.family_weights,
            path_weights: &mut self.path_weights,
            recent: &mut self.recent,
            substitutions: &mut self.substitutions,
        };
        let learned = Learned { cells: &mut self.cells, fixed: &mut self.learned };
        let predictor = Predictor {
            map: AddressMap::new(&mut self.map),
            learned,
            references: None,
            base_size: 0,
        };
        Memory {
            ram_bytes: (size_of::<Self>() + DECODER_BYTES) as u64,
            machine: Machine::new(model, predictor, &mut self.numbers),
            lines: &mut self.lines,
        }
    }
}

/// Tables of some size, lent to a decoder.
pub struct Memory<'a> {
    /// RAM of the tables and the decoder.
    ram_bytes: u64,
    /// Uses all of the tables.
    machine: Machine<'a>,
    /// What the images are read with.
    lines: &'a mut [Lines; 2],
}

impl<'a> Memory<'a> {
    /// The machine for images of these sizes, and what they are read with.
    pub(super) fn into_machine(
        self,
        sizes: Sizes,
        in_place: Option<InPlace<'a>>,
    ) -> (Machine<'a>, &'a mut [Lines; 2]) {
        let Self { mut machine, lines, .. } = self;
        machine.begin(sizes, in_place);
        (machine, lines)
    }
}

/// Largest image, in bytes: places in base and target together stay far below 2^32.
const MAX_IMAGE: u32 = 1 << 30;

/// RAM of the decoder besides its tables.
pub(super) const DECODER_BYTES: usize = size_of::<CompactDecoder<'_>>();

/// Decodes a `compact` payload.
// The machine stands in front, where short instructions reach it.
#[repr(C)]
pub struct CompactDecoder<'a> {
    pub(super) machine: Machine<'a>,
    /// RAM of the tables that are lent, with the decoder.
    ram_bytes: u64,
    pub(super) stage: Stage,
    pub(super) reader: BitReader,
    lines: &'a mut [Lines; 2],
    /// The seat that the target had reached for the sweep.
    seat: u32,
    sweep: Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first byte, which names the class, has not come yet.
    Waiting,
    Running(Class),
    /// What the tables hold is nothing to go on from.
    Lost,
}

impl<'a> CompactDecoder<'a> {
    /// A decoder with these tables; they may be larger than the stream wants.
    #[must_use]
    pub fn new(sizes: Sizes, memory: Memory<'a>) -> Self {
        Self::with(sizes, memory, None)
    }

    /// A decoder for a payload whose target takes the room of its base: one that was encoded for this.
    ///
    /// While it makes a target byte, it reads nothing of the base that [`InPlace::is_gone`] then.
    #[must_use]
    pub fn in_place(sizes: Sizes, memory: Memory<'a>, in_place: InPlace<'a>) -> Self {
        Self::with(sizes, memory, Some(in_place))
    }

    #[inline(never)]
    fn with(sizes: Sizes, memory: Memory<'a>, in_place: Option<InPlace<'a>>) -> Self {
        let ram_bytes = memory.ram_bytes;
        let (machine, lines) = memory.into_machine(sizes, in_place);
        let (stage, reader, sweep, seat) = (Stage::Waiting, BitReader::new(), Sweep::empty(), 0);
        Self { machine, ram_bytes, stage, reader, lines, sweep, seat }
    }

    /// Keeps as much of the tables as the class has that the first byte names.
    #[inline(never)]
    pub(super) fn start<E>(&mut self, code: u8) -> Result<(), DecodeError<E>> {
        if self.stage != Stage::Waiting {
            return Err(DecodeError::Corrupt);
        }
        self.stage = Stage::Lost;
        if self.machine.sizes().into_iter().any(|size| size > MAX_IMAGE) {
            return Err(DecodeError::Corrupt);
        }
        let class = Class::from_code(code).ok_or(DecodeError::Corrupt)?;
        if class.ram_bytes() > self.ram_bytes {
            return Err(DecodeError::Memory);
        }
        self.machine.keep(class.shape());
        self.stage = Stage::Running(class);
        Ok(())
    }

    fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// Steps as long as a whole step's input is at hand, and there is room.
    fn run<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let Self { machine, reader, lines, sweep, seat, .. } = self;
        let ([base_size, _], written) = (machine.sizes(), machine.written());
        let flash = Flash { images, failure: None };
        let gone = machine.gone();
        let mut view = ImageView { flash, base_size, written, gone, lines, sweep };
        while !machine.is_done() && reader.is_ready() {
            if view.flash.images.room() < machine.step_bytes() {
                return Ok(Wants::Room);
            }
            view.gone = machine.gone();
            // What bytes are part of may depend on those that have gone.
            if view.gone.seat() != *seat {
                (*seat, *view.sweep) = (view.gone.seat(), Sweep::empty());
            }
            let stepped = machine.step(reader, &mut view);
            if let Some(cause) = view.flash.failure {
                return Err(DecodeError::Images(cause));
            }
            stepped.map_err(|Corrupt| DecodeError::Corrupt)?;
            if reader.is_exhausted() {
                return Err(DecodeError::Incomplete);
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
        if !self.is_running() {
            let Some((code, rest)) = input.split_first() else { return Ok(Wants::Input) };
            self.start(*code)?;
            *input = rest;
        }
        loop {
            if !input.is_empty() && self.machine.is_done() && !self.reader.is_within_lookahead() {
                return Err(DecodeError::TrailingBytes);
            }
            *input = self.reader.fill(input);
            let wants = self.run(images)?;
            if wants == Wants::Room || input.is_empty() {
                return Ok(wants);
            }
        }
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        if self.is_running() {
            self.reader.end();
            if self.run(images)? == Wants::Room {
                return Ok(Wants::Room);
            }
        }
        if !self.is_running() || !self.machine.is_done() {
            return Err(DecodeError::Incomplete);
        }
        if self.reader.has_unread() { Err(DecodeError::TrailingBytes) } else { Ok(Wants::Nothing) }
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

struct ImageView<'x, I: Images> {
    flash: Flash<'x, I>,
    base_size: u32,
    /// Target bytes that are appended.
    written: u32,
    /// What of the base is gone while the step at hand is made.
    gone: Gone<'x>,
    /// Lines of the base and of the target.
    lines: &'x mut [Lines; 2],
    sweep: &'x mut Sweep,
}

impl<'x, I: Images> ImageView<'x, I> {
    /// The image that a source lies in; of the target, as much as is written.
    fn image(&mut self, source: Source) -> (Rest<'x, Cached<'_, 'x, I>>, &mut Sweep) {
        let Self { flash, base_size, written, gone, lines: [base, target], sweep } = self;
        let (lines, which, len, gone) = match source {
            Source::Base(_) => (base, Which::Base, *base_size, *gone),
            Source::Target(_) => (target, Which::Target, *written, Gone::NOTHING),
        };
        (Rest { bytes: Cached { flash, lines, which, len }, gone }, sweep)
    }
}

impl<I: Images> View for ImageView<'_, I> {
    fn look(&mut self, references: Option<&References>, source: Source) -> Look {
        let unit = self.unit(references, source);
        Look::at(&mut self.image(source).0, source.offset(), unit)
    }

    fn unit(&mut self, references: Option<&References>, source: Source) -> Unit {
        let Some(references) = references else { return Unit::default() };
        let (mut image, sweep) = self.image(source);
        match source {
            Source::Base(offset) => {
                let cell = sweep.cell(references, &mut image, offset);
                Unit::read(references.global_pointers[0], &mut image, offset, cell)
            }
            Source::Target(offset) => Unit::call(references, &mut image, offset),
        }
    }

    fn read(&mut self, source: Source, into: &mut [u8]) {
        let which = if source.is_base() { Which::Base } else { Which::Target };
        self.flash.read(which, source.offset(), into);
    }

    fn written_code(&mut self, references: &References, place: u32, cell: Cell) -> Code {
        let [_, pointer] = references.global_pointers;
        unit_code(pointer, &mut self.image(Source::Target(place)).0, place, cell)
    }

    fn append(&mut self, bytes: &[u8]) {
        self.flash.append(bytes);
        self.written += u32::try_from(bytes.len()).unwrap_or(0);
    }
}
