//! Predicts a target byte from the source byte it is copied from: references move as what they refer to has moved.

use super::class::Shape;
use super::isa::{Code, Family, Form, References};
use super::keep;
use super::map::AddressMap;
use super::sweep::Cell;
use super::view::{Look, Source, Unit};
use super::words::{self, Word, Words, hash};
use crate::state::Passing;

/// A guess at the next target byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Predicted {
    pub(super) byte: u8,
    /// What kind of byte it is and whether the prediction differs from the source: a context of the models.
    pub(super) kind: u8,
    /// How far behind the start of its unit.
    pub(super) index: u32,
    /// The byte as it stands in the source.
    pub(super) raw: u8,
}

/// Number of kinds.
#[cfg(feature = "encode")]
pub(super) const KINDS: usize = 52;

// Four-byte units have a kind for each byte, changed or not.
pub(super) const KIND_PLAIN: u8 = 0;
pub(super) const KIND_CALL: u8 = 1;
pub(super) const KIND_POINTER: u8 = 9;
pub(super) const KIND_RAM: u8 = 17;
pub(super) const KIND_LITERAL: u8 = 25;
pub(super) const KIND_JUMP: u8 = 27;
pub(super) const KIND_BRANCH: u8 = 29;
/// A small number that is predicted to have changed.
pub(super) const KIND_VALUE: u8 = 31;
pub(super) const KIND_HIGH: u8 = 32;
pub(super) const KIND_LOW: u8 = 40;
/// A reference whose prediction is not believed or does not fit.
pub(super) const KIND_DOUBTED: u8 = 48;

/// A guess at all bytes of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct PredictedUnit {
    new: u32,
    kind: u8,
    /// Whether each byte has a kind of its own, counted from `kind`.
    per_byte: bool,
}

impl PredictedUnit {
    /// The guess at one of its bytes, which was `raw`.
    pub(super) fn byte(self, raw: u8, index: u8) -> Predicted {
        let byte = self.new.to_le_bytes().get(usize::from(index)).copied().unwrap_or(raw);
        let kind = if self.per_byte { self.kind + index } else { self.kind };
        Predicted { byte, kind, index: index.into(), raw }
    }
}

impl Predicted {
    /// A byte that is predicted as it is.
    pub(super) fn plain(raw: u8) -> Self {
        Self { byte: raw, kind: KIND_PLAIN, index: 0, raw }
    }

    /// Whether it may be coded as half of a halfword: not part of a four-byte unit.
    pub(super) fn pairs_as_low(self) -> bool {
        matches!(self.kind, KIND_PLAIN | KIND_LITERAL..KIND_JUMP | KIND_BRANCH..KIND_VALUE)
    }
}

/// A target or a word, and how far it has moved.
pub(super) type Moved = (u32, i32);

/// Bounds of trust, in both directions.
const MOST_TRUST: i16 = 256;

/// How far references of a kind, and to a part of the image, have been predicted rightly, where plain bytes were not.
#[derive(Clone, Debug)]
struct Trust {
    by_family: [i16; 8],
    by_target: [i16; 32],
}

/// What is learned in tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    trust: Trust,
    words: Words,
}

impl Fixed {
    pub(super) const NEW: Self =
        Self { trust: Trust { by_family: [0; 8], by_target: [0; 32] }, words: Words::NEW };
}

/// What predictions have learned from what came.
pub(super) struct Learned<'a> {
    /// By hash of an old target or word; a power of two.
    pub(super) cells: &'a mut [words::Cell],
    pub(super) fixed: &'a mut Fixed,
}

impl Learned<'_> {
    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        self.cells.iter_mut().for_each(|cell| cell.pass_state(state));
        let Fixed { trust: Trust { by_family, by_target }, words } = &mut *self.fixed;
        words.pass_state(state);
        by_family.iter_mut().chain(by_target).for_each(|score| {
            state.i16(score);
            state.check(score.unsigned_abs() <= MOST_TRUST.unsigned_abs());
        });
    }

    /// Where an old target lies now: an exception that was seen, or what the map says.
    fn moved(&self, map: &AddressMap<'_>, references: &References, target: u32) -> u32 {
        match super::folded(self.cells, hash(target)).map(|cell| cell.target) {
            Some((exception, shift)) if exception == target => target.wrapping_add_signed(shift),
            _ => mapped(map, references, target),
        }
    }

    /// Where what an old word points to lies now; a bit that tells instruction sets apart stays.
    fn moved_word(&self, map: &AddressMap<'_>, references: &References, word: u32) -> u32 {
        let odd = word & u32::from(references.set.has_odd_functions());
        self.moved(map, references, word & !odd) | odd
    }

    fn learn_target(
        &mut self,
        map: &AddressMap<'_>,
        references: &References,
        target: u32,
        now: u32,
    ) {
        if references.known_in_base(target) && self.moved(map, references, target) != now {
            let shift = now.wrapping_sub(target).cast_signed();
            if let Some(cell) = super::fold(self.cells, hash(target)) {
                cell.target = (target, shift);
            }
        }
    }
}

impl Trust {
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

/// Where an old target lies now, by the map alone.
fn mapped(map: &AddressMap<'_>, references: &References, target: u32) -> u32 {
    match references.place_in_base(target) {
        Some(place) => target.wrapping_add_signed(map.shift(place)),
        None => target,
    }
}

/// Everything that predictions depend on besides the source bytes.
pub(super) struct Predictor<'a> {
    pub(super) map: AddressMap<'a>,
    pub(super) learned: Learned<'a>,
    /// `None` for images of an unknown instruction set: nothing is predicted to move.
    pub(super) references: Option<References>,
    pub(super) base_size: u32,
}

impl Predictor<'_> {
    /// Keeps as much of the tables as a class has.
    pub(super) fn keep(&mut self, shape: &Shape) {
        self.map.keep(shape.map.into());
        keep(&mut self.learned.cells, shape.cells.into());
    }

    /// The offset in the base of what the map says has moved to this offset of the target.
    pub(super) fn source_of(&self, n: u32) -> Option<u32> {
        self.map.source_of(self.references.as_ref()?, n)
    }

    /// Predicts the byte at target offset `n` from the one at `source`, and the byte behind it as far as it is part of the
    /// same unit.
    pub(super) fn predict(&self, look: &Look, source: Source, n: u32) -> [Predicted; 2] {
        let Cell { form, index, .. } = look.unit.cell;
        let bytes = [(index, look.raw), (index + 1, look.context.partner)];
        let unit = bytes.iter().any(|(index, _)| form.moves(*index));
        let unit = if unit { self.unit(&look.unit, source, n) } else { None };
        bytes.map(|(index, raw)| {
            let unit = unit.filter(|_| index < form.len() && form.moves(index));
            let plain = Predicted { index: index.into(), ..Predicted::plain(raw) };
            unit.map_or(plain, |unit| unit.byte(raw, index))
        })
    }

    /// Predicts the unit that the byte at target offset `n` is part of; `None` if it is not known to move.
    pub(super) fn unit(&self, unit: &Unit, source: Source, n: u32) -> Option<PredictedUnit> {
        let (references, form) = (self.references.as_ref()?, unit.cell.form);
        let index = u32::from(unit.cell.index);
        let start = source.offset().checked_sub(index)?;
        let place = n.checked_sub(index)?;
        let old = unit.code.own;
        if form.is_word() {
            if place & 3 != 0 {
                return None;
            }
            let mapped = self.learned.moved_word(&self.map, references, old);
            let word = Word { form, old, mapped, place };
            let new = self.learned.fixed.words.guess(self.learned.cells, &word);
            let (kind, per_byte) = word_kind(form, new != old);
            return Some(PredictedUnit { new, kind, per_byte });
        }
        let family = form.family()?;
        let target = target_of(references, form, unit.code, source.is_base(), start);
        let new_at = references.target.address(place);
        let moved = if !source.is_base() {
            target
        } else if is_short(family) {
            mapped(&self.map, references, target)
        } else {
            self.learned.moved(&self.map, references, target)
        };
        let [_, new_pointer] = references.global_pointers;
        let code =
            if form.is_global() { Code { other: new_pointer, ..unit.code } } else { unit.code };
        let Some(new) = form.with_target(code, new_at, moved) else {
            let unfit = PredictedUnit { new: old, kind: KIND_DOUBTED + 3, per_byte: false };
            return (!is_short(family)).then_some(unfit);
        };
        let changed = (new ^ old) & mask(form) != 0;
        if changed && self.learned.fixed.trust.is_lost(references, family, target) {
            return Some(PredictedUnit { new: old, kind: KIND_DOUBTED, per_byte: true });
        }
        let (kind, per_byte) = family_kind(family, changed);
        Some(PredictedUnit { new, kind, per_byte })
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
        let place = n.checked_sub(index).filter(|place| *place >= segment)?;
        let start = source.offset().checked_sub(index)?;
        let is_last = cell.form != Form::Plain && cell.index + 1 == cell.form.len();
        (is_last && source.is_base()).then_some((start, place))
    }

    /// Learns what a word has become.
    pub(super) fn learn_word(&mut self, form: Form, old: u32, new: u32, place: u32) {
        let Self { map, learned, references: Some(references), .. } = self else { return };
        if place & 3 != 0 {
            return;
        }
        let mapped = learned.moved_word(map, references, old);
        let word = Word { form, old, mapped, place };
        learned.fixed.words.learn(learned.cells, &word, new);
        if form != Form::Value && references.known_in_target(new) {
            let odd = u32::from(references.set.has_odd_functions());
            learned.learn_target(map, references, old & !odd, new & !odd);
        }
    }

    /// Learns from a unit that stood at `start` and has become `new` at `place`.
    pub(super) fn learn(&mut self, unit: &Unit, new: Code, start: u32, place: u32) {
        let (form, old) = (unit.cell.form, unit.code);
        if form.is_word() {
            return self.learn_word(form, old.own, new.own, place);
        }
        let Self { map, learned, references: Some(references), .. } = self else { return };
        let Some(family) = form.family() else { return };
        let target = target_of(references, form, old, true, start);
        let new_at = references.target.address(place);
        if references.set.is_doubtful() {
            let moved = learned.moved(map, references, target);
            let expected = form.with_target(old, new_at, moved);
            let mask = mask(form);
            let same = |expected: u32| (expected ^ new.own) & mask == 0;
            if let Some(expected) = expected.filter(|expected| (expected ^ old.own) & mask != 0) {
                learned.fixed.trust.judge(family, target, same(expected), same(old.own));
            }
        }
        if form.teaches() && form.agree(old, new) {
            let [_, new_pointer] = references.global_pointers;
            let new = if form.is_global() { Code { other: new_pointer, ..new } } else { new };
            let now = form.target(new, new_at);
            if references.known_in_target(now) {
                learned.learn_target(map, references, target, now);
            }
        }
    }
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

/// The first kind of a family, and whether each byte of a unit has one of its own.
fn family_kind(family: Family, changed: bool) -> (u8, bool) {
    let (kind, per_byte) = match family {
        Family::Call => (KIND_CALL, true),
        Family::High => (KIND_HIGH, true),
        Family::Low => (KIND_LOW, true),
        Family::Literal => (KIND_LITERAL, false),
        Family::Jump => (KIND_JUMP, false),
        Family::Branch => (KIND_BRANCH, false),
    };
    match (per_byte, changed) {
        (true, false) => (kind + 4, true),
        (false, true) => (kind + 1, false),
        _ => (kind, per_byte),
    }
}

fn word_kind(form: Form, changed: bool) -> (u8, bool) {
    match (form, changed) {
        (Form::Pointer, true) => (KIND_POINTER, true),
        (Form::Pointer, false) => (KIND_POINTER + 4, true),
        (Form::RamPointer, true) => (KIND_RAM, true),
        (Form::RamPointer, false) => (KIND_RAM + 4, true),
        (_, true) => (KIND_VALUE, false),
        (_, false) => (KIND_PLAIN, false),
    }
}
