//! Predicts a target byte from the source byte it is copied from: references move as what they refer to has moved.

use super::map::AddressMap;
use super::thumb::{self, Addresses, Class};
use super::view::Source;
use super::window::Window;

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
pub(super) const KINDS: usize = 32;

/// Kinds from here on are references.
pub(super) const KIND_PLAIN: u8 = 0;
pub(super) const KIND_CALL: u8 = 1;
pub(super) const KIND_POINTER: u8 = 9;
const KIND_RAM: u8 = 17;
pub(super) const KIND_LITERAL: u8 = 25;
const KIND_JUMP: u8 = 27;
const KIND_BRANCH: u8 = 29;

impl Predicted {
    /// A byte that is predicted as it is.
    pub(super) fn plain(raw: u8) -> Self {
        Self { byte: raw, kind: KIND_PLAIN, index: 0, raw }
    }

    /// Whether it may be coded as half of a halfword: not part of a four-byte unit.
    pub(super) fn pairs_as_low(self) -> bool {
        matches!(self.kind, KIND_PLAIN | KIND_LITERAL | 26 | KIND_BRANCH | 30)
    }
}

/// A target or a RAM address, and how far it has moved.
pub(super) type Moved = (u32, i32);

/// Recent exceptions to the map, and how RAM addresses have moved.
pub(super) struct Caches<'a> {
    /// Old target offset and its shift, where the map is wrong.
    exact: &'a mut [Moved],
    /// Old RAM address and its shift.
    ram: &'a mut [Moved],
    /// Old RAM page of 64 bytes and its shift.
    ram_page: &'a mut [Moved],
    ram_last: i32,
}

fn hash(value: u32) -> usize {
    (value.wrapping_mul(0x9e37_79b1) >> 8) as usize
}

/// The cell that an index falls into.
fn cell(cells: &[Moved], index: usize) -> Moved {
    cells.get(index & cells.len().wrapping_sub(1)).copied().unwrap_or((u32::MAX, 0))
}

impl<'a> Caches<'a> {
    /// Empty caches in these cells, a quarter of them each for exceptions and RAM addresses, half for RAM pages.
    pub(super) fn new(cells: &'a mut [Moved]) -> Self {
        cells.fill((u32::MAX, 0));
        let (ram_page, others) = cells.split_at_mut(cells.len() / 2);
        let (exact, ram) = others.split_at_mut(others.len() / 2);
        Self { exact, ram, ram_page, ram_last: 0 }
    }

    fn ram_shift(&self, address: u32) -> i32 {
        let exact = cell(self.ram, hash(address));
        let page = cell(self.ram_page, (address >> 6) as usize);
        if exact.0 == address {
            exact.1
        } else if page.0 == address >> 6 {
            page.1
        } else {
            self.ram_last
        }
    }

    fn learn_ram(&mut self, address: u32, shift: i32) {
        *super::fold(self.ram, hash(address)) = (address, shift);
        *super::fold(self.ram_page, (address >> 6) as usize) = (address >> 6, shift);
        self.ram_last = shift;
    }
}

/// Everything that predictions depend on besides the source bytes.
pub(super) struct Predictor<'a> {
    pub(super) map: AddressMap<'a>,
    pub(super) caches: Caches<'a>,
    /// `None` for images of an unknown instruction set: nothing is predicted to move.
    pub(super) addresses: Option<Addresses>,
    pub(super) base_size: u32,
}

impl Predictor<'_> {
    /// Where an old target lies now: an exception that was seen, or what the map says.
    fn moved(&self, target: i64) -> i64 {
        let Some(offset) = self.old_offset(target) else { return target };
        let cached = cell(self.caches.exact, hash(offset));
        if cached.0 == offset {
            target + i64::from(cached.1)
        } else {
            target + self.map.shift(offset)
        }
    }

    /// Where an old target lies now, by the map alone.
    fn mapped(&self, target: i64) -> Option<i64> {
        self.old_offset(target).map(|offset| target + self.map.shift(offset))
    }

    fn old_offset(&self, target: i64) -> Option<u32> {
        u32::try_from(target).ok().filter(|offset| *offset < self.base_size)
    }

    /// Predicts the byte at target offset `n` from the one at `source`.
    pub(super) fn predict(&self, window: &Window, source: Source, n: u32) -> Predicted {
        let offset = source.offset();
        let raw = window.byte(offset).unwrap_or(0);
        let Some(addresses) = self.addresses else { return Predicted::plain(raw) };
        let unit = thumb::classify(window, offset, addresses);
        let (start, place) = match (offset.checked_sub(unit.index), n.checked_sub(unit.index)) {
            (Some(start), Some(place)) if unit.class != Class::Plain => (start, place),
            _ => return Predicted::plain(raw),
        };
        let is_old = source.is_base();
        let (start_i, place_i) = (i64::from(start), i64::from(place));
        let of = |kind: u8, bytes: [u8; 4], same: bool| {
            let byte = bytes.get(unit.index as usize).copied().unwrap_or(raw);
            let index = u8::try_from(unit.index).unwrap_or(0);
            Predicted {
                byte,
                kind: kind + index + if same { 4 } else { 0 },
                index: unit.index,
                raw,
            }
        };
        let plain = Predicted::plain(raw);
        match unit.class {
            Class::Plain => plain,
            Class::Call => {
                let Some(halves) = thumb::call_at(window, start) else { return plain };
                let target = start_i + 4 + thumb::call_distance(halves);
                let target = if is_old { self.moved(target) } else { target };
                let bytes = thumb::with_call_distance(halves, target - place_i - 4);
                of(KIND_CALL, bytes, Some(bytes) == window.word(start).map(u32::to_le_bytes))
            }
            Class::Pointer => {
                let Some(value) = window.word(start) else { return plain };
                let target = i64::from(value.wrapping_sub(addresses.load) & !1);
                let moved = if is_old && place & 3 == 0 { self.moved(target) - target } else { 0 };
                let new = value.wrapping_add_signed(i32::try_from(moved).unwrap_or(0));
                of(KIND_POINTER, new.to_le_bytes(), new == value)
            }
            Class::RamPointer => {
                let Some(value) = window.word(start) else { return plain };
                let moved = if is_old && place & 3 == 0 { self.caches.ram_shift(value) } else { 0 };
                let new = value.wrapping_add_signed(moved);
                of(KIND_RAM, new.to_le_bytes(), new == value)
            }
            Class::Literal if is_old && unit.index == 0 => {
                let target = thumb::literal_target(start, raw);
                let Some(moved) = self.mapped(target.into()) else { return plain };
                let byte = thumb::with_literal_target(place, moved).unwrap_or(raw);
                Predicted { byte, kind: KIND_LITERAL + u8::from(byte != raw), index: 0, raw }
            }
            Class::Jump if is_old => {
                let Some(code) = window.half(start) else { return plain };
                let Some(moved) = self.mapped(start_i + 4 + thumb::jump_distance(code)) else {
                    return plain;
                };
                let Some([low, high]) = thumb::with_jump_distance(moved - place_i - 4) else {
                    return plain;
                };
                let kind = KIND_JUMP + u8::from([low, high] != code.to_le_bytes());
                Predicted {
                    byte: if unit.index == 0 { low } else { high },
                    kind,
                    index: unit.index,
                    raw,
                }
            }
            Class::Branch if is_old && unit.index == 0 => {
                let Some(moved) = self.mapped(start_i + 4 + thumb::branch_distance(raw)) else {
                    return plain;
                };
                let Some(byte) = thumb::with_branch_distance(moved - place_i - 4) else {
                    return plain;
                };
                Predicted { byte, kind: KIND_BRANCH + u8::from(byte != raw), index: 0, raw }
            }
            Class::Literal | Class::Jump | Class::Branch => plain,
        }
    }

    /// Learns from a unit once its last byte, at target offset `n`, is known; `last` are the last four target bytes.
    pub(super) fn learn(
        &mut self,
        window: &Window,
        source: Source,
        n: u32,
        segment: u32,
        last: [u8; 4],
    ) {
        let Some(addresses) = self.addresses.filter(|_| source.is_base()) else { return };
        let unit = thumb::classify(window, source.offset(), addresses);
        if unit.index != 3 || n.saturating_sub(segment) < 3 {
            return;
        }
        let (start, place) = (source.offset().saturating_sub(3), n.saturating_sub(3));
        let new = u32::from_le_bytes(last);
        match unit.class {
            Class::Call => {
                let new_window = Window::new(place, place, &last);
                let old = thumb::call_at(window, start);
                if let (Some(old), Some(new)) = (old, thumb::call_at(&new_window, place)) {
                    let target = i64::from(start) + 4 + thumb::call_distance(old);
                    self.learn_target(
                        target,
                        i64::from(place) + 4 + thumb::call_distance(new) - target,
                    );
                }
            }
            Class::Pointer if place & 3 == 0 && addresses.in_image(new) => {
                let Some(old) = window.word(start) else { return };
                let target = i64::from(old.wrapping_sub(addresses.load) & !1);
                self.learn_target(
                    target,
                    i64::from(new.wrapping_sub(addresses.load) & !1) - target,
                );
            }
            Class::RamPointer if place & 3 == 0 => {
                let Some(old) = window.word(start) else { return };
                if (0x2000_0000..0x2010_0000).contains(&new) {
                    self.caches.learn_ram(old, new.wrapping_sub(old).cast_signed());
                }
            }
            _ => {}
        }
    }

    fn learn_target(&mut self, target: i64, shift: i64) {
        let (Some(offset), Ok(shift)) = (self.old_offset(target), i32::try_from(shift)) else {
            return;
        };
        if self.moved(target) != target + i64::from(shift) {
            *super::fold(self.caches.exact, hash(offset)) = (offset, shift);
        }
    }
}
