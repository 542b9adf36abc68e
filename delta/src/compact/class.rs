//! Memory classes: how much a decoder remembers. The first byte of a payload names the class.

#[cfg(feature = "encode")]
use super::decoder::Memory;
use super::decoder::Tables;
use super::model::{self, FAMILY_SETS, FLAG_SETS};
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

/// How many elements the tables of a class have: powers of two, but for `map` and `paths`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Contexts of bytes.
    pub(super) slots: u32,
    /// Entries of the address map.
    pub(super) map: u16,
    /// Counters in each part of the hit flag's contexts.
    pub(super) flags: u16,
    /// Mixer sets of the hit flag, and of bytes by what is coded.
    pub(super) flag_sets: u16,
    pub(super) family_sets: u16,
    /// Paths through a byte that its mixer tells apart: those of the first bits, and one for each of eight places.
    pub(super) paths: u16,
    /// Bytes last seen, in each table of them.
    pub(super) recent: u16,
    /// Halfwords whose substitution is remembered.
    pub(super) substitutions: u16,
    /// What has been seen of references and words.
    pub(super) cells: u16,
}

const TINY: Shape = Shape {
    slots: 64,
    map: 72,
    flags: 32,
    flag_sets: 8,
    family_sets: 4,
    paths: 4,
    recent: 16,
    substitutions: 8,
    cells: 1,
};
const SMALL: Shape = Shape {
    slots: 512,
    map: 248,
    flags: 64,
    flag_sets: FLAG_SETS,
    family_sets: 32,
    paths: 8,
    recent: 128,
    substitutions: 32,
    cells: 8,
};
const MEDIUM: Shape = Shape {
    slots: 1024,
    map: 496,
    flags: 128,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    paths: 16,
    recent: 512,
    substitutions: 256,
    cells: 32,
};
const LARGE: Shape = Shape {
    slots: 16384,
    map: 1536,
    flags: 128,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    paths: 136,
    recent: 1024,
    substitutions: 1024,
    cells: 64,
};
const HUGE: Shape = Shape {
    slots: 1 << 17,
    map: 16384,
    flags: 8192,
    flag_sets: FLAG_SETS,
    family_sets: FAMILY_SETS,
    paths: 264,
    recent: 8192,
    substitutions: 4096,
    cells: 1024,
};

/// Tables of the class [`Class::Tiny`].
pub type TinyTables = Tables<
    { TINY.slots as usize },
    { TINY.map as usize },
    { TINY.flag_count() },
    { TINY.flag_sets as usize },
    { TINY.family_sets as usize },
    { TINY.path_sets() },
    { TINY.recent_count() },
    { TINY.substitutions as usize },
    { TINY.cells as usize },
>;

/// Tables of the class [`Class::Small`].
pub type SmallTables = Tables<
    { SMALL.slots as usize },
    { SMALL.map as usize },
    { SMALL.flag_count() },
    { SMALL.flag_sets as usize },
    { SMALL.family_sets as usize },
    { SMALL.path_sets() },
    { SMALL.recent_count() },
    { SMALL.substitutions as usize },
    { SMALL.cells as usize },
>;

/// Tables of the class [`Class::Medium`].
pub type MediumTables = Tables<
    { MEDIUM.slots as usize },
    { MEDIUM.map as usize },
    { MEDIUM.flag_count() },
    { MEDIUM.flag_sets as usize },
    { MEDIUM.family_sets as usize },
    { MEDIUM.path_sets() },
    { MEDIUM.recent_count() },
    { MEDIUM.substitutions as usize },
    { MEDIUM.cells as usize },
>;

/// Tables of the class [`Class::Large`].
pub type LargeTables = Tables<
    { LARGE.slots as usize },
    { LARGE.map as usize },
    { LARGE.flag_count() },
    { LARGE.flag_sets as usize },
    { LARGE.family_sets as usize },
    { LARGE.path_sets() },
    { LARGE.recent_count() },
    { LARGE.substitutions as usize },
    { LARGE.cells as usize },
>;

/// Tables of the class [`Class::Huge`].
pub type HugeTables = Tables<
    { HUGE.slots as usize },
    { HUGE.map as usize },
    { HUGE.flag_count() },
    { HUGE.flag_sets as usize },
    { HUGE.family_sets as usize },
    { HUGE.path_sets() },
    { HUGE.recent_count() },
    { HUGE.substitutions as usize },
    { HUGE.cells as usize },
>;

impl Shape {
    pub(super) const fn flag_count(self) -> usize {
        self.flags as usize * model::FLAG_PARTS
    }

    pub(super) const fn path_sets(self) -> usize {
        self.paths as usize * model::PATH_GROUPS
    }

    pub(super) const fn recent_count(self) -> usize {
        self.recent as usize * model::RECENT_TABLES
    }
}

impl Class {
    /// All classes, the smallest first.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// The byte that names it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Tiny => 0,
            Self::Small => 1,
            Self::Medium => 2,
            Self::Large => 3,
            Self::Huge => 4,
        }
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

    /// The class that a byte names.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
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

    pub(super) const fn shape(self) -> &'static Shape {
        match self {
            Self::Tiny => &TINY,
            Self::Small => &SMALL,
            Self::Medium => &MEDIUM,
            Self::Large => &LARGE,
            Self::Huge => &HUGE,
        }
    }
}

/// Tables that hold a stream of any class.
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
    fn every_class_keeps_to_its_ram() {
        let limits = [4 << 10, 8 << 10, 16 << 10, 64 << 10, 1 << 20];
        for (class, limit) in Class::ALL.into_iter().zip(limits) {
            assert!(class.ram_bytes() <= limit, "{class:?}: {} > {limit}", class.ram_bytes());
        }
    }
}
