//! When new stages may begin.

use whittle_policy::contract::Clock;
use whittle_policy::prelude::*;

const WEEKDAYS: Numbers = Numbers {
    key: "weekdays",
    help: "Days of the week on which a stage may begin: 1 is Monday, 7 is Sunday.",
    unit: "weekday",
    default: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    min: 1.0,
    max: 7.0,
};

const FROM_HOUR: Number = Number {
    key: "from-hour",
    help: "A stage may begin from this hour of the day on.",
    unit: "hour",
    default: 0.0,
    min: 0.0,
    max: 23.0,
};

const TO_HOUR: Number = Number {
    key: "to-hour",
    help: "A stage may begin before this hour of the day; if it is less than `from-hour`, that of the next day.",
    unit: "hour",
    default: 24.0,
    min: 1.0,
    max: 24.0,
};

const FREEZES: Numbers = Numbers {
    key: "freezes",
    help: "First and last day of each time of the year in which no stage begins, as 100 x month + day: 1220, 105 is 20 December to 5 January.",
    unit: "month and day",
    default: &[],
    min: 101.0,
    max: 1_231.0,
};

/// When new stages may begin.
pub(crate) struct Calendar {
    weekdays: Vec<f64>,
    hours: [f64; 2],
    freezes: Vec<f64>,
}

impl Calendar {
    /// What to declare in `describe`.
    pub(crate) const SPECS: [&'static dyn Spec; 4] = [&WEEKDAYS, &FROM_HOUR, &TO_HOUR, &FREEZES];

    /// Reads the settings.
    pub(crate) fn of(settings: &[Setting]) -> Result<Self, String> {
        let (weekdays, freezes) = (WEEKDAYS.of(settings)?, FREEZES.of(settings)?);
        if weekdays.is_empty() {
            return Err("setting `weekdays` must name a day".to_owned());
        }
        if freezes.len() % 2 != 0 {
            return Err("setting `freezes` must have a last day for each first one".to_owned());
        }
        Ok(Self { weekdays, hours: [FROM_HOUR.of(settings)?, TO_HOUR.of(settings)?], freezes })
    }

    /// Why no stage may begin now.
    pub(crate) fn objection(&self, clock: &Clock) -> Option<Reason> {
        let day = f64::from(clock.month) * 100.0 + f64::from(clock.day);
        let freezes = self.freezes.as_chunks().0;
        if let Some([_, last]) = freezes.iter().find(|[first, last]| is_within(day, *first, *last))
        {
            let text = "no stage begins in a freeze (100 x month + day)";
            return Some(Reason::new("calendar-freeze", text).figures(day, *last));
        }
        if !self.weekdays.contains(&f64::from(clock.weekday)) {
            return Some(Reason::new(
                "calendar-weekday",
                "no stage begins on this day of the week",
            ));
        }
        let [from, to] = self.hours;
        let hour = f64::from(clock.hour);
        // The last hour is the one before `to`.
        if !is_within(hour, from, to - 1.0) {
            let text = "no stage begins at this hour";
            return Some(Reason::new("calendar-hour", text).figures(hour, from));
        }
        None
    }
}

/// Whether a day or hour lies between two, which may lie on both sides of the turn of the year or of midnight.
fn is_within(at: f64, first: f64, last: f64) -> bool {
    if first <= last { (first..=last).contains(&at) } else { at >= first || at <= last }
}
