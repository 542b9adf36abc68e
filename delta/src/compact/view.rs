//! The two images as one address space: the base, and behind it what is already written of the target.

use super::window::Window;

/// A place to copy from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An offset in the base.
    Base(u32),
    /// An offset in the target.
    Target(u32),
}

impl Source {
    /// The place in the space of base and target, one behind the other.
    pub(super) fn from_virtual(place: i64, base_size: u32, written: u32) -> Option<Self> {
        let place = u32::try_from(place).ok()?;
        match place.checked_sub(base_size) {
            None => Some(Self::Base(place)),
            Some(offset) if offset < written => Some(Self::Target(offset)),
            Some(_) => None,
        }
    }

    pub(super) fn is_base(self) -> bool {
        matches!(self, Self::Base(_))
    }

    /// The offset in its image.
    pub(super) fn offset(self) -> u32 {
        match self {
            Self::Base(offset) | Self::Target(offset) => offset,
        }
    }
}

/// Where source bytes come from and target bytes go.
pub(super) trait View {
    /// Why bytes are not to be had.
    type Error;

    /// The bytes around a source; of the target, only those in front of `written` are valid.
    fn window(&mut self, source: Source, written: u32) -> Result<Window, Self::Error>;

    /// Takes the next target bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}
