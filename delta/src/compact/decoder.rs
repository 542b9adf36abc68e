//! The decoder: fed with bytes, it steps as long as a whole step's input is at hand.

use super::class::Class;
use super::coder::BitReader;
use super::curves::{Curve, Curves};
use super::isa::{Code, References};
use super::lines::{Cached, Flash, Lines, Which};
use super::map::{AddressMap, Entry, PackedEntry};
use super::mixer::{Flag, Slot};
use super::model::{self, ByteWeights, FlagWeights};
use super::predict::{Exception, Predictor, Trust};
use super::stream::{Corrupt, Machine, Numbers, Segment, Side};
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
    const EXCEPTIONS: usize,
    const CURVES: usize,
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
    exceptions: [Exception; EXCEPTIONS],
    curves: [Curve; CURVES],
    trust: Trust,
    numbers: Numbers,
    references: References,
    sweep: Sweep,
    lines: [Lines; 2],
    reader: BitReader,
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
    const EXCEPTIONS: usize,
    const CURVES: usize,
>
    Tables<
        SLOTS,
        MAP,
        FLAGS,
        FLAG_SETS,
        FAMILY_SETS,
        PATH_SETS,
        RECENT,
        SUBSTITUTIONS,
        EXCEPTIONS,
        CURVES,
    >
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
        exceptions: [[0; 2]; EXCEPTIONS],
        curves: [Curve::NEW; CURVES],
        trust: Trust::NEW,
        numbers: Numbers::NEW,
        references: References::NEW,
        sweep: Sweep::EMPTY,
        lines: [Lines::EMPTY; 2],
        reader: BitReader::NEW,
    };

    /// Lends the tables to one decoder, which forgets what they hold.
    pub fn lend(&mut self) -> Memory<'_> {
        const {
            assert!(SLOTS.is_power_of_two() && FLAGS.is_power_of_two() && RECENT.is_power_of_two());
            assert!(SUBSTITUTIONS.is_power_of_two() && EXCEPTIONS.is_power_of_two());
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
            curves: Curves::new(&mut self.curves),
        };
        let predictor = Predictor {
            map: AddressMap::new(&mut self.map),
            exceptions: &mut self.exceptions,
            trust: &mut self.trust,
            references: &mut self.references,
            is_known: false,
            base_size: 0,
        };
        let reading = Reading { lines: &mut self.lines, sweep: &mut self.sweep, seat: 0 };
        Memory(CompactDecoder {
            machine: Machine::new(model, predictor, &mut self.numbers),
            stage: Stage::Waiting,
            reader: &mut self.reader,
            reading,
        })
    }
}

/// Tables of some size, lent to a decoder: all of it but the sizes of its images.
// A decoder is made once, where its tables are lent, and moved as one.
pub struct Memory<'a>(CompactDecoder<'a>);

impl<'a> Memory<'a> {
    /// The decoder that it is lent to, which has to be told first what it [begins](CompactDecoder::begin).
    pub fn decoder(&mut self) -> &mut CompactDecoder<'a> {
        &mut self.0
    }

    /// The machine for images of these sizes.
    #[cfg(feature = "encode")]
    pub(super) fn into_machine(
        mut self,
        sizes: Sizes,
        in_place: Option<InPlace<'a>>,
    ) -> Machine<'a> {
        self.0.machine.begin(sizes, in_place);
        self.0.machine
    }
}

/// What the images are read with.
struct Reading<'a> {
    lines: &'a mut [Lines; 2],
    sweep: &'a mut Sweep,
    /// The seat that the target had reached for the sweep.
    seat: u32,
}

/// Bits of an image's length: places in base and target together stay far below 2^32.
const MAX_LEN_BITS: u32 = 30;

/// RAM of the decoder besides its tables.
pub(super) const DECODER_BYTES: usize = size_of::<CompactDecoder<'_>>();

/// Decodes a `compact` payload.
// The machine stands in front, where short instructions reach it.
#[repr(C)]
pub struct CompactDecoder<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) stage: Stage,
    pub(super) reader: &'a mut BitReader,
    reading: Reading<'a>,
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
        let Memory(mut decoder) = memory;
        decoder.begin(sizes);
        decoder
    }

    /// Tells it the sizes, before anything else.
    pub fn begin(&mut self, sizes: Sizes) {
        self.machine.begin(sizes, None);
    }

    /// A decoder for a payload whose target takes the room of its base: one that was encoded for this.
    ///
    /// While it makes a target byte, it reads nothing of the base that [`InPlace::is_gone`] then.
    #[must_use]
    pub fn in_place(sizes: Sizes, memory: Memory<'a>, in_place: InPlace<'a>) -> Self {
        let Memory(mut decoder) = memory;
        decoder.machine.begin(sizes, Some(in_place));
        decoder
    }

    /// Keeps as much of the tables as the class has that the first byte names.
    #[inline(never)]
    pub(super) fn start<E>(&mut self, code: u8) -> Result<(), DecodeError<E>> {
        if self.stage != Stage::Waiting {
            return Err(DecodeError::Corrupt);
        }
        self.stage = Stage::Lost;
        let [base_size, target_size] = self.machine.sizes();
        let class =
            Class::from_code(code).filter(|_| (base_size | target_size) >> MAX_LEN_BITS == 0);
        let class = class.ok_or(DecodeError::Corrupt)?;
        self.machine.keep(class).ok_or(DecodeError::Memory)?;
        self.stage = Stage::Running(class);
        Ok(())
    }

    fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// Steps as long as a whole step's input is at hand, and there is room.
    fn run<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let Self { machine, reader, reading: Reading { lines, sweep, seat }, .. } = self;
        let [base_size, _] = machine.sizes();
        let lens = [base_size, machine.written()];
        let flash = Flash { images, lines, lens, failure: None };
        let mut view = ImageView { flash, gone: machine.gone(), sweep };
        while !machine.is_done() && reader.is_ready() {
            if view.flash.images.room() < machine.step_bytes() {
                return Ok(Wants::Room);
            }
            view.gone = machine.gone();
            // What bytes are part of may depend on those that have gone.
            if cfg!(feature = "in-place") && view.gone.seat() != *seat {
                *seat = view.gone.seat();
                view.sweep.forget();
            }
            let stepped = machine.step(*reader, &mut view);
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
            *input = self.reader.fill(input);
            let wants = self.run(images)?;
            if wants == Wants::Room || input.is_empty() {
                return Ok(wants);
            }
            // More is held than could have been looked at.
            if self.machine.is_done() {
                return Err(DecodeError::TrailingBytes);
            }
        }
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        if !self.is_running() {
            return Err(DecodeError::Incomplete);
        }
        self.reader.end();
        if self.run(images)? == Wants::Room {
            return Ok(Wants::Room);
        }
        self.reader.settle();
        if !self.machine.is_done() || self.reader.is_exhausted() {
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

    fn segment(&mut self, _: u32) -> Segment {
        Segment { start: 0, len: 1, source: None }
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
    /// What of the base is gone while the step at hand is made.
    gone: Gone<'x>,
    sweep: &'x mut Sweep,
}

impl<'x, I: Images> ImageView<'x, I> {
    /// The image that a source lies in; of the target, as much as is written.
    fn image(&mut self, source: Source) -> (Rest<'x, Cached<'_, 'x, I>>, &mut Sweep) {
        let (which, gone) = match source {
            Source::Base(_) => (Which::Base, self.gone),
            Source::Target(_) => (Which::Target, Gone::NOTHING),
        };
        (Rest { bytes: self.flash.image(which), gone }, self.sweep)
    }
}

impl<I: Images> View for ImageView<'_, I> {
    fn look(&mut self, source: Source) -> Look {
        Look::at(&mut self.image(source).0, source.offset())
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
    }
}
