//! Predicts a target byte from the source byte it is copied from: references move as what they refer to has moved.

use super::class::Shape;
use super::isa::{Code, Family, Form, InstructionSet, References};
use super::keep;
use super::map::AddressMap;
use super::sweep::Cell;
use super::view::{Look, Source, Unit};
use crate::state::Passing;

/// A guess at the next target byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Predicted {
    pub(super) byte: u8,
    /// What kind of byte it is and whether the prediction differs from the source: a context of the models.
    pub(super) kind: u8,
    /// How far behind the start of its unit.
    pub(super) index: u8,
    /// The byte as it stands in the source.
    pub(super) raw: u8,
}

/// Number of kinds.
pub(super) const KINDS: usize = 42;

/// A byte that is predicted as it is.
pub(super) const KIND_PLAIN: u8 = 0;

/// Kinds that belong together: of bytes that are predicted to change, then of those that are not.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    first: u8,
    /// How many bytes of a unit share one, as a power of two.
    shared_log2: u8,
}

const fn kinds(first: u8, shared_log2: u8) -> Kinds {
    Kinds { first, shared_log2 }
}

/// By [`Family`], in their order.
static FAMILY_KINDS: [Kinds; 8] = [
    kinds(1, 0),
    kinds(32, 1),
    kinds(36, 1),
    kinds(25, 2),
    kinds(27, 2),
    kinds(29, 2),
    kinds(9, 0),
    kinds(17, 0),
];
/// A reference whose prediction is not believed.
const DOUBTED: Kinds = kinds(40, 1);
/// One whose prediction does not fit.
const UNFIT: Kinds = kinds(41, 2);

/// Kinds of bytes of short references: those that are two bytes long, or less than four move of.
const SHORT: core::ops::Range<u8> = 25..31;

/// A guess at all bytes of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct PredictedUnit {
    pub(super) new: u32,
    /// The kind of its first byte.
    kind: u8,
    shared_log2: u8,
}

impl PredictedUnit {
    fn new(new: u32, kinds: Kinds, is_changed: bool) -> Self {
        let Kinds { first, shared_log2 } = kinds;
        let kind = if is_changed { first } else { first + (4 >> shared_log2) };
        Self { new, kind, shared_log2 }
    }

    /// The guess at one of its bytes, which was `raw`.
    pub(super) fn byte(self, raw: u8, index: u8) -> Predicted {
        let [byte, ..] = (self.new >> (8 * u32::from(index & 3))).to_le_bytes();
        Predicted { byte, kind: self.kind + (index >> self.shared_log2), index, raw }
    }
}

impl Predicted {
    /// A byte that is predicted as it is.
    pub(super) fn plain(raw: u8) -> Self {
        Self { byte: raw, kind: KIND_PLAIN, index: 0, raw }
    }

    /// Whether it may be coded as half of a halfword: not part of a four-byte unit.
    pub(super) fn pairs_as_low(self) -> bool {
        self.kind == KIND_PLAIN || SHORT.contains(&self.kind)
    }
}

/// An old target where the map is wrong, and where it lies now. Until a second reference has confirmed that, the bits of the
/// old target are flipped, so that it is not found: that one reference goes elsewhere says little of the next one.
pub(super) type Exception = [u32; 2];

/// Bounds of trust, in both directions.
const MOST_TRUST: i16 = 256;

/// How far references of a kind, and to a part of the image, have been predicted rightly, where plain bytes were not.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    by_family: [i16; 8],
    by_target: [i16; 32],
}

impl Trust {
    pub(super) const NEW: Self = Self { by_family: [0; 8], by_target: [0; 32] };

    fn pass_state(&mut self, state: &mut Passing<'_>) {
        self.by_family.iter_mut().chain(&mut self.by_target).for_each(|score| {
            state.i16(score);
            state.check(score.unsigned_abs() <= MOST_TRUST.unsigned_abs());
        });
    }

    /// Whether predictions of this kind have been worse than none. Where instructions are told apart reliably, they are
    /// not.
    fn is_lost(&self, references: &References, family: Family, target: u32) -> bool {
        if !references.set.is_doubtful() {
            return false;
        }
        let by_family = super::peek(&self.by_family, family as usize);
        let by_target = super::peek(&self.by_target, trusted_part(family, target));
        i32::from(by_family) + 2 * i32::from(by_target) < 0
    }

    fn judge(&mut self, family: Family, target: u32, right: bool, unchanged: bool) {
        let goal = if right {
            MOST_TRUST
        } else if unchanged {
            -MOST_TRUST
        } else {
            0
        };
        for score in [
            super::pick(&mut self.by_family, family as usize),
            super::pick(&mut self.by_target, trusted_part(family, target)),
        ] {
            *score += (goal - *score) >> 2;
        }
    }
}

/// Everything that predictions depend on besides the source bytes.
pub(super) struct Predictor<'a> {
    pub(super) map: AddressMap<'a>,
    /// By hash of an old target; a power of two.
    pub(super) exceptions: &'a mut [Exception],
    pub(super) trust: &'a mut Trust,
    pub(super) references: &'a mut References,
    /// Whether the instruction set is: of images of an unknown one, nothing is predicted to move.
    pub(super) is_known: bool,
    pub(super) base_size: u32,
}

impl Predictor<'_> {
    /// Keeps as much of the tables as a class has; `None` if they are smaller.
    pub(super) fn keep(&mut self, shape: &Shape) -> Option<()> {
        self.map.keep(shape.map.into())?;
        keep(&mut self.exceptions, shape.exceptions.into())
    }

    /// Passes on what has been learned.
    pub(super) fn pass_learned(&mut self, state: &mut Passing<'_>) {
        self.exceptions.as_flattened_mut().iter_mut().for_each(|number| state.u32(number));
        self.trust.pass_state(state);
    }

    /// What is known of the images.
    pub(super) fn references(&self) -> Option<&References> {
        self.is_known.then_some(&*self.references)
    }

    /// The instruction set, if it is known.
    pub(super) fn set(&self) -> Option<InstructionSet> {
        self.is_known.then_some(self.references.set.known())
    }

    /// The offset in the base of what the map says has moved to this offset of the target.
    pub(super) fn source_of(&self, n: u32) -> Option<u32> {
        self.map.source_of(self.references()?, n)
    }

    /// Predicts the byte at target offset `n` from the one at `source`, and the byte behind it as far as it is part of the
    /// same unit.
    pub(super) fn predict(
        &self,
        unit: &Unit,
        look: &Look,
        source: Source,
        n: u32,
    ) -> [Predicted; 2] {
        let Cell { form, index, .. } = unit.cell;
        // Whether this byte moves, and the next one.
        let moving = form.moving() >> index & 0b11;
        let plain = |raw, index| Predicted { index, ..Predicted::plain(raw) };
        let mut bytes = [plain(look.raw, index), plain(look.context.partner, index + 1)];
        if moving != 0
            && let Some(unit) = self.unit(unit, source, n)
        {
            for (bit, byte) in bytes.iter_mut().enumerate() {
                if moving >> bit & 1 == 1 {
                    *byte = unit.byte(byte.raw, byte.index);
                }
            }
        }
        bytes
    }

    /// Predicts the unit that the byte at target offset `n` is part of; `None` if it is not known to move.
    pub(super) fn unit(&self, unit: &Unit, source: Source, n: u32) -> Option<PredictedUnit> {
        let (references, form) = (self.references()?, unit.cell.form);
        let index = u32::from(unit.cell.index);
        // In front of the image there is nothing that would be believed.
        let (start, place) = (source.offset().wrapping_sub(index), n.wrapping_sub(index));
        let old = unit.code.own;
        let family = form.family()?;
        let target = target_of(references, form, unit.code, source.is_base(), start);
        let new_at = references.target.address(place);
        let moved = if !source.is_base() {
            target
        } else if is_short(family) {
            self.mapped(target)
        } else {
            self.moved(target)
        };
        let [_, new_pointer] = references.global_pointers;
        let code =
            if form.is_global() { Code { other: new_pointer, ..unit.code } } else { unit.code };
        let Some(new) = form.with_target(code, new_at, moved) else {
            return (!is_short(family)).then_some(PredictedUnit::new(old, UNFIT, true));
        };
        let is_changed = new != old;
        if is_changed && self.trust.is_lost(references, family, target) {
            return Some(PredictedUnit::new(old, DOUBTED, true));
        }
        let kinds = super::peek(&FAMILY_KINDS, family as usize);
        Some(PredictedUnit::new(new, kinds, is_changed))
    }

    /// Where an old target lies now: an exception that was seen, or what the map says.
    fn moved(&self, target: u32) -> u32 {
        match super::folded(self.exceptions, hash(target)) {
            Some([exception, now]) if exception == target => now,
            _ => self.mapped(target),
        }
    }

    /// Where an old target lies now, by the map alone.
    fn mapped(&self, target: u32) -> u32 {
        let place = self.references.place_in_base(target);
        target.wrapping_add_signed(place.map_or(0, |place| self.map.shift(place)))
    }

    /// The start and place of a unit, if its last byte stands at target offset `n` and all of it was copied since
    /// `segment`.
    pub(super) fn ended(
        &self,
        cell: Cell,
        source: Source,
        n: u32,
        segment: u32,
    ) -> Option<(u32, u32)> {
        let index = u32::from(cell.index);
        let is_copied = n.wrapping_sub(segment) >= index;
        let is_last = cell.form != Form::Plain && cell.index + 1 == cell.form.len();
        let ends = is_copied && is_last && source.is_base();
        ends.then_some((source.offset().wrapping_sub(index), n.wrapping_sub(index)))
    }

    /// Learns from a unit that stood at `start` and has become `new` at `place`.
    pub(super) fn learn(&mut self, unit: &Unit, new: Code, start: u32, place: u32) {
        let (form, old) = (unit.cell.form, unit.code);
        let Some(family) = form.family().filter(|_| self.is_known) else { return };
        let references = &*self.references;
        let target = target_of(references, form, old, true, start);
        let new_at = references.target.address(place);
        if references.set.is_doubtful() {
            let expected = form.with_target(old, new_at, self.moved(target));
            let mask = mask(form);
            let same = |expected: u32| (expected ^ new.own) & mask == 0;
            if let Some(expected) = expected.filter(|expected| (expected ^ old.own) & mask != 0) {
                self.trust.judge(family, target, same(expected), same(old.own));
            }
        }
        if form.teaches() && form.agree(old, new) {
            let [_, new_pointer] = references.global_pointers;
            let new = if form.is_global() { Code { other: new_pointer, ..new } } else { new };
            let now = form.target(new, new_at);
            let is_known = references.known_in_base(target) && references.known_in_target(now);
            if is_known
                && self.moved(target) != now
                && let Some(exception) = super::fold(self.exceptions, hash(target))
            {
                // Any target that shares the entry and lies there now confirms it: telling them apart costs code for no gain.
                *exception = [if exception[1] == now { target } else { !target }, now];
            }
        }
    }
}

/// Spreads old targets over a table.
fn hash(target: u32) -> usize {
    (target.wrapping_mul(0x9e37_79b1) >> 8) as usize
}

/// What a unit of either image refers to.
pub(super) fn target_of(
    references: &References,
    form: Form,
    code: Code,
    is_base: bool,
    start: u32,
) -> u32 {
    let layout = if is_base { &references.base } else { &references.target };
    form.target(code, layout.address(start))
}

/// The bits of a unit's bytes in a word.
fn mask(form: Form) -> u32 {
    u32::MAX >> (32 - 8 * u32::from(form.len().clamp(1, 4)))
}

/// Short references go to what is near: an exception that was learned elsewhere says nothing of them.
fn is_short(family: Family) -> bool {
    matches!(family, Family::Literal | Family::Jump | Family::Branch)
}

fn trusted_part(family: Family, target: u32) -> usize {
    hash((target >> 8).wrapping_add((family as u32) << 20)) >> 18 & 31
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Layout, Piece};
    use super::*;

    #[test]
    fn an_exception_is_believed_once_a_second_reference_confirms_it() {
        const TARGET: u32 = 0x4020_0100;
        let mut layout = Layout::new(0x1000);
        layout.push(Piece { start: 0, address: 0x4020_0000, is_code: true });
        let mut references = References { base: layout, target: layout, ..References::NEW };
        let (mut exceptions, mut trust) = ([[0; 2]; 4], Trust::NEW);
        let mut predictor = Predictor {
            map: AddressMap::new(&mut []),
            exceptions: &mut exceptions,
            trust: &mut trust,
            references: &mut references,
            is_known: true,
            base_size: 0x1000,
        };
        let code = |own| Code { own, other: 0, distance: 0 };
        let unit =
            Unit { cell: Cell { form: Form::Pointer, index: 0, distance: 0 }, code: code(TARGET) };
        // What the reference has become, and where the next one is believed to go.
        for (seen, believed) in
            [(0x40, 0), (0x40, 0x40), (0x80, 0), (0x40, 0), (0x40, 0x40), (0, 0)]
        {
            predictor.learn(&unit, code(TARGET + seen), 0x200, 0x200);
            assert_eq!(predictor.moved(TARGET), TARGET + believed, "after {seen:#x}");
        }
    }
}
