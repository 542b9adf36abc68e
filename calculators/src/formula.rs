//! A formula, its numbers and what comes of it: made in one place, so that none of them can be another's.

use serde::Serialize;

use crate::words;

/// A value, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Formula {
    /// Name of the value: that of the field of the outcome.
    pub key: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// The formula in names.
    pub symbols: String,
    /// The formula in numbers.
    pub numbers: String,
    /// What comes of it.
    pub value: f64,
    /// The same as people read it.
    pub text: String,
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Devices,
    Downloads,
    Events,
    Hours,
    /// A fraction, read as a percentage.
    Percent,
    Seconds,
    Tickets,
    Usd,
}

impl Unit {
    fn text(self, value: f64) -> String {
        let hundredths = (value * 100.0).round() / 100.0;
        match self {
            Self::Bytes => counted(value.round(), "byte"),
            Self::Devices => counted(hundredths, "device"),
            Self::Downloads => counted(hundredths, "download"),
            Self::Events => counted(value, "event"),
            Self::Hours => words::hours(value),
            Self::Percent => words::short_percent(value * 100.0),
            Self::Seconds => words::seconds(value),
            Self::Tickets => counted(hundredths, "ticket"),
            Self::Usd => words::usd(value),
        }
    }
}

fn counted(number: f64, what: &str) -> String {
    let plural = if number == 1.0 { "" } else { "s" };
    format!("{} {what}{plural}", words::number(number))
}

impl Formula {
    /// Fills a template, whose `{}` stand for the terms: once with their names, once with their numbers.
    pub(crate) fn new(
        (key, what): (&'static str, &'static str),
        unit: Unit,
        template: &str,
        terms: &[(&str, String)],
        value: f64,
    ) -> Self {
        Self {
            key,
            what,
            symbols: filled(template, terms.iter().map(|(name, _)| *name)),
            numbers: filled(template, terms.iter().map(|(_, number)| &**number)),
            value,
            text: unit.text(value),
        }
    }
}

fn filled<'a>(template: &str, mut terms: impl Iterator<Item = &'a str>) -> String {
    let mut parts = template.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += terms.next().unwrap_or("?");
        text += part;
    }
    text
}
