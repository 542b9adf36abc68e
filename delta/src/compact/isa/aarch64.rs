//! AArch64 code. Encodings: Arm Architecture Reference Manual for A-profile, C4.1.
//!
//! Addresses are made by pairs: ADRP sets a register to a page, and an addition, a load or a store through that register
//! adds twelve low bits.

use core::num::NonZeroU32;

use super::{Bytes, Code, Family, Field, LastHigh, References, Step};

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// B and BL.
    Call,
    /// B.cond, CBZ, CBNZ and LDR (literal).
    Branch,
    /// TBZ and TBNZ.
    TestBranch,
    /// ADR.
    Address,
    /// ADRP.
    Page,
    /// ADD, a load or a store with low bits.
    Low,
}

const CALL: Field = Field { bits: 28, groups: &[(0, 2, 26)] };
const BRANCH: Field = Field { bits: 21, groups: &[(5, 2, 19)] };
const TEST: Field = Field { bits: 16, groups: &[(5, 2, 14)] };
const ADDRESS: Field = Field { bits: 21, groups: &[(29, 0, 2), (5, 2, 19)] };
const PAGE: Field = Field { bits: 32, groups: &[(29, 12, 2), (5, 14, 18)] };
const LOW: Field = Field { bits: 13, groups: &[(10, 0, 12)] };

/// Instructions that follow an ADRP and are looked at for a user of its register.
const LOOK_AHEAD: u32 = 32;

/// B or BL.
pub(crate) fn call(own: u32) -> Option<Form> {
    (own & 0x7c00_0000 == 0x1400_0000).then_some(Form::Call)
}

fn is_page(own: u32) -> bool {
    own & 0x9f00_0000 == 0x9000_0000
}

/// How far the low bits are shifted, for an instruction that adds less than a page.
fn low_shift(own: u32) -> Option<u32> {
    let is_addition = own & 0xffc0_0000 == 0x9100_0000;
    let is_access = own & 0x3b00_0000 == 0x3900_0000;
    let is_vector_of_16 = own & 0xff80_0000 == 0x3d80_0000;
    let shift = match (is_addition, is_access) {
        (true, _) => 0,
        (_, true) => {
            if is_vector_of_16 {
                4
            } else {
                own >> 30
            }
        }
        _ => return None,
    };
    (LOW.raw(own) << shift < 0x1000).then_some(shift)
}

fn destination(own: u32) -> usize {
    (own & 31) as usize
}

fn source(own: u32) -> usize {
    (own >> 5 & 31) as usize
}

/// The register that is likely written: all instructions but stores and branches have it in their lowest bits.
fn written(own: u32) -> Option<usize> {
    let is_branch = own & 0x1c00_0000 == 0x1400_0000;
    let is_store = own & 0x0a40_0000 == 0x0800_0000;
    (!is_branch && !is_store).then(|| destination(own))
}

/// What stands at a multiple of four.
pub(super) fn step(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    last: &mut LastHigh,
) -> Step {
    if at & 3 != 0 || at + 4 > end {
        return Step::plain(1);
    }
    let own = bytes.up_to_four(at);
    let (form, distance) = match own {
        _ if call(own).is_some() => (Some(Form::Call), 0),
        _ if own & 0x3b00_0000 == 0x1800_0000
            || own & 0xff00_0010 == 0x5400_0000
            || own & 0x7e00_0000 == 0x3400_0000 =>
        {
            (Some(Form::Branch), 0)
        }
        _ if own & 0x7e00_0000 == 0x3600_0000 => (Some(Form::TestBranch), 0),
        _ if own & 0x9f00_0000 == 0x1000_0000 => (Some(Form::Address), 0),
        _ if is_page(own) => {
            let user = user_of(bytes, at, end, destination(own));
            (user.map(|_| Form::Page), user.unwrap_or(0))
        }
        _ if low_shift(own).is_some() => {
            let page = last.get(source(own)).copied().flatten();
            let back = page.and_then(|page| super::behind(at, page.get() - 1));
            (back.map(|_| Form::Low), back.unwrap_or(0))
        }
        _ => (None, 0),
    };
    if let Some(room) = written(own).and_then(|register| last.get_mut(register)) {
        *room = if is_page(own) { NonZeroU32::new(at + 1) } else { None };
    }
    let form = form.map_or(super::Form::Plain, super::Form::Aarch64);
    // Tables may stand among the code.
    if form == super::Form::Plain && references.is_pointer(own) {
        return Step::of(references.word_form(own), 4);
    }
    Step { form, len: 4, distance }
}

/// How far behind an ADRP the first user of its register lies.
fn user_of(bytes: &mut impl Bytes, at: u32, end: u32, register: usize) -> Option<i16> {
    for next in (at + 4..end.saturating_sub(3)).step_by(4).take(LOOK_AHEAD as usize) {
        let own = bytes.up_to_four(next);
        if low_shift(own).is_some() && source(own) == register {
            return super::behind(at, next);
        }
        if written(own) == Some(register) {
            break;
        }
    }
    None
}

/// The page that an ADRP at `at` gives.
fn page(own: u32, at: u32) -> u32 {
    (at & !0xfff).wrapping_add(PAGE.raw(own))
}

fn low_bits(own: u32) -> u32 {
    LOW.raw(own) << low_shift(own).unwrap_or(0)
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Call => Family::Call,
            Self::Branch | Self::Address => Family::Branch,
            Self::TestBranch => Family::Jump,
            Self::Page => Family::High,
            Self::Low => Family::Low,
        }
    }

    pub(super) fn teaches(self) -> bool {
        self != Self::Page
    }

    fn field(self) -> &'static Field {
        match self {
            Self::Call => &CALL,
            Self::Branch => &BRANCH,
            Self::TestBranch => &TEST,
            Self::Address => &ADDRESS,
            Self::Page => &PAGE,
            Self::Low => &LOW,
        }
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        let Code { own, other, distance } = code;
        match self {
            Self::Page => page(own, at).wrapping_add(low_bits(other)),
            Self::Low => {
                page(other, at.wrapping_add_signed(distance.into())).wrapping_add(low_bits(own))
            }
            _ => at.wrapping_add(self.field().number(own)),
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let own = code.own;
        let number = match self {
            Self::Page => (target & !0xfff).wrapping_sub(at & !0xfff),
            Self::Low => {
                let (low, shift) = (target & 0xfff, low_shift(own)?);
                let is_aligned = low & ((1 << shift) - 1) == 0;
                is_aligned.then_some(low >> shift)?
            }
            _ => target.wrapping_sub(at),
        };
        self.field().with_number(own, number)
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        let others_agree = match self {
            Self::Page => LOW.agree(old.other, new.other),
            Self::Low => PAGE.agree(old.other, new.other),
            _ => true,
        };
        others_agree && self.field().agree(old.own, new.own)
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(own & !CALL.mask()),
            Self::Page => Some(own & !PAGE.mask()),
            Self::Low => Some(own & !LOW.mask()),
            Self::Branch | Self::TestBranch | Self::Address => None,
        }
    }
}
