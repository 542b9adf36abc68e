//! What the coder believes: whether a predicted byte is right, and what a byte is when it is not.

use super::coder::BitCoder;
use super::mixer::{Flag, Mixture, Slot, Weights, stretch};
use super::position::Position;
use super::predict::{KIND_PLAIN, KIND_POINTER, Predicted};
use super::{fold, peek, pick};

/// How fast the hit flag's and the bytes' mixers learn.
const FLAG_RATE: i32 = 12;
const BYTE_RATE: i32 = 28;

/// From so many slots on, contexts may be many.
const ROOMY: usize = 8192;

/// Inputs of the hit flag's mixer, and of the bytes'.
const FLAG_INPUTS: usize = 4;
const BYTE_INPUTS: usize = 8;

/// Mixer sets of bytes, by what is coded; each has one set for when the first prediction still stands and one for
/// when not.
mod family {
    pub(super) const TEXT: usize = 0;
    pub(super) const LITERAL_HIGH: usize = 1;
    pub(super) const LITERAL_LOW: usize = 3;
    pub(super) const LITERAL_BYTE: usize = 6;
    pub(super) const SUBSTITUTE_BYTE: usize = 8;
    pub(super) const SUBSTITUTE_HIGH: usize = 16;
    pub(super) const SUBSTITUTE_LOW: usize = 20;
    pub(super) const COUNT: usize = 28;

    /// Groups of families that share what they learn by place in the byte.
    pub(super) const GROUPS: usize = 4;

    pub(super) fn group(family: usize) -> usize {
        match family {
            TEXT..SUBSTITUTE_BYTE => 0,
            SUBSTITUTE_BYTE..SUBSTITUTE_HIGH => 1,
            SUBSTITUTE_HIGH..SUBSTITUTE_LOW => 2,
            _ => 3,
        }
    }
}

/// Parts of equal size that the counters of the hit flag are divided into: each context folds its key into one, that of
/// bytes into two.
pub(super) const FLAG_PARTS: usize = 4;

/// Groups of kinds of predictions; most kinds are one by themselves.
const GROUPS: usize = 42;

fn group(kind: u8) -> usize {
    let group = match kind {
        0..32 => kind,
        // The parts of pairs have four bytes in each of two cases: two bytes go together.
        32..48 => 32 + (kind - 32) / 2,
        _ => 40 + (kind - 48).min(3) / 2,
    };
    group.into()
}

/// Mixer sets of the hit flag.
mod flag_set {
    use super::GROUPS;

    /// Those of plain bytes, by parity and noise, then those of the references' groups.
    pub(super) const REFERENCE: usize = 8;
    pub(super) const COUNT: usize = REFERENCE + GROUPS;
}

/// Confidence counters of direct predictions.
mod confidence {
    /// By parity for plain bytes, then by group.
    pub(super) const SUBSTITUTE: usize = 0;
    pub(super) const DELTA: usize = 44;
    pub(super) const RAW: usize = 48;
    pub(super) const MRU: usize = 56;
    pub(super) const CACHED: usize = 60;
    pub(super) const HIGH: usize = 64;
    pub(super) const LOW: usize = 70;
    pub(super) const LITERAL: usize = 81;
    pub(super) const COUNT: usize = 87;
}

/// The tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    by_substitution: [Flag; 32],
    leave: [Slot; 64],
    confidence: [Flag; confidence::COUNT],
    last_delta: [u8; 4],
}

impl Fixed {
    /// All zeros; [`Self::reset`] comes before use.
    pub(super) const EMPTY: Self = {
        let none = Flag::new(0);
        Self {
            by_substitution: [none; 32],
            leave: [Slot::new(0); 64],
            confidence: [none; confidence::COUNT],
            last_delta: [0; 4],
        }
    };
}

/// Weights of the hit flag's mixer, and of the bytes'.
pub(super) type FlagWeights = Weights<FLAG_INPUTS>;
pub(super) type ByteWeights = Weights<BYTE_INPUTS>;

/// Weights before [`Model::reset`].
pub(super) const NO_FLAG_WEIGHTS: FlagWeights = [0; FLAG_INPUTS];
pub(super) const NO_BYTE_WEIGHTS: ByteWeights = [0; BYTE_INPUTS];

/// Mixer sets of the hit flag, where none share one.
pub(super) const FLAG_SETS: usize = flag_set::COUNT;

/// Mixer sets of bytes by family, where none share one.
pub(super) const FAMILY_SETS: usize = family::COUNT * 2;

/// Groups of families, each of which has mixer sets of bytes by path.
pub(super) const PATH_GROUPS: usize = family::GROUPS;

/// Tables of bytes last seen.
pub(super) const RECENT_TABLES: usize = Recent::COUNT;

/// What has just been coded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Hits in a row.
    pub(super) run: u32,
    /// One bit per byte, the last in bit 0: set for a miss.
    pub(super) history: u32,
    /// Decisions since the last jump.
    pub(super) age: u32,
    /// Whether a byte of the unit at hand has missed.
    pub(super) unit_missed: bool,
    /// The last target bytes, the last one in bits 0 to 7.
    pub(super) recent: u64,
    /// Where in an instruction the next byte stands.
    pub(super) position: Position,
}

impl Past {
    pub(super) fn note_hit(&mut self, hit: bool) {
        self.run = if hit { self.run.saturating_add(1) } else { 0 };
        self.age = self.age.saturating_add(1);
        self.history = self.history << 1 | u32::from(!hit);
    }

    /// Notes bytes that were all hit.
    pub(super) fn note_stride(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        self.run = self.run.saturating_add(len);
        self.age = self.age.saturating_add(len);
        self.history = self.history.checked_shl(len).unwrap_or(0);
        let last = bytes.last_chunk().map_or(self.recent, |last| u64::from_be_bytes(*last));
        if self.position.is_followed() {
            bytes.iter().for_each(|byte| self.position.note(*byte));
        }
        self.recent = last;
    }

    pub(super) fn note_byte(&mut self, byte: u8) {
        self.recent = self.recent << 8 | u64::from(byte);
        self.position.note(byte);
    }

    /// The `k`th last target byte, from 1.
    fn byte(&self, k: u32) -> u8 {
        let [byte, ..] = (self.recent >> (8 * (k - 1))).to_le_bytes();
        byte
    }

    fn run_bucket(&self) -> usize {
        (32 - self.run.leading_zeros()).min(15) as usize
    }

    fn age_bucket(&self) -> u32 {
        (32 - self.age.leading_zeros()).min(7)
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
    /// Its halfword.
    pub(super) half: u16,
}

/// The tables of recent bytes, by what comes in and what it goes by.
#[derive(Clone, Copy)]
enum Recent {
    LowByHigh,
    LowByTwo,
    HighByHigh,
    HighByHalf,
}

impl Recent {
    const COUNT: usize = 4;
}

/// Which byte of a halfword is coded; the high one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    High,
    Low,
}

/// The models' memory, and what they make of it.
pub(super) struct Model<'a> {
    pub(super) fixed: &'a mut Fixed,
    /// Contexts of bytes; a power of two.
    pub(super) slots: &'a mut [Slot],
    /// Counters of the hit flag in [`FLAG_PARTS`], of a power of two each.
    pub(super) flags: &'a mut [Flag],
    /// Mixer sets of the hit flag: [`FLAG_SETS`], or a power of two below that.
    pub(super) flag_weights: &'a mut [FlagWeights],
    /// Mixer sets of bytes, one for when the first prediction still stands and one for when not in each family:
    /// [`FAMILY_SETS`], or a power of two below that.
    pub(super) family_weights: &'a mut [ByteWeights],
    /// Mixer sets of bytes by path: as many in each of [`PATH_GROUPS`].
    pub(super) path_weights: &'a mut [ByteWeights],
    /// Four tables of bytes last seen, each of a power of two: low bytes by their high byte and by two high bytes, high
    /// bytes by the one before and by the halfword before.
    pub(super) recent: &'a mut [u8],
    /// By hash of an old halfword: a tag, and the halfword that took its place.
    pub(super) substitutions: &'a mut [[u8; 3]],
}

impl Model<'_> {
    /// Sets everything to what is believed before anything has been seen.
    pub(super) fn reset(&mut self) {
        self.slots.fill(Slot::NEW);
        self.flags.fill(Flag::new(62000));
        self.flag_weights.fill([1400; FLAG_INPUTS]);
        self.family_weights.fill([2600, 2600, 2500, 2500, 2500, 2500, 2500, 0]);
        self.path_weights.fill([0; BYTE_INPUTS]);
        self.recent.fill(0);
        self.substitutions.fill([0; 3]);
        self.fixed.by_substitution.fill(Flag::new(62000));
        self.fixed.leave.fill(Slot::new(16384));
        self.fixed.confidence.fill(Flag::new(49152));
        self.fixed.last_delta.fill(0);
    }

    /// Codes whether the prediction is right; `odd` for the high byte of a halfword.
    pub(super) fn hit(
        &mut self,
        coder: &mut impl BitCoder,
        hit: bool,
        predicted: Predicted,
        odd: bool,
        source: SourceContext,
        past: &Past,
    ) -> bool {
        let (group, parity) = (group(predicted.kind), usize::from(odd));
        let missed = usize::from(past.unit_missed);
        let substitution = match self.substitute(source, odd) {
            None => 0,
            Some(byte) if byte == predicted.byte => 1,
            Some(_) => 2,
        };
        let (misses, history) = (past.misses_in(0xffff).min(7), past.history as usize);
        // Fields that matter most come lowest: small parts keep no others.
        let by_unit = missed | group << 1 | misses << 7;
        let by_age = past.age_bucket() as usize
            | parity << 3
            | usize::from(misses > 3) << 4
            | (history & 7) << 5;
        let by_byte = parity | usize::from(predicted.byte.reverse_bits()) << 1;
        let set = if predicted.kind != KIND_PLAIN {
            flag_set::REFERENCE + group
        } else if past.run > 32 {
            parity * 4
        } else {
            parity * 4 + 1 + past.misses_in(0xff).div_ceil(2).min(2)
        };

        let part = self.flags.len() / FLAG_PARTS;
        let within = |key: usize, len: usize| key & len.wrapping_sub(1);
        let places = [
            within(by_unit, part),
            part + within(by_age, part),
            2 * part + within(by_byte, 2 * part),
        ];
        let by_substitution = pick(
            &mut self.fixed.by_substitution,
            (substitution * 2 + parity) * 4 + missed * 2 + usize::from(past.run > 8),
        );
        let mut inputs = [stretch(by_substitution.p()); FLAG_INPUTS];
        for (input, place) in inputs.iter_mut().zip(places) {
            *input = stretch(fold(self.flags, place).p());
        }
        let mut weights = [fold(self.flag_weights, set)];
        let mixture = Mixture::new(inputs, &weights);
        let hit = coder.bit(hit, mixture.p());
        mixture.learn(hit, FLAG_RATE, &mut weights);
        by_substitution.update(hit);
        for place in places {
            fold(self.flags, place).update(hit);
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
        pick(&mut self.fixed.leave, (run_bucket.min(7) * 2 + usize::from(parity)) * 4 + unit)
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
        let index = past.position.index(n);
        let odd = index & 1 == 1;
        let kind = u32::from(predicted.kind);
        let followed = past.position.is_followed();
        let (p1, parity) = (past.byte(1), if followed { index } else { index & 1 });
        let class = usize::from(odd) + 2 * usize::from(predicted.kind != KIND_PLAIN);
        let delta = *pick(&mut self.fixed.last_delta, class);
        let mismatch = u32::from(p1 != source.before);
        let leading = match (followed, odd) {
            (true, _) => past.position.head(),
            (false, true) => past.byte(2),
            (false, false) => p1,
        };
        let contexts = [
            hash(65, kind | parity << 8 | mismatch << 10 | self.if_roomy(predicted.byte) << 11),
            hash(67, u32::from(leading) | parity << 8 | mismatch << 10),
        ];
        // Single bytes share the tables of the low bytes of pairs, by other contexts.
        let (first, second) = if odd {
            (self.recent_place(Recent::LowByTwo, p1.into()), None)
        } else {
            let by_partner = self.recent_place(Recent::LowByHigh, source.partner.into());
            (by_partner, Some(self.recent_place(Recent::LowByTwo, predicted.byte.into())))
        };
        let mru_low = *fold(self.recent, first);
        let cached = self.substitute(source, odd);
        let by_kind = match group(predicted.kind) {
            0 => usize::from(odd),
            group => 1 + group,
        };
        let same_raw = usize::from(predicted.raw == predicted.byte) * 4;
        let predictions = [
            (predicted.byte, confidence::SUBSTITUTE + by_kind),
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
        *fold(self.recent, first) = byte;
        if let Some(place) = second {
            *fold(self.recent, place) = byte;
        }
        *pick(&mut self.fixed.last_delta, class) = byte.wrapping_sub(predicted.byte);
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
        let delta = *pick(&mut self.fixed.last_delta, 1);
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
        *pick(&mut self.fixed.last_delta, 1) = byte.wrapping_sub(predicted.byte);
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
        let delta = *pick(&mut self.fixed.last_delta, class);
        let contexts = [
            hash(40, u32::from(high) | u32::from(second) << 8),
            hash(95, u32::from(!high_hit) | self.if_roomy(predicted.byte) << 1),
        ];
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
        *pick(&mut self.fixed.last_delta, class) = byte.wrapping_sub(predicted.byte);
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
        let p = |k| u32::from(past.byte(k));
        let position = &past.position;
        if !position.is_followed() {
            let parity = n & 1;
            let contexts =
                [hash(51, p(1) | parity << 8), hash(50, parity), hash(52, p(2) | parity << 8)];
            let set = family::LITERAL_BYTE + parity as usize;
            return self.byte(coder, byte, set, &contexts, &[]);
        }
        // At the start of an instruction the one before leads, behind it its own first byte.
        let (index, head) = (position.index(n), u32::from(position.head()));
        let also = if index < 2 { u32::from(position.head_before()) } else { p(1) };
        let contexts = [
            hash(50, index),
            hash(51, head | index << 8),
            hash(52, head | also << 8 | index << 16),
        ];
        let places = [
            self.recent_place(Recent::LowByHigh, head ^ index << 6),
            self.recent_place(Recent::LowByTwo, head ^ also << 3 ^ index << 6),
        ];
        let [first, second] = places.map(|place| *fold(self.recent, place));
        let starts = usize::from(index == 0);
        let predictions = [
            (first, confidence::LITERAL + starts * 2),
            (second, confidence::LITERAL + starts * 2 + 1),
        ];
        let set = family::LITERAL_BYTE + usize::from(index > 0);
        let byte = self.byte(coder, byte, set, &contexts, &predictions);
        for place in places {
            *fold(self.recent, place) = byte;
        }
        byte
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
        let places = [
            (self.recent_places(Place::Low, high, past), low),
            (self.recent_places(Place::High, high, past), high),
        ];
        for ([first, second], byte) in places {
            *fold(self.recent, second) = byte;
            *fold(self.recent, first) = byte;
        }
    }

    /// Remembers what took the place of a source halfword, if something else did or this one is known already.
    pub(super) fn note_substitution(
        &mut self,
        source: SourceContext,
        [low, high]: [u8; 2],
        missed: bool,
    ) {
        let (key, tag) = substitution_key(source.half);
        let entry = fold(self.substitutions, key);
        let [known, ..] = *entry;
        if missed || known == tag {
            *entry = [tag, low, high];
        }
    }

    /// What took the place of this source byte's halfword the last time.
    fn substitute(&self, source: SourceContext, high_byte: bool) -> Option<u8> {
        let (key, tag) = substitution_key(source.half);
        let [known, low, high] =
            *self.substitutions.get(key & self.substitutions.len().wrapping_sub(1))?;
        (known == tag).then_some(if high_byte { high } else { low })
    }

    /// The bytes last seen in this place, by one byte of context and by two; `high` counts for low bytes only.
    fn recent_bytes(&mut self, place: Place, high: u8, past: &Past) -> (u8, u8) {
        let [first, second] = self.recent_places(place, high, past);
        (*fold(self.recent, first), *fold(self.recent, second))
    }

    fn recent_places(&self, place: Place, high: u8, past: &Past) -> [usize; 2] {
        let (h1, l1) = (u32::from(past.byte(1)), u32::from(past.byte(2)));
        let high = u32::from(high);
        if place == Place::High {
            [
                self.recent_place(Recent::HighByHigh, h1),
                self.recent_place(Recent::HighByHalf, l1 ^ h1 << 3),
            ]
        } else {
            [
                self.recent_place(Recent::LowByHigh, high),
                self.recent_place(Recent::LowByTwo, high ^ h1 << 4),
            ]
        }
    }

    /// Where a table of recent bytes keeps what came with this context.
    fn recent_place(&self, table: Recent, context: u32) -> usize {
        let size = self.recent.len() / Recent::COUNT;
        table as usize * size + (context as usize & size.wrapping_sub(1))
    }

    /// A byte that makes a context sharper where there is room for that, and nothing elsewhere.
    fn if_roomy(&self, byte: u8) -> u32 {
        if self.slots.len() >= ROOMY { byte.into() } else { 0 }
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
        let Self { fixed, slots, family_weights, path_weights, .. } = self;
        let paths = path_weights.len() / PATH_GROUPS;
        let mut path = 1u32;
        for place in (0..8).rev() {
            let bit = (byte >> place) & 1 == 1;
            // A prediction stands while its leading bits are the path.
            let stands = |guess: u8| (u32::from(guess) | 256) >> (place + 1) == path;
            let mut inputs = [0; BYTE_INPUTS];
            let mut slot_of = [0; 4];
            for ((context, input), index) in contexts.iter().zip(&mut inputs).zip(&mut slot_of) {
                *index = slot_index(*context, path);
                *input = stretch(fold(slots, *index).p());
            }
            let behind = inputs.iter_mut().skip(contexts.len());
            for ((guess, counter), input) in predictions.iter().zip(behind) {
                if stands(*guess) {
                    let p = stretch(peek(&fixed.confidence, *counter).p());
                    *input = if (guess >> place) & 1 == 1 { p } else { -p };
                }
            }
            if let Some(bias) = inputs.last_mut() {
                *bias = 256;
            }
            let alive = usize::from(predictions.first().is_some_and(|(guess, _)| stands(*guess)));
            let way = family::group(family) * paths + way(path, place, paths);
            let mut weights = [fold(family_weights, family * 2 + alive), fold(path_weights, way)];
            let mixture = Mixture::new(inputs, &weights);
            let bit = coder.bit(bit, mixture.p().clamp(32, 65504));
            mixture.learn(bit, BYTE_RATE, &mut weights);
            for index in slot_of.into_iter().take(contexts.len()) {
                fold(slots, index).update(bit);
            }
            for (guess, counter) in predictions.iter().filter(|(guess, _)| stands(*guess)) {
                pick(&mut fixed.confidence, *counter).update(((guess >> place) & 1 == 1) == bit);
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
    let [_, tag, upper, lower] = u32::from(half).wrapping_mul(0x9e37_79b1).to_le_bytes();
    (u16::from_le_bytes([lower, upper]).into(), tag | 1)
}

/// Tells paths through a byte apart as far as there is room, and places in the byte beyond that.
fn way(path: u32, place: u32, room: usize) -> usize {
    let told_apart = room.saturating_sub(8);
    let path = path as usize;
    if path < told_apart { path } else { told_apart + place as usize }
}

fn hash(context: u32, value: u32) -> u32 {
    let mixed = value.wrapping_add(context.wrapping_mul(0x0100_0193)).wrapping_mul(0x9e37_79b1);
    mixed ^ context.wrapping_mul(0x85eb_ca6b)
}

fn slot_index(context: u32, path: u32) -> usize {
    let x = context.wrapping_add(path.wrapping_mul(0x2f0b_4c47));
    ((x ^ x >> 15).wrapping_mul(0x2c1b_3c6d) >> 13) as usize
}
