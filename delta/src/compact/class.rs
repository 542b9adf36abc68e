//! Memory classes: how much a decoder remembers. The first byte of a payload names the class.

use super::curves::CURVES;
#[cfg(feature = "encode")]
use super::decoder::Memory;
use super::decoder::Tables;
use super::model::{FAMILY_SETS, FLAG_SETS};
#[cfg(feature = "encode")]
use alloc::boxed::Box;

/// How much a decoder remembers, named by the RAM that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Within 4 KiB.
    Tiny,
    /// Within 8 KiB.
    Small,
    /// Within 16 KiB.
    Medium,
    /// Within 64 KiB.
    Large,
    /// Within 1 MiB.
    Huge,
}

/// How many elements the tables of a class have: powers of two, but for `map` and `path_sets`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Contexts of bytes.
    pub(super) slots: u32,
    /// Entries of the address map.
    pub(super) map: u16,
    /// Counters of the hit flag's contexts, in all parts.
    pub(super) flags: u16,
    /// Mixer sets of the hit flag, and of bytes by what is coded.
    pub(super) flag_sets: u16,
    pub(super) family_sets: u16,
    /// Mixer sets of bytes by path, in all groups: in each those of the first bits, and one for each of eight places.
    pub(super) path_sets: u16,
    /// Bytes last seen, in all tables of them.
    pub(super) recent: u16,
    /// Halfwords whose substitution is remembered.
    pub(super) substitutions: u16,
    /// Old targets where the map is wrong.
    pub(super) exceptions: u16,
}

const TINY: Shape = Shape {
    slots: 64,
    map: 72,
    flags: 128,
    flag_sets: 8,
    family_sets: 4,
    path_sets: 16,
    recent: 32,
    substitutions: 8,
    exceptions: 1,
};
const SMALL: Shape = Shape {
    slots: 512,
    map: 248,
    flags: 256,
    flag_sets: FLAG_SETS,
    family_sets: 32,
    path_sets: 32,
    recent: 256,
    substitutions: 32,
    exceptions: 8,
};
const MEDIUM: Shape = Shape {
    slots: 2048,
    map: 496,
    flags: 512,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    path_sets: 64,
    recent: 1024,
    substitutions: 256,
    exceptions: 32,
};
const LARGE: Shape = Shape {
    slots: 16384,
    map: 1536,
    flags: 2048,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    path_sets: 112,
    recent: 2048,
    substitutions: 1024,
    exceptions: 64,
};
const HUGE: Shape = Shape {
    slots: 1 << 17,
    map: 16384,
    flags: 2048,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    path_sets: 112,
    recent: 16384,
    substitutions: 4096,
    exceptions: 1024,
};

/// Tables of the class [`Class::Tiny`].
pub type TinyTables = Tables<
    { TINY.slots as usize },
    { TINY.map as usize },
    { TINY.flags as usize },
    { TINY.flag_sets as usize },
    { TINY.family_sets as usize },
    { TINY.path_sets as usize },
    { TINY.recent as usize },
    { TINY.substitutions as usize },
    { TINY.exceptions as usize },
    0,
>;

/// Tables of the class [`Class::Small`].
pub type SmallTables = Tables<
    { SMALL.slots as usize },
    { SMALL.map as usize },
    { SMALL.flags as usize },
    { SMALL.flag_sets as usize },
    { SMALL.family_sets as usize },
    { SMALL.path_sets as usize },
    { SMALL.recent as usize },
    { SMALL.substitutions as usize },
    { SMALL.exceptions as usize },
    0,
>;

/// Tables of the class [`Class::Medium`].
pub type MediumTables = Tables<
    { MEDIUM.slots as usize },
    { MEDIUM.map as usize },
    { MEDIUM.flags as usize },
    { MEDIUM.flag_sets as usize },
    { MEDIUM.family_sets as usize },
    { MEDIUM.path_sets as usize },
    { MEDIUM.recent as usize },
    { MEDIUM.substitutions as usize },
    { MEDIUM.exceptions as usize },
    0,
>;

/// Tables of the class [`Class::Large`].
#[cfg_attr(
    not(feature = "large"),
    allow(unreachable_pub, reason = "its size is known all the same")
)]
pub type LargeTables = Tables<
    { LARGE.slots as usize },
    { LARGE.map as usize },
    { LARGE.flags as usize },
    { LARGE.flag_sets as usize },
    { LARGE.family_sets as usize },
    { LARGE.path_sets as usize },
    { LARGE.recent as usize },
    { LARGE.substitutions as usize },
    { LARGE.exceptions as usize },
    CURVES,
>;

/// Tables of the class [`Class::Huge`].
#[cfg_attr(
    not(feature = "large"),
    allow(unreachable_pub, reason = "its size is known all the same")
)]
pub type HugeTables = Tables<
    { HUGE.slots as usize },
    { HUGE.map as usize },
    { HUGE.flags as usize },
    { HUGE.flag_sets as usize },
    { HUGE.family_sets as usize },
    { HUGE.path_sets as usize },
    { HUGE.recent as usize },
    { HUGE.substitutions as usize },
    { HUGE.exceptions as usize },
    CURVES,
>;

/// By class, in their order.
const SHAPES: [Shape; 5] = [TINY, SMALL, MEDIUM, LARGE, HUGE];

impl Class {
    /// All classes, the smallest first.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// The byte that names it.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Huge => "huge",
        }
    }

    /// The class that a byte names, if this build decodes it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let known = |class: &Self| cfg!(feature = "large") || *class <= Self::Medium;
        Self::ALL.get(usize::from(code)).copied().filter(known)
    }

    /// RAM of the tables and the decoder, in bytes; the stack comes on top.
    #[must_use]
    pub const fn ram_bytes(self) -> u64 {
        let tables = match self {
            Self::Tiny => size_of::<TinyTables>(),
            Self::Small => size_of::<SmallTables>(),
            Self::Medium => size_of::<MediumTables>(),
            Self::Large => size_of::<LargeTables>(),
            Self::Huge => size_of::<HugeTables>(),
        };
        (tables + super::decoder::DECODER_BYTES) as u64
    }

    /// How many curves correct its mixer.
    pub(super) const fn curves(self) -> usize {
        match self {
            Self::Large | Self::Huge => CURVES,
            Self::Tiny | Self::Small | Self::Medium => 0,
        }
    }

    pub(super) const fn shape(self) -> &'static Shape {
        #[allow(clippy::indexing_slicing, reason = "as many as there are classes")]
        &SHAPES[self as usize]
    }
}

/// Tables that hold a stream of any class.
#[cfg(feature = "large")]
pub type LargestTables = HugeTables;

/// Runs something with fresh tables of a class.
#[cfg(feature = "encode")]
pub(super) fn with_memory<R>(class: Class, run: impl FnOnce(Memory<'_>) -> R) -> R {
    match class {
        Class::Tiny => {
            let mut tables = Box::new(TinyTables::NEW);
            run(tables.lend())
        }
        Class::Small => {
            let mut tables = Box::new(SmallTables::NEW);
            run(tables.lend())
        }
        Class::Medium => {
            let mut tables = Box::new(MediumTables::NEW);
            run(tables.lend())
        }
        Class::Large => {
            let mut tables = Box::new(LargeTables::NEW);
            run(tables.lend())
        }
        Class::Huge => {
            let mut tables = Box::new(HugeTables::NEW);
            run(tables.lend())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_knows_the_classes_that_it_decodes() {
        for class in Class::ALL {
            let known = cfg!(feature = "large") || class <= Class::Medium;
            assert_eq!(Class::from_code(class.code()), known.then_some(class));
        }
        assert_eq!(Class::from_code(5), None);
    }

    #[test]
    fn every_class_keeps_to_its_ram() {
        let limits = [4 << 10, 8 << 10, 16 << 10, 64 << 10, 1 << 20];
        for (class, limit) in Class::ALL.into_iter().zip(limits) {
            assert!(class.ram_bytes() <= limit, "{class:?}: {} > {limit}", class.ram_bytes());
        }
    }
}
