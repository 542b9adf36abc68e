//! What the coder believes: whether a predicted byte is right, and what a byte is when it is not.

use super::class::Class;
use super::coder::BitCoder;
use super::curves::Curves;
use super::mixer::{Flag, Slot, mix, pass_flags, pass_slots, pass_weights, stretch};
use super::position::Position;
use super::predict::{KIND_PLAIN, KINDS, Predicted};
use super::{fold, folded, keep, peek, pick};
use crate::state::Passing;

/// How fast the hit flag's and the bytes' mixers learn.
const FLAG_RATE: i32 = 12;
const BYTE_RATE: i32 = 32;

/// Inputs of the hit flag's mixer, and of the bytes'.
const FLAG_INPUTS: usize = 4;
const BYTE_INPUTS: usize = GUESSES + 2;

/// Where a byte stands, as far as the models tell apart.
mod spot {
    /// By itself: the index in its instruction or word, below 4.
    pub(super) const SINGLE: usize = 0;
    /// The high byte of a halfword, and that of a long instruction's second one.
    pub(super) const HIGH: usize = 4;
    /// The low bytes of both, and that of a long instruction's first one.
    pub(super) const LOW: usize = 6;
    pub(super) const COUNT: usize = 9;
}

/// Families of bytes: by their spot, new ones, wrong ones, and those of references.
const FAMILIES: usize = 3 * spot::COUNT;

/// Parts of equal size that the counters of the hit flag are divided into, one for each context.
pub(super) const FLAG_PARTS: usize = FLAG_INPUTS;

/// Mixer sets of the hit flag.
mod flag_set {
    use super::KINDS;

    /// Those of plain bytes, by parity and what has been hit, then those of references by kind.
    pub(super) const REFERENCE: usize = 8;
    pub(super) const COUNT: usize = REFERENCE + KINDS;
}

/// Most guesses at a byte.
const GUESSES: usize = 4;

/// Confidence counters of guesses.
mod confidence {
    use super::{FAMILIES, GUESSES, KINDS};

    /// By kind, of predictions of references.
    pub(super) const BY_KIND: usize = GUESSES * FAMILIES;
    /// Of references as they stood; no prediction of one is plain.
    pub(super) const RAW: usize = BY_KIND;
    /// Of guesses that say nothing; of new bytes there are not as many.
    pub(super) const SAME: usize = (GUESSES - 1) * FAMILIES;
    pub(super) const COUNT: usize = BY_KIND + KINDS;

    /// By family, of the guess with this number.
    pub(super) const fn of(guess: usize, family: usize) -> usize {
        guess * FAMILIES + family
    }
}

/// A guess at a byte, and the counter of the confidence that its like have earned.
type Guess = (u8, usize);

/// The tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    leave: [Slot; 64],
    confidence: [Flag; confidence::COUNT],
    last_delta: [u8; 32],
}

impl Fixed {
    pub(super) const NEW: Self = Self {
        leave: [Slot::NEW; 64],
        confidence: [Flag::NEW; confidence::COUNT],
        last_delta: [0; 32],
    };
}

/// One set of weights of the hit flag's mixer, and of the bytes': less what they begin with, in 1/8192.
pub(super) type FlagWeights = [i16; FLAG_INPUTS];
pub(super) type ByteWeights = [i16; BYTE_INPUTS];

/// Weights that nothing has been learned with, and what weights begin with.
pub(super) const NEW_FLAG_WEIGHTS: FlagWeights = [0; FLAG_INPUTS];
pub(super) const NEW_BYTE_WEIGHTS: ByteWeights = [0; BYTE_INPUTS];
const FIRST_FLAG_WEIGHTS: FlagWeights = [1400; FLAG_INPUTS];
const FIRST_BYTE_WEIGHTS: ByteWeights = [2500; BYTE_INPUTS];

/// Mixer sets of the hit flag, where none share one: a power of two.
pub(super) const FLAG_SETS: u16 = 64;

/// Mixer sets of bytes by family, where none share one: a power of two.
pub(super) const FAMILY_SETS: u16 = 64;

const _: () =
    assert!(flag_set::COUNT <= FLAG_SETS as usize && 2 * FAMILIES <= FAMILY_SETS as usize);

/// Groups of spots, each of which has mixer sets of bytes by path.
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
    /// Decisions since the last jump.
    pub(super) age: u32,
    /// Whether a byte of the unit at hand has missed.
    pub(super) unit_missed: bool,
    /// The last target bytes, the last one in bits 0 to 7.
    pub(super) recent: u32,
    /// Where in an instruction the next byte stands.
    pub(super) position: Position,
}

impl Past {
    pub(super) const STATE_BYTES: usize = 4 * 4 + 1 + Position::STATE_BYTES;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { run, history, age, unit_missed, recent, position } = self;
        for number in [&mut *run, history, age, recent] {
            state.u32(number);
        }
        // No image is as large.
        state.check((*run | *age) >> 31 == 0);
        state.flag(unit_missed);
        position.pass_state(state);
    }

    pub(super) fn note_hit(&mut self, hit: bool) {
        self.run = if hit { self.run + 1 } else { 0 };
        self.age += 1;
        self.history = self.history << 1 | u32::from(!hit);
    }

    /// Notes bytes that were all hit.
    pub(super) fn note_stride(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        self.run += len;
        self.age += len;
        self.history = self.history.checked_shl(len).unwrap_or(0);
        let last = bytes.last_chunk().map_or(self.recent, |last| u32::from_be_bytes(*last));
        if self.position.is_followed() {
            bytes.iter().for_each(|byte| self.position.note(*byte));
        }
        self.recent = last;
    }

    pub(super) fn note_byte(&mut self, byte: u8) {
        self.recent = self.recent << 8 | u32::from(byte);
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
        Spot { place: spot::SINGLE + (index & 3) as usize, leading, also }
    }

    /// Where the high byte of a halfword stands.
    #[inline(never)]
    pub(super) fn high(&self) -> Spot {
        let place = spot::HIGH + usize::from(self.second_half());
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
    /// The other byte of its halfword.
    pub(super) partner: u8,
    /// Its halfword.
    pub(super) half: u16,
}

/// What is known of a byte before it is coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    place: usize,
    /// The byte that tells most about it, and the one that tells next.
    leading: u8,
    also: u8,
}

impl Spot {
    /// Where the low byte of the halfword stands whose high byte stood here.
    #[inline(never)]
    pub(super) fn low(&self, high: u8) -> Self {
        let place = match (self.place, high) {
            (spot::HIGH, 0xe8..) => spot::LOW + 2,
            (place, _) => place - spot::HIGH + spot::LOW,
        };
        Self { place, leading: high, also: self.leading }
    }

    /// Contexts that know nothing else, the leading byte, or both.
    fn contexts(&self) -> [u32; 3] {
        let Self { place, leading, also } = *self;
        #[allow(clippy::cast_possible_truncation, reason = "few")]
        let place = place as u32;
        let (one, both) = (u32::from(leading), u32::from_le_bytes([leading, also, 0, 0]));
        [hash(place), hash(1 << 20 | one << 4 | place), hash(2 << 20 | both << 4 | place)]
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
    pub(super) curves: Curves<'a>,
}

impl Model<'_> {
    /// Keeps as much of the tables as a class has; `None` if they are smaller.
    pub(super) fn keep(&mut self, class: Class) -> Option<()> {
        let shape = class.shape();
        keep(&mut self.slots, shape.slots as usize)?;
        keep(&mut self.flags, shape.flags.into())?;
        keep(&mut self.flag_weights, shape.flag_sets.into())?;
        keep(&mut self.family_weights, shape.family_sets.into())?;
        keep(&mut self.path_weights, shape.path_sets.into())?;
        keep(&mut self.recent, shape.recent.into())?;
        self.curves.keep(class.curves())?;
        keep(&mut self.substitutions, shape.substitutions.into())
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        pass_slots(self.slots, state);
        pass_flags(self.flags, state);
        pass_weights(self.flag_weights.as_flattened_mut(), state);
        pass_weights(self.family_weights.as_flattened_mut(), state);
        pass_weights(self.path_weights.as_flattened_mut(), state);
        state.bytes(self.recent);
        state.bytes(self.substitutions.as_flattened_mut());
        self.curves.pass_state(state);
        let Fixed { leave, confidence, last_delta } = &mut *self.fixed;
        pass_slots(leave, state);
        pass_flags(confidence, state);
        state.bytes(last_delta);
    }

    /// Codes whether the prediction is right; `odd` for the high byte of a halfword.
    pub(super) fn hit(
        &mut self,
        coder: &mut impl BitCoder,
        hit: bool,
        predicted: &Predicted,
        odd: bool,
        source: SourceContext,
        past: &Past,
    ) -> bool {
        let (kind, parity) = (usize::from(predicted.kind), usize::from(odd));
        let (missed, history) = (usize::from(past.unit_missed), past.history as usize);
        let substitution = match self.substituted(source, odd) {
            None => 0,
            Some(byte) if byte == predicted.byte => 1,
            Some(_) => 2,
        };
        // Fields that matter most come lowest: small parts keep no others.
        let keys = [
            missed | kind << 1 | history << 7,
            past.age_bucket() as usize | parity << 3 | history << 4,
            parity | usize::from(predicted.byte.reverse_bits()) << 1,
            substitution | parity << 2 | missed << 3,
        ];
        let set = if predicted.kind != KIND_PLAIN {
            flag_set::REFERENCE + kind
        } else {
            parity | usize::from(past.run > 32) << 1 | usize::from(history & 0xff != 0) << 2
        };

        let part = self.flags.len() / FLAG_PARTS;
        let (mut places, mut inputs) = ([0; FLAG_PARTS], [0; FLAG_INPUTS]);
        let mut start = 0;
        for ((place, input), key) in places.iter_mut().zip(&mut inputs).zip(&keys) {
            *place = start + (*key & part.wrapping_sub(1));
            *input = folded(self.flags, *place).map_or(0, |flag| stretch(flag.p()));
            start += part;
        }
        let Some(weights) = fold(self.flag_weights, set) else { return hit };
        let mut weights = [&mut weights[..]];
        let bend = self.curves.of_hit(past.byte(1), odd, past.unit_missed);
        let hit = mix(coder, hit, &inputs, &FIRST_FLAG_WEIGHTS, &mut weights, FLAG_RATE, bend);
        for place in &places {
            if let Some(flag) = fold(self.flags, *place) {
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
        predicted: &Predicted,
        run_bucket: usize,
    ) -> bool {
        let unit =
            usize::from(predicted.kind != KIND_PLAIN) | usize::from(predicted.index > 0) << 1;
        pick(&mut self.fixed.leave, run_bucket << 2 | unit).code(coder, leave)
    }

    /// Codes a byte that was predicted wrongly.
    pub(super) fn substitute(
        &mut self,
        coder: &mut impl BitCoder,
        byte: u8,
        predicted: &Predicted,
        odd: bool,
        source: SourceContext,
        spot: &Spot,
    ) -> u8 {
        let kind = usize::from(predicted.kind);
        let is_reference = predicted.kind != KIND_PLAIN;
        let family = spot.place + spot::COUNT * (1 + usize::from(is_reference));
        let by_kind = confidence::BY_KIND + kind;
        let delta = *pick(&mut self.fixed.last_delta, family);
        let [recent, _] = self.recent_bytes(spot);
        let guesses = [
            (predicted.byte, if is_reference { by_kind } else { confidence::of(0, family) }),
            (predicted.byte.wrapping_add(delta), confidence::of(1, family)),
            // A reference may stand as it did; others as they did in their place.
            if predicted.raw != predicted.byte {
                (predicted.raw, confidence::RAW)
            } else {
                (recent, confidence::of(2, family))
            },
            match self.substituted(source, odd) {
                Some(byte) if byte != predicted.byte => (byte, confidence::of(3, family)),
                // Says nothing beyond the prediction itself, which has missed: a counter of its own learns that.
                _ => (predicted.byte, confidence::SAME),
            },
        ];
        let byte = self.byte(coder, byte, spot, family, &guesses);
        *pick(&mut self.fixed.last_delta, family) = byte.wrapping_sub(predicted.byte);
        byte
    }

    /// Codes a new byte.
    pub(super) fn literal(&mut self, coder: &mut impl BitCoder, byte: u8, spot: &Spot) -> u8 {
        let [first, second] = self.recent_bytes(spot);
        let counters = (confidence::of(0, spot.place), confidence::of(1, spot.place));
        let guesses = [(first, counters.0), (second, counters.1)];
        self.byte(coder, byte, spot, spot.place, &guesses)
    }

    /// What stood last in such a spot: by the leading byte, and by both.
    fn recent_bytes(&self, spot: &Spot) -> [u8; RECENT_TABLES] {
        let [first, second] = self.recent_places(spot);
        let byte = |place| folded(self.recent, place).unwrap_or_default();
        [byte(first), byte(second)]
    }

    /// Where the tables of recent bytes keep what stood in such a spot.
    fn recent_places(&self, spot: &Spot) -> [usize; RECENT_TABLES] {
        let size = self.recent.len() / RECENT_TABLES;
        let [_, first, second] = spot.contexts();
        let within = |context: u32| context as usize >> 19 & size.wrapping_sub(1);
        [within(first), size + within(second)]
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
        spot: &Spot,
        family: usize,
        guesses: &[Guess],
    ) -> u8 {
        let byte = coder.told(|| byte);
        let [c0, c1, _] = spot.contexts();
        let contexts = &[c0, c1];
        let recent_places = self.recent_places(spot);
        let Self { fixed, slots, family_weights, path_weights, recent, curves, .. } = self;
        let paths = path_weights.len() / PATH_GROUPS;
        let first_way = (spot.place >> 1) % PATH_GROUPS * paths;
        let mut path = 1u32;
        for place in (0..8).rev() {
            let bit = (byte >> place) & 1 == 1;
            // A guess stands while its leading bits are the path.
            let stands = |guess: u8| (u32::from(guess) | 256) >> (place + 1) == path;
            let mut inputs = [0; BYTE_INPUTS];
            let (of_guesses, of_slots) = inputs.split_at_mut(GUESSES);
            for (input, context) in of_slots.iter_mut().zip(contexts) {
                let slot = folded(slots, slot_index(*context, path));
                *input = slot.map_or(0, |slot| stretch(slot.p()));
            }
            for ((guess, counter), input) in guesses.iter().zip(of_guesses) {
                if stands(*guess) {
                    let p = stretch(peek(&fixed.confidence, *counter).p());
                    *input = if (guess >> place) & 1 == 1 { p } else { -p };
                }
            }
            let alive = usize::from(guesses.first().is_some_and(|(guess, _)| stands(*guess)));
            let by_family = fold(family_weights, family * 2 + alive);
            let by_path = path_weights.get_mut(first_way + way(path, place, paths));
            let (Some(by_family), Some(by_path)) = (by_family, by_path) else { break };
            let mut weights = [&mut by_family[..], &mut by_path[..]];
            let bend = curves.of_bit(place, inputs.get(..GUESSES).unwrap_or_default());
            let first = &FIRST_BYTE_WEIGHTS;
            let bit = mix(coder, bit, &inputs, first, &mut weights, BYTE_RATE, bend);
            for context in contexts {
                if let Some(slot) = fold(slots, slot_index(*context, path)) {
                    slot.update(bit);
                }
            }
            for (guess, counter) in guesses.iter().filter(|(guess, _)| stands(*guess)) {
                pick(&mut fixed.confidence, *counter).update(((guess >> place) & 1 == 1) == bit);
            }
            path = path << 1 | u32::from(bit);
        }
        let [byte, ..] = path.to_le_bytes();
        for place in &recent_places {
            if let Some(recent) = fold(recent, *place) {
                *recent = byte;
            }
        }
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
    if path < told_apart { path } else { (told_apart + place as usize).min(room.wrapping_sub(1)) }
}

fn hash(context: u32) -> u32 {
    context.wrapping_mul(0x9e37_79b1)
}

fn slot_index(context: u32, path: u32) -> usize {
    let x = context.wrapping_add(path.wrapping_mul(0x2f0b_4c47));
    ((x ^ x >> 15).wrapping_mul(0x2c1b_3c6d) >> 13) as usize
}
