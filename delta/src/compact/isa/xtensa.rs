//! Xtensa code with narrow instructions. Encodings: Xtensa Instruction Set Architecture Reference Manual, chapter 7.
//!
//! Instructions take two or three bytes and constants stand among them, so a sweep goes wrong now and then; an aligned
//! word that is an address is taken for data and sets it right again.

use super::{Bytes, Code, Family, Field, LastHigh, References, Step};

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// CALL0, CALL4, CALL8 and CALL12.
    Call,
    /// L32R: loads a constant that lies in front of it.
    Literal,
}

const CALL: Field = Field { bits: 20, groups: &[(6, 2, 18)] };

/// Where calls may lead outside the image: routines in mask ROM.
const ROM: core::ops::Range<u32> = 0x4000_0000..0x4007_0000;

/// What stands at an offset.
pub(super) fn step(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    _: u32,
    _: &mut LastHigh,
) -> Step {
    let own = bytes.up_to_four(at);
    if at & 3 == 0 && references.is_pointer(own) {
        return Step::of(references.word_form(own), 4);
    }
    let len = if own & 8 != 0 { 2 } else { 3 };
    let next_word = (at + 3) & !3;
    if next_word > at
        && next_word < at + len
        && bytes.word(next_word).is_some_and(|word| references.is_pointer(word))
    {
        return Step::plain(next_word - at);
    }
    let form = match own & 15 {
        5 if own & 8 == 0 => Some(Form::Call),
        1 => Some(Form::Literal),
        _ => None,
    };
    let address = references.base.address(at);
    let form = form.filter(|form| {
        let target = form.target(Code { own, ..Code::default() }, address);
        references.base.holds(target) || *form == Form::Call && ROM.contains(&target)
    });
    Step::of(form.map_or(super::Form::Plain, super::Form::Xtensa), len)
}

/// What the distance of a call is counted from.
fn call_from(at: u32) -> u32 {
    (at & !3).wrapping_add(4)
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Call => Family::Call,
            Self::Literal => Family::High,
        }
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        match self {
            Self::Call => call_from(at).wrapping_add(CALL.number(code.own)),
            Self::Literal => {
                (at.wrapping_add(3) & !3).wrapping_sub((0x1_0000 - (code.own >> 8 & 0xffff)) * 4)
            }
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let own = code.own;
        match self {
            Self::Call => CALL.with_number(own, target.wrapping_sub(call_from(at))),
            Self::Literal => {
                let back = (at.wrapping_add(3) & !3).wrapping_sub(target);
                let fits = back & 3 == 0 && (4..=0x4_0000).contains(&back);
                fits.then(|| own & 0xff00_00ff | (0x1_0000 - back / 4) << 8)
            }
        }
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        match self {
            Self::Call => (old.own ^ new.own) & 0x3f == 0,
            Self::Literal => (old.own ^ new.own) & 0xff == 0,
        }
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(own & 0xff00_003f),
            Self::Literal => Some(own & 0xff00_00ff),
        }
    }
}
