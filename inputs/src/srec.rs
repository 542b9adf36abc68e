//! Motorola's S-records: lines of hexadecimal digits, each with its address and checksum.
//!
//! ```text
//! S type count address data… checksum     count of all behind it; address: 2, 3 or 4 bytes, big-endian
//!                                         count to checksum add up to 0xff
//! ```
//!
//! Types: 0 header, 1 to 3 data with addresses of 2, 3, 4 bytes, 5 and 6 count of data records, 7 to 9 end.

use crate::hex_lines::{Line, check_size, lines};
use crate::memory::{Flat, Memory, Place};
use crate::{Error, Format, LineError, Options};

/// Whether this line begins a record, right or wrong.
pub(crate) fn is_record(line: &[u8]) -> bool {
    matches!(line, [b'S', b'0'..=b'9', a, b, ..] if [a, b].iter().all(|digit| digit.is_ascii_hexdigit()))
        || matches!(line, [b'S', b'0', ..])
}

/// Reads a file.
///
/// # Errors
/// [`Error`] of the first line that is wrong, or of all together.
pub(crate) fn read(text: &[u8], options: &Options) -> Result<Flat, Error> {
    const FORMAT: Format = Format::Srec;
    check_size(text, FORMAT)?;
    let mut memory = Memory::new(options.range.clone());
    let (mut bytes, mut end_line, mut last, mut count) = (Vec::new(), None, 0, 0u32);
    for line in lines(text) {
        if let Some(end_line) = end_line {
            return Err(Error::BehindEnd { line: line.number, end_line });
        }
        last = line.number;
        match record(&line, &mut bytes).map_err(line.error(FORMAT))? {
            Record::Header => {}
            Record::Data { address, data } => {
                memory.put(address, data, Place::Line(line.number))?;
                count = count.saturating_add(1);
            }
            Record::Count(says) if says != count => {
                return Err(line.error(FORMAT)(LineError::RecordCount { says, got: count }));
            }
            Record::Count(_) => {}
            Record::End => end_line = Some(line.number),
        }
    }
    if end_line.is_none() {
        return Err(Error::NoEnd { format: FORMAT, line: last });
    }
    Ok(memory.flatten(options.fill)?)
}

enum Record<'a> {
    Header,
    Data { address: u64, data: &'a [u8] },
    Count(u32),
    End,
}

fn record<'a>(line: &Line<'_>, bytes: &'a mut Vec<u8>) -> Result<Record<'a>, LineError> {
    let kind = match line.text {
        [b'S', kind @ b'0'..=b'9', ..] => kind.wrapping_sub(b'0'),
        [b'S', other, ..] => return Err(LineError::RecordType(*other)),
        [other, ..] if *other != b'S' => {
            return Err(LineError::Start { got: *other, wanted: b'S' });
        }
        _ => return Err(LineError::Short { got: 0, wanted: 4 }),
    };
    let address_len: usize = match kind {
        0 | 1 | 5 | 9 => 2,
        2 | 6 | 8 => 3,
        3 | 7 => 4,
        other => return Err(LineError::RecordType(other)),
    };
    line.decode(2, bytes)?;
    let got = bytes.len();
    let short = LineError::Short { got, wanted: address_len.wrapping_add(2) };
    let (count, rest) = bytes.split_first().ok_or(short)?;
    if rest.len() != usize::from(*count) {
        return Err(LineError::Count { says: (*count).into(), got: rest.len() });
    }
    let (checksum, rest) = rest.split_last().ok_or(short)?;
    let (address, data) = rest.split_at_checked(address_len).ok_or(short)?;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if sum != 0xff {
        let wanted = checksum.wrapping_add(0xff_u8.wrapping_sub(sum));
        return Err(LineError::Checksum { got: *checksum, wanted });
    }
    let address = address.iter().fold(0u32, |address, byte| address << 8 | u32::from(*byte));
    let empty = || match data.len() {
        0 => Ok(()),
        got => Err(LineError::Data { record_type: kind, got, wanted: 0 }),
    };
    match kind {
        0 => Ok(Record::Header),
        1..=3 if u64::from(address).saturating_add(data.len() as u64) > 1u64 << 32 => {
            Err(LineError::BehindLastAddress)
        }
        1..=3 => Ok(Record::Data { address: address.into(), data }),
        5 | 6 => empty().map(|()| Record::Count(address)),
        _ => empty().map(|()| Record::End),
    }
}
