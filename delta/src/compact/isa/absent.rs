//! Stands in for an instruction set that is left out: nothing is of its form, so the compiler drops what would be done
//! with one.
#![allow(dead_code, reason = "nothing of it is used where no set is left out")]

use super::{Bytes, Code, Family, LastHigh, References, Step};

/// No instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {}

pub(crate) fn call(_: u32) -> Option<Form> {
    None
}

pub(super) fn step(_: &References, _: &mut impl Bytes, _: u32, _: u32, _: &mut LastHigh) -> Step {
    Step::plain(1)
}

pub(super) fn distance_at(_: &References, _: &mut impl Bytes, _: u32, _: u32) -> Option<Form> {
    None
}

impl Form {
    pub(super) fn family(self) -> Family {
        match self {}
    }

    pub(super) fn len(self) -> u8 {
        match self {}
    }

    pub(super) fn moving(self) -> u8 {
        match self {}
    }

    pub(super) fn teaches(self) -> bool {
        match self {}
    }

    pub(super) fn is_global(self) -> bool {
        match self {}
    }

    pub(super) fn target(self, _: Code, _: u32) -> u32 {
        match self {}
    }

    pub(super) fn with_target(self, _: Code, _: u32, _: u32) -> Option<u32> {
        match self {}
    }

    pub(super) fn agree(self, _: Code, _: Code) -> bool {
        match self {}
    }
}
