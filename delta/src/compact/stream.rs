//! The stream itself: what is coded in which order. Encoder and decoder run this one machine, so they cannot drift.
//!
//! ```text
//! stream  = instruction set (1 bit) | load address (32 bits, if Thumb) | number of map entries | map entry …
//!         | copy or literal …                                              until the target is complete
//! copy    = jump | hit, or miss and the byte, for each byte …             | miss and leave
//! literal = length | bytes
//! ```
//!
//! A copy predicts each target byte from a source byte and codes whether that is right. At a miss it either codes the
//! byte and goes on beside the same source, or leaves for the next copy or literal. Nothing says how long a copy is.
//! Sources are the base and, behind it, the target as far as it is written. A *diagonal* is the distance between
//! target and source; most jumps return to one that was used before, or to the one that the map gives.
//!
//! Thumb code is coded in halfwords, the high byte first, wherever source and target are both even: the high byte
//! holds most of the opcode and tells much about the low one.

use super::coder::BitCoder;
use super::map::Entry;
use super::mixer::{NUMBER_DECISIONS, Number, Slot};
use super::model::{Model, Past, Place, SourceContext};
use super::pick;
use super::predict::{Predicted, Predictor};
use super::thumb::Addresses;
use super::view::{Source, View};
use super::window::Window;

/// Most decisions that one step makes: a jump's kind, sign and distance, or a map entry's two numbers.
pub(super) const MAX_DECISIONS: u32 = 2 * NUMBER_DECISIONS + 8;

/// How many diagonals are remembered.
pub(super) const DIAGONALS: usize = 4;

/// Kinds of jumps, in the order of their unary codes.
pub(super) const JUMP_BY_MAP: u32 = 0;
pub(super) const JUMP_BACK: u32 = 1;
pub(super) const JUMP_IN_BASE: u32 = 5;
pub(super) const JUMP_IN_TARGET: u32 = 6;

/// A literal run of at least this length says whether it is text.
const MIN_TEXT: u32 = 3;

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

/// What was coded, for whoever counts the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Map,
    Hit { kind: u8, odd: bool, history: u32, hit: bool },
    Leave { leave: bool },
    Substitute { kind: u8, odd: bool },
    LiteralStart,
    Literal { bytes: u32 },
    Jump { after_literal: bool, kind: u32, distance: u32 },
}

/// One end of the line: codes decisions and, on the encoder's side, knows what they shall be.
pub(super) trait Side: BitCoder {
    /// The target byte at `n`; anything on the decoder's side.
    fn target(&self, n: u32) -> u8;
    /// The segment that covers `n`.
    fn segment(&mut self, n: u32) -> Segment;
    /// The map entry with this number.
    fn map_entry(&self, index: usize) -> Entry;
    /// How many map entries there are, and the addresses of the image.
    fn header(&self) -> (u32, Option<u32>);
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
    jump_kind: [[Slot; 8]; 4],
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
            jump_kind: [[none; 8]; 4],
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
        self.jump_kind.fill([Slot::NEW; 8]);
    }
}

fn signed(number: &mut Number, sign: &mut Slot, side: &mut impl BitCoder, value: i64) -> i64 {
    let negative = sign.code(side, value < 0);
    let magnitude = u32::try_from(if value < 0 { -(value + 1) } else { value }).unwrap_or(0);
    let magnitude = i64::from(number.code(side, magnitude));
    if negative { -magnitude - 1 } else { magnitude }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Header,
    Map {
        left: u32,
    },
    /// A copy or a literal begins.
    Switch {
        after_literal: bool,
    },
    Literal {
        left: u32,
        is_text: bool,
    },
    Copy,
}

/// The machine that both sides run.
pub(super) struct Machine<'a> {
    pub(super) model: Model<'a>,
    pub(super) predictor: Predictor<'a>,
    pub(super) numbers: &'a mut Numbers,
    target_size: u32,
    /// Target bytes that are coded.
    n: u32,
    /// Where the copy reads next; after a copy, where it stopped. In the space of base and target.
    source: u32,
    /// The diagonal of the last copy from the base.
    base_diagonal: i64,
    /// Where the copy at hand began in the target.
    segment: u32,
    /// Whether the copy at hand has coded no byte yet: it may not be left then.
    fresh: bool,
    mode: Mode,
    map_index: usize,
    was_text: bool,
    past: Past,
    diagonals: [i64; DIAGONALS],
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        model: Model<'a>,
        predictor: Predictor<'a>,
        numbers: &'a mut Numbers,
        target_size: u32,
    ) -> Self {
        Self {
            model,
            predictor,
            numbers,
            target_size,
            n: 0,
            source: 0,
            base_diagonal: 0,
            segment: 0,
            fresh: false,
            mode: Mode::Header,
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

    pub(super) fn is_done(&self) -> bool {
        self.n == self.target_size
    }

    /// Codes the next thing: at most [`MAX_DECISIONS`] decisions.
    pub(super) fn step<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        match self.mode {
            Mode::Header => self.header(side),
            Mode::Map { left: 0 } => {
                self.numbers.reset();
                self.mode = Mode::Switch { after_literal: false };
                Ok(())
            }
            Mode::Map { left } => self.map_entry(side, left),
            Mode::Switch { after_literal } => self.switch(side, after_literal),
            Mode::Literal { left, is_text } => self.literal(side, view, left, is_text),
            Mode::Copy => self.copy(side, view),
        }
    }

    fn header<E>(&mut self, side: &mut impl Side) -> Result<(), Fault<E>> {
        let (count, load) = side.header();
        let is_thumb = side.bit(load.is_some(), 1 << 15);
        if is_thumb {
            let mut address = 0;
            for place in (0..32).rev() {
                let bit = side.bit((load.unwrap_or(0) >> place) & 1 == 1, 1 << 15);
                address = address << 1 | u32::from(bit);
            }
            let larger = self.predictor.base_size.max(self.target_size);
            let span = larger.checked_next_multiple_of(4096).ok_or(Fault::Corrupt)?;
            self.predictor.addresses = Some(Addresses { load: address, span });
        }
        let left = self.numbers.counts.code(side, count);
        if left as usize > self.predictor.map.capacity() {
            return Err(Fault::Corrupt);
        }
        self.mode = Mode::Map { left };
        side.coded(Event::Map);
        Ok(())
    }

    fn map_entry<E>(&mut self, side: &mut impl Side, left: u32) -> Result<(), Fault<E>> {
        let entry = side.map_entry(self.map_index);
        let last = self.predictor.map.last();
        let (from, shift) = last.map_or((0, 0), |last| (last.from + 1, last.shift));
        let gap = self.numbers.in_base.code(side, entry.from.wrapping_sub(from));
        let [sign, ..] = &mut self.numbers.signs;
        let change = i64::from(entry.shift) - i64::from(shift);
        let change = signed(&mut self.numbers.in_target, sign, side, change);
        let from = from
            .checked_add(gap)
            .filter(|from| *from < self.predictor.base_size)
            .ok_or(Fault::Corrupt)?;
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
                let is_text = len >= MIN_TEXT && {
                    let is_text = (next.start..next.end())
                        .all(|n| matches!(side.target(n), 0 | 10 | 32..127));
                    let before = usize::from(self.was_text);
                    self.was_text = pick(&mut self.numbers.is_text, before).code(side, is_text);
                    self.was_text
                };
                self.mode = Mode::Literal { left: len, is_text };
                side.coded(Event::LiteralStart);
                return Ok(());
            }
        }
        let kind_and_place = self.jump(side, after_literal, i64::from(next.source.unwrap_or(0)));
        let place = kind_and_place.ok_or(Fault::Corrupt)?;
        let base_size = self.predictor.base_size;
        Source::from_virtual(i64::from(place), base_size, self.n).ok_or(Fault::Corrupt)?;
        let diagonal = i64::from(self.n) - i64::from(place);
        let known =
            self.diagonals.iter().position(|known| *known == diagonal).unwrap_or(DIAGONALS - 1);
        if let Some(upto) = self.diagonals.get_mut(..=known) {
            upto.rotate_right(1);
        }
        let [newest, ..] = &mut self.diagonals;
        *newest = diagonal;
        if place < base_size {
            self.base_diagonal = diagonal;
        }
        self.source = place;
        self.segment = self.n;
        self.fresh = true;
        self.past.run = self.past.run.min(4);
        self.past.age = 0;
        self.mode = Mode::Copy;
        Ok(())
    }

    /// Codes where the next copy reads.
    fn jump(&mut self, side: &mut impl Side, after_literal: bool, goal: i64) -> Option<u32> {
        let base_size = self.predictor.base_size;
        let (n, end) = (i64::from(self.n), i64::from(self.n) + i64::from(base_size));
        let by_map = self.predictor.map.source_of(self.n, base_size).map(i64::from);
        let in_target = self.source > base_size;
        let beside_last = n - self.base_diagonal;
        let from_last = goal - beside_last;
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
                beside_last + moved
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
        is_text: bool,
    ) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        let is_code = self.predictor.addresses.is_some();
        let taken = if is_code && !is_text && n & 1 == 0 && left >= 2 {
            let half = [side.target(n), side.target(n + 1)];
            let half = self.model.literal_half(side, half, &self.past);
            self.append(view, &half)?;
            2
        } else {
            let byte = side.target(n);
            let byte = if is_text {
                self.model.text_byte(side, byte, &self.past)
            } else {
                self.model.literal_byte(side, byte, n, &self.past)
            };
            self.append(view, &[byte])?;
            1
        };
        side.coded(Event::Literal { bytes: taken });
        self.mode = match left - taken {
            0 => Mode::Switch { after_literal: true },
            left => Mode::Literal { left, is_text },
        };
        Ok(())
    }

    fn copy<V: View>(&mut self, side: &mut impl Side, view: &mut V) -> Result<(), Fault<V::Error>> {
        let base_size = self.predictor.base_size;
        let n = self.n;
        let source = Source::from_virtual(self.source.into(), base_size, n);
        let Some(source) = source.filter(|_| self.fresh || self.source != base_size) else {
            // The end of the base, or of what is written: nothing to copy, so nothing to be said.
            self.mode = Mode::Switch { after_literal: false };
            return Ok(());
        };
        let ends = !self.fresh && side.segment(n).start == n;
        let window = view.window(source, n).map_err(Fault::View)?;
        let predicted = self.predictor.predict(&window, source, n);
        if let Some(high) = self.pair(&window, source, predicted) {
            return self.copy_half(side, view, &window, source, [predicted, high], ends);
        }
        if predicted.index == 0 {
            self.past.unit_missed = false;
        }
        let odd = n & 1 == 1;
        let context = source_context(&window, source.offset());
        let bucket = Model::run_bucket(&self.past);
        let byte = side.target(n);
        let history = self.past.history;
        let hit = !ends && predicted.byte == byte;
        let hit = self.model.hit(side, hit, predicted, n, Place::Single, context, &self.past);
        side.coded(Event::Hit { kind: predicted.kind, odd, history, hit });
        self.past.note_hit(hit);
        let byte = if hit {
            predicted.byte
        } else {
            self.past.unit_missed = true;
            if self.leaves(side, ends, predicted, odd, bucket) {
                return Ok(());
            }
            let byte = self.model.substitute_byte(side, byte, predicted, n, context, &self.past);
            side.coded(Event::Substitute { kind: predicted.kind, odd });
            byte
        };
        self.append(view, &[byte])?;
        if odd && source.offset() & 1 == 1 && predicted.kind == 0 {
            let [high, low, ..] = self.past.recent.to_le_bytes();
            let missed = self.past.history & 3 != 0;
            self.model.note_substitution(context, [low, high], missed);
        }
        self.predictor.learn(&window, source, n, self.segment, self.past.last_four());
        self.source += 1;
        self.fresh = false;
        Ok(())
    }

    /// The prediction of the high byte, if this byte and the next are coded as a pair.
    fn pair(&self, window: &Window, source: Source, low: Predicted) -> Option<Predicted> {
        let next = match source {
            Source::Base(offset) => {
                (offset + 1 < self.predictor.base_size).then_some(Source::Base(offset + 1))
            }
            Source::Target(offset) => (offset + 1 < self.n).then_some(Source::Target(offset + 1)),
        }?;
        let even = self.n & 1 == 0 && source.offset() & 1 == 0;
        if self.predictor.addresses.is_none() || !even || self.n + 1 >= self.target_size {
            return None;
        }
        let high = self.predictor.predict(window, next, self.n + 1);
        (high.kind == 0 && low.pairs_as_low()).then_some(high)
    }

    fn copy_half<V: View>(
        &mut self,
        side: &mut impl Side,
        view: &mut V,
        window: &Window,
        source: Source,
        [low, high]: [Predicted; 2],
        ends: bool,
    ) -> Result<(), Fault<V::Error>> {
        let n = self.n;
        self.past.unit_missed = false;
        let offset = source.offset();
        let byte_at =
            |offset: Option<u32>| offset.and_then(|offset| window.byte(offset)).unwrap_or(0);
        let before = byte_at(offset.checked_sub(1));
        let half = window.half(offset);
        let goal = [side.target(n), side.target(n + 1)];
        let past = self.past;

        let context = SourceContext { before, partner: low.raw, half };
        let bucket = Model::run_bucket(&self.past);
        let history = self.past.history;
        let high_hit = !ends && high.byte == goal[1];
        let high_hit = self.model.hit(side, high_hit, high, n, Place::High, context, &self.past);
        side.coded(Event::Hit { kind: high.kind, odd: true, history, hit: high_hit });
        self.past.note_hit(high_hit);
        let high_byte = if high_hit {
            high.byte
        } else {
            if self.leaves(side, ends, high, true, bucket) {
                return Ok(());
            }
            let byte = self.model.substitute_high(side, goal[1], high, context, &past);
            side.coded(Event::Substitute { kind: high.kind, odd: true });
            byte
        };

        // Behind a wrong opcode, the low byte is no reference either.
        let low = if high_hit { low } else { Predicted::plain(low.raw) };
        self.past.unit_missed = !high_hit;
        let context = SourceContext { before, partner: high.raw, half };
        let history = self.past.history;
        let low_hit = low.byte == goal[0];
        let low_hit = self.model.hit(side, low_hit, low, n, Place::Low, context, &self.past);
        side.coded(Event::Hit { kind: low.kind, odd: false, history, hit: low_hit });
        self.past.note_hit(low_hit);
        let low_byte = if low_hit {
            low.byte
        } else {
            let before_low = byte_at(offset.checked_sub(2));
            let byte = self.model.substitute_low(
                side, goal[0], low, high_byte, high_hit, context, &past, before_low,
            );
            side.coded(Event::Substitute { kind: low.kind, odd: false });
            byte
        };

        let missed = !high_hit || !low_hit;
        self.model.note_substitution(context, [low_byte, high_byte], missed);
        if missed {
            self.model.note_half([low_byte, high_byte], &past);
        }
        self.append(view, &[low_byte, high_byte])?;
        self.source += 2;
        self.fresh = false;
        Ok(())
    }

    /// Codes whether the copy ends here; a copy has at least one byte.
    fn leaves(
        &mut self,
        side: &mut impl Side,
        ends: bool,
        predicted: Predicted,
        odd: bool,
        bucket: usize,
    ) -> bool {
        if self.fresh {
            return false;
        }
        let leave = self.model.leave(side, ends, predicted, odd, bucket);
        side.coded(Event::Leave { leave });
        if leave {
            self.mode = Mode::Switch { after_literal: false };
        }
        leave
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

fn source_context(window: &Window, offset: u32) -> SourceContext {
    let byte_at = |offset: Option<u32>| offset.and_then(|offset| window.byte(offset)).unwrap_or(0);
    SourceContext {
        before: byte_at(offset.checked_sub(1)),
        partner: byte_at(Some(offset ^ 1)),
        half: window.half(offset & !1),
    }
}
