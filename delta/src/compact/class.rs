//! Memory classes: how much a decoder remembers. The first byte of a payload names the class.

#[cfg(feature = "encode")]
use super::decoder::Memory;
use super::decoder::Tables;
#[cfg(feature = "encode")]
use alloc::boxed::Box;

/// How much a decoder remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 512 contexts, 128 map entries.
    Small,
    /// 2048 contexts, 512 map entries.
    Medium,
    /// 16384 contexts, 1024 map entries.
    Large,
}

/// Tables of the class [`Class::Small`].
pub type SmallTables = Tables<512, 128>;
/// Tables of the class [`Class::Medium`].
pub type MediumTables = Tables<2048, 512>;
/// Tables of the class [`Class::Large`].
pub type LargeTables = Tables<16384, 1024>;

impl Class {
    /// All classes, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The byte that names it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Small => 0,
            Self::Medium => 1,
            Self::Large => 2,
        }
    }

    /// The class that a byte names.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// RAM of the tables and the decoder, in bytes; the stack comes on top.
    #[must_use]
    pub fn ram_bytes(self) -> u64 {
        let tables = match self {
            Self::Small => size_of::<SmallTables>(),
            Self::Medium => size_of::<MediumTables>(),
            Self::Large => size_of::<LargeTables>(),
        };
        (tables + super::decoder::DECODER_BYTES) as u64
    }

    /// How many contexts and map entries it has.
    pub(super) fn counts(self) -> (usize, usize) {
        match self {
            Self::Small => (512, 128),
            Self::Medium => (2048, 512),
            Self::Large => (16384, 1024),
        }
    }
}

/// Runs something with fresh tables of a class.
#[cfg(feature = "encode")]
pub(super) fn with_memory<R>(class: Class, run: impl FnOnce(Memory<'_>) -> R) -> R {
    match class {
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
    }
}
