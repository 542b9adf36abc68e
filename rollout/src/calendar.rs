//! When devices may be updated: windows and freezes, each in a time zone of its own.
//!
//! Time zones change by decision of governments, so they are data: the host looks up from when on a zone is how far east of UTC,
//! and writes that into the terms of the rollout. A replay years later then still knows what was known.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::terms::BadTerms;

/// From when on a zone is how far east of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// Seconds from 1970, UTC.
    pub from_s: u64,
    /// Seconds that clocks are ahead of UTC; negative in the west.
    pub east_s: i32,
}

/// A time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name, for people.
    pub name: String,
    /// In their order. The first holds for all time before it, too; none is UTC.
    #[serde(default)]
    pub offsets: Vec<Offset>,
}

/// A time as clocks show it. The order is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LocalTime {
    /// Year of our era.
    pub year: u16,
    /// Month: 1 to 12.
    pub month: u8,
    /// Day of the month: 1 to 31.
    pub day: u8,
    /// Hour: 0 to 23.
    #[serde(default)]
    pub hour: u8,
    /// Minute: 0 to 59.
    #[serde(default)]
    pub minute: u8,
}

const DAY_S: i64 = 86_400;
const DAY_MINUTES: u16 = 1440;

impl LocalTime {
    fn is_shown(self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
    }
}

/// Days of a month, which is 1 to 12.
#[must_use]
pub fn days_in(year: u16, month: u8) -> u8 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(is_leap),
        _ => 31,
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute } = self;
        write!(formatter, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

/// A time in seconds from 1970, as people read it: `2026-11-26 12:00:00 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last second of the year 9999: no date behind it is one that people know.
        const LAST_S: u64 = 253_402_300_799;
        if self.0 > LAST_S {
            return write!(formatter, "{} s after 1970", self.0);
        }
        write!(formatter, "{}:{:02} UTC", Zone::default().local(self.0).0, self.0 % 60)
    }
}

impl Zone {
    /// What clocks show at a time in seconds from 1970, UTC; and the day of the week, 1 for Monday.
    #[must_use]
    pub fn local(&self, at_s: u64) -> (LocalTime, u8) {
        let offset =
            self.offsets.iter().rfind(|offset| offset.from_s <= at_s).or(self.offsets.first());
        let east_s = offset.map_or(0, |offset| i64::from(offset.east_s));
        let local_s = i64::try_from(at_s).unwrap_or(i64::MAX).saturating_add(east_s);
        let (days, second) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
        let (year, month, day) = date(days);
        let small = |number: i64| u8::try_from(number).unwrap_or(0);
        let time = LocalTime {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: small(month),
            day: small(day),
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
        };
        // 1970 began on a Thursday.
        (time, small((days + 3).rem_euclid(7) + 1))
    }
}

/// Year, month and day, from days since 1970 (Howard Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A stretch of the day, on some days of the week, in which devices may be updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Days of the week on which it opens: 1 is Monday; none for every day.
    #[serde(default)]
    pub weekdays: Vec<u8>,
    /// Minute of the day at which it opens.
    pub from_minute: u16,
    /// Minute of the day at which it closes; of the next day, if it is not after `from_minute`.
    pub until_minute: u16,
    /// Whose clocks count.
    pub zone: Zone,
    /// Labels of the groups that it is for; none for all devices.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A time in which nothing is updated: a holiday season, a winter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What it is called.
    pub name: String,
    /// When it begins.
    pub from: LocalTime,
    /// When it is over.
    pub until: LocalTime,
    /// Whose clocks count.
    pub zone: Zone,
    /// Labels of the groups that it is for; none for all devices.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Windows and freezes of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The zone whose clock policies see.
    #[serde(default)]
    pub zone: Zone,
    /// When devices may be updated; none for always. One that is open suffices.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When they must not be.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
}

impl Calendar {
    /// Checks that clocks show these times, and that each ends after it begins.
    pub(crate) fn check(&self) -> Result<(), BadTerms> {
        for freeze in &self.freezes {
            let bad = |what: &str, got: LocalTime, wanted| BadTerms::Time {
                what: format!("the {what} of the freeze `{}`", freeze.name),
                got: got.to_string(),
                wanted,
            };
            for (what, time) in [("beginning", freeze.from), ("end", freeze.until)] {
                if !time.is_shown() {
                    return Err(bad(what, time, "a time that clocks show"));
                }
            }
            if freeze.until <= freeze.from {
                return Err(bad("end", freeze.until, "one after its beginning"));
            }
        }
        for window in &self.windows {
            let bad = |got: String, wanted| {
                Err(BadTerms::Time { what: "a window for updates".to_owned(), got, wanted })
            };
            for minute in [window.from_minute, window.until_minute] {
                if minute > DAY_MINUTES {
                    return bad(format!("minute {minute}"), "0 to 1440");
                }
            }
            if let Some(day) = window.weekdays.iter().find(|day| !(1..=7).contains(*day)) {
                return bad(format!("weekday {day}"), "1 to 7");
            }
        }
        Ok(())
    }

    /// Why devices that belong to these groups must not be updated at a time; none if they may be.
    #[must_use]
    pub fn closed(&self, labels: &[String], at_s: u64) -> Option<String> {
        let is_for = |groups: &[String]| {
            groups.is_empty() || groups.iter().any(|group| labels.contains(group))
        };
        let is_on =
            |freeze: &Freeze| (freeze.from..freeze.until).contains(&freeze.zone.local(at_s).0);
        let freezes = self.freezes.iter().filter(|freeze| is_for(&freeze.groups));
        if let Some(freeze) = freezes.into_iter().find(|freeze| is_on(freeze)) {
            return Some(format!("frozen: {}", freeze.name));
        }
        let mut windows = self.windows.iter().filter(|window| is_for(&window.groups)).peekable();
        let is_shut = windows.peek().is_some() && !windows.any(|window| window.is_open(at_s));
        is_shut.then(|| "outside the windows for updates".to_owned())
    }
}

impl Window {
    fn is_open(&self, at_s: u64) -> bool {
        let (time, weekday) = self.zone.local(at_s);
        let minute = u16::from(time.hour) * 60 + u16::from(time.minute);
        let yesterday = if weekday == 1 { 7 } else { weekday - 1 };
        let opens_on = |day| self.weekdays.is_empty() || self.weekdays.contains(&day);
        if self.from_minute < self.until_minute {
            return opens_on(weekday) && (self.from_minute..self.until_minute).contains(&minute);
        }
        (opens_on(weekday) && minute >= self.from_minute)
            || (opens_on(yesterday) && minute < self.until_minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26 18:36:38 UTC, a Thursday.
    const THURSDAY: u64 = 1_795_718_198;

    fn berlin() -> Zone {
        // Summer and winter of 2026.
        let offsets = vec![
            Offset { from_s: 1_774_746_000, east_s: 7200 },
            Offset { from_s: 1_792_890_000, east_s: 3600 },
        ];
        Zone { name: "Europe/Berlin".to_owned(), offsets }
    }

    fn time(month: u8, day: u8, hour: u8, minute: u8) -> LocalTime {
        LocalTime { year: 2026, month, day, hour, minute }
    }

    #[test]
    fn clocks_show_the_time_of_their_zone() {
        assert_eq!(Zone::default().local(THURSDAY), (time(11, 26, 18, 36), 4));
        assert_eq!(berlin().local(THURSDAY), (time(11, 26, 19, 36), 4));
        // 2026-07-01 23:30 UTC is the next day in Berlin.
        assert_eq!(berlin().local(1_782_948_600), (time(7, 2, 1, 30), 4));
        assert_eq!(
            Zone::default().local(951_782_400).0,
            LocalTime { year: 2000, month: 2, day: 29, hour: 0, minute: 0 }
        );
        assert_eq!(Zone::default().local(0).1, 4);
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(Utc(0).to_string(), "1970-01-01 00:00:00 UTC");
        assert_eq!(Utc(1_795_694_401).to_string(), "2026-11-26 12:00:01 UTC");
        assert_eq!(Utc(253_402_300_799).to_string(), "9999-12-31 23:59:59 UTC");
        assert_eq!(Utc(u64::MAX).to_string(), "18446744073709551615 s after 1970");
    }

    #[test]
    fn a_window_may_go_past_midnight() {
        let window = Window {
            weekdays: vec![4],
            from_minute: 23 * 60,
            until_minute: 4 * 60,
            zone: Zone::default(),
            groups: vec![],
        };
        let midnight = THURSDAY - THURSDAY % 86_400 + 86_400;
        assert!(!window.is_open(THURSDAY));
        assert!(window.is_open(midnight - 60));
        assert!(window.is_open(midnight + 3 * 3600), "opened on Thursday");
        assert!(!window.is_open(midnight + 4 * 3600));
        assert!(!window.is_open(midnight + 23 * 3600), "does not open on Friday");
    }

    #[test]
    fn a_freeze_is_for_its_groups_and_in_their_time() {
        let europe = vec!["region=eu".to_owned()];
        let freeze = Freeze {
            name: "holidays".to_owned(),
            from: time(11, 26, 19, 0),
            until: time(11, 27, 0, 0),
            zone: berlin(),
            groups: europe.clone(),
        };
        let calendar = Calendar { freezes: vec![freeze], ..Calendar::default() };
        assert_eq!(calendar.closed(&europe, THURSDAY), Some("frozen: holidays".to_owned()));
        assert_eq!(calendar.closed(&europe, THURSDAY - 3600), None, "18:36 in Berlin");
        assert_eq!(calendar.closed(&["region=us".to_owned()], THURSDAY), None);
    }
}
