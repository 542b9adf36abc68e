//! Thumb code. Encodings: Arm v8-M Architecture Reference Manual, C2.4; Arm v7-A/R, A6 and A8.8.

use core::num::NonZeroU32;

use super::{Bytes, Code, Family, LastHigh, References, Step, distance, gather, mask, scatter};

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// BL and B (T4), four bytes.
    Call,
    /// B (T3), conditional, four bytes.
    FarBranch,
    /// B (T2), two bytes.
    Jump,
    /// B (T1), conditional, two bytes, of which the low one tells where.
    Branch,
    /// CBZ and CBNZ, two bytes, of which the low one tells where.
    CompareBranch,
    /// LDR (literal) and ADR (T1), two bytes, of which the low one tells where.
    Literal,
    /// LDR (literal) and its kin (T2), four bytes, of which the last two tell where.
    FarLiteral,
    /// VLDR of a literal, four bytes, of which the third tells where.
    FloatLiteral,
    /// MOVW of an address whose upper half a MOVT sets.
    MoveLow,
    /// MOVT of an address whose lower half a MOVW has set.
    MoveHigh,
}

/// The immediate of MOVW and MOVT: imm8, imm3, i and imm4.
const MOVE: [(u32, u32, u32); 4] = [(16, 0, 8), (28, 8, 3), (10, 11, 1), (0, 12, 4)];
/// The distance of B (T3).
const FAR_BRANCH: [(u32, u32, u32); 5] =
    [(16, 1, 11), (0, 12, 6), (29, 18, 1), (27, 19, 1), (10, 20, 1)];
/// The distance of CBZ and CBNZ.
const COMPARE: [(u32, u32, u32); 2] = [(3, 1, 5), (9, 6, 1)];

/// Instructions that follow a MOVW and are looked at for its MOVT.
const LOOK_AHEAD: u32 = 6;

/// A call that stands in these four bytes.
pub(crate) fn call(own: u32) -> Option<Form> {
    let is_call = own & 0xf800 == 0xf000 && matches!(own >> 16 & 0xd000, 0xd000 | 0x9000);
    is_call.then_some(Form::Call)
}

/// The form of an instruction that is told by itself.
fn alone(own: u32) -> Option<Form> {
    let low = own & 0xffff;
    if let Some(call) = call(own) {
        return Some(call);
    }
    match low {
        0x4800..=0x4fff | 0xa000..=0xa7ff => Some(Form::Literal),
        0xe000..=0xe7ff => Some(Form::Jump),
        0xd000..=0xddff => Some(Form::Branch),
        _ if low & 0xf500 == 0xb100 => Some(Form::CompareBranch),
        0xf8df | 0xf89f | 0xf8bf | 0xf99f | 0xf9bf => Some(Form::FarLiteral),
        0xed9f | 0xeddf if own >> 16 & 0x0e00 == 0x0a00 => Some(Form::FloatLiteral),
        _ if low & 0xf800 == 0xf000 && own >> 16 & 0xd000 == 0x8000 && low & 0x380 != 0x380 => {
            Some(Form::FarBranch)
        }
        _ => None,
    }
}

fn is_long(low: u32) -> bool {
    low & 0xffff >= 0xe800
}

fn is_movw(own: u32) -> bool {
    own & 0x8000_fbf0 == 0xf240
}

fn is_movt(own: u32) -> bool {
    own & 0x8000_fbf0 == 0xf2c0
}

fn register(own: u32) -> usize {
    (own >> 24 & 15) as usize
}

/// What stands at an even offset.
pub(super) fn step<B: Bytes>(
    references: &References,
    bytes: &mut B,
    at: u32,
    end: u32,
    last: &mut LastHigh,
) -> Result<Step, B::Error> {
    if at & 1 == 1 {
        return Ok(Step::plain(1));
    }
    let own = bytes.up_to_four(at)?;
    let form = alone(own);
    if form == Some(Form::Call) && at + 4 <= end {
        return Ok(Step::of(super::Form::Thumb(Form::Call), 4));
    }
    if at & 3 == 0 && at + 4 <= end {
        let word = references.word_form(own);
        if word.is_word() && !(word == super::Form::Value && is_long(own)) {
            return Ok(Step::of(word, 4));
        }
    }
    if !is_long(own) || at + 4 > end {
        let form =
            form.filter(|form| form.len() == 2).map_or(super::Form::Plain, super::Form::Thumb);
        return Ok(Step::of(form, 2));
    }
    // Among constants a sweep may take the wrong halfword for the start of a long instruction; what follows tells.
    let next = bytes.up_to_four(at + 2)?;
    let ends_with_ones = own & 0xff00 == 0xfb00;
    if at & 3 == 2 && references.is_pointer(next) || call(next).is_some() && !ends_with_ones {
        return Ok(Step::plain(2));
    }
    if is_movw(own) {
        return step_movw(references, bytes, at, end, own, last);
    }
    if is_movt(own)
        && let Some(low) = last.get_mut(register(own)).and_then(Option::take)
        && let Ok(back) = i16::try_from(i64::from(low.get()) - 1 - i64::from(at))
    {
        return Ok(Step { form: super::Form::Thumb(Form::MoveHigh), len: 4, distance: back });
    }
    Ok(Step::of(form.map_or(super::Form::Plain, super::Form::Thumb), 4))
}

/// A MOVW counts if a MOVT of the same register follows soon and both give an address that may have moved.
fn step_movw<B: Bytes>(
    references: &References,
    bytes: &mut B,
    at: u32,
    end: u32,
    own: u32,
    last: &mut LastHigh,
) -> Result<Step, B::Error> {
    let mut next = at + 4;
    for _ in 0..LOOK_AHEAD {
        if next + 4 > end {
            break;
        }
        let other = bytes.up_to_four(next)?;
        if is_movt(other) && register(other) == register(own) {
            let target = gather(own, &MOVE) | gather(other, &MOVE) << 16;
            if references.known_in_base(target)
                && let Ok(distance) = i16::try_from(next - at)
                && let Some(room) = last.get_mut(register(own))
            {
                *room = NonZeroU32::new(at + 1);
                return Ok(Step { form: super::Form::Thumb(Form::MoveLow), len: 4, distance });
            }
            break;
        }
        next += if is_long(other) { 4 } else { 2 };
    }
    Ok(Step::plain(4))
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Call | Self::FarBranch => Family::Call,
            Self::Jump => Family::Jump,
            Self::Branch | Self::CompareBranch => Family::Branch,
            Self::Literal | Self::FarLiteral | Self::FloatLiteral => Family::Literal,
            Self::MoveLow => Family::Low,
            Self::MoveHigh => Family::High,
        }
    }

    pub(super) fn len(self) -> u8 {
        match self {
            Self::Jump | Self::Branch | Self::CompareBranch | Self::Literal => 2,
            _ => 4,
        }
    }

    pub(super) fn moves(self, index: u8) -> bool {
        match self {
            Self::Branch | Self::CompareBranch | Self::Literal => index == 0,
            Self::FloatLiteral => index == 2,
            Self::FarLiteral => index >= 2,
            _ => true,
        }
    }

    pub(super) fn teaches(self) -> bool {
        self != Self::MoveLow
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        let own = code.own;
        let from = at.wrapping_add(4);
        let signed = |distance: i32| from.wrapping_add_signed(distance);
        match self {
            Self::Call => signed(call_distance(own)),
            Self::FarBranch => signed(super::sign_extend(gather(own, &FAR_BRANCH), 21)),
            Self::Jump => signed(super::sign_extend(own & 0x7ff, 11) * 2),
            Self::Branch => signed(super::sign_extend(own & 0xff, 8) * 2),
            Self::CompareBranch => from.wrapping_add(gather(own, &COMPARE)),
            Self::Literal => (from & !3).wrapping_add((own & 0xff) * 4),
            Self::FarLiteral => (from & !3).wrapping_add(own >> 16 & 0xfff),
            Self::FloatLiteral => (from & !3).wrapping_add((own >> 16 & 0xff) * 4),
            Self::MoveLow => gather(own, &MOVE) | gather(code.other, &MOVE) << 16,
            Self::MoveHigh => gather(code.other, &MOVE) | gather(own, &MOVE) << 16,
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let own = code.own;
        let from = at.wrapping_add(4);
        let ahead = |from: u32, limit: u32| {
            Some(target.wrapping_sub(from)).filter(|distance| *distance < limit)
        };
        let quarter = |limit| ahead(from & !3, limit).filter(|distance| distance & 3 == 0);
        match self {
            Self::Call => Some(with_call_distance(own, target.wrapping_sub(from))),
            Self::FarBranch => {
                let distance = distance(from, target, 21, 1)?;
                Some(own & !mask(&FAR_BRANCH) | scatter(distance, &FAR_BRANCH))
            }
            Self::Jump => {
                let distance = distance(from, target, 12, 1)?;
                Some(own & !0x7ff | distance >> 1 & 0x7ff)
            }
            Self::Branch => {
                let distance = distance(from, target, 9, 1)?;
                Some(own & !0xff | distance >> 1 & 0xff)
            }
            Self::CompareBranch => {
                let distance = ahead(from, 128)?;
                let new = own & !mask(&COMPARE) | scatter(distance, &COMPARE);
                // Only the low byte is predicted.
                ((new ^ own) & 0xff00 == 0 && distance & 1 == 0).then_some(new)
            }
            Self::Literal => Some(own & !0xff | quarter(1024)? >> 2),
            Self::FarLiteral => Some(own & !0x0fff_0000 | ahead(from & !3, 4096)? << 16),
            Self::FloatLiteral => Some(own & !0x00ff_0000 | quarter(1024)? << 14),
            Self::MoveLow => Some(own & !mask(&MOVE) | scatter(target & 0xffff, &MOVE)),
            Self::MoveHigh => Some(own & !mask(&MOVE) | scatter(target >> 16, &MOVE)),
        }
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        match self {
            Self::MoveLow => {
                is_movw(new.own) && is_movt(new.other) && register(new.own) == register(new.other)
            }
            Self::MoveHigh => {
                is_movt(new.own) && is_movw(new.other) && register(new.own) == register(new.other)
            }
            Self::FarLiteral | Self::FloatLiteral => (old.own ^ new.own) & 0xf000_ffff == 0,
            Self::Literal | Self::CompareBranch | Self::Branch => (old.own ^ new.own) & 0xff00 == 0,
            _ => alone(new.own) == Some(self),
        }
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(0xf000 | own & 0xd000_0000),
            Self::MoveLow | Self::MoveHigh => Some(own & !mask(&MOVE)),
            _ => None,
        }
    }
}

/// How far a call goes from the end of its four bytes.
fn call_distance(own: u32) -> i32 {
    let (first, second) = (own & 0xffff, own >> 16);
    let sign = (first >> 10) & 1;
    let (i1, i2) = (((second >> 13) & 1) ^ sign ^ 1, ((second >> 11) & 1) ^ sign ^ 1);
    let value = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    super::sign_extend(value, 25)
}

/// The same call, going another distance; far ones wrap.
fn with_call_distance(own: u32, distance: u32) -> u32 {
    let sign = (distance >> 24) & 1;
    let (j1, j2) = (((distance >> 23) & 1) ^ sign ^ 1, ((distance >> 22) & 1) ^ sign ^ 1);
    let first = 0xf000 | sign << 10 | (distance >> 12) & 0x3ff;
    let second = own >> 16 & 0xd000 | j1 << 13 | j2 << 11 | (distance >> 1) & 0x7ff;
    first | second << 16
}
