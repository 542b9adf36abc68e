//! The stream itself: what is coded in which order. Encoder and decoder run this one machine, so they cannot drift.
//!
//! ```text
//! stream  = header | number of map entries | map entry …
//!         | copy or literal …                                              until the target is complete
//! copy    = jump | hit, or miss and the byte, for each byte …             | miss and leave
//! literal = length | what it is: code, text or noise | bytes
//! ```
//!
//! A copy predicts each target byte from a source byte and codes whether that is right. At a miss it either codes the
//! byte and goes on beside the same source, or leaves for the next copy or literal. Nothing says how long a copy is.
//! Sources are the base and, behind it, the target as far as it is written. A *diagonal* is the distance between
//! target and source; most jumps return to one that was used before, or to the one that the map gives.
//!
//! After some hits in a row one decision tells whether a whole stride of bytes is hit; only if it is not do they follow one
//! by one.
//!
//! Thumb code is coded in halfwords, the high byte first, wherever source and target are both even: the high byte
//! holds most of the opcode and tells much about the low one.

use super::coder::BitCoder;
use super::header::{Header, Part};
use super::isa::{Form, InstructionSet, References};
use super::map::Entry;
use super::mixer::{Flag, NUMBER_DECISIONS, Number, Slot, pass_flags, pass_slots, signed};
use super::model::{Model, Past, SourceContext, Spot};
use super::pick;
use super::position::Position;
use super::predict::{KIND_PLAIN, Predicted, Predictor};
use super::sweep::Cell;
use super::view::{Look, Source, Unit, View};
use super::words::Words;
use crate::InPlace;
use crate::in_place::Gone;
use crate::state::Passing;

/// Most decisions that one step makes: a number, and what goes with it (a piece of the header most of all).
pub(super) const MAX_DECISIONS: u32 = NUMBER_DECISIONS + 40;

/// How many diagonals are remembered.
pub(super) const DIAGONALS: usize = 4;

/// Kinds of jumps, in the order of their unary codes.
pub(super) const JUMP_BY_MAP: u32 = 0;
pub(super) const JUMP_BACK: u32 = 1;
pub(super) const JUMP_IN_BASE: u32 = 5;
pub(super) const JUMP_IN_TARGET: u32 = 6;

/// A literal run of at least this length says whether it is text.
const MIN_TEXT: u32 = 3;

/// One of at least this length that is no text says whether its bytes are worth a model at all.
const MIN_RAW: u32 = 256;

/// What a literal run consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Code,
    Text,
    /// Compressed or encrypted: each byte takes its eight bits.
    Raw,
}

/// A stretch of the target and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u32,
    pub(super) len: u32,
    /// Place in the space of base and target; `None` for a literal.
    pub(super) source: Option<u32>,
}

impl Segment {
    pub(super) fn end(&self) -> u32 {
        self.start + self.len
    }
}

/// So many bytes are coded by one decision while nothing misses.
pub(super) const STRIDE: u8 = 16;

const _: () = assert!(STRIDE as u32 <= crate::MAX_STEP_BYTES);

/// Hits in a row before that.
const CALM: u32 = 16;

/// The bucket of such a run: buckets count by powers of two.
const CALM_BUCKET: usize = CALM.ilog2() as usize + 1;

/// Stands for the hits in a row within a stride that is known to miss, up to that miss. No run grows as long byte by byte,
/// so the models tell these decisions apart without a context more.
const DOUBT: u32 = 1 << 20;

/// What was coded, for whoever counts the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Map,
    Hit {
        kind: u8,
        odd: bool,
        history: u32,
        hit: bool,
    },
    /// Whether a whole stride is hit.
    Stride {
        hit: bool,
    },
    /// A hit or a miss within a stride that is known to miss.
    Doubted {
        hit: bool,
    },
    Leave {
        leave: bool,
    },
    Substitute {
        kind: u8,
        odd: bool,
    },
    LiteralStart,
    Literal {
        bytes: u32,
    },
    Jump {
        after_literal: bool,
        kind: u32,
        distance: u32,
    },
}

/// One end of the line: codes decisions and, on the encoder's side, knows what they shall be.
pub(super) trait Side: BitCoder {
    /// The target byte at `n`; anything on the decoder's side.
    fn target(&self, n: u32) -> u8;
    /// The segment that covers `n`.
    fn segment(&mut self, n: u32) -> Segment;
    /// Whether nothing can be learned from the bytes of a literal run; anything on the decoder's side.
    fn is_noise(&self, _run: Segment) -> bool {
        false
    }
    /// The map entry with this number.
    fn map_entry(&self, index: usize) -> Entry;
    /// How many map entries there are.
    fn map_len(&self) -> u32;
    /// Whose code the images are and where they lie, if that is known.
    fn references(&self) -> Option<&References>;
    /// Told after each thing that was coded.
    fn coded(&mut self, _event: Event) {}
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault<E> {
    /// An image could not be read or written.
    View(E),
    /// The stream leads outside of something.
    Corrupt,
}

/// The numbers of the stream, and how jumps are chosen.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// How many entries the map has; then lengths of literals.
    counts: Number,
    /// Gaps between the map's entries; then distances of jumps within the base.
    in_base: Number,
    /// Changes of the map's shift; then distances of jumps into the target.
    in_target: Number,
    signs: [Slot; 3],
    is_literal: [Slot; 2],
    is_text: [Slot; 2],
    is_raw: Slot,
    jump_kind: [[Slot; 8]; 4],
    /// Whether a stride is hit, by the hits in a row so far and the references in it.
    stride: [Flag; 32],
}

impl Numbers {
    /// All zeros; [`Self::reset`] comes before use.
    pub(super) const EMPTY: Self = {
        let none = Slot::new(0);
        Self {
            counts: Number::EMPTY,
            in_base: Number::EMPTY,
            in_target: Number::EMPTY,
            signs: [none; 3],
            is_literal: [none; 2],
            is_text: [none; 2],
            is_raw: none,
            jump_kind: [[none; 8]; 4],
            stride: [Flag::new(0); 32],
        }
    };

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        let Self { counts, in_base, in_target, .. } = self;
        for number in [counts, in_base, in_target] {
            number.reset();
        }
        self.signs.fill(Slot::NEW);
        self.is_literal.fill(Slot::NEW);
        self.is_text.fill(Slot::new(16384));
        self.is_raw = Slot::new(16384);
        self.jump_kind.fill([Slot::NEW; 8]);
        self.stride.fill(Flag::new(54000));
    }
}

impl Numbers {
    fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { counts, in_base, in_target, signs, is_literal, is_text, is_raw, .. } = self;
        for number in [counts, in_base, in_target] {
            number.pass_state(state);
        }
        for slots in [&mut signs[..], is_literal, is_text] {
            pass_slots(slots, state);
        }
        is_raw.pass_state(state);
        pass_slots(self.jump_kind.as_flattened_mut(), state);
        pass_flags(&mut self.stride, state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Header(Part),
    Map {
        left: u32,
    },
    /// The shift of an entry whose place has been coded.
    MapShift {
        left: u32,
        from: u32,
    },
    /// A copy or a literal begins.
    Switch {
        after_literal: bool,
    },
    Literal {
        left: u32,
        content: Content,
    },
    Copy,
}

impl Mode {
    const STATE_BYTES: usize = 1 + 4 + 4;

    /// Passes on which mode it is, and up to two numbers of it; `left` bytes of the target are to come.
    fn pass_state(&mut self, left_of_target: u32, state: &mut Passing<'_>) {
        let (mut code, mut first, mut second) = match *self {
            Self::Header(Part::Set) => (0, 0, 0),
            Self::Header(Part::GlobalPointers) => (1, 0, 0),
            Self::Header(Part::BaseCount) => (2, 0, 0),
            Self::Header(Part::BasePiece { left }) => (3, left, 0),
            Self::Header(Part::TargetCount) => (4, 0, 0),
            Self::Header(Part::TargetPiece { left }) => (5, left, 0),
            Self::Header(Part::Done) => (6, 0, 0),
            Self::Map { left } => (7, left, 0),
            Self::MapShift { left, from } => (8, left, from),
            Self::Switch { after_literal } => (9, after_literal.into(), 0),
            Self::Literal { left, content: Content::Code } => (10, left, 0),
            Self::Literal { left, content: Content::Text } => (10, left, 1),
            Self::Literal { left, content: Content::Raw } => (10, left, 2),
            Self::Copy => (11, 0, 0),
        };
        state.small(&mut code, u8::MAX);
        state.u32(&mut first);
        state.u32(&mut second);
        let is_some = first > 0;
        *self = match (code, first, second) {
            (0, ..) => Self::Header(Part::Set),
            (1, ..) => Self::Header(Part::GlobalPointers),
            (2, ..) => Self::Header(Part::BaseCount),
            (3, left, _) => Self::Header(Part::BasePiece { left }),
            (4, ..) => Self::Header(Part::TargetCount),
            (5, left, _) => Self::Header(Part::TargetPiece { left }),
            (6, ..) => Self::Header(Part::Done),
            (7, left, _) => Self::Map { left },
            (8, left, from) if is_some => Self::MapShift { left, from },
            (9, after_literal, _) => Self::Switch { after_literal: after_literal == 1 },
            (10, left, content) if is_some && left <= left_of_target => Self::Literal {
                left,
                content: match content {
                    0 => Content::Code,
                    1 => Content::Text,
                    _ => Content::Raw,
                },
            },
            (11, ..) => Self::Copy,
            _ => return state.check(false),
        };
    }
}

/// The machine that both sides run.
pub(super) struct Machine<'a> {
    pub(super) model: Model<'a>,
    pub(super) predictor: Predictor<'a>,
    pub(super) numbers: &'a mut Numbers,
    target_size: u32,
    /// Whether the target takes the room of the base.
    in_place: Option<InPlace<'a>>,
    /// Target bytes that are coded.
    n: u32,
    /// Where the copy reads next; after a copy, where it stopped. In the space of base and target.
    source: u32,
    /// Where the copy at hand began in the target.
    segment: u32,
    /// Whether the copy at hand has coded no byte yet: it may not be left then.
    fresh: bool,
    /// Bytes that are left of a stride that is known to miss, as long as it has not.
    doubted: u8,
    mode: Mode,
    map_index: usize,
    was_text: bool,
    past: Past,
    /// Those of the last copies from the base, the last one first.
    diagonals: [i64; DIAGONALS],
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        model: Model<'a>,
        predictor: Predictor<'a>,
        numbers: &'a mut Numbers,
        target_size: u32,
        in_place: Option<InPlace<'a>>,
    ) -> Self {
        Self {
            model,
            predictor,
            numbers,
            target_size,
            in_place,
            n: 0,
            source: 0,
            segment: 0,
            fresh: false,
            doubted: 0,
            mode: Mode::Header(Part::Set),
            map_index: 0,
            was_text: false,
            past: Past::default(),
            diagonals: [0; DIAGONALS],
        }
    }

    /// Target bytes so far.
    pub(super) fn written(&self) -> u32 {
        self.n
    }

    /// Most target bytes that the next step makes.
    pub(super) fn step_bytes(&self) -> u32 {
        (self.target_size - self.n).min(STRIDE.into())
    }

    pub(super) fn is_done(&self) -> bool {
        self.n == self.target_size
    }

    /// Bytes of its state besides the tables, most of them.
    pub(super) const STATE_BYTES: usize = 3 * 4
        + 3
        + Mode::STATE_BYTES
        + Past::STATE_BYTES
        + DIAGONALS * 4
        + (1 + 4 * 4)
        + 4
        + Words::STATE_BYTES;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        state.u32(&mut self.n);
        state.check(self.n <= self.target_size);
        let left = self.target_size.saturating_sub(self.n);
        state.u32(&mut self.source);
        state.u32(&mut self.segment);
        state.flag(&mut self.fresh);
        state.small(&mut self.doubted, STRIDE);
        state.flag(&mut self.was_text);
        self.mode.pass_state(left, state);
        self.past.pass_state(state);
        for diagonal in &mut self.diagonals {
            // No image is as large as 2^30 bytes.
            let mut short = i32::try_from(*diagonal).unwrap_or(0);
            state.i32(&mut short);
            *diagonal = short.into();
        }
        let Predictor { map, learned, references, base_size } = &mut self.predictor;
        References::pass_state(references, [*base_size, self.target_size], state);
        let set = references.as_ref().map(|known| known.set);
        self.past.position = self.past.position.within(set);
        map.pass_state(state);
        self.map_index = map.len();
        self.numbers.pass_state(state);
        self.model.pass_state(state);
        learned.pass_state(state);
    }

    /// What of the base is gone while the next step is made.
    pub(super) fn gone(&self) -> Gone<'a> {
        self.in_place.map_or(Gone::NOTHING, |in_place| in_place.gone(self.n))
    }

    /// What stands at a place, unless it is gone, or has not come yet.
    fn source_at(&self, place: u32) -> Option<Source> {
        let source = Source::from_virtual(place.into(), self.predictor.base_size, self.n)?;
        (!source.is_base() || !self.gone().has(source.offset())).then_some(source)
    }

    /// Codes the next thing: at most [`MAX_DECISIONS`] decisions.
    pub(super) fn step<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        match self.mode {
            Mode::Header(part) => self.header(side, part),
            Mode::Map { left: 0 } => {
                self.numbers.reset();
                let set = self.predictor.references.map(|known| known.set);
                self.past.position = Position::new(set);
                self.mode = Mode::Switch { after_literal: false };
                Ok(())
            }
            Mode::Map { left } => self.map_gap(side, left),
            Mode::MapShift { left, from } => self.map_shift(side, left, from),
            Mode::Switch { after_literal } => self.switch(side, after_literal),
            Mode::Literal { left, content } => self.literal(side, view, left, content),
            Mode::Copy => self.copy(side, view),
        }
    }

    fn header<E>(&mut self, side: &mut impl Side, part: Part) -> Result<(), Fault<E>> {
        let sizes = [self.predictor.base_size, self.target_size];
        if part == Part::Done {
            let count = side.map_len();
            let left = self.numbers.counts.code(side, count);
            if left as usize > self.predictor.map.capacity() {
                return Err(Fault::Corrupt);
            }
            self.mode = Mode::Map { left };
        } else {
            let known = side.references().copied();
            let references = &mut self.predictor.references;
            let Numbers { counts, in_base: starts, signs: [sign, ..], .. } = &mut *self.numbers;
            let mut header = Header { counts, starts, sign, references };
            let next = header.step(side, known.as_ref(), part, sizes).ok_or(Fault::Corrupt)?;
            self.mode = Mode::Header(next);
        }
        side.coded(Event::Map);
        Ok(())
    }

    fn map_gap<E>(&mut self, side: &mut impl Side, left: u32) -> Result<(), Fault<E>> {
        let entry = side.map_entry(self.map_index);
        let from = self.predictor.map.last().map_or(0, |last| last.from + 1);
        let gap = self.numbers.in_base.code(side, entry.from.wrapping_sub(from));
        let from = from.checked_add(gap).ok_or(Fault::Corrupt)?;
        self.mode = Mode::MapShift { left, from };
        side.coded(Event::Map);
        Ok(())
    }

    fn map_shift<E>(&mut self, side: &mut impl Side, left: u32, from: u32) -> Result<(), Fault<E>> {
        let entry = side.map_entry(self.map_index);
        let shift = self.predictor.map.last().map_or(0, |last| last.shift);
        let [sign, ..] = &mut self.numbers.signs;
        let change = i64::from(entry.shift) - i64::from(shift);
        let change = signed(&mut self.numbers.in_target, sign, side, change);
        let shift = i32::try_from(i64::from(shift) + change).map_err(|_| Fault::Corrupt)?;
        if !self.predictor.map.push(Entry { from, shift }) {
            return Err(Fault::Corrupt);
        }
        self.map_index += 1;
        self.mode = Mode::Map { left: left - 1 };
        side.coded(Event::Map);
        Ok(())
    }

    fn switch<E>(&mut self, side: &mut impl Side, after_literal: bool) -> Result<(), Fault<E>> {
        let next = side.segment(self.n);
        if !after_literal {
            let first = usize::from(self.n > 0);
            let is_literal =
                pick(&mut self.numbers.is_literal, first).code(side, next.source.is_none());
            if is_literal {
                let len = self.numbers.counts.code(side, next.len.wrapping_sub(1)) + 1;
                if len > self.target_size - self.n {
                    return Err(Fault::Corrupt);
                }
                let content = self.content(side, next, len);
                self.mode = Mode::Literal { left: len, content };
                side.coded(Event::LiteralStart);
                return Ok(());
            }
        }
        let kind_and_place = self.jump(side, after_literal, i64::from(next.source.unwrap_or(0)));
        let place = kind_and_place.ok_or(Fault::Corrupt)?;
        self.source_at(place).ok_or(Fault::Corrupt)?;
        let diagonal = i64::from(self.n) - i64::from(place);
        if place < self.predictor.base_size {
            move_to_front(&mut self.diagonals, diagonal);
        }
        self.source = place;
        self.segment = self.n;
        self.fresh = true;
        self.past.run = self.past.run.min(4);
        self.doubted = 0;
        self.past.age = 0;
        self.mode = Mode::Copy;
        Ok(())
    }

    /// Codes what a literal run consists of.
    fn content(&mut self, side: &mut impl Side, run: Segment, len: u32) -> Content {
        if len < MIN_TEXT {
            return Content::Code;
        }
        let mut bytes = (run.start..run.end()).map(|n| side.target(n));
        let is_text = bytes.all(|byte| matches!(byte, 0 | 10 | 32..127));
        let before = usize::from(self.was_text);
        self.was_text = pick(&mut self.numbers.is_text, before).code(side, is_text);
        if self.was_text {
            return Content::Text;
        }
        let is_raw = len >= MIN_RAW && {
            let is_raw = side.is_noise(run);
            self.numbers.is_raw.code(side, is_raw)
        };
        if is_raw { Content::Raw } else { Content::Code }
    }

    /// Codes where the next copy reads.
    fn jump(&mut self, side: &mut impl Side, after_literal: bool, goal: i64) -> Option<u32> {
        let base_size = self.predictor.base_size;
        let (n, end) = (i64::from(self.n), i64::from(self.n) + i64::from(base_size));
        let by_map = self.predictor.source_of(self.n).map(i64::from);
        let in_target = self.source > base_size;
        // As if the last copy from the base had gone on until here.
        let [last, ..] = self.diagonals;
        let expected = n - last;
        let from_last = goal - expected;
        let near = from_last.abs() < 8 && goal < i64::from(base_size);
        let known = self.diagonals.iter().position(|diagonal| n - diagonal == goal);
        let kind = match (by_map, known) {
            (Some(place), _) if place == goal => JUMP_BY_MAP,
            (_, Some(0)) => JUMP_BACK,
            (_, Some(index)) if !near => JUMP_BACK + u32::try_from(index).unwrap_or(0),
            _ if goal < i64::from(base_size) => JUMP_IN_BASE,
            _ => JUMP_IN_TARGET,
        };
        let context = usize::from(after_literal) * 2 + usize::from(in_target);
        let kinds = pick(&mut self.numbers.jump_kind, context);
        let mut coded = 0;
        while coded < JUMP_IN_TARGET && pick(kinds, coded as usize).code(side, kind > coded) {
            coded += 1;
        }
        let mut distance = 0;
        let place = match coded {
            JUMP_BY_MAP => by_map?,
            JUMP_IN_BASE => {
                let sign = pick(&mut self.numbers.signs, 1 + usize::from(after_literal));
                let moved = signed(&mut self.numbers.in_base, sign, side, from_last);
                distance = moved.unsigned_abs();
                expected + moved
            }
            JUMP_IN_TARGET => {
                let back = u32::try_from(end - 1 - goal).unwrap_or(0);
                let back = self.numbers.in_target.code(side, back);
                distance = back.into();
                end - 1 - i64::from(back)
            }
            index => n - self.diagonals.get((index - JUMP_BACK) as usize)?,
        };
        let distance = u32::try_from(distance).unwrap_or(u32::MAX);
        side.coded(Event::Jump { after_literal, kind: coded, distance });
        u32::try_from(place).ok()
    }

    fn literal<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
        left: u32,
        content: Content,
    ) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        let is_half = self.pairs() && content == Content::Code && n & 1 == 0 && left >= 2;
        let taken = if is_half {
            let high = self.model.literal(side, side.target(n + 1), self.past.high());
            let low = self.model.literal(side, side.target(n), self.past.low(high));
            self.append(view, &[low, high])?;
            2
        } else {
            let byte = side.target(n);
            let byte = match content {
                Content::Text => self.model.literal(side, byte, self.past.text()),
                Content::Code => self.model.literal(side, byte, self.past.single(n)),
                Content::Raw => raw_byte(side, byte),
            };
            self.append(view, &[byte])?;
            1
        };
        side.coded(Event::Literal { bytes: taken });
        self.mode = match left - taken {
            0 => Mode::Switch { after_literal: true },
            left => Mode::Literal { left, content },
        };
        Ok(())
    }

    fn copy<V: View>(&mut self, side: &mut impl Side, view: &mut V) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        let crosses = self.source == self.predictor.base_size && !self.fresh;
        let Some(source) = self.source_at(self.source).filter(|_| !crosses) else {
            // The end of the base, or of what is written, or gone: nothing to copy, so nothing to be said.
            self.mode = Mode::Switch { after_literal: false };
            return Ok(());
        };
        if self.past.run >= CALM && self.doubted == 0 && self.has_stride(source) {
            return self.stride(side, view, source);
        }
        let ends = !self.fresh && side.segment(n).start == n;
        let look = self.look(view, source)?;
        if source.is_base() {
            self.past.position.correct(look.unit.cell.index);
        }
        let predicted = self.predictor.predict(&look, source, n);
        if let Some(high) = self.high_of_pair(view, &look, source, predicted)? {
            return self.copy_half(side, view, &look, [predicted, high], ends);
        }
        if predicted.index == 0 {
            self.past.unit_missed = false;
        }
        let odd = self.past.position.index(n) & 1 == 1;
        let (context, spot) = (look.context, self.past.single(n));
        let Some(byte) = self.copy_byte(side, n, Some(ends), predicted, odd, context, spot) else {
            return Ok(());
        };
        self.append(view, &[byte])?;
        if n & source.offset() & 1 == 1 && predicted.kind == KIND_PLAIN {
            let [high, low, ..] = self.past.recent.to_le_bytes();
            let missed = self.past.history & 3 != 0;
            self.model.note_substitution(context, [low, high], missed);
        }
        if let Some((start, place)) = self.predictor.ended(look.unit.cell, source, n, self.segment)
        {
            self.learn(view, &look.unit, start, place)?;
        }
        self.source += 1;
        self.fresh = false;
        Ok(())
    }

    /// Whether a whole stride can be copied from here.
    fn has_stride(&self, source: Source) -> bool {
        let end = if source.is_base() { self.predictor.base_size } else { self.n };
        let left = (end - source.offset()).min(self.target_size - self.n);
        let last = u32::from(STRIDE) - 1;
        let is_gone_on_the_way = source.is_base()
            && self.in_place.is_some_and(|in_place| {
                let gone = in_place.gone(self.n + last);
                gone.has(source.offset()) || gone.has(source.offset() + last)
            });
        // Words do not reach over its ends.
        self.n & 3 == 0 && left >= u32::from(STRIDE) && !is_gone_on_the_way
    }

    /// Codes whether a whole stride is hit. If it is not, its bytes follow one by one.
    fn stride<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
        source: Source,
    ) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        let mut bytes = [0; STRIDE as usize];
        view.read(source, &mut bytes).map_err(Fault::View)?;
        // Words are learned from once they are known to be right; references that are right teach nothing.
        let mut words = [(Form::Plain, 0); STRIDE as usize / 4];
        let (mut references, mut changes, mut at) = (0, false, 0);
        while at < u32::from(STRIDE) {
            let (source, known) = (source.behind(at), self.predictor.references.as_ref());
            let left = u32::from(STRIDE) - at;
            let plain = view.plain_run(known, source, n, left).map_err(Fault::View)?;
            if plain > 0 {
                at += plain;
                continue;
            }
            let unit = view.unit(known, source, n).map_err(Fault::View)?;
            let Cell { form, index, .. } = unit.cell;
            references += 1;
            if form.is_word() && index == 0 && at & 3 == 0 && source.is_base() {
                *pick(&mut words, at as usize / 4) = (form, unit.code.own);
            }
            let predicted = self.predictor.unit(&unit, source, n + at);
            for index in index..form.len() {
                let Some(byte) = bytes.get_mut(at as usize) else { break };
                if let Some(predicted) = predicted.filter(|_| form.moves(index)) {
                    let new = predicted.byte(*byte, index).byte;
                    changes |= new != *byte;
                    *byte = new;
                }
                at += 1;
            }
        }
        let segment = side.segment(n);
        let stays = segment.start < n && segment.end() >= n + u32::from(STRIDE);
        let hit = stays && (n..).zip(bytes).all(|(n, byte)| side.target(n) == byte);
        let calm = Model::run_bucket(&self.past).saturating_sub(CALM_BUCKET).min(3);
        let context = calm * 8 + usize::from(changes) * 4 + references.min(3);
        let flag = pick(&mut self.numbers.stride, context);
        let hit = side.bit(hit, flag.p());
        flag.update(hit);
        side.coded(Event::Stride { hit });
        if !hit {
            self.doubted = STRIDE;
            // A context of their own for the decisions up to the miss.
            self.past.run = DOUBT;
            return Ok(());
        }
        view.append(&bytes).map_err(Fault::View)?;
        self.n += u32::from(STRIDE);
        self.source += u32::from(STRIDE);
        self.past.note_stride(&bytes);
        let (chunks, _) = bytes.as_chunks();
        for ((place, new), (form, old)) in (n..).step_by(4).zip(chunks).zip(words) {
            if form != Form::Plain {
                self.predictor.learn_word(form, old, u32::from_le_bytes(*new), place);
            }
        }
        Ok(())
    }

    /// Learns from a unit that stands in the target.
    fn learn<V: View>(
        &mut self,
        view: &mut V,
        unit: &Unit,
        start: u32,
        place: u32,
    ) -> Result<(), Fault<V::Error>> {
        if let Some(references) = &self.predictor.references {
            let new = view.written_code(references, place, unit.cell, self.n);
            self.predictor.learn(unit, new.map_err(Fault::View)?, start, place);
        }
        Ok(())
    }

    fn look<V: View>(&self, view: &mut V, source: Source) -> Result<Look, Fault<V::Error>> {
        view.look(self.predictor.references.as_ref(), source, self.n).map_err(Fault::View)
    }

    /// Whether code is coded in halfwords.
    fn pairs(&self) -> bool {
        self.predictor.references.is_some_and(|known| known.set == InstructionSet::Thumb)
    }

    /// The prediction of the high byte, if this byte and the next are coded as a pair.
    fn high_of_pair<V: View>(
        &self,
        view: &mut V,
        look: &Look,
        source: Source,
        low: Predicted,
    ) -> Result<Option<Predicted>, Fault<V::Error>> {
        let is_even = self.n & 1 == 0 && source.offset() & 1 == 0;
        let is_possible = self.pairs() && is_even && self.n + 1 < self.target_size;
        if !is_possible || !low.pairs_as_low() {
            return Ok(None);
        }
        let next = source.behind(1);
        let end = if source.is_base() { self.predictor.base_size } else { self.n };
        if next.offset() >= end {
            return Ok(None);
        }
        let known = self.predictor.references.as_ref();
        if view.plain_run(known, next, self.n, 1).map_err(Fault::View)? == 1 {
            return Ok(Some(Predicted::plain(look.context.partner)));
        }
        let look = self.look(view, next)?;
        let high = self.predictor.predict(&look, next, self.n + 1);
        Ok((high.kind == KIND_PLAIN).then_some(high))
    }

    fn copy_half<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
        look: &Look,
        [low, high]: [Predicted; 2],
        ends: bool,
    ) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        let SourceContext { before, half, .. } = look.context;
        self.past.unit_missed = false;
        let (context, spot) = (SourceContext { before, partner: low.raw, half }, self.past.high());
        let high_byte = self.copy_byte(side, n + 1, Some(ends), high, true, context, spot);
        let Some(high_byte) = high_byte else { return Ok(()) };
        // Behind a wrong opcode, the low byte is no reference either.
        let low = if self.past.unit_missed { Predicted::plain(low.raw) } else { low };
        let (context, spot) = (look.context, self.past.low(high_byte));
        let low_byte = self.copy_byte(side, n, None, low, false, context, spot);
        let low_byte = low_byte.unwrap_or(low.byte);

        let missed = self.past.history & 3 != 0;
        self.model.note_substitution(context, [low_byte, high_byte], missed);
        if missed {
            self.model.note(self.past.high(), high_byte);
            self.model.note(self.past.low(high_byte), low_byte);
        }
        self.append(view, &[low_byte, high_byte])?;
        self.source += 2;
        self.fresh = false;
        Ok(())
    }

    /// Codes whether the byte at target offset `n` is as predicted, and what it is if not; `None` if the copy ends here, where
    /// it may: it `ends` or not.
    fn copy_byte(
        &mut self,
        side: &mut impl Side,
        n: u32,
        ends: Option<bool>,
        predicted: Predicted,
        odd: bool,
        context: SourceContext,
        spot: Spot,
    ) -> Option<u8> {
        let (byte, Past { history, .. }) = (side.target(n), self.past);
        let bucket = Model::run_bucket(&self.past);
        let hit = ends != Some(true) && predicted.byte == byte;
        let hit = self.model.hit(side, hit, predicted, odd, context, &self.past);
        side.coded(if self.doubted > 0 {
            Event::Doubted { hit }
        } else {
            Event::Hit { kind: predicted.kind, odd, history, hit }
        });
        self.doubted = if hit { self.doubted.saturating_sub(1) } else { 0 };
        self.past.note_hit(hit);
        if hit {
            return Some(predicted.byte);
        }
        // A copy has at least one byte.
        if let Some(ends) = ends.filter(|_| !self.fresh) {
            let leave = self.model.leave(side, ends, predicted, odd, bucket);
            side.coded(Event::Leave { leave });
            if leave {
                self.mode = Mode::Switch { after_literal: false };
                return None;
            }
        }
        let byte = self.model.substitute(side, byte, predicted, odd, context, spot, &self.past);
        self.past.unit_missed = true;
        side.coded(Event::Substitute { kind: predicted.kind, odd });
        Some(byte)
    }

    fn append<V: View>(&mut self, view: &mut V, bytes: &[u8]) -> Result<(), Fault<V::Error>> {
        view.append(bytes).map_err(Fault::View)?;
        for byte in bytes {
            self.past.note_byte(*byte);
            self.n += 1;
        }
        Ok(())
    }
}

fn raw_byte(side: &mut impl Side, byte: u8) -> u8 {
    (0..8)
        .rev()
        .fold(0, |all, place| all << 1 | u8::from(side.bit(byte >> place & 1 == 1, 1 << 15)))
}

/// Puts a diagonal in front; where it stood, or the last one, makes room.
///
/// A loop: `rotate_right` would bring `memmove` along, 1.6 KB of code.
pub(super) fn move_to_front<T: Copy + PartialEq>(diagonals: &mut [T; DIAGONALS], newest: T) {
    let mut moved = newest;
    for diagonal in diagonals {
        let before = core::mem::replace(diagonal, moved);
        if before == newest {
            return;
        }
        moved = before;
    }
}

#[cfg(test)]
mod tests {
    use super::move_to_front;

    #[test]
    fn the_newest_diagonal_stands_in_front_once() {
        let mut diagonals = [1, 2, 3, 4];
        move_to_front(&mut diagonals, 3);
        assert_eq!(diagonals, [3, 1, 2, 4]);
        move_to_front(&mut diagonals, 9);
        assert_eq!(diagonals, [9, 3, 1, 2]);
        move_to_front(&mut diagonals, 9);
        assert_eq!(diagonals, [9, 3, 1, 2]);
    }
}
