//! Files of figures: which form one has, how large it may be, and what is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use whittle_rollout::Observation;

use crate::{json, table};

/// The largest file that is read, in bytes: 64 MiB, which is more than 100,000 cells with a few metrics each.
pub const MAX_FILE_BYTES: usize = 64 << 20;

/// The form in which figures are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Documents of [`Observation`], one or several, one after the other: JSON or JSON Lines.
    Json,
    /// A table with a row for each cell, as spreadsheets and exports of databases give it.
    ///
    /// | column | what stands in it |
    /// |---|---|
    /// | `from_s`, `until_s` | the stretch of time, in seconds from 1970, UTC |
    /// | `rows` | how many rows this file has for that stretch: in SQL `count(*) over (partition by from_s, until_s)` |
    /// | `attribute.<name>` | the cell's value of that attribute; empty if it has none |
    /// | `devices.offered`, `.updated`, `.committed`, `.rolled_back`, `.bricked`, `.silent` | devices since the rollout began |
    /// | `metric.<name>.<side>.count` | events, devices hit, or the sum of the readings; `<side>` is `treated` or `control` |
    /// | `metric.<name>.<side>.exposure` | device-hours, devices asked, or the number of readings |
    /// | `metric.<name>.<side>.squares` | the sum of the squared readings; may be left out |
    /// | `version.<version>` | devices of this cell that report the version; empty for none |
    ///
    /// Columns come in any order. If all fields of a metric are empty, that cell has no figures of it. Fields are separated by commas, the
    /// decimal sign is a point, and fields may be quoted.
    ///
    /// A file that was cut off is found: each stretch has as many rows as it says, each row as many fields as the header, and the last
    /// line ends.
    Csv,
}

impl Format {
    /// The form that a file's name tells: `.json`, `.jsonl`, `.ndjson` or `.csv`, in any case. None for any other name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Why no figures were read from a file. Whoever gathers them must act; none of it was taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot take figures from `{file}`")]
pub struct FileError {
    /// Name of the file.
    pub file: String,
    /// What is wrong.
    pub source: BadFile,
}

/// What is wrong with a file of figures. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Its name does not tell its form.
    #[error("the name ends neither in .json, .jsonl, .ndjson nor .csv")]
    UnknownFormat,
    /// It is not text.
    #[error("byte {offset} is not UTF-8")]
    NotText {
        /// Where, from 0.
        offset: usize,
    },
    /// There is nothing in it.
    #[error("no figures in it")]
    Empty,
    /// It is no JSON, not an observation, or ends too early. The text has line and column.
    #[error("{0}")]
    Json(serde_json::Error),
    /// The table is cut off, or its last line was never ended.
    #[error("line {line} has no line end: the file was cut off")]
    Cut {
        /// The last line.
        line: u64,
    },
    /// A row has more or fewer fields than the header.
    #[error("line {line} has {got} fields, wanted {wanted}")]
    Fields {
        /// Where the row begins.
        line: u64,
        /// How many it has.
        got: u64,
        /// How many the header has.
        wanted: u64,
    },
    /// A column that is unknown, or a part of a name is missing.
    #[error("unknown column `{0}`")]
    UnknownColumn(String),
    /// A column stands there twice.
    #[error("column `{0}` stands there twice")]
    ColumnTwice(String),
    /// A column is missing.
    #[error("no column `{0}`")]
    NoColumn(String),
    /// A field is not what its column asks for.
    #[error("line {line}, column `{column}`: found `{got}`, wanted {wanted}")]
    Field {
        /// Where the row begins.
        line: u64,
        /// The column.
        column: String,
        /// What stands there, shortened if it is long.
        got: String,
        /// What should.
        wanted: &'static str,
    },
    /// Two rows tell of the same cell in the same stretch of time.
    #[error("line {line} tells of the same cell and time as line {first}")]
    RowTwice {
        /// Where the second row begins.
        line: u64,
        /// Where the first one does.
        first: u64,
    },
    /// Rows of a stretch of time do not agree on how many there are.
    #[error("line {line} says {got} rows from {from_s} to {until_s}, the ones before {wanted}")]
    OtherRows {
        /// Where the row begins.
        line: u64,
        /// What it says.
        got: u64,
        /// What the ones before say.
        wanted: u64,
        /// When the stretch begins.
        from_s: u64,
        /// When it ends.
        until_s: u64,
    },
    /// Rows are missing, or there are too many.
    #[error("{got} rows from {from_s} to {until_s}, wanted {wanted}: the file is not whole")]
    Rows {
        /// How many there are.
        got: u64,
        /// How many they say they are.
        wanted: u64,
        /// When the stretch begins.
        from_s: u64,
        /// When it ends.
        until_s: u64,
    },
}

/// Reads a file of figures, whose name tells the form.
///
/// # Errors
///
/// If it cannot be read, is too large, or anything in it is wrong.
pub fn read(path: &Path) -> Result<Vec<Observation>, FileError> {
    let read = || -> Result<_, BadFile> {
        let format = Format::of(path).ok_or(BadFile::UnknownFormat)?;
        let mut bytes = vec![];
        // One byte more, to tell a file of that size from a larger one.
        let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let file = File::open(path).map_err(BadFile::Io)?;
        file.take(limit).read_to_end(&mut bytes).map_err(BadFile::Io)?;
        parse_bytes(format, &bytes)
    };
    read().map_err(|source| FileError { file: path.display().to_string(), source })
}

/// Reads figures of a form; `name` is what errors call them, such as the name of the file or `standard input`.
///
/// The result is not empty.
///
/// # Errors
///
/// If there are too many bytes, or anything in them is wrong.
pub fn parse(name: &str, format: Format, bytes: &[u8]) -> Result<Vec<Observation>, FileError> {
    parse_bytes(format, bytes).map_err(|source| FileError { file: name.to_owned(), source })
}

fn parse_bytes(format: Format, bytes: &[u8]) -> Result<Vec<Observation>, BadFile> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(BadFile::TooLarge { limit: MAX_FILE_BYTES });
    }
    let text =
        str::from_utf8(bytes).map_err(|error| BadFile::NotText { offset: error.valid_up_to() })?;
    // Spreadsheets and some shells begin text with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let observations = match format {
        Format::Json => json::parse(text)?,
        Format::Csv => table::parse(text)?,
    };
    if observations.is_empty() { Err(BadFile::Empty) } else { Ok(observations) }
}
