//! Thumb code: which bytes form a reference, what it refers to, and what it looks like from somewhere else.
//!
//! Encodings: Arm v7-M Architecture Reference Manual, A5 and A7.7. Only the base image and written target are ever
//! looked at, never what is still being decoded.

use super::window::Window;

/// What a byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing that can be predicted.
    Plain,
    /// BL or B.W, four bytes: a call or a far jump.
    Call,
    /// An aligned word that points into the image.
    Pointer,
    /// An aligned word that points into RAM.
    RamPointer,
    /// LDR (literal), two bytes, of which the low one tells where.
    Literal,
    /// B (T2), two bytes.
    Jump,
    /// B (T1, conditional), two bytes, of which the low one tells where.
    Branch,
}

/// A byte's class, and how far it lies behind the start of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) class: Class,
    pub(super) index: u32,
}

/// The address ranges that words are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Where the first byte of the image lies.
    pub(super) load: u32,
    /// How many addresses from there on count as image.
    pub(super) span: u32,
}

impl Addresses {
    pub(super) fn in_image(self, address: u32) -> bool {
        address.wrapping_sub(self.load) < self.span
    }
}

/// Where Cortex-M parts have their RAM, generously.
fn in_ram(address: u32) -> bool {
    (0x2000_0000..0x2010_0000).contains(&address)
}

/// Whether a call stands at this offset, and its two halfwords.
pub(super) fn call_at(window: &Window, offset: u32) -> Option<(u16, u16)> {
    let (first, second) = (window.half(offset)?, window.half(offset.checked_add(2)?)?);
    let is_call = first & 0xf800 == 0xf000 && matches!(second & 0xd000, 0xd000 | 0x9000);
    is_call.then_some((first, second))
}

/// What the byte at `offset` is part of.
pub(super) fn classify(window: &Window, offset: u32, addresses: Addresses) -> Unit {
    let half = offset & !1;
    if let Some(before) = half.checked_sub(2)
        && call_at(window, before).is_some()
        && before.checked_sub(2).is_none_or(|earlier| call_at(window, earlier).is_none())
    {
        return Unit { class: Class::Call, index: offset - before };
    }
    if call_at(window, half).is_some() {
        return Unit { class: Class::Call, index: offset - half };
    }
    let word = offset & !3;
    if let Some(value) = window.word(word) {
        if addresses.in_image(value) {
            return Unit { class: Class::Pointer, index: offset - word };
        }
        if in_ram(value) {
            return Unit { class: Class::RamPointer, index: offset - word };
        }
    }
    let class = match window.half(half) {
        Some(code) if code & 0xf800 == 0x4800 => Class::Literal,
        Some(code) if code & 0xf800 == 0xe000 => Class::Jump,
        Some(code) if code & 0xf000 == 0xd000 && code & 0x0f00 < 0x0e00 => Class::Branch,
        _ => Class::Plain,
    };
    Unit { class, index: offset - half }
}

/// How far a call goes from the end of its four bytes.
pub(super) fn call_distance((first, second): (u16, u16)) -> i64 {
    let (first, second) = (u32::from(first), u32::from(second));
    let sign = (first >> 10) & 1;
    let (i1, i2) = (((second >> 13) & 1) ^ sign ^ 1, ((second >> 11) & 1) ^ sign ^ 1);
    let value = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    i64::from((value << 7).cast_signed() >> 7)
}

/// The same call, going another distance; far ones wrap.
pub(super) fn with_call_distance((_, second): (u16, u16), distance: i64) -> [u8; 4] {
    let value = truncate(distance);
    let sign = (value >> 24) & 1;
    let (j1, j2) = (((value >> 23) & 1) ^ sign ^ 1, ((value >> 22) & 1) ^ sign ^ 1);
    let first = 0xf000 | sign << 10 | (value >> 12) & 0x3ff;
    let second = u32::from(second) & 0xd000 | j1 << 13 | j2 << 11 | (value >> 1) & 0x7ff;
    (first | second << 16).to_le_bytes()
}

/// How far a B (T2) goes.
pub(super) fn jump_distance(code: u16) -> i64 {
    i64::from((code << 5).cast_signed() >> 4)
}

/// The same jump, going another distance, if it reaches that far.
pub(super) fn with_jump_distance(distance: i64) -> Option<[u8; 2]> {
    let low = u16::try_from((truncate(distance) >> 1) & 0x7ff).ok()?;
    (-2048..2048).contains(&distance).then(|| (0xe000 | low).to_le_bytes())
}

/// How far a B (T1) goes.
pub(super) fn branch_distance(low: u8) -> i64 {
    i64::from(low.cast_signed()) * 2
}

/// The low byte of a branch that goes this far, if it reaches.
pub(super) fn with_branch_distance(distance: i64) -> Option<u8> {
    i8::try_from(distance >> 1).ok().map(i8::cast_unsigned)
}

/// Where an LDR (literal) at `offset` reads.
pub(super) fn literal_target(offset: u32, low: u8) -> u32 {
    (offset.wrapping_add(4) & !3).wrapping_add(u32::from(low) * 4)
}

/// The low byte of an LDR (literal) at `offset` that reads at `target`, if it reaches.
pub(super) fn with_literal_target(offset: u32, target: i64) -> Option<u8> {
    let distance = target - i64::from(offset.wrapping_add(4) & !3);
    (distance & 3 == 0).then(|| u8::try_from(distance >> 2).ok()).flatten()
}

/// The low 32 bits, as immediates are cut.
fn truncate(value: i64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_survive_the_round_trip() {
        for distance in (-(1i64 << 24)..(1 << 24)).step_by(1026) {
            let [a, b, c, d] = with_call_distance((0xf000, 0xd000), distance);
            let halves = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            assert_eq!(call_distance(halves), distance);
        }
        for distance in (-2048..2048).step_by(2) {
            assert_eq!(
                jump_distance(u16::from_le_bytes(with_jump_distance(distance).unwrap())),
                distance
            );
        }
        for distance in (-256..256).step_by(2) {
            assert_eq!(branch_distance(with_branch_distance(distance).unwrap()), distance);
        }
        for offset in [100u32, 102] {
            for low in 0..=255 {
                let target = literal_target(offset, low);
                assert_eq!(with_literal_target(offset, target.into()), Some(low));
            }
        }
    }
}
