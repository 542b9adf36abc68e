//! What the coder believes: whether a predicted byte is right, and what a byte is when it is not.

use super::class::Shape;
use super::coder::BitCoder;
use super::mixer::{Flag, Slot, mix, pass_flags, pass_slots, pass_weights, stretch};
use super::position::Position;
use super::predict::{KIND_PLAIN, Predicted};
use super::{fold, folded, keep, peek, pick};
use crate::state::Passing;

/// How fast the hit flag's and the bytes' mixers learn.
const FLAG_RATE: i32 = 12;
const BYTE_RATE: i32 = 32;

/// Inputs of the hit flag's mixer, and of the bytes'.
const FLAG_INPUTS: usize = 4;
const BYTE_INPUTS: usize = 6;

/// Where a byte stands, as far as the models tell apart.
mod spot {
    /// By itself: the index in its instruction or word, below 4.
    pub(super) const SINGLE: u32 = 0;
    /// The high byte of a halfword, and that of a long instruction's second one.
    pub(super) const HIGH: u32 = 4;
    /// The low bytes of both, and that of a long instruction's first one.
    pub(super) const LOW: u32 = 6;
    pub(super) const COUNT: u32 = 9;
}

/// Classes of bytes that were predicted wrongly: two for each half of a halfword, four for those by themselves.
const CLASSES: usize = 8;

/// Mixer sets of bytes, for new ones by their spot and for wrong ones by their class; each has one set for when the first
/// prediction still stands and one for when not.
const FAMILIES: usize = 3 * spot::COUNT as usize;

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
    use super::{CLASSES, GROUPS, spot};

    /// By class for plain bytes, then by group.
    pub(super) const PREDICTED: usize = 0;
    /// By class.
    pub(super) const DELTA: usize = CLASSES + GROUPS;
    pub(super) const RECENT: usize = DELTA + CLASSES;
    pub(super) const CACHED: usize = RECENT + 2 * CLASSES;
    /// Two for each spot.
    pub(super) const LITERAL: usize = CACHED + CLASSES;
    /// Of guesses that say nothing.
    pub(super) const SAME: usize = LITERAL + 2 * spot::COUNT as usize;
    pub(super) const NONE: usize = SAME + 1;
    pub(super) const COUNT: usize = NONE + 1;
}

/// The tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    by_substitution: [Flag; 32],
    leave: [Slot; 64],
    confidence: [Flag; confidence::COUNT],
    last_delta: [u8; CLASSES],
}

impl Fixed {
    pub(super) const NEW: Self = Self {
        by_substitution: [Flag::NEW; 32],
        leave: [Slot::NEW; 64],
        confidence: [Flag::NEW; confidence::COUNT],
        last_delta: [0; CLASSES],
    };
}

/// One set of weights of the hit flag's mixer, and of the bytes': less what they begin with, in 1/8192.
pub(super) type FlagWeights = [i16; FLAG_INPUTS];
pub(super) type ByteWeights = [i16; BYTE_INPUTS];

/// Weights that nothing has been learned with, and what weights begin with.
pub(super) const NEW_FLAG_WEIGHTS: FlagWeights = [0; FLAG_INPUTS];
pub(super) const NEW_BYTE_WEIGHTS: ByteWeights = [0; BYTE_INPUTS];
const FIRST_FLAG_WEIGHTS: FlagWeights = [1400; FLAG_INPUTS];
const FIRST_BYTE_WEIGHTS: ByteWeights = [2500, 2500, 2500, 2500, 2500, 0];

/// Mixer sets of the hit flag, where none share one.
#[allow(clippy::cast_possible_truncation, reason = "few")]
pub(super) const FLAG_SETS: u16 = flag_set::COUNT as u16;

/// Mixer sets of bytes by family, where none share one.
#[allow(clippy::cast_possible_truncation, reason = "few")]
pub(super) const FAMILY_SETS: u16 = 2 * FAMILIES as u16;

/// Groups of families, each of which has mixer sets of bytes by path: new bytes, and wrong ones by kind of spot.
pub(super) const PATH_GROUPS: usize = 4;

/// Tables of bytes last seen.
pub(super) const RECENT_TABLES: usize = 2;

/// What has just been coded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Hits in a row.
    pub(super) run: u32,
    /// One bit per byte, the last in bit 0: set for a miss.
    pub(super) history: u32,
    /// Misses among the last eight bytes.
    misses: u32,
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
    pub(super) const STATE_BYTES: usize = 3 * 4 + 1 + 8 + Position::STATE_BYTES;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { run, history, misses, age, unit_missed, recent, position } = self;
        for number in [&mut *run, history, age] {
            state.u32(number);
        }
        // No image is as large.
        state.check((*run | *age) >> 31 == 0);
        *misses = (*history & 0xff).count_ones();
        state.flag(unit_missed);
        let mut bytes = recent.to_le_bytes();
        state.bytes(&mut bytes);
        *recent = u64::from_le_bytes(bytes);
        position.pass_state(state);
    }

    pub(super) fn note_hit(&mut self, hit: bool) {
        self.run = if hit { self.run + 1 } else { 0 };
        self.age += 1;
        let forgotten = self.history >> 7 & 1;
        self.misses = self.misses + u32::from(!hit) - forgotten;
        self.history = self.history << 1 | u32::from(!hit);
    }

    /// Notes bytes that were all hit.
    pub(super) fn note_stride(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        self.run += len;
        self.age += len;
        self.history = self.history.checked_shl(len).unwrap_or(0);
        self.misses = 0;
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

    /// Where a byte stands that is coded by itself, at target offset `n`.
    pub(super) fn single(&self, n: u32) -> Spot {
        let position = &self.position;
        let index = position.index(n);
        // At the start of an instruction the one before leads, behind it its own first byte.
        let (leading, also) = match (position.is_followed(), index) {
            (false, _) => {
                if n & 1 == 1 {
                    (self.byte(2), self.byte(1))
                } else {
                    (self.byte(1), self.byte(2))
                }
            }
            (true, 0 | 1) => (position.head(), position.head_before()),
            (true, _) => (position.head(), self.byte(1)),
        };
        Spot { place: spot::SINGLE + (index & 3), leading, also }
    }

    /// Where the high byte of a halfword stands.
    pub(super) fn high(&self) -> Spot {
        let place = spot::HIGH + u32::from(self.second_half());
        Spot { place, leading: self.byte(1), also: self.byte(2) }
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

/// What is known of a byte before it is coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    place: u32,
    /// The byte that tells most about it, and the one that tells next.
    leading: u8,
    also: u8,
}

impl Spot {
    /// Where the low byte of the halfword stands whose high byte stood here.
    pub(super) fn low(self, high: u8) -> Self {
        let place = match (self.place, high) {
            (spot::HIGH, 0xe8..) => spot::LOW + 2,
            (place, _) => place - spot::HIGH + spot::LOW,
        };
        Self { place, leading: high, also: self.leading }
    }

    /// Contexts that know nothing else, the leading byte, or both.
    fn contexts(self) -> [u32; 3] {
        let Self { place, leading, also } = self;
        [(50, 0), (51, u32::from(leading)), (52, u32::from(leading) | u32::from(also) << 8)]
            .map(|(context, bytes)| hash(context, place | bytes << 4))
    }
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
    /// Two tables of bytes last seen, each of a power of two: by the leading byte, and by two bytes.
    pub(super) recent: &'a mut [u8],
    /// By hash of an old halfword: a tag, and the halfword that took its place.
    pub(super) substitutions: &'a mut [[u8; 3]],
}

impl Model<'_> {
    /// Keeps as much of the tables as a class has.
    pub(super) fn keep(&mut self, shape: &Shape) {
        keep(&mut self.slots, shape.slots as usize);
        keep(&mut self.flags, shape.flag_count());
        keep(&mut self.flag_weights, shape.flag_sets.into());
        keep(&mut self.family_weights, shape.family_sets.into());
        keep(&mut self.path_weights, shape.path_sets());
        keep(&mut self.recent, shape.recent_count());
        keep(&mut self.substitutions, shape.substitutions.into());
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        pass_slots(self.slots, state);
        pass_flags(self.flags, state);
        pass_weights(self.flag_weights.as_flattened_mut(), state);
        pass_weights(self.family_weights.as_flattened_mut(), state);
        pass_weights(self.path_weights.as_flattened_mut(), state);
        state.bytes(self.recent);
        state.bytes(self.substitutions.as_flattened_mut());
        let Fixed { by_substitution, leave, confidence, last_delta } = &mut *self.fixed;
        pass_flags(by_substitution, state);
        pass_slots(leave, state);
        pass_flags(confidence, state);
        state.bytes(last_delta);
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
        let substitution = match self.substituted(source, odd) {
            None => 0,
            Some(byte) if byte == predicted.byte => 1,
            Some(_) => 2,
        };
        let (misses, history) = (past.misses as usize, past.history as usize);
        // Fields that matter most come lowest: small parts keep no others.
        let by_unit = missed | group << 1 | misses << 7;
        let by_age = past.age_bucket() as usize
            | parity << 3
            | usize::from(misses > 2) << 4
            | (history & 7) << 5;
        let by_byte = parity | usize::from(predicted.byte.reverse_bits()) << 1;
        let set = if predicted.kind != KIND_PLAIN {
            flag_set::REFERENCE + group
        } else if past.run > 32 {
            parity * 4
        } else {
            parity * 4 + 1 + misses.div_ceil(2).min(2)
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
            *input = folded(self.flags, place).map_or(0, |flag| stretch(flag.p()));
        }
        let Some(weights) = fold(self.flag_weights, set) else { return hit };
        let mut weights = [&mut weights[..]];
        let hit = mix(coder, hit, &inputs, &FIRST_FLAG_WEIGHTS, &mut weights, FLAG_RATE);
        by_substitution.update(hit);
        for place in places {
            if let Some(flag) = fold(self.flags, place) {
                flag.update(hit);
            }
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

    /// Codes a byte that was predicted wrongly.
    pub(super) fn substitute(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        predicted: Predicted,
        odd: bool,
        source: SourceContext,
        spot: Spot,
        past: &Past,
    ) -> u8 {
        let is_reference = predicted.kind != KIND_PLAIN;
        let class = match spot.place {
            ..spot::HIGH => usize::from(odd) + 2 * usize::from(is_reference),
            spot::HIGH..spot::LOW => 4 + usize::from(past.byte(1) != source.before),
            _ => 6 + usize::from(past.unit_missed),
        };
        let [_, context, _] = spot.contexts();
        let [place, _] = self.recent_places(spot);
        let last_delta = *pick(&mut self.fixed.last_delta, class);
        let by_kind = if is_reference { CLASSES + group(predicted.kind) } else { class };
        let cached = match self.substituted(source, odd) {
            // Says nothing beyond the prediction itself, which has missed: a counter of its own learns that.
            Some(byte) if byte == predicted.byte => (byte, confidence::SAME),
            Some(byte) => (byte, confidence::CACHED + class),
            None => (0, confidence::NONE),
        };
        // A reference may stand as it did; a halfword as it did in its place.
        let other = if spot.place < spot::HIGH {
            let moves = usize::from(predicted.raw != predicted.byte);
            (predicted.raw, confidence::RECENT + class + CLASSES * moves)
        } else {
            (self.recent_byte(place), confidence::RECENT + class)
        };
        let predictions = [
            (predicted.byte, confidence::PREDICTED + by_kind),
            (predicted.byte.wrapping_add(last_delta), confidence::DELTA + class),
            other,
            cached,
        ];
        let family = (spot.place + spot::COUNT * (1 + u32::from(is_reference))) as usize;
        let byte = self.byte(coder, byte, family, class / 2, &[context], &predictions);
        self.note(spot, byte);
        *pick(&mut self.fixed.last_delta, class) = byte.wrapping_sub(predicted.byte);
        byte
    }

    /// Codes a new byte.
    pub(super) fn literal(&mut self, coder: &mut impl BitCoder, byte: u8, spot: Spot) -> u8 {
        let [first, second] = self.recent_places(spot).map(|place| self.recent_byte(place));
        let counter = confidence::LITERAL + 2 * spot.place as usize;
        let predictions = [(first, counter), (second, counter + 1)];
        let [c0, c1, _] = spot.contexts();
        let contexts = [c0, c1];
        let byte = self.byte(coder, byte, spot.place as usize, 0, &contexts, &predictions);
        self.note(spot, byte);
        byte
    }

    /// Remembers what byte stood in a spot.
    pub(super) fn note(&mut self, spot: Spot, byte: u8) {
        for place in self.recent_places(spot) {
            if let Some(recent) = fold(self.recent, place) {
                *recent = byte;
            }
        }
    }

    fn recent_byte(&self, place: usize) -> u8 {
        folded(self.recent, place).unwrap_or_default()
    }

    /// Where the tables of recent bytes keep what stood in such a spot.
    fn recent_places(&self, spot: Spot) -> [usize; RECENT_TABLES] {
        let size = self.recent.len() / RECENT_TABLES;
        let [_, first, second] = spot.contexts().map(|context| context as usize >> 19);
        [first & size.wrapping_sub(1), size + (second & size.wrapping_sub(1))]
    }

    /// Remembers what took the place of a source halfword, if something else did or this one is known already.
    pub(super) fn note_substitution(
        &mut self,
        source: SourceContext,
        [low, high]: [u8; 2],
        missed: bool,
    ) {
        let (key, tag) = substitution_key(source.half);
        let Some(entry) = fold(self.substitutions, key) else { return };
        let [known, ..] = *entry;
        if missed || known == tag {
            *entry = [tag, low, high];
        }
    }

    /// What took the place of this source byte's halfword the last time.
    fn substituted(&self, source: SourceContext, high_byte: bool) -> Option<u8> {
        let (key, tag) = substitution_key(source.half);
        let [known, low, high] =
            *self.substitutions.get(key & self.substitutions.len().wrapping_sub(1))?;
        (known == tag).then_some(if high_byte { high } else { low })
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
        group: usize,
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
            let mut slot_of = [0; 2];
            for ((context, input), index) in contexts.iter().zip(&mut inputs).zip(&mut slot_of) {
                *index = slot_index(*context, path);
                *input = folded(slots, *index).map_or(0, |slot| stretch(slot.p()));
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
            let way = group * paths + way(path, place, paths);
            let by_family = fold(family_weights, family * 2 + alive);
            let (Some(by_family), Some(by_path)) = (by_family, fold(path_weights, way)) else {
                break;
            };
            let mut weights = [&mut by_family[..], &mut by_path[..]];
            let bit = mix(coder, bit, &inputs, &FIRST_BYTE_WEIGHTS, &mut weights, BYTE_RATE);
            for index in slot_of.into_iter().take(contexts.len()) {
                if let Some(slot) = fold(slots, index) {
                    slot.update(bit);
                }
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
