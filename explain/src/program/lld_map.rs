//! Maps of LLD (`-Map`): a table whose columns are found by how far names stand to the right.
//!
//! ```text
//!      VMA      LMA     Size Align Out     In      Symbol
//!  8000084  8000084      5b0     4 .text
//!  8000086  8000086        c     2         startup.o:(.text.reset)
//!  8000087  8000087        c     1                 reset
//! ```

use super::gnu_map::{InputSection, MapReader};
use super::{MAX_SYMBOLS, Program};
use crate::{Error, Result};

pub(super) fn is_map(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.split_whitespace().eq(["VMA", "LMA", "Size", "Align", "Out", "In", "Symbol"])
}

pub(super) fn parse(text: &str, image: &[u8], load_address: Option<u32>) -> Result<Program> {
    let mut reader = MapReader::default();
    for (number, line) in
        text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty())
    {
        let bad = || Error::BadMap { line: number + 1 };
        let Line { address, load_address, len, depth, name } = Line::parse(line).ok_or_else(bad)?;
        if reader.len() > MAX_SYMBOLS {
            return Err(bad());
        }
        match depth {
            0 => reader.section(name, address, load_address, len),
            8 => reader.input(InputSection { name, file: "", address, len }),
            16 if len > 0 && !name.starts_with('$') => reader.symbol(name, address, Some(len)),
            _ => {}
        }
    }
    reader.finish(image, load_address)
}

struct Line<'a> {
    address: u64,
    load_address: u64,
    len: u64,
    /// How far to the right the name stands.
    depth: usize,
    name: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            rest = rest.trim_start();
            let end = rest.find(' ')?;
            let (field, behind) = rest.split_at(end);
            rest = behind;
            Some(field)
        };
        let mut hex = || u64::from_str_radix(field()?, 16).ok();
        let (address, load_address, len) = (hex()?, hex()?, hex()?);
        let _align: u64 = field()?.parse().ok()?;
        let name = rest.trim_start();
        let depth = (rest.len() - name.len()).checked_sub(1)?;
        (!name.is_empty()).then_some(Self { address, load_address, len, depth, name })
    }
}
