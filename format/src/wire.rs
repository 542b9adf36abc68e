//! Typed fields at fixed offsets, and bounds-checked walking for the parts that vary in length.

use crate::{FormatError, Part};

/// A value with a fixed little-endian encoding.
pub(crate) trait Wire: Copy {
    const LEN: usize;
    const ZERO: Self;
    fn load(bytes: &[u8]) -> Option<Self>;
    fn store(self, bytes: &mut [u8]) -> Option<()>;
}

macro_rules! wire_int {
    ($($int:ty),*) => {$(
        impl Wire for $int {
            const LEN: usize = size_of::<$int>();
            const ZERO: Self = 0;
            fn load(bytes: &[u8]) -> Option<Self> {
                Some(<$int>::from_le_bytes(*bytes.first_chunk()?))
            }
            fn store(self, bytes: &mut [u8]) -> Option<()> {
                *bytes.first_chunk_mut()? = self.to_le_bytes();
                Some(())
            }
        }
    )*};
}
wire_int!(u8, u16, u32);

impl<const N: usize> Wire for [u8; N] {
    const LEN: usize = N;
    const ZERO: Self = [0; N];
    fn load(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied()
    }
    fn store(self, bytes: &mut [u8]) -> Option<()> {
        *bytes.first_chunk_mut()? = self;
        Some(())
    }
}

/// A field of type `T` at a fixed offset; layouts are chains of these, so that each offset is written nowhere twice.
pub(crate) struct Field<T> {
    offset: usize,
    kind: core::marker::PhantomData<T>,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "const offsets of layouts of some hundred bytes"
)]
impl<T: Wire> Field<T> {
    /// The first field of a layout.
    pub(crate) const fn first() -> Self {
        Self { offset: 0, kind: core::marker::PhantomData }
    }

    /// The field right behind this one.
    pub(crate) const fn then<U: Wire>(&self) -> Field<U> {
        Field { offset: self.end(), kind: core::marker::PhantomData }
    }

    /// The offset right behind this field.
    pub(crate) const fn end(&self) -> usize {
        self.offset + T::LEN
    }

    pub(crate) fn get(&self, bytes: &[u8]) -> Result<T, FormatError> {
        let short = FormatError::Truncated;
        bytes.get(self.offset..).and_then(T::load).ok_or(short)
    }

    /// The value in a layout that is all there.
    pub(crate) fn of<const N: usize>(&self, layout: &[u8; N]) -> T {
        layout.get(self.offset..).and_then(T::load).unwrap_or(T::ZERO)
    }

    pub(crate) fn set(&self, bytes: &mut [u8], value: T) -> Result<(), FormatError> {
        let small = FormatError::BufferTooSmall;
        bytes.get_mut(self.offset..).and_then(|at| value.store(at)).ok_or(small)
    }
}

impl Field<[u8; 4]> {
    /// Checks the magic that a document of this kind begins with.
    pub(crate) fn expect(&self, bytes: &[u8], wanted: [u8; 4]) -> Result<(), FormatError> {
        let got = self.get(bytes)?;
        if got == wanted { Ok(()) } else { Err(FormatError::WrongMagic) }
    }
}

/// The one of `all`, which are in the order of their codes, that a code on the wire stands for.
pub(crate) fn from_code<T: Copy>(field: Part, all: &[T], got: u8) -> Result<T, FormatError> {
    all.get(usize::from(got)).copied().ok_or(FormatError::UnknownCode { field })
}

/// Walks over the parts of a layout that vary in length.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.saturating_add(len);
        let taken = self.bytes.get(self.at..end).ok_or(FormatError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn finish(self) -> Result<(), FormatError> {
        if self.at < self.bytes.len() { Err(FormatError::TrailingBytes) } else { Ok(()) }
    }
}

/// Appends to a caller's buffer.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        let room = self.claim(bytes.len())?;
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }

    /// Reserves the next `len` bytes for the caller to fill.
    pub(crate) fn claim(&mut self, len: usize) -> Result<&mut [u8], FormatError> {
        let end = self.at.saturating_add(len);
        let room = self.out.get_mut(self.at..end).ok_or(FormatError::BufferTooSmall)?;
        self.at = end;
        Ok(room)
    }

    pub(crate) fn len(&self) -> usize {
        self.at
    }
}
