//! Settings with a type, a default and a range, declared once as constants.
//!
//! ```
//! use whittle_policy::contract::{Setting, Value};
//! use whittle_policy::settings::Number;
//!
//! const LIMIT: Number = Number {
//!     key: "crash-limit",
//!     help: "Pause if the crash rate is above this.",
//!     unit: "x reference",
//!     default: 2.0,
//!     min: 1.0,
//!     max: 100.0,
//! };
//! let given = [Setting { key: "crash-limit".into(), value: Value::Number(3.0) }];
//! assert_eq!(LIMIT.of(&given), Ok(3.0));
//! assert_eq!(LIMIT.of(&[]), Ok(2.0));
//! let wrong = [Setting { key: "crash-limit".into(), value: Value::Number(0.5) }];
//! assert_eq!(LIMIT.of(&wrong).unwrap_err(), "setting `crash-limit` is 0.5; it must be 1 to 100 x reference");
//! ```

use crate::contract::{Setting, SettingSpec, Value};
use crate::figure;

/// A setting of whatever type.
pub trait Spec {
    /// What the host is told about it.
    fn spec(&self) -> SettingSpec;
}

/// A number with a unit.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// Name: `a-z`, `0-9` and `-`.
    pub key: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// Unit of the number.
    pub unit: &'static str,
    /// What holds if it is not given.
    pub default: f64,
    /// Least number.
    pub min: f64,
    /// Greatest number.
    pub max: f64,
}

/// Several numbers with the same unit, such as one for each stage.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// Name: `a-z`, `0-9` and `-`.
    pub key: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// Unit of each number.
    pub unit: &'static str,
    /// What holds if it is not given.
    pub default: &'static [f64],
    /// Least number.
    pub min: f64,
    /// Greatest number.
    pub max: f64,
}

/// On or off.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Name: `a-z`, `0-9` and `-`.
    pub key: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// What holds if it is not given.
    pub default: bool,
}

/// A text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Name: `a-z`, `0-9` and `-`.
    pub key: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// What holds if it is not given.
    pub default: &'static str,
    /// Greatest length in bytes.
    pub max_bytes: u16,
}

impl Number {
    /// The number that was given, or the default.
    ///
    /// # Errors
    ///
    /// If something else than a number was given, or one out of range.
    pub fn of(&self, settings: &[Setting]) -> Result<f64, String> {
        match find(settings, self.key) {
            None => Ok(self.default),
            Some(Value::Number(number)) => self.in_range(*number),
            Some(_) => Err(wrong_type(self.key, "a number")),
        }
    }

    fn in_range(&self, number: f64) -> Result<f64, String> {
        let Self { key, unit, min, max, .. } = self;
        if (*min..=*max).contains(&number) {
            Ok(number)
        } else {
            let [number, min, max] = [number, *min, *max].map(figure);
            Err(format!("setting `{key}` is {number}; it must be {min} to {max} {unit}"))
        }
    }
}

impl Numbers {
    /// The numbers that were given, or the defaults.
    ///
    /// # Errors
    ///
    /// If something else than numbers was given, or one of them is out of range.
    pub fn of(&self, settings: &[Setting]) -> Result<Vec<f64>, String> {
        let Self { key, help, unit, min, max, .. } = *self;
        let one = Number { key, help, unit, default: min, min, max };
        match find(settings, key) {
            None => Ok(self.default.to_vec()),
            Some(Value::Numbers(numbers)) => {
                numbers.iter().map(|number| one.in_range(*number)).collect()
            }
            Some(_) => Err(wrong_type(key, "a list of numbers")),
        }
    }
}

impl Flag {
    /// What was given, or the default.
    ///
    /// # Errors
    ///
    /// If something else than a flag was given.
    pub fn of(&self, settings: &[Setting]) -> Result<bool, String> {
        match find(settings, self.key) {
            None => Ok(self.default),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(self.key, "on or off")),
        }
    }
}

impl Text {
    /// The text that was given, or the default.
    ///
    /// # Errors
    ///
    /// If something else than text was given.
    pub fn of<'a>(&self, settings: &'a [Setting]) -> Result<&'a str, String> {
        match find(settings, self.key) {
            None => Ok(self.default),
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(wrong_type(self.key, "text")),
        }
    }
}

fn find<'a>(settings: &'a [Setting], key: &str) -> Option<&'a Value> {
    settings.iter().find(|setting| setting.key == key).map(|setting| &setting.value)
}

fn wrong_type(key: &str, wanted: &str) -> String {
    format!("setting `{key}` must be {wanted}")
}

fn spec(key: &str, help: &str, unit: &str, default: Value, range: (f64, f64)) -> SettingSpec {
    let (min, max) = range;
    SettingSpec {
        key: key.to_owned(),
        help: help.to_owned(),
        unit: unit.to_owned(),
        default,
        min,
        max,
    }
}

impl Spec for Number {
    fn spec(&self) -> SettingSpec {
        let default = Value::Number(self.default);
        spec(self.key, self.help, self.unit, default, (self.min, self.max))
    }
}

impl Spec for Numbers {
    fn spec(&self) -> SettingSpec {
        let default = Value::Numbers(self.default.to_vec());
        spec(self.key, self.help, self.unit, default, (self.min, self.max))
    }
}

impl Spec for Flag {
    fn spec(&self) -> SettingSpec {
        spec(self.key, self.help, "", Value::Flag(self.default), (0.0, 1.0))
    }
}

impl Spec for Text {
    fn spec(&self) -> SettingSpec {
        let default = Value::Text(self.default.to_owned());
        spec(self.key, self.help, "", default, (0.0, f64::from(self.max_bytes)))
    }
}
