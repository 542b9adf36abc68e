//! The stream itself: what is coded in which order. Encoder and decoder run this one machine, so they cannot drift.
//!
//! ```text
//! stream  = header | number of map entries | map entry …
//!         | copy or literal …                                              until the target is complete
//! copy    = jump | hit, or miss and the byte, for each byte …             | miss and leave
//! literal = length | if it is long, whether it is noise | bytes
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

use core::slice::from_mut;

use super::class::Class;
use super::coder::BitCoder;
use super::header::{Header, Part};
use super::isa::{Form, InstructionSet, References};
use super::lines::Which;
use super::map::{Entry, MAX_FROM};
use super::mixer::{Flag, NUMBER_DECISIONS, Number, Slot, pass_flags, pass_slots, signed};
use super::model::{Model, Past, SourceContext, Spot};
use super::position::Position;
use super::predict::{KIND_PLAIN, Predicted, Predictor};
use super::sweep::Cell;
use super::view::{Source, Unit, View};
use super::{peek, pick};
use crate::in_place::Gone;
use crate::state::Passing;
use crate::{InPlace, Sizes};

/// Most decisions that one step makes: two numbers, one of them of either sign, of an entry of the map.
pub(super) const MAX_DECISIONS: u32 = 2 * NUMBER_DECISIONS + 1;

/// How many diagonals are remembered.
pub(super) const DIAGONALS: usize = 4;

/// Kinds of jumps, in the order of their unary codes.
pub(super) const JUMP_BY_MAP: u32 = 0;
pub(super) const JUMP_BACK: u32 = 1;
pub(super) const JUMP_IN_BASE: u32 = 5;
pub(super) const JUMP_IN_TARGET: u32 = 6;

/// A literal run of at least this length says whether its bytes are worth a model at all.
const MIN_RAW: u32 = 256;

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

/// A stream leads outside of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

/// The numbers of the stream, and how jumps are chosen.
// Words are cleared by a routine that the decoder uses anyway, other bytes by one more.
#[derive(Clone, Debug)]
#[repr(align(4))]
pub(super) struct Numbers {
    /// How many entries the map has; then lengths of literals.
    counts: Number,
    /// Gaps between the map's entries; then distances of jumps within the base.
    in_base: Number,
    /// Changes of the map's shift; then distances of jumps into the target.
    in_target: Number,
    signs: [Slot; 2],
    is_literal: Slot,
    is_raw: Slot,
    jump_kind: [[Slot; 8]; 4],
    /// Whether a stride is hit, by the hits in a row so far and the references in it.
    stride: [Flag; 32],
}

impl Numbers {
    pub(super) const NEW: Self = Self {
        counts: Number::NEW,
        in_base: Number::NEW,
        in_target: Number::NEW,
        signs: [Slot::NEW; 2],
        is_literal: Slot::NEW,
        is_raw: Slot::NEW,
        jump_kind: [[Slot::NEW; 8]; 4],
        stride: [Flag::NEW; 32],
    };

    fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { counts, in_base, in_target, signs, is_literal, is_raw, .. } = self;
        for number in [counts, in_base, in_target] {
            number.pass_state(state);
        }
        for slots in [&mut signs[..], from_mut(is_literal), from_mut(is_raw)] {
            pass_slots(slots, state);
        }
        pass_slots(self.jump_kind.as_flattened_mut(), state);
        pass_flags(&mut self.stride, state);
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Zeros at first, as all of a new machine: cleared at one go.
#[repr(u8)]
enum Mode {
    Header(Part),
    Map,
    /// A copy or a literal begins.
    Switch {
        after_literal: bool,
    },
    /// Bytes without a source; if `raw`, compressed or encrypted ones, of which each takes its eight bits.
    Literal {
        raw: bool,
    },
    Copy,
}

impl Mode {
    /// All of them, by the byte that stands for each in a state.
    const ALL: [Self; 11] = [
        Self::Header(Part::Set),
        Self::Header(Part::GlobalPointers),
        Self::Header(Part::Piece(Which::Base)),
        Self::Header(Part::Piece(Which::Target)),
        Self::Header(Part::Done),
        Self::Map,
        Self::Switch { after_literal: false },
        Self::Switch { after_literal: true },
        Self::Literal { raw: false },
        Self::Literal { raw: true },
        Self::Copy,
    ];

    fn pass_state(&mut self, state: &mut Passing<'_>) {
        let known = Self::ALL.iter().position(|mode| mode == self);
        let mut code = known.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
        state.small(&mut code, u8::MAX);
        match Self::ALL.get(usize::from(code)) {
            Some(mode) => *self = *mode,
            None => state.check(false),
        }
    }
}

/// The machine that both sides run.
// What is small stands in front, where short instructions reach it.
#[repr(C)]
pub(super) struct Machine<'a> {
    mode: Mode,
    /// Whether the copy at hand has coded no byte yet: it may not be left then.
    fresh: bool,
    /// Bytes that are left of a stride that is known to miss, as long as it has not.
    doubted: u8,
    /// How many entries of the map or bytes of the literal are to come.
    left: u32,
    /// Target bytes that are coded.
    n: u32,
    target_size: u32,
    /// Where the copy reads next; after a copy, where it stopped. In the space of base and target.
    source: u32,
    /// Where the copy at hand began in the target.
    segment: u32,
    past: Past,
    /// The number of the next entry of the map, where it begins at least, and the shift of the one before.
    map_index: u32,
    next_entry: Entry,
    /// Those of the last copies from the base, the last one first.
    diagonals: [u32; DIAGONALS],
    pub(super) numbers: &'a mut Numbers,
    pub(super) predictor: Predictor<'a>,
    pub(super) model: Model<'a>,
    /// Whether the target takes the room of the base.
    in_place: Option<InPlace<'a>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        model: Model<'a>,
        predictor: Predictor<'a>,
        numbers: &'a mut Numbers,
    ) -> Self {
        Self {
            mode: Mode::Header(Part::Set),
            fresh: false,
            doubted: 0,
            left: 0,
            n: 0,
            target_size: 0,
            source: 0,
            segment: 0,
            past: Past::default(),
            map_index: 0,
            next_entry: Entry::default(),
            diagonals: [0; DIAGONALS],
            numbers,
            model,
            predictor,
            in_place: None,
        }
    }

    /// Tells it the sizes of the images, and whether the target takes the room of the base.
    pub(super) fn begin(&mut self, sizes: Sizes, in_place: Option<InPlace<'a>>) {
        self.predictor.references.begin(sizes);
        self.predictor.base_size = sizes.base;
        self.target_size = sizes.target;
        if cfg!(feature = "in-place") {
            self.in_place = in_place;
        }
    }

    /// Keeps as much of the tables as a class has; `None` if they are smaller.
    pub(super) fn keep(&mut self, class: Class) -> Option<()> {
        self.model.keep(class)?;
        self.predictor.keep(class.shape())
    }

    /// Sizes of base and target.
    pub(super) fn sizes(&self) -> [u32; 2] {
        [self.predictor.base_size, self.target_size]
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
    pub(super) const STATE_BYTES: usize = 3
        + (4 + 3) * 4
        + Past::STATE_BYTES
        + DIAGONALS * 4
        // What is known of the images besides their layouts, and the map's length.
        + (1 + 4 * 4)
        + 4;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        self.mode.pass_state(state);
        state.flag(&mut self.fresh);
        state.small(&mut self.doubted, STRIDE);
        let Entry { from, shift } = &mut self.next_entry;
        let Self { left, n, source, segment, map_index, .. } = self;
        for number in [&mut *left, n, source, segment, map_index, from] {
            state.u32(number);
        }
        state.i32(shift);
        state.check(self.next_entry.from <= MAX_FROM && self.n <= self.target_size);
        let is_literal = matches!(self.mode, Mode::Literal { .. });
        let to_come = 1..=self.target_size.saturating_sub(self.n);
        state.check(!is_literal || to_come.contains(&self.left));
        self.past.pass_state(state);
        self.diagonals.iter_mut().for_each(|diagonal| state.u32(diagonal));
        state.flag(&mut self.predictor.is_known);
        if self.predictor.is_known {
            self.predictor.references.pass_state(state);
        }
        self.past.position = self.past.position.within(self.predictor.set());
        self.predictor.map.pass_state(state);
        self.numbers.pass_state(state);
        self.model.pass_state(state);
        self.predictor.pass_learned(state);
    }

    /// How the target takes the room of the base; never in a build without such targets.
    fn in_place(&self) -> Option<InPlace<'a>> {
        self.in_place.filter(|_| cfg!(feature = "in-place"))
    }

    /// What of the base is gone while the next step is made.
    pub(super) fn gone(&self) -> Gone<'a> {
        self.in_place().map_or(Gone::NOTHING, |in_place| in_place.gone(self.n))
    }

    /// What stands at a place, unless it is gone, or has not come yet.
    fn source_at(&self, place: u32) -> Option<Source> {
        let source = Source::from_virtual(place, self.predictor.base_size, self.n)?;
        (!source.is_base() || !self.gone().has(source.offset())).then_some(source)
    }

    /// Codes the next thing: at most [`MAX_DECISIONS`] decisions.
    pub(super) fn step(
        &mut self,
        side: &mut impl Side,
        view: &mut impl View,
    ) -> Result<(), Corrupt> {
        match self.mode {
            Mode::Header(part) => self.header(side, part)?,
            Mode::Map => self.map_entry(side)?,
            Mode::Switch { after_literal } => self.switch(side, after_literal)?,
            Mode::Literal { raw } => self.literal(side, view, raw),
            Mode::Copy => self.copy(side, view),
        }
        Ok(())
    }

    #[inline(never)]
    fn header(&mut self, side: &mut impl Side, part: Part) -> Result<(), Corrupt> {
        if part == Part::Done {
            self.left = self.numbers.counts.code(side, side.map_len());
            self.predictor.map.keep(self.left as usize).ok_or(Corrupt)?;
            self.mode = Mode::Map;
        } else {
            let known = side.references().copied();
            let Numbers { in_base: starts, signs: [sign, ..], .. } = &mut *self.numbers;
            let Predictor { references, is_known, .. } = &mut self.predictor;
            let mut header = Header { starts, sign, references, is_known };
            let next = header.step(side, known.as_ref(), part).ok_or(Corrupt)?;
            self.mode = Mode::Header(next);
        }
        side.coded(Event::Map);
        Ok(())
    }

    #[inline(never)]
    fn map_entry(&mut self, side: &mut impl Side) -> Result<(), Corrupt> {
        if self.left == 0 {
            *self.numbers = Numbers::NEW;
            self.past.position = Position::new(self.predictor.set());
            self.mode = Mode::Switch { after_literal: false };
            return Ok(());
        }
        let (index, Entry { from, shift }) = (self.map_index as usize, self.next_entry);
        let entry = side.map_entry(index);
        let Numbers { in_base, in_target, signs: [sign, ..], .. } = &mut *self.numbers;
        let later = side.told(|| entry.from.wrapping_sub(from));
        let from = from + in_base.code(side, later);
        let change = side.told(|| entry.shift.wrapping_sub(shift));
        let shift = shift.wrapping_add(signed(in_target, sign, side, change));
        if !self.predictor.map.set(index, Entry { from, shift }) {
            return Err(Corrupt);
        }
        self.next_entry = Entry { from: from + 1, shift };
        self.map_index += 1;
        self.left -= 1;
        side.coded(Event::Map);
        Ok(())
    }

    #[inline(never)]
    fn switch(&mut self, side: &mut impl Side, after_literal: bool) -> Result<(), Corrupt> {
        let next = side.segment(self.n);
        if !after_literal {
            let is_literal = self.numbers.is_literal.code(side, next.source.is_none());
            if is_literal {
                let len = self.numbers.counts.code(side, next.len.wrapping_sub(1)) + 1;
                if len > self.target_size - self.n {
                    return Err(Corrupt);
                }
                self.left = len;
                let raw = len >= MIN_RAW && {
                    let is_noise = side.is_noise(next);
                    self.numbers.is_raw.code(side, is_noise)
                };
                self.mode = Mode::Literal { raw };
                side.coded(Event::LiteralStart);
                return Ok(());
            }
        }
        let place = self.jump(side, after_literal, next.source.unwrap_or(0)).ok_or(Corrupt)?;
        self.source_at(place).ok_or(Corrupt)?;
        if place < self.predictor.base_size {
            move_to_front(&mut self.diagonals, self.n.wrapping_sub(place));
        }
        self.source = place;
        self.segment = self.n;
        self.fresh = true;
        self.past.run = 0;
        self.doubted = 0;
        self.past.age = 0;
        self.mode = Mode::Copy;
        Ok(())
    }

    /// Codes where the next copy reads.
    #[inline(never)]
    fn jump(&mut self, side: &mut impl Side, after_literal: bool, goal: u32) -> Option<u32> {
        let (n, base_size) = (self.n, self.predictor.base_size);
        let last_written = (base_size + n).wrapping_sub(1);
        let by_map = self.predictor.source_of(n);
        let in_target = self.source > base_size;
        // As if the last copy from the base had gone on until here.
        let [last, ..] = self.diagonals;
        let expected = n.wrapping_sub(last);
        let from_last = side.told(|| goal.wrapping_sub(expected).cast_signed());
        let kind = side.told(|| self.jump_kind(goal, from_last, by_map));
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
                let sign = pick(&mut self.numbers.signs, after_literal.into());
                let moved = signed(&mut self.numbers.in_base, sign, side, from_last);
                distance = moved.unsigned_abs();
                expected.wrapping_add_signed(moved)
            }
            JUMP_IN_TARGET => {
                let back = side.told(|| last_written.wrapping_sub(goal));
                distance = self.numbers.in_target.code(side, back);
                last_written.wrapping_sub(distance)
            }
            index => n.wrapping_sub(peek(&self.diagonals, (index - JUMP_BACK) as usize)),
        };
        side.coded(Event::Jump { after_literal, kind: coded, distance });
        Some(place)
    }

    #[inline(never)]
    /// The kind of jump that leads to a goal, which lies that far from where the last copy would be.
    fn jump_kind(&self, goal: u32, from_last: i32, by_map: Option<u32>) -> u32 {
        let is_in_base = goal < self.predictor.base_size;
        let near = from_last.unsigned_abs() < 8 && is_in_base;
        let is_there = |diagonal: &u32| self.n.wrapping_sub(*diagonal) == goal;
        match (by_map, self.diagonals.iter().position(is_there)) {
            (Some(place), _) if place == goal => JUMP_BY_MAP,
            (_, Some(0)) => JUMP_BACK,
            (_, Some(index)) if !near => JUMP_BACK + u32::try_from(index).unwrap_or(0),
            _ if is_in_base => JUMP_IN_BASE,
            _ => JUMP_IN_TARGET,
        }
    }

    fn literal(&mut self, side: &mut impl Side, view: &mut impl View, raw: bool) {
        let (n, left) = (self.n, self.left);
        let is_half = self.pairs() && !raw && n & 1 == 0 && left >= 2;
        let taken = if is_half {
            let spot = self.past.high();
            let high = self.model.literal(side, side.target(n + 1), &spot);
            let low = self.model.literal(side, side.target(n), &spot.low(high));
            self.append(view, &[low, high]);
            2
        } else {
            let byte = side.target(n);
            let byte = if raw {
                raw_byte(side, byte)
            } else {
                self.model.literal(side, byte, &self.past.single(n))
            };
            self.append(view, &[byte]);
            1
        };
        side.coded(Event::Literal { bytes: taken });
        self.left -= taken;
        if self.left == 0 {
            self.mode = Mode::Switch { after_literal: true };
        }
    }

    #[inline(never)]
    fn copy(&mut self, side: &mut impl Side, view: &mut impl View) {
        let n = self.n;
        let crosses = self.source == self.predictor.base_size && !self.fresh;
        let Some(source) = self.source_at(self.source).filter(|_| !crosses) else {
            // The end of the base, or of what is written, or gone: nothing to copy, so nothing to be said.
            self.mode = Mode::Switch { after_literal: false };
            return;
        };
        let left = self.left(source);
        let is_calm = self.past.run >= CALM && self.doubted == 0;
        if is_calm && left >= STRIDE.into() && self.may_stride(source) {
            return self.stride(side, view, source);
        }
        let begins = side.segment(n).start == n;
        let ends = side.told(|| !self.fresh && begins);
        let unit = view.unit(self.predictor.references(), source);
        let look = view.look(source);
        if source.is_base() {
            self.past.position.correct(unit.cell.index);
        }
        let predicted = self.predictor.predict(&unit, &look, source, n);
        if left >= 2 && self.is_pair(source, &predicted) {
            return self.copy_half(side, view, look.context, &predicted, ends);
        }
        let [predicted, _] = predicted;
        if predicted.index == 0 {
            self.past.unit_missed = false;
        }
        let odd = self.past.position.index(n) & 1 == 1;
        let (context, spot) = (look.context, self.past.single(n));
        let Some(byte) = self.copy_byte(side, n, Some(ends), &predicted, odd, context, &spot)
        else {
            return;
        };
        self.append(view, &[byte]);
        if n & source.offset() & 1 == 1 && predicted.kind == KIND_PLAIN {
            let [high, low, ..] = self.past.recent.to_le_bytes();
            let missed = self.past.history & 3 != 0;
            self.model.note_substitution(context, [low, high], missed);
        }
        if let Some((start, place)) = self.predictor.ended(unit.cell, source, n, self.segment) {
            self.learn(view, &unit, start, place);
        }
        self.source += 1;
        self.fresh = false;
    }

    /// How many bytes can be copied from here at most.
    fn left(&self, source: Source) -> u32 {
        let end = if source.is_base() { self.predictor.base_size } else { self.n };
        (end - source.offset()).min(self.target_size - self.n)
    }

    /// Whether a stride, for which there is room, may be copied from here.
    fn may_stride(&self, source: Source) -> bool {
        let last = u32::from(STRIDE) - 1;
        let is_gone_on_the_way = source.is_base()
            && self.in_place().is_some_and(|in_place| {
                let gone = in_place.gone(self.n + last);
                gone.has(source.offset()) || gone.has(source.offset() + last)
            });
        !is_gone_on_the_way
    }

    /// Codes whether a whole stride is hit. If it is not, its bytes follow one by one.
    #[inline(never)]
    fn stride(&mut self, side: &mut impl Side, view: &mut impl View, source: Source) {
        let n = self.n;
        let mut bytes = [0; STRIDE as usize];
        view.read(source, &mut bytes);
        let (mut references, mut changes, mut at) = (0, false, 0);
        while at < u32::from(STRIDE) {
            let (source, known) = (source.behind(at), self.predictor.references());
            let unit = view.unit(known, source);
            let Cell { form, index, .. } = unit.cell;
            if form == Form::Plain {
                at += 1;
                continue;
            }
            references += 1;
            let old = unit.code.own;
            let new = self.predictor.unit(&unit, source, n + at).map_or(old, |unit| unit.new);
            changes |= new != old;
            for index in index..form.len() {
                let Some(byte) = bytes.get_mut(at as usize) else { break };
                [*byte, ..] = (new >> (8 * u32::from(index))).to_le_bytes();
                at += 1;
            }
        }
        let segment = side.segment(n);
        let hit = side.told(|| {
            let stays = segment.start < n && segment.end() >= n + u32::from(STRIDE);
            stays && (n..).zip(bytes).all(|(n, byte)| side.target(n) == byte)
        });
        let calm = (self.past.run / (2 * CALM)).min(3) as usize;
        let context = references.min(3) | usize::from(changes) << 2 | calm << 3;
        let flag = pick(&mut self.numbers.stride, context);
        let hit = side.bit(hit, flag.p());
        flag.update(hit);
        side.coded(Event::Stride { hit });
        if !hit {
            self.doubted = STRIDE;
            // A context of their own for the decisions up to the miss.
            self.past.run = DOUBT;
            return;
        }
        view.append(&bytes);
        self.n += u32::from(STRIDE);
        self.source += u32::from(STRIDE);
        self.past.note_stride(&bytes);
    }

    /// Learns from a unit that stands in the target.
    fn learn(&mut self, view: &mut impl View, unit: &Unit, start: u32, place: u32) {
        if let Some(references) = self.predictor.references() {
            let new = view.written_code(references, place, unit.cell);
            self.predictor.learn(unit, new, start, place);
        }
    }

    /// Whether code is coded in halfwords.
    fn pairs(&self) -> bool {
        cfg!(feature = "thumb") && self.predictor.set() == Some(InstructionSet::Thumb)
    }

    /// Whether this byte and the next, if they are there, are coded as a pair: neither is part of a four-byte reference.
    fn is_pair(&self, source: Source, [low, high]: &[Predicted; 2]) -> bool {
        let is_even = (self.n | source.offset()) & 1 == 0;
        self.pairs() && is_even && low.pairs_as_low() && high.kind == KIND_PLAIN
    }

    #[inline(never)]
    fn copy_half(
        &mut self,
        side: &mut impl Side,
        view: &mut impl View,
        source: SourceContext,
        [low, high]: &[Predicted; 2],
        ends: bool,
    ) {
        let n = self.n;
        self.past.unit_missed = false;
        let high_spot = self.past.high();
        let high_byte = self.copy_byte(side, n + 1, Some(ends), high, true, source, &high_spot);
        let Some(high_byte) = high_byte else { return };
        // Behind a wrong opcode, the low byte is no reference either.
        let low = if self.past.unit_missed { Predicted::plain(low.raw) } else { *low };
        let spot = high_spot.low(high_byte);
        let low_byte = self.copy_byte(side, n, None, &low, false, source, &spot);
        let low_byte = low_byte.unwrap_or(low.byte);

        let missed = self.past.history & 3 != 0;
        self.model.note_substitution(source, [low_byte, high_byte], missed);
        self.append(view, &[low_byte, high_byte]);
        self.source += 2;
        self.fresh = false;
    }

    /// Codes whether the byte at target offset `n` is as predicted, and what it is if not; `None` if the copy ends here, where
    /// it may: it `ends` or not.
    fn copy_byte(
        &mut self,
        side: &mut impl Side,
        n: u32,
        ends: Option<bool>,
        predicted: &Predicted,
        odd: bool,
        context: SourceContext,
        spot: &Spot,
    ) -> Option<u8> {
        let (byte, Past { history, .. }) = (side.target(n), self.past);
        let bucket = Model::run_bucket(&self.past);
        let hit = side.told(|| ends != Some(true) && predicted.byte == byte);
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
            let leave = self.model.leave(side, ends, predicted, bucket);
            side.coded(Event::Leave { leave });
            if leave {
                self.mode = Mode::Switch { after_literal: false };
                return None;
            }
        }
        let byte = self.model.substitute(side, byte, predicted, odd, context, spot);
        self.past.unit_missed = true;
        side.coded(Event::Substitute { kind: predicted.kind, odd });
        Some(byte)
    }

    fn append(&mut self, view: &mut impl View, bytes: &[u8]) {
        view.append(bytes);
        for byte in bytes {
            self.past.note_byte(*byte);
            self.n += 1;
        }
    }
}

fn raw_byte(side: &mut impl Side, byte: u8) -> u8 {
    let byte = side.told(|| byte);
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
