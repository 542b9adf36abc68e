//! Words of data that are distances, as tables for unwinding have them.

use super::{Bytes, Code, Field, InstructionSet, References};

/// A word that holds a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// To code, in 32 bits: `.eh_frame` (Linux Standard Base 5.0, 10.6).
    ToCode,
    /// Back to the head of its table, in `.eh_frame`.
    ToHead,
    /// To code or to a table, in 31 bits: `.ARM.exidx` (Exception Handling ABI for the Arm Architecture, 6).
    Short,
}

const SHORT: Field = Field { bits: 31, groups: &[(0, 0, 31)] };

/// Numbers smaller than this are no distances that are worth a guess.
const MIN_DISTANCE: u32 = 0x1_0000;

/// Tables of `.eh_frame` begin with a length below this.
const MAX_HEAD: u32 = 64;

/// The distance that a word at a multiple of four is, if it is one.
pub(super) fn distance_at(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    word: u32,
) -> Option<Form> {
    match references.set {
        InstructionSet::Thumb | InstructionSet::Xtensa => None,
        InstructionSet::Arm => short(references, bytes, at, word),
        _ => long(references, bytes, at, word),
    }
}

/// A distance in `.eh_frame`: an entry's second word leads back to the head of its table, its third one to code.
fn long(references: &References, bytes: &mut impl Bytes, at: u32, word: u32) -> Option<Form> {
    let base = &references.base;
    let leads_to_code = |at: u32, word: u32| {
        let is_far = (MIN_DISTANCE..MIN_DISTANCE.wrapping_neg()).contains(&word);
        is_far && is_code(references, base.address(at).wrapping_add(word)) == Some(true)
    };
    if leads_to_code(at, word) {
        return Some(Form::ToCode);
    }
    let head = base.offset(base.address(at).wrapping_sub(word)).filter(|_| word != 0);
    if let Some(head) = head
        && !base.piece_at(head).0.is_code
        && bytes.word(at + 4).is_some_and(|next| leads_to_code(at + 4, next))
        && bytes.word(head).is_some_and(|len| len < MAX_HEAD)
    {
        return Some(Form::ToHead);
    }
    None
}

/// A distance in `.ARM.exidx`: an entry's first word leads to code, its second one to a table.
fn short(references: &References, bytes: &mut impl Bytes, at: u32, word: u32) -> Option<Form> {
    let leads_to = |at: u32, word: u32| {
        let is_short =
            word >> 31 == 0 && SHORT.number(word).cast_signed().unsigned_abs() >= MIN_DISTANCE;
        let target = references.base.address(at).wrapping_add(SHORT.number(word));
        is_code(references, target).filter(|_| is_short)
    };
    let is_first = leads_to(at, word) == Some(true);
    let is_second = leads_to(at, word) == Some(false)
        && match at.checked_sub(4) {
            Some(before) => {
                bytes.word(before).is_some_and(|word| leads_to(before, word) == Some(true))
            }
            None => false,
        };
    (is_first || is_second).then_some(Form::Short)
}

/// Whether an address of the base is code; `None` outside.
fn is_code(references: &References, address: u32) -> Option<bool> {
    let offset = references.base.offset(address)?;
    Some(references.base.piece_at(offset).0.is_code)
}

impl Form {
    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        match self {
            Self::ToCode => at.wrapping_add(code.own),
            Self::ToHead => at.wrapping_sub(code.own),
            Self::Short => at.wrapping_add(SHORT.number(code.own)),
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        match self {
            Self::ToCode => Some(target.wrapping_sub(at)),
            Self::ToHead => Some(at.wrapping_sub(target)),
            Self::Short => SHORT.with_number(code.own, target.wrapping_sub(at)),
        }
    }
}
