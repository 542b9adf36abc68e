//! RISC-V code with compressed instructions. Encodings: The RISC-V Instruction Set Manual, volume I, chapters 2, 27 and
//! 37.
//!
//! Addresses are made by pairs: AUIPC or LUI sets the high bits of a register, and a load, a store, an addition or a
//! jump through that register adds twelve low bits. The pairs of one register may lie far apart.

use core::num::NonZeroU32;

use super::{Bytes, Code, Family, Field, InstructionSet, LastHigh, References, Step};

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JAL.
    Call,
    /// Conditional branches.
    Branch,
    /// C.J and C.JAL.
    ShortJump,
    /// C.BEQZ and C.BNEZ.
    ShortBranch,
    /// AUIPC with a user of its register.
    PcHigh,
    /// A user of a register that AUIPC has set.
    PcLow,
    /// LUI with a user of its register.
    High,
    /// A user of a register that LUI has set.
    Low,
    /// A user of the global pointer, which stands in for the other half of the pair.
    Global,
}

const CALL: Field =
    Field { bits: 21, groups: &[(21, 1, 10), (20, 11, 1), (12, 12, 8), (31, 20, 1)] };
const BRANCH: Field = Field { bits: 13, groups: &[(8, 1, 4), (25, 5, 6), (7, 11, 1), (31, 12, 1)] };
const SHORT_JUMP: Field = Field {
    bits: 12,
    groups: &[
        (3, 1, 3),
        (11, 4, 1),
        (2, 5, 1),
        (7, 6, 1),
        (6, 7, 1),
        (9, 8, 2),
        (8, 10, 1),
        (12, 11, 1),
    ],
};
const SHORT_BRANCH: Field =
    Field { bits: 9, groups: &[(3, 1, 2), (10, 3, 2), (2, 5, 1), (5, 6, 2), (12, 8, 1)] };
/// The low bits of a store, and of everything else.
const STORE: Field = Field { bits: 12, groups: &[(7, 0, 5), (25, 5, 7)] };
const LOAD: Field = Field { bits: 12, groups: &[(20, 0, 12)] };

const HIGH: u32 = 0xffff_f000;
const LUI: u32 = 0x37;
const AUIPC: u32 = 0x17;

/// Instructions that follow a LUI or AUIPC and are looked at for a user of its register.
const LOOK_AHEAD: u32 = 64;

/// The register number of the global pointer.
const GLOBAL_POINTER: usize = 3;

/// JAL that sets the link register.
pub(crate) fn call(own: u32) -> Option<Form> {
    (own & 0xfff == 0xef).then_some(Form::Call)
}

fn opcode(own: u32) -> u32 {
    own & 0x7f
}

fn destination(own: u32) -> usize {
    (own >> 7 & 31) as usize
}

fn source(own: u32) -> usize {
    (own >> 15 & 31) as usize
}

fn is_long(own: u32) -> bool {
    own & 3 == 3
}

/// Loads, stores, ADDI and JALR add their immediate to a register.
fn adds_low_bits(own: u32) -> bool {
    matches!(opcode(own), 0x03 | 0x07 | 0x67 | 0x23 | 0x27)
        || opcode(own) == 0x13 && own & 0x7000 == 0
}

fn low_field(own: u32) -> &'static Field {
    if matches!(opcode(own), 0x23 | 0x27) { &STORE } else { &LOAD }
}

fn low_bits(own: u32) -> u32 {
    low_field(own).number(own)
}

/// The register that a four-byte instruction writes.
fn written(own: u32) -> Option<usize> {
    (!matches!(opcode(own), 0x63 | 0x23 | 0x27)).then(|| destination(own))
}

/// The register that a two-byte instruction writes.
fn written_short(own: u32) -> Option<usize> {
    let (function, full) = (own >> 13 & 7, destination(own));
    match (own & 3, function) {
        (0, 0 | 2 | 3) => Some(8 + (own >> 2 & 7) as usize),
        (1, 0 | 2 | 3) | (2, 0 | 2 | 3) => Some(full),
        (1, 4) => Some(8 + (own >> 7 & 7) as usize),
        (2, 4) if own >> 2 & 31 != 0 => Some(full),
        _ => None,
    }
}

/// What stands at an even offset.
pub(super) fn step(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    last: &mut LastHigh,
) -> Step {
    if at & 1 == 1 {
        return Step::plain(1);
    }
    let own = bytes.up_to_four(at);
    if !is_long(own) {
        if let Some(room) = written_short(own).and_then(|register| last.get_mut(register)) {
            *room = None;
        }
        let form = match (own & 3, own >> 13 & 7) {
            (1, 5) => super::Form::Riscv(Form::ShortJump),
            (1, 1) if references.set == InstructionSet::Riscv32 => {
                super::Form::Riscv(Form::ShortJump)
            }
            (1, 6 | 7) => super::Form::Riscv(Form::ShortBranch),
            _ => super::Form::Plain,
        };
        return Step::of(form, 2);
    }
    if at + 4 > end {
        return Step::plain(end.saturating_sub(at).max(1));
    }
    let found = long_form(references, bytes, at, end, own, last);
    if let Some(room) = written(own).and_then(|register| last.get_mut(register)) {
        let is_high = matches!(opcode(own), LUI | AUIPC);
        *room = if is_high { NonZeroU32::new(at + 1) } else { None };
    }
    match found {
        Some((form, distance)) => Step { form: super::Form::Riscv(form), len: 4, distance },
        None => Step::plain(4),
    }
}

fn long_form(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    own: u32,
    last: &LastHigh,
) -> Option<(Form, i16)> {
    match opcode(own) {
        0x6f => Some((Form::Call, 0)),
        0x63 => Some((Form::Branch, 0)),
        LUI | AUIPC if destination(own) != 0 => {
            let form = if opcode(own) == AUIPC { Form::PcHigh } else { Form::High };
            let user = user_of(bytes, at, end, destination(own));
            user.filter(|(_, other)| {
                form == Form::PcHigh
                    || references.known_in_base((own & HIGH).wrapping_add(low_bits(*other)))
            })
            .map(|(distance, _)| (form, distance))
        }
        _ if adds_low_bits(own) && source(own) != 0 => {
            let high = last.get(source(own)).copied().flatten().map(|place| place.get() - 1);
            match high {
                Some(place) => {
                    let other = bytes.up_to_four(place);
                    let is_pc = opcode(other) == AUIPC;
                    let known = is_pc
                        || references.known_in_base((other & HIGH).wrapping_add(low_bits(own)));
                    let form = if is_pc { Form::PcLow } else { Form::Low };
                    super::behind(at, place).filter(|_| known).map(|distance| (form, distance))
                }
                None => {
                    let [old, _] = references.global_pointers;
                    let is_global = source(own) == GLOBAL_POINTER
                        && destination(own) != GLOBAL_POINTER
                        && old != 0;
                    is_global.then_some((Form::Global, 0))
                }
            }
        }
        _ => None,
    }
}

/// The first user of a register that is set at `at`: how far behind it lies, and its bytes.
fn user_of(bytes: &mut impl Bytes, at: u32, end: u32, register: usize) -> Option<(i16, u32)> {
    let mut next = at + 4;
    for _ in 0..LOOK_AHEAD {
        if next + 4 > end {
            break;
        }
        let own = bytes.up_to_four(next);
        if is_long(own) {
            if source(own) == register && adds_low_bits(own) {
                return super::behind(at, next).map(|distance| (distance, own));
            }
            if written(own) == Some(register) {
                break;
            }
            next += 4;
        } else {
            if written_short(own) == Some(register) {
                break;
            }
            next += 2;
        }
    }
    None
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Call => Family::Call,
            Self::Branch => Family::Branch,
            Self::ShortJump => Family::Jump,
            Self::ShortBranch => Family::Literal,
            Self::PcHigh | Self::High => Family::High,
            Self::PcLow | Self::Low | Self::Global => Family::Low,
        }
    }

    pub(super) fn len(self) -> u8 {
        if matches!(self, Self::ShortJump | Self::ShortBranch) { 2 } else { 4 }
    }

    /// Of a pair, the half that comes last teaches.
    pub(super) fn teaches(self) -> bool {
        !matches!(self, Self::PcHigh | Self::High)
    }

    pub(super) fn is_global(self) -> bool {
        self == Self::Global
    }

    /// Where a jump holds its distance; of everything else, where the low bits are.
    fn field(self, own: u32) -> &'static Field {
        match self {
            Self::Call => &CALL,
            Self::Branch => &BRANCH,
            Self::ShortJump => &SHORT_JUMP,
            Self::ShortBranch => &SHORT_BRANCH,
            _ => low_field(own),
        }
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        let Code { own, other, distance } = code;
        match self {
            Self::Call | Self::Branch | Self::ShortJump | Self::ShortBranch => {
                at.wrapping_add(self.field(own).number(own))
            }
            Self::PcHigh => at.wrapping_add(own & HIGH).wrapping_add(low_bits(other)),
            Self::High => (own & HIGH).wrapping_add(low_bits(other)),
            Self::PcLow => at
                .wrapping_add_signed(distance.into())
                .wrapping_add(other & HIGH)
                .wrapping_add(low_bits(own)),
            Self::Low => (other & HIGH).wrapping_add(low_bits(own)),
            Self::Global => other.wrapping_add(low_bits(own)),
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let Code { own, other, distance } = code;
        let field = self.field(own);
        let high = |value: u32| Some(own & !HIGH | value.wrapping_add(0x800) & HIGH);
        match self {
            Self::Call | Self::Branch | Self::ShortJump | Self::ShortBranch => {
                field.with_number(own, target.wrapping_sub(at))
            }
            Self::PcHigh => high(target.wrapping_sub(at)),
            Self::High => high(target),
            Self::PcLow => {
                let from = at.wrapping_add_signed(distance.into());
                Some(field.with_raw(own, target.wrapping_sub(from)))
            }
            Self::Low => Some(field.with_raw(own, target)),
            Self::Global => field.with_number(own, target.wrapping_sub(other)),
        }
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        let field = self.field(old.own);
        match self {
            Self::Call | Self::Branch | Self::Global => field.agree(old.own, new.own),
            Self::ShortJump | Self::ShortBranch => {
                field.agree(old.own, new.own & 0xffff | old.own & !0xffff)
            }
            Self::PcHigh | Self::High => {
                (old.own ^ new.own) & !HIGH == 0 && low_field(old.other).agree(old.other, new.other)
            }
            Self::PcLow | Self::Low => {
                field.agree(old.own, new.own) && (old.other ^ new.other) & !HIGH == 0
            }
        }
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(own & 0xfff),
            Self::PcHigh | Self::High => Some(own & !HIGH),
            Self::PcLow | Self::Low | Self::Global => Some(own & !low_field(own).mask()),
            Self::Branch | Self::ShortJump | Self::ShortBranch => None,
        }
    }
}
