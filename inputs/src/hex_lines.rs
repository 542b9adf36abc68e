//! Lines of hexadecimal digits, as Intel HEX and S-records have them.

use crate::{Error, Format};

/// Largest text file, in bytes: four characters for each byte of the largest image.
const MAX_TEXT_BYTES: u64 = 4 * crate::MAX_IMAGE_BYTES;

/// What begins a text file that some editors write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How much of a file must look like text before it is taken for such.
const SAMPLE_BYTES: usize = 512;

/// How much of that must be text; of other files, two fifths are.
const MIN_TEXT_PERCENT: usize = 90;

/// How many lines are asked what they are, as the first one may be damaged.
const FIRST_LINES: usize = 3;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It begins with something else.
    #[error("it begins with {:?}, {:?} is wanted", char::from(*got), char::from(*wanted))]
    Start {
        /// The first byte found.
        got: u8,
        /// The one that is wanted.
        wanted: u8,
    },
    /// Something that is no hexadecimal digit.
    #[error("{:?} in column {column} is no hexadecimal digit", char::from(*got))]
    Digit {
        /// What stands there.
        got: u8,
        /// Where; the first column is 1.
        column: usize,
    },
    /// The last byte has one digit.
    #[error("its last byte has one digit")]
    HalfByte,
    /// It ends before its own fields do.
    #[error("it has {got} bytes, {wanted} are wanted at least")]
    Short {
        /// Bytes found.
        got: usize,
        /// Bytes wanted.
        wanted: usize,
    },
    /// It is longer or shorter than it says.
    #[error("it holds {got} {} where its count says {says}", if *got == 1 { "byte" } else { "bytes" })]
    Count {
        /// What its count says.
        says: usize,
        /// What stands there.
        got: usize,
    },
    /// Its checksum is another.
    #[error("its checksum is {got:#04x}, its bytes call for {wanted:#04x}")]
    Checksum {
        /// What stands there.
        got: u8,
        /// What the other bytes call for.
        wanted: u8,
    },
    /// A type of record that does not exist.
    #[error("record type {0:#04x} is unknown")]
    RecordType(u8),
    /// A record has more or fewer data bytes than its type has.
    #[error("a record of type {record_type:#04x} has {got} data bytes, {wanted} are wanted")]
    Data {
        /// Type of the record.
        record_type: u8,
        /// Bytes found.
        got: usize,
        /// Bytes wanted.
        wanted: usize,
    },
    /// Data behind the end of the segment of 64 KiB that the record is in.
    #[error("its data reaches behind the 64 KiB of its segment")]
    BehindSegment,
    /// Data behind the last address of 32 bits.
    #[error("its data reaches behind the last address, 0xffffffff")]
    BehindLastAddress,
    /// A record counts the data records in front of it.
    #[error("it counts {says} data records, there are {got} in front of it")]
    RecordCount {
        /// What it says.
        says: u32,
        /// How many there are.
        got: u32,
    },
}

/// A line with its number, without spaces around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) number: u32,
    pub(crate) text: &'a [u8],
}

impl Line<'_> {
    /// Decodes what follows the first `skip` characters.
    pub(crate) fn decode(&self, skip: usize, bytes: &mut Vec<u8>) -> Result<(), LineError> {
        bytes.clear();
        let digits = self.text.get(skip..).unwrap_or_default();
        let mut high = None;
        for (index, digit) in digits.iter().enumerate() {
            let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let column = index.saturating_add(skip).saturating_add(1);
            let value = value.ok_or(LineError::Digit { got: *digit, column })?;
            match high.take() {
                None => high = Some(value << 4),
                Some(high) => bytes.push(high | value),
            }
        }
        if high.is_some() { Err(LineError::HalfByte) } else { Ok(()) }
    }

    /// The error of this line.
    pub(crate) fn error(&self, format: Format) -> impl Fn(LineError) -> Error + use<> {
        let line = self.number;
        move |source| Error::Line { line, format, source }
    }
}

/// The lines that are not blank; each of the three usual ends of a line is one.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut after_return = false;
    let is_end = move |byte: &u8| {
        // The line feed behind a carriage return ends nothing more, so it stays with the next line as a blank.
        let ends = *byte == b'\r' || *byte == b'\n' && !after_return;
        after_return = *byte == b'\r';
        ends
    };
    let numbered = (1..).zip(text.split(is_end));
    numbered.map(|(number, text)| Line { number, text: trim(text) }).filter(|l| !l.text.is_empty())
}

/// Without blanks, and without what ended files in CP/M and DOS.
fn trim(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    text.strip_suffix(b"\x1a").unwrap_or(text)
}

/// Checks the size of a text file.
///
/// # Errors
/// [`Error::FileTooLarge`].
pub(crate) fn check_size(text: &[u8], format: Format) -> Result<(), Error> {
    let got = text.len() as u64;
    if got <= MAX_TEXT_BYTES {
        Ok(())
    } else {
        Err(Error::FileTooLarge { format, got, limit: MAX_TEXT_BYTES })
    }
}

/// The first lines, if the beginning of the file is ASCII text, a damaged byte here and there aside.
pub(crate) fn first_lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let sample = file.get(..SAMPLE_BYTES).unwrap_or(file);
    let is_text = |byte: &&u8| matches!(**byte, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x1a);
    let text_bytes = sample.iter().filter(is_text).count();
    let is_text = text_bytes.saturating_mul(100) >= sample.len().saturating_mul(MIN_TEXT_PERCENT);
    let lines = if is_text { lines(sample) } else { lines(&[]) };
    lines.take(FIRST_LINES).map(|line| line.text)
}

/// The first characters of a file in UTF-16, of either byte order.
pub(crate) fn first_of_utf_16(file: &[u8]) -> Option<[u8; 2]> {
    match file.get(..6)? {
        [0xff, 0xfe, first, 0, second, 0] | [0xfe, 0xff, 0, first, 0, second] => {
            Some([*first, *second])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_of_the_usual_ways_and_keep_their_numbers() {
        for text in ["a\nb\n\n c \n", "a\r\nb\r\n\r\n c \r\n", "a\rb\r\r c \r\x1a"] {
            let found: Vec<_> = lines(text.as_bytes()).map(|l| (l.number, l.text)).collect();
            assert_eq!(found, [(1, &b"a"[..]), (2, b"b"), (4, b"c")], "{text:?}");
        }
    }

    #[test]
    fn digits_make_bytes_and_others_are_named() {
        let decode = |text: &str| {
            let mut bytes = Vec::new();
            Line { number: 1, text: text.as_bytes() }.decode(1, &mut bytes).map(|()| bytes)
        };
        assert_eq!(decode(":00aAfF").unwrap(), [0, 0xaa, 0xff]);
        assert_eq!(decode(":00a"), Err(LineError::HalfByte));
        assert_eq!(decode(":0g"), Err(LineError::Digit { got: b'g', column: 3 }));
        assert_eq!(decode("").unwrap(), []);
    }
}
