//! A32 code, as Linux userland and older parts have it. Encodings: Arm Architecture Reference Manual for A-profile, F4.1.
//!
//! Position-independent code adds the program counter to a constant that it has loaded from a pool behind the function:
//! the constant is the distance from that addition to what is meant.

use super::{Bytes, Code, Family, Field, LastHigh, References, Step};

/// Which instruction, or which constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// B and BL.
    Call,
    /// LDR (literal), of which the two lowest bytes tell where.
    Literal,
    /// A constant of a pool that ADD makes an address; the addition stands in for the other half of a pair.
    Constant,
}

const CALL: Field = Field { bits: 26, groups: &[(0, 2, 24)] };

/// What the program counter is ahead of its instruction.
const AHEAD: u32 = 8;

/// A load reaches this far.
pub(super) const REACH: u32 = 4096;

/// Instructions that follow a load and are looked at for the addition.
const LOOK_AHEAD: u32 = 24;

/// B or BL, under any condition.
pub(crate) fn call(own: u32) -> Option<Form> {
    (own & 0x0e00_0000 == 0x0a00_0000 && own < 0xf000_0000).then_some(Form::Call)
}

/// A load of a word from behind its instruction or in front of it.
fn is_literal(own: u32) -> bool {
    own & 0x0f7f_0000 == 0x051f_0000 && own < 0xf000_0000
}

fn literal_distance(own: u32) -> u32 {
    let distance = own & 0xfff;
    if own & 0x80_0000 != 0 { distance } else { distance.wrapping_neg() }
}

/// Whether this adds the program counter to a register, or loads from their sum.
fn adds_counter_to(own: u32, register: u32) -> bool {
    let is_addition = own & 0x0fef_0ff0 == 0x008f_0000;
    let is_access = own & 0x0e2f_0ff0 == 0x060f_0000 && own & 0x0100_0000 != 0;
    (is_addition || is_access) && own & 15 == register
}

/// What stands at a multiple of four.
pub(super) fn step(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    _: &mut LastHigh,
) -> Step {
    if at & 3 != 0 || at + 4 > end {
        return Step::plain(1);
    }
    let own = bytes.up_to_four(at);
    let form = match own {
        _ if call(own).is_some() => super::Form::Arm(Form::Call),
        _ if is_literal(own) => super::Form::Arm(Form::Literal),
        // Padding is no constant; to look for its load at each word would take long.
        0 | u32::MAX => references.word_form(own),
        _ if matches!(own >> 24, 0 | 0xff) => return constant(references, bytes, at, own),
        _ if references.is_pointer(own) => references.word_form(own),
        _ => super::Form::Plain,
    };
    Step::of(form, 4)
}

/// What a word at `at` is that is hardly an instruction: who loads it, and what becomes of it there?
fn constant(references: &References, bytes: &mut impl Bytes, at: u32, own: u32) -> Step {
    let first = at.saturating_sub(REACH);
    let mut load = at;
    while load > first {
        load -= 4;
        let code = bytes.up_to_four(load);
        if is_literal(code) && load.wrapping_add(AHEAD).wrapping_add(literal_distance(code)) == at {
            let register = code >> 12 & 15;
            for next in (load + 4..at).step_by(4).take(LOOK_AHEAD as usize) {
                let code = bytes.up_to_four(next);
                if adds_counter_to(code, register)
                    && let Some(back) = super::behind(at, next)
                {
                    let form = super::Form::Arm(Form::Constant);
                    return Step { form, len: 4, distance: back };
                }
            }
            break;
        }
    }
    Step::of(references.word_form(own), 4)
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Call => Family::Call,
            Self::Literal => Family::Literal,
            Self::Constant => Family::High,
        }
    }

    pub(super) fn moving(self) -> u8 {
        if self == Self::Literal { 0b0011 } else { 0b1111 }
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        let from = at.wrapping_add(AHEAD);
        match self {
            Self::Call => from.wrapping_add(CALL.number(code.own)),
            Self::Literal => from.wrapping_add(literal_distance(code.own)),
            Self::Constant => from.wrapping_add_signed(code.distance.into()).wrapping_add(code.own),
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let from = at.wrapping_add(AHEAD);
        match self {
            Self::Call => CALL.with_number(code.own, target.wrapping_sub(from)),
            Self::Literal => {
                let distance = target.wrapping_sub(from);
                let is_behind = code.own & 0x80_0000 != 0;
                let distance = if is_behind { distance } else { distance.wrapping_neg() };
                (distance < REACH).then_some(code.own & !0xfff | distance)
            }
            Self::Constant => {
                Some(target.wrapping_sub(from.wrapping_add_signed(code.distance.into())))
            }
        }
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        match self {
            Self::Call => CALL.agree(old.own, new.own),
            Self::Literal => (old.own ^ new.own) & !0xfff == 0,
            Self::Constant => adds_counter_to(new.other, old.other & 15),
        }
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(own & !CALL.mask()),
            Self::Literal => None,
            Self::Constant => Some(0x0400_0000),
        }
    }
}
