//! What all checks are made of: each is about one number, text or list, and says where it stands.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::NAME_BYTES;

/// Where an input or an answer is outside the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} is {found}, wanted {wanted}")]
pub struct Violation {
    /// The field, such as `stages[1].share`.
    pub at: String,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
}

pub(super) type Check = Result<(), Violation>;

/// The least positive number: shares are greater than 0.
pub(super) const ABOVE_ZERO: f64 = f64::MIN_POSITIVE;

/// Names for machines: 1 to 64 bytes of `a-z`, `0-9` and what else is allowed.
pub(super) fn code(at: impl Display + Copy, text: &str, also: &[u8]) -> Check {
    length(at, text, NAME_BYTES)?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
    if text.bytes().all(fits) {
        return Ok(());
    }
    let also = String::from_utf8_lossy(also);
    violation(
        at,
        format_args!("{text:?}"),
        format_args!("letters a to z, digits and any of `{also}`"),
    )
}

pub(super) fn once<'a>(
    at: impl Display,
    name: &str,
    mut others: impl Iterator<Item = &'a String>,
) -> Check {
    if others.any(|other| other == name) {
        return violation(at, format_args!("`{name}` again"), "each name once");
    }
    Ok(())
}

pub(super) fn length(at: impl Display, text: &str, bytes: RangeInclusive<usize>) -> Check {
    if bytes.contains(&text.len()) {
        return Ok(());
    }
    let wanted = format_args!("{} to {}", bytes.start(), bytes.end());
    violation(at, format_args!("{} bytes long", text.len()), wanted)
}

pub(super) fn count(at: impl Display, found: usize, wanted: RangeInclusive<usize>) -> Check {
    if wanted.contains(&found) {
        return Ok(());
    }
    let wanted = format_args!("{} to {}", wanted.start(), wanted.end());
    violation(at, format_args!("a list of {found}"), wanted)
}

/// What is not a number is in no range.
///
/// A full snapshot has some thousands of numbers, and nearly all are in their ranges: only the comparison is worth being inlined.
#[inline]
pub(super) fn range<T: PartialOrd + Display + Bound>(
    at: impl Display,
    found: T,
    wanted: RangeInclusive<T>,
) -> Check {
    if *wanted.start() <= found && found <= *wanted.end() {
        return Ok(());
    }
    outside(at, found, &wanted)
}

#[cold]
#[inline(never)]
fn outside<T: Display + Bound>(at: impl Display, found: T, wanted: &RangeInclusive<T>) -> Check {
    violation(at, found, T::named(wanted))
}

/// Numbers whose ranges have names.
pub(super) trait Bound: Sized {
    fn named(range: &RangeInclusive<Self>) -> String;
}

impl Bound for u32 {
    fn named(range: &RangeInclusive<Self>) -> String {
        match (*range.start(), *range.end()) {
            (least, Self::MAX) => format!("{least} or more"),
            (only, end) if only == end => only.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

impl Bound for f64 {
    fn named(range: &RangeInclusive<Self>) -> String {
        match (*range.start(), *range.end()) {
            (Self::MIN, Self::MAX) => "a finite number".to_owned(),
            (least, Self::MAX) => format!("a finite number of {least} or more"),
            (ABOVE_ZERO, most) => format!("more than 0 and at most {most}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

/// The beginning of a name that somebody else has made: it may be long.
pub(crate) fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 128;
    let mut chars = name.chars();
    let mut start: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    start
}

pub(super) fn violation<T>(
    at: impl Display,
    found: impl Display,
    wanted: impl Display,
) -> Result<T, Violation> {
    Err(Violation { at: at.to_string(), found: found.to_string(), wanted: wanted.to_string() })
}
