//! What the coder believes: whether a predicted byte is right, and what a byte is when it is not.

use super::coder::BitCoder;
use super::mixer::{Flag, INPUTS, Mixture, Slot, Weights, stretch};
use super::predict::{KIND_PLAIN, KIND_POINTER, KINDS, Predicted};
use super::{peek, pick};

/// How fast the hit flag's and the bytes' mixers learn.
const FLAG_RATE: i32 = 14;
const BYTE_RATE: i32 = 36;

/// How many observations a counter of the hit flag weighs, where contexts are few and where they are many.
const FEW: u8 = 15;
const MANY: u8 = 60;

/// How many observations a slot of the byte tables weighs.
const SLOT_LIMIT: u16 = 12;

/// Inputs of the hit flag.
const FLAG_INPUTS: usize = 7;

/// Mixer sets of bytes, by what is coded; each has one set per group of bits and per whether the first prediction
/// still stands.
mod family {
    pub(super) const TEXT: usize = 0;
    pub(super) const LITERAL_HIGH: usize = 1;
    pub(super) const LITERAL_LOW: usize = 3;
    pub(super) const LITERAL_BYTE: usize = 6;
    pub(super) const SUBSTITUTE_BYTE: usize = 8;
    pub(super) const SUBSTITUTE_HIGH: usize = 16;
    pub(super) const SUBSTITUTE_LOW: usize = 20;
    pub(super) const COUNT: usize = 28;
}

const SETS_PER_FAMILY: usize = 6;

/// Confidence counters of direct predictions.
mod confidence {
    pub(super) const SUBSTITUTE: usize = 0;
    pub(super) const DELTA: usize = 64;
    pub(super) const RAW: usize = 68;
    pub(super) const MRU: usize = 76;
    pub(super) const CACHED: usize = 84;
    pub(super) const HIGH: usize = 92;
    pub(super) const LOW: usize = 100;
    pub(super) const LITERAL: usize = 116;
    pub(super) const COUNT: usize = 124;
}

/// The tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    by_run: [Flag; KINDS * 16],
    by_history: [Flag; 256],
    by_byte: [Flag; 512],
    by_neighbour: [Flag; 256],
    by_unit: [Flag; KINDS * 16],
    by_substitution: [Flag; 64],
    by_agreement: [Flag; 256],
    flag_weights: [Weights; KINDS * 2 + 8],
    leave: [Slot; 128],
    byte_weights: [[Weights; SETS_PER_FAMILY]; family::COUNT],
    confidence: [Flag; confidence::COUNT],
    /// The last low byte seen with a high byte, and with a hash of two high bytes.
    last_low: [u8; 512],
    /// The last high byte seen after a high byte, and after a hash of a halfword.
    next_high: [u8; 512],
    /// By hash of an old halfword: a tag, and the halfword that took its place.
    substitutions: [[u8; 3]; 256],
    last_delta: [u8; 4],
}

impl Tables {
    /// All zeros, so that a static costs no flash; [`Self::reset`] comes before use.
    pub(super) const EMPTY: Self = {
        let none = Flag::new(0);
        Self {
            by_run: [none; KINDS * 16],
            by_history: [none; 256],
            by_byte: [none; 512],
            by_neighbour: [none; 256],
            by_unit: [none; KINDS * 16],
            by_substitution: [none; 64],
            by_agreement: [none; 256],
            flag_weights: [[0; INPUTS]; KINDS * 2 + 8],
            leave: [Slot::new(0); 128],
            byte_weights: [[[0; INPUTS]; SETS_PER_FAMILY]; family::COUNT],
            confidence: [none; confidence::COUNT],
            last_low: [0; 512],
            next_high: [0; 512],
            substitutions: [[0; 3]; 256],
            last_delta: [0; 4],
        }
    };

    /// Sets everything to what is believed before anything has been seen.
    pub(super) fn reset(&mut self) {
        let hit = Flag::new(64500);
        self.by_run.fill(hit);
        self.by_history.fill(hit);
        self.by_byte.fill(hit);
        self.by_neighbour.fill(hit);
        self.by_unit.fill(hit);
        self.by_substitution.fill(hit);
        self.by_agreement.fill(Flag::new(60000));
        self.flag_weights.fill([2457, 2457, 2457, 2457, 2457, 2457, 2457, 0]);
        self.leave.fill(Slot::new(16384));
        self.byte_weights.fill([[3600, 3600, 2000, 2000, 2000, 2000, 2000, 0]; SETS_PER_FAMILY]);
        *pick(&mut self.byte_weights, family::TEXT) =
            [[2400, 2400, 2400, 2400, 0, 0, 0, 0]; SETS_PER_FAMILY];
        self.confidence.fill(Flag::new(49152));
        self.last_low.fill(0);
        self.next_high.fill(0);
        self.substitutions.fill([0; 3]);
        self.last_delta.fill(0);
    }
}

/// What has just been coded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Hits in a row.
    pub(super) run: u32,
    /// One bit per byte, the last in bit 0: set for a miss.
    pub(super) history: u32,
    /// Whether a byte of the unit at hand has missed.
    pub(super) unit_missed: bool,
    /// The last target bytes, the last one in bits 0 to 7.
    pub(super) recent: u64,
}

impl Past {
    pub(super) fn note_hit(&mut self, hit: bool) {
        self.run = if hit { self.run.saturating_add(1) } else { 0 };
        self.history = self.history << 1 | u32::from(!hit);
    }

    /// Notes bytes that were all hit.
    pub(super) fn note_stride(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.note_hit(true);
            self.note_byte(*byte);
        }
    }

    pub(super) fn note_byte(&mut self, byte: u8) {
        self.recent = self.recent << 8 | u64::from(byte);
    }

    /// The `k`th last target byte, from 1.
    fn byte(&self, k: u32) -> u8 {
        let [byte, ..] = (self.recent >> (8 * (k - 1))).to_le_bytes();
        byte
    }

    fn run_bucket(&self) -> usize {
        (32 - self.run.leading_zeros()).min(15) as usize
    }

    fn misses_in(&self, bits: u32) -> usize {
        (self.history & bits).count_ones() as usize
    }

    /// Whether the next halfword is the second one of a 32-bit instruction.
    fn second_half(&self) -> bool {
        self.byte(1) >= 0xe8 && self.byte(3) < 0xe8
    }
}

/// Where a byte of the source stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceContext {
    /// The source byte before it.
    pub(super) before: u8,
    /// The other byte of its halfword.
    pub(super) partner: u8,
    /// Its halfword, if the image goes that far.
    pub(super) half: Option<u16>,
}

/// Which place in its halfword a byte takes, and whether it is coded as one of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Coded by itself.
    Single,
    /// The high byte of a pair, coded first.
    High,
    /// The low byte of a pair.
    Low,
}

pub(super) struct Model<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) slots: &'a mut [Slot],
}

impl Model<'_> {
    /// Codes whether the prediction is right.
    pub(super) fn hit(
        &mut self,
        coder: &mut impl BitCoder,
        hit: bool,
        predicted: Predicted,
        n: u32,
        place: Place,
        source: SourceContext,
        past: &Past,
    ) -> bool {
        let kind = usize::from(predicted.kind);
        let is_reference = usize::from(predicted.kind != KIND_PLAIN);
        let parity = usize::from(match place {
            Place::Single => n & 1 == 1,
            Place::High => true,
            Place::Low => false,
        });
        let missed = usize::from(past.unit_missed);
        let neighbour = match place {
            Place::Single | Place::High => source.before,
            Place::Low => source.partner,
        };
        let key = u32::from(predicted.byte)
            | u32::from(neighbour) << 8
            | u32::try_from(parity << 16 | kind << 17).unwrap_or(0);
        let substitution = match (place, predicted.kind) {
            (Place::Single, 1..) => 3,
            _ => match self.substitute(source, parity == 1) {
                None => 0,
                Some(byte) if byte == predicted.byte => 1,
                Some(_) => 2,
            },
        };
        let noise = match past.misses_in(0xff) {
            0 => 0,
            1..=2 => 1,
            3..=4 => 2,
            _ => 3,
        };
        let agreement = (place != Place::Single).then(|| {
            let (first, second) = self.recent_bytes(place, neighbour, past);
            let same = usize::from(past.byte(1) == source.before);
            let agree =
                usize::from(first == predicted.byte) << 1 | usize::from(second == predicted.byte);
            (((parity << 2 | agree) << 2 | noise) << 1 | missed) << 1 | same
        });

        let tables = &mut *self.tables;
        let misses = past.misses_in(0xffff).min(7);
        let counters: [(&mut Flag, u8); FLAG_INPUTS] = [
            (pick(&mut tables.by_run, kind * 16 + past.run_bucket()), FEW),
            (
                pick(
                    &mut tables.by_history,
                    (past.history as usize & 31) * 8
                        + ((n as usize & 2) + parity) * 2
                        + is_reference,
                ),
                FEW,
            ),
            (pick(&mut tables.by_byte, usize::from(predicted.byte) * 2 + parity), FEW),
            (pick(&mut tables.by_neighbour, (key.wrapping_mul(0x9e37_79b1) >> 24) as usize), MANY),
            (pick(&mut tables.by_unit, kind * 16 + missed * 8 + misses), FEW),
            (
                pick(
                    &mut tables.by_substitution,
                    (substitution * 2 + parity) * 4 + missed * 2 + usize::from(past.run > 8),
                ),
                MANY,
            ),
            (pick(&mut tables.by_agreement, agreement.unwrap_or(255)), MANY),
        ];
        let mut inputs = [0; INPUTS];
        for (input, (counter, _)) in inputs.iter_mut().zip(&counters) {
            *input = stretch(counter.p());
        }
        if agreement.is_none()
            && let Some(input) = inputs.get_mut(FLAG_INPUTS - 1)
        {
            *input = 0;
        }
        let calm = past.run > 32;
        let set = if predicted.kind == KIND_PLAIN && place != Place::Single {
            KINDS * 2 + parity * 4 + if calm { 0 } else { noise.min(2) + 1 }
        } else {
            kind * 2 + usize::from(calm)
        };
        let weights = pick(&mut tables.flag_weights, set);
        let mixture = Mixture::new(inputs, weights);
        let hit = coder.bit(hit, mixture.p());
        mixture.learn(hit, FLAG_RATE, weights);
        let used = if agreement.is_some() { FLAG_INPUTS } else { FLAG_INPUTS - 1 };
        for (counter, limit) in counters.into_iter().take(used) {
            counter.update(hit, limit);
        }
        hit
    }

    /// Codes whether the copy ends at this miss.
    pub(super) fn leave(
        &mut self,
        coder: &mut impl BitCoder,
        leave: bool,
        predicted: Predicted,
        parity: bool,
        run_bucket: usize,
    ) -> bool {
        let unit = usize::from(predicted.kind != KIND_PLAIN) + 2 * usize::from(predicted.index > 0);
        pick(&mut self.tables.leave, (run_bucket * 2 + usize::from(parity)) * 4 + unit)
            .code(coder, leave)
    }

    /// Codes a byte that was predicted wrongly, where no pair is coded.
    pub(super) fn substitute_byte(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        predicted: Predicted,
        n: u32,
        source: SourceContext,
        past: &Past,
    ) -> u8 {
        let odd = n & 1 == 1;
        let kind = u32::from(predicted.kind);
        let (p1, parity) = (past.byte(1), u32::from(odd));
        let class = usize::from(odd) + 2 * usize::from(predicted.kind != KIND_PLAIN);
        let delta = *pick(&mut self.tables.last_delta, class);
        let mismatch = u32::from(p1 != source.before);
        let contexts = [
            hash(65, kind | parity << 8 | mismatch << 9),
            hash(67, u32::from(if odd { past.byte(2) } else { p1 }) | parity << 8 | mismatch << 9),
        ];
        let (first, second) = if odd {
            (256 + usize::from(p1), None)
        } else {
            (usize::from(source.partner), Some(256 + usize::from(predicted.byte)))
        };
        let mru_low = peek(&self.tables.last_low, first);
        let cached = self.substitute(source, odd);
        let same_raw = usize::from(predicted.raw == predicted.byte) * 4;
        let predictions = [
            (
                predicted.byte,
                confidence::SUBSTITUTE + usize::from(predicted.kind) * 2 + usize::from(odd),
            ),
            (predicted.byte.wrapping_add(delta), confidence::DELTA + class),
            (predicted.raw, confidence::RAW + class + same_raw),
            (mru_low, confidence::MRU + class),
            cached_prediction(cached, predicted.byte, confidence::CACHED + class),
        ];
        let set = family::SUBSTITUTE_BYTE
            + usize::from(odd) * 4
            + match predicted.kind {
                KIND_PLAIN => 0,
                1..KIND_POINTER => 1,
                KIND_POINTER..25 => 2,
                _ => 3,
            };
        let byte = self.byte(coder, byte, set, &contexts, &predictions);
        *pick(&mut self.tables.last_low, first) = byte;
        if let Some(index) = second {
            *pick(&mut self.tables.last_low, index) = byte;
        }
        *pick(&mut self.tables.last_delta, class) = byte.wrapping_sub(predicted.byte);
        byte
    }

    /// Codes a high byte that was predicted wrongly.
    pub(super) fn substitute_high(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        predicted: Predicted,
        source: SourceContext,
        past: &Past,
    ) -> u8 {
        let (h1, second) = (past.byte(1), past.second_half());
        let mismatch = usize::from(source.before != h1);
        let contexts = [hash(80, second.into()), hash(81, u32::from(h1) | u32::from(second) << 8)];
        let delta = *pick(&mut self.tables.last_delta, 1);
        let (after_one, after_two) = self.recent_bytes(Place::High, 0, past);
        let cached = self.substitute(source, true);
        let predictions = [
            (predicted.byte, confidence::HIGH + mismatch),
            (predicted.byte.wrapping_add(delta), confidence::HIGH + 2),
            (after_one, confidence::HIGH + 3),
            (after_two, confidence::HIGH + 4),
            cached_prediction(cached, predicted.byte, confidence::HIGH + 5),
        ];
        let set = family::SUBSTITUTE_HIGH + usize::from(second) * 2 + mismatch;
        let byte = self.byte(coder, byte, set, &contexts, &predictions);
        *pick(&mut self.tables.last_delta, 1) = byte.wrapping_sub(predicted.byte);
        byte
    }

    /// Codes a low byte that was predicted wrongly; `high` is its partner, `high_hit` whether that was predicted.
    pub(super) fn substitute_low(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        predicted: Predicted,
        high: u8,
        high_hit: bool,
        source: SourceContext,
        past: &Past,
        before_low: u8,
    ) -> u8 {
        let second = past.second_half();
        let missed = usize::from(!high_hit);
        let class = missed * 2;
        let delta = *pick(&mut self.tables.last_delta, class);
        let contexts =
            [hash(40, u32::from(high) | u32::from(second) << 8), hash(95, u32::from(!high_hit))];
        let mismatch = usize::from(before_low != past.byte(2));
        let (with_high, with_both) = self.recent_bytes(Place::Low, high, past);
        let cached = self.substitute(source, false);
        let predictions = [
            (predicted.byte, confidence::LOW + missed * 2 + mismatch),
            (predicted.byte.wrapping_add(delta), confidence::LOW + 4 + missed),
            (with_high, confidence::LOW + 6 + missed),
            (with_both, confidence::LOW + 8),
            cached_prediction(cached, predicted.byte, confidence::LOW + 9 + missed),
        ];
        let kind = match (second, high >= 0xe8, predicted.kind != KIND_PLAIN) {
            (true, ..) => 1,
            (_, true, _) => 2,
            (_, _, true) => 3,
            _ => 0,
        };
        let set = family::SUBSTITUTE_LOW + kind * 2 + missed;
        let byte = self.byte(coder, byte, set, &contexts, &predictions);
        *pick(&mut self.tables.last_delta, class) = byte.wrapping_sub(predicted.byte);
        byte
    }

    /// Codes a byte of a text.
    pub(super) fn text_byte(&mut self, coder: &mut impl BitCoder, byte: u8, past: &Past) -> u8 {
        let p = |k| u32::from(past.byte(k));
        let contexts = [
            hash(7, 2),
            hash(3, p(1) | 1 << 9),
            hash(5, p(1) | p(2) << 8 | 1 << 16),
            hash(8, p(1) | p(2) << 8 | p(3) << 16),
        ];
        self.byte(coder, byte, family::TEXT, &contexts, &[])
    }

    /// Codes a byte of new data by itself.
    pub(super) fn literal_byte(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        n: u32,
        past: &Past,
    ) -> u8 {
        let parity = n & 1;
        let p = |k| u32::from(past.byte(k));
        let contexts =
            [hash(51, p(1) | parity << 8), hash(50, parity), hash(52, p(2) | parity << 8)];
        self.byte(coder, byte, family::LITERAL_BYTE + parity as usize, &contexts, &[])
    }

    /// Codes a halfword of new code, the high byte first.
    pub(super) fn literal_half(
        &mut self,
        coder: &mut impl BitCoder,
        half: [u8; 2],
        past: &Past,
    ) -> [u8; 2] {
        let [low, high] = half;
        let (h1, l1, second) = (past.byte(1), past.byte(2), past.second_half());
        let (after_one, after_two) = self.recent_bytes(Place::High, 0, past);
        let contexts = [hash(30, second.into()), hash(31, u32::from(h1) | u32::from(second) << 8)];
        let predictions = [(after_one, confidence::LITERAL), (after_two, confidence::LITERAL + 1)];
        let set = family::LITERAL_HIGH + usize::from(second);
        let high = self.byte(coder, high, set, &contexts, &predictions);

        let (with_high, with_both) = self.recent_bytes(Place::Low, high, past);
        let contexts = [
            hash(40, u32::from(high) | u32::from(second) << 8),
            hash(47, u32::from(high) | u32::from(l1 >> 3) << 8 | u32::from(h1 >> 3) << 16),
        ];
        let predictions =
            [(with_high, confidence::LITERAL + 2), (with_both, confidence::LITERAL + 3)];
        let set = family::LITERAL_LOW
            + match (second, high >= 0xe8) {
                (true, _) => 1,
                (_, true) => 2,
                _ => 0,
            };
        let low = self.byte(coder, low, set, &contexts, &predictions);
        self.note_half([low, high], past);
        [low, high]
    }

    /// Remembers a halfword of code; `past` ends in front of it.
    pub(super) fn note_half(&mut self, [low, high]: [u8; 2], past: &Past) {
        let (h1, l1) = (past.byte(1), past.byte(2));
        let tables = &mut *self.tables;
        *pick(&mut tables.last_low, 256 + two_highs(high, h1)) = low;
        *pick(&mut tables.next_high, 256 + a_half(l1, h1)) = high;
        *pick(&mut tables.last_low, usize::from(high)) = low;
        *pick(&mut tables.next_high, usize::from(h1)) = high;
    }

    /// Remembers what took the place of a source halfword, if something else did or this one is known already.
    pub(super) fn note_substitution(
        &mut self,
        source: SourceContext,
        [low, high]: [u8; 2],
        missed: bool,
    ) {
        let Some(half) = source.half else { return };
        let (key, tag) = substitution_key(half);
        let entry = pick(&mut self.tables.substitutions, key);
        let [known, ..] = *entry;
        if missed || known == tag {
            *entry = [tag, low, high];
        }
    }

    /// What took the place of this source byte's halfword the last time.
    fn substitute(&self, source: SourceContext, high_byte: bool) -> Option<u8> {
        let (key, tag) = substitution_key(source.half?);
        let [known, low, high] = peek(&self.tables.substitutions, key);
        (known == tag).then_some(if high_byte { high } else { low })
    }

    /// The bytes last seen in this place, by one byte of context and by two; `high` counts for low bytes only.
    fn recent_bytes(&self, place: Place, high: u8, past: &Past) -> (u8, u8) {
        let (h1, l1) = (past.byte(1), past.byte(2));
        let tables = &self.tables;
        if place == Place::High {
            (
                peek(&tables.next_high, usize::from(h1)),
                peek(&tables.next_high, 256 + a_half(l1, h1)),
            )
        } else {
            (
                peek(&tables.last_low, usize::from(high)),
                peek(&tables.last_low, 256 + two_highs(high, h1)),
            )
        }
    }

    /// Codes the eight bits of a byte, the highest first.
    ///
    /// Each bit mixes slots of the shared table, one per context, with direct predictions: a guessed byte counts, with
    /// the confidence that its class of guesses has earned, as long as the bits so far agree with it.
    fn byte(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        family: usize,
        contexts: &[u32],
        predictions: &[(u8, usize)],
    ) -> u8 {
        let Self { tables, slots } = self;
        let mask = slots.len().wrapping_sub(1);
        let mut path = 1u32;
        for place in (0..8).rev() {
            let bit = (byte >> place) & 1 == 1;
            // A prediction stands while its leading bits are the path.
            let stands = |guess: u8| (u32::from(guess) | 256) >> (place + 1) == path;
            let mut inputs = [0; INPUTS];
            let mut slot_of = [0; 4];
            for ((context, input), index) in contexts.iter().zip(&mut inputs).zip(&mut slot_of) {
                *index = slot_index(*context, path) & mask;
                *input = stretch(slots.get(*index).map_or(1 << 15, |slot| slot.p()));
            }
            let behind = inputs.iter_mut().skip(contexts.len());
            for ((guess, counter), input) in predictions.iter().zip(behind) {
                if stands(*guess) {
                    let p = stretch(peek(&tables.confidence, *counter).p());
                    *input = if (guess >> place) & 1 == 1 { p } else { -p };
                }
            }
            if let Some(bias) = inputs.last_mut() {
                *bias = if contexts.len() + predictions.len() < INPUTS { 256 } else { 0 };
            }
            let group = match place {
                6..=7 => 0,
                3..=5 => 1,
                _ => 2,
            };
            let alive = usize::from(predictions.first().is_some_and(|(guess, _)| stands(*guess)));
            let weights = pick(pick(&mut tables.byte_weights, family), group * 2 + alive);
            let mixture = Mixture::new(inputs, weights);
            let bit = coder.bit(bit, mixture.p().clamp(32, 65504));
            mixture.learn(bit, BYTE_RATE, weights);
            for index in slot_of.into_iter().take(contexts.len()) {
                if let Some(slot) = slots.get_mut(index) {
                    slot.update(bit, SLOT_LIMIT);
                }
            }
            for (guess, counter) in predictions.iter().filter(|(guess, _)| stands(*guess)) {
                pick(&mut tables.confidence, *counter)
                    .update(((guess >> place) & 1 == 1) == bit, MANY);
            }
            path = path << 1 | u32::from(bit);
        }
        let [byte, ..] = path.to_le_bytes();
        byte
    }

    /// The run bucket that [`Self::leave`] wants, taken before the miss is noted.
    pub(super) fn run_bucket(past: &Past) -> usize {
        past.run_bucket()
    }
}

fn cached_prediction(cached: Option<u8>, predicted: u8, counter: usize) -> (u8, usize) {
    match cached {
        Some(byte) if byte != predicted => (byte, counter),
        // Says nothing beyond the prediction itself, which has missed: a counter of its own learns that.
        Some(byte) => (byte, confidence::COUNT - 1),
        None => (0, confidence::COUNT - 2),
    }
}

fn substitution_key(half: u16) -> (usize, u8) {
    let [_, tag, _, key] = u32::from(half).wrapping_mul(0x9e37_79b1).to_le_bytes();
    (usize::from(key), tag | 1)
}

fn two_highs(high: u8, before: u8) -> usize {
    usize::from(high ^ before << 4)
}

fn a_half(low: u8, high: u8) -> usize {
    usize::from(low ^ high << 3)
}

fn hash(context: u32, value: u32) -> u32 {
    let mixed = value.wrapping_add(context.wrapping_mul(0x0100_0193)).wrapping_mul(0x9e37_79b1);
    mixed ^ context.wrapping_mul(0x85eb_ca6b)
}

fn slot_index(context: u32, path: u32) -> usize {
    let x = context.wrapping_add(path.wrapping_mul(0x2f0b_4c47));
    ((x ^ x >> 15).wrapping_mul(0x2c1b_3c6d) >> 13) as usize
}
