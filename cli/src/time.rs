//! The wall clock, and times and time zones as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use whittle_rollout::calendar::{Offset, Utc, Zone};

use crate::error::{Error, Result};

/// Now, in seconds from 1970, UTC.
pub(crate) fn now_s() -> u64 {
    // A clock before 1970 is not set; the engine refuses what lies before its last entry.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Parses seconds from 1970, UTC, or a date and time with its offset, such as `2026-11-26T12:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let wanted = "wanted seconds from 1970, or a time such as 2026-11-26T12:00:00Z";
    let at: Timestamp = text.parse().map_err(|_| wanted.to_owned())?;
    u64::try_from(at.as_second()).map_err(|_| wanted.to_owned())
}

/// The same for a time that has come: an entry of a log that lies in the future would keep everybody waiting for it.
pub(crate) fn parse_past(text: &str) -> Result<u64, String> {
    let at_s = parse(text)?;
    let ahead_s = at_s.saturating_sub(now_s());
    if ahead_s > 60 { Err(format!("it lies {} in the future", length(ahead_s))) } else { Ok(at_s) }
}

/// Parses a length of time, such as `90s`, `15m`, `2h`, `3d` or `1d 12h`; in seconds.
pub(crate) fn parse_length(text: &str) -> Result<u32, String> {
    let wanted = || "wanted a length of time, such as 90s, 15m, 4h or 2d".to_owned();
    let mut seconds: u64 = 0;
    for part in text.split_whitespace() {
        let unit = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let digits = &part[..part.len() - unit.len()];
        let factor = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wanted()),
        };
        let number: u64 = digits.parse().map_err(|_| wanted())?;
        let more = number.checked_mul(factor).ok_or_else(wanted)?;
        seconds = seconds.checked_add(more).ok_or_else(wanted)?;
    }
    if text.trim().is_empty() {
        return Err(wanted());
    }
    u32::try_from(seconds).map_err(|_| wanted())
}

/// A short time for people, in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A time for people, such as `2026-11-26 12:00:00 UTC`.
pub(crate) fn shown(at_s: u64) -> String {
    Utc(at_s).to_string()
}

/// A time for programs, such as `2026-11-26T12:00:00Z`.
pub(crate) fn rfc3339(at_s: u64) -> Result<String> {
    let at = i64::try_from(at_s).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map(|at| at.to_string()).ok_or_else(|| Error::Usage(format!("{at_s} is no time")))
}

/// A length of time for people, in its two largest units.
pub(crate) fn length(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts = match (days, hours, minutes) {
        (0, 0, 0) => return format!("{seconds} s"),
        (0, 0, minutes) => [(minutes, "min"), (seconds % 60, "s")],
        (0, hours, minutes) => [(hours, "h"), (minutes, "min")],
        (days, hours, _) => [(days, "d"), (hours, "h")],
    };
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

const YEAR_S: u64 = 366 * 86_400;

/// For so long after its start a rollout knows when clocks change.
const KNOWN_S: u64 = 3 * YEAR_S;

/// Looks up from when on a zone is how far east of UTC, from a year before `at_s` on. A zone without a name is UTC, and one that has
/// offsets already keeps them.
pub(crate) fn look_up(zone: &mut Zone, at_s: u64) -> Result<(), String> {
    if zone.name.is_empty() || !zone.offsets.is_empty() {
        return Ok(());
    }
    let unknown = || format!("unknown time zone `{}`, wanted one such as Europe/Berlin", zone.name);
    let rules = TimeZone::get(&zone.name).map_err(|_| unknown())?;
    let at = |at_s: u64| {
        let at = i64::try_from(at_s).ok().and_then(|at_s| Timestamp::from_second(at_s).ok());
        at.ok_or_else(|| format!("{at_s} is no time"))
    };
    let (from, until) = (at(at_s.saturating_sub(YEAR_S))?, at(at_s.saturating_add(KNOWN_S))?);
    let first = (from, rules.to_offset(from));
    let later = rules.following(from).map(|change| (change.timestamp(), change.offset()));
    zone.offsets = std::iter::once(first)
        .chain(later.take_while(|(at, _)| *at < until))
        .map(|(at, offset)| Offset {
            from_s: u64::try_from(at.as_second()).unwrap_or(0),
            east_s: offset.seconds(),
        })
        .collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_dates() {
        assert_eq!(parse("1795694400"), Ok(1_795_694_400));
        assert_eq!(parse("2026-11-26T12:00:00Z"), Ok(1_795_694_400));
        assert_eq!(parse("2026-11-26T13:00:00+01:00"), Ok(1_795_694_400));
        assert_eq!(shown(1_795_694_400), "2026-11-26 12:00:00 UTC");
        assert_eq!(rfc3339(1_795_694_400).expect("a time"), "2026-11-26T12:00:00Z");
        for wrong in ["", "noon", "2026-11-26", "-1", "1969-01-01T00:00:00Z"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_have_units() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("4h", 14_400), ("1d 12h", 129_600)] {
            assert_eq!(parse_length(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "4", "h", "-4h", "1.5h", "99999999999d", "4 h"] {
            assert!(parse_length(wrong).is_err(), "{wrong}");
        }
        assert_eq!(length(59), "59 s");
        assert_eq!(length(960), "16 min");
        assert_eq!(length(8_100), "2 h 15 min");
        assert_eq!(length(180_000), "2 d 2 h");
    }

    #[test]
    fn zones_change_with_summer() {
        let mut zone = Zone { name: "Europe/Berlin".to_owned(), offsets: vec![] };
        look_up(&mut zone, 1_795_694_400).expect("there is such a zone");
        let (winter, _) = zone.local(1_795_694_400);
        assert_eq!((winter.day, winter.hour), (26, 13));
        // 2027-07-01 12:00 UTC.
        assert_eq!(zone.local(1_814_443_200).0.hour, 14);
        let mut nowhere = Zone { name: "Europe/Nowhere".to_owned(), offsets: vec![] };
        assert!(look_up(&mut nowhere, 1_795_694_400).is_err());
    }
}
