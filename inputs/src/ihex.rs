//! Intel HEX: lines of hexadecimal digits, each with its address and checksum.
//!
//! ```text
//! : count address type data… checksum     count of the data; address: 16 bits, big-endian; all bytes add up to 0
//! ```
//!
//! Types: 0 data, 1 end, 2 segment (data wraps within 64 KiB), 3 start (segmented), 4 upper half of addresses, 5 start (linear).

use std::ops::Range;

use crate::hex_lines::{Line, check_size, lines};
use crate::memory::{Flat, Memory, Place};
use crate::{Error, Format, LineError, Options};

/// Count, address, type and checksum.
const OVERHEAD: usize = 5;

/// Whether this line begins a record: a line of text with a colon, right or wrong, is meant to be one.
pub(crate) fn is_record(line: &[u8]) -> bool {
    line.first() == Some(&b':')
}

/// Where the addresses of data records count from, and up to where they may reach.
#[derive(Clone, Copy)]
enum Window {
    Segment(u64),
    Linear(u64),
}

impl Window {
    fn addresses(self, offset: u16, len: usize) -> Result<Range<u64>, LineError> {
        let end = u64::from(offset).saturating_add(len as u64);
        let (base, limit, behind) = match self {
            Self::Segment(base) => (base, base.saturating_add(1 << 16), LineError::BehindSegment),
            Self::Linear(base) => (base, 1 << 32, LineError::BehindLastAddress),
        };
        let [from, end] = [u64::from(offset), end].map(|at| base.saturating_add(at));
        if end <= limit { Ok(from..end) } else { Err(behind) }
    }
}

/// Reads a file.
///
/// # Errors
/// [`Error`] of the first line that is wrong, or of all together.
pub(crate) fn read(text: &[u8], options: &Options) -> Result<Flat, Error> {
    const FORMAT: Format = Format::IntelHex;
    check_size(text, FORMAT)?;
    let mut memory = Memory::new(options.range.clone());
    let mut window = Window::Linear(0);
    let (mut bytes, mut end_line, mut last) = (Vec::new(), None, 0);
    for line in lines(text) {
        if let Some(end_line) = end_line {
            return Err(Error::BehindEnd { line: line.number, end_line });
        }
        last = line.number;
        let record = record(&line, &mut bytes).map_err(line.error(FORMAT))?;
        match record {
            Record::Data { offset, data } => {
                let at = window.addresses(offset, data.len()).map_err(line.error(FORMAT))?;
                memory.put(at.start, data, Place::Line(line.number))?;
            }
            Record::End => end_line = Some(line.number),
            Record::Segment(base) => window = Window::Segment(u64::from(base) << 4),
            Record::Upper(base) => window = Window::Linear(u64::from(base) << 16),
            Record::Start => {}
        }
    }
    if end_line.is_none() {
        return Err(Error::NoEnd { format: FORMAT, line: last });
    }
    Ok(memory.flatten(options.fill)?)
}

enum Record<'a> {
    Data { offset: u16, data: &'a [u8] },
    End,
    Segment(u16),
    Upper(u16),
    Start,
}

fn record<'a>(line: &Line<'_>, bytes: &'a mut Vec<u8>) -> Result<Record<'a>, LineError> {
    match line.text.first() {
        Some(b':') => {}
        other => {
            return Err(LineError::Start { got: other.copied().unwrap_or_default(), wanted: b':' });
        }
    }
    line.decode(1, bytes)?;
    let got = bytes.len();
    let [count, high, low, record_type, rest @ ..] = &**bytes else {
        return Err(LineError::Short { got, wanted: OVERHEAD });
    };
    let Some((checksum, data)) = rest.split_last() else {
        return Err(LineError::Short { got, wanted: OVERHEAD });
    };
    if data.len() != usize::from(*count) {
        return Err(LineError::Count { says: (*count).into(), got: data.len() });
    }
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if sum != 0 {
        return Err(LineError::Checksum { got: *checksum, wanted: checksum.wrapping_sub(sum) });
    }
    let of = |wanted: usize| {
        let (record_type, got) = (*record_type, data.len());
        if got == wanted { Ok(()) } else { Err(LineError::Data { record_type, got, wanted }) }
    };
    let half = || data.first_chunk().map_or(0, |half| u16::from_be_bytes(*half));
    match record_type {
        0 => Ok(Record::Data { offset: u16::from_be_bytes([*high, *low]), data }),
        1 => of(0).map(|()| Record::End),
        2 => of(2).map(|()| Record::Segment(half())),
        3 | 5 => of(4).map(|()| Record::Start),
        4 => of(2).map(|()| Record::Upper(half())),
        other => Err(LineError::RecordType(*other)),
    }
}
