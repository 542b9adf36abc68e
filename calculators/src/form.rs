//! What the inputs of a calculator may be: checked by these ranges, and moved within them on the page.

use serde::Serialize;
use serde_json::Value;

/// A number that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Name of the input; with `-` for `_`, that of the flag.
    pub key: &'static str,
    /// What it is, in words.
    pub label: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Where the page's slider ends, from the least value on; the box beside it takes all values.
    pub slider_max: f64,
    /// Whether only whole numbers make sense.
    pub whole: bool,
}

impl Field {
    const fn new(
        key: &'static str,
        label: &'static str,
        unit: &'static str,
        [min, slider_max, max]: [f64; 3],
        whole: bool,
    ) -> Self {
        Self { key, label, unit, min, max, slider_max, whole }
    }

    pub(crate) const fn whole(
        key: &'static str,
        label: &'static str,
        unit: &'static str,
        range: [f64; 3],
    ) -> Self {
        Self::new(key, label, unit, range, true)
    }

    pub(crate) const fn real(
        key: &'static str,
        label: &'static str,
        unit: &'static str,
        range: [f64; 3],
    ) -> Self {
        Self::new(key, label, unit, range, false)
    }

    pub(crate) const fn percent(key: &'static str, label: &'static str) -> Self {
        Self::new(key, label, "%", [0.0, 100.0, 100.0], false)
    }

    fn check(&self, at: &str, value: &Value) -> Result<(), BadInput> {
        let wanted = format!(
            "{at}: wanted {} from {} to {}",
            if self.whole { "a whole number" } else { "a number" },
            self.min,
            self.max
        );
        // What is no number has become `null`.
        let Some(got) = value.as_f64() else {
            return Err(BadInput(format!("{wanted}, found none")));
        };
        if (self.min..=self.max).contains(&got) && (!self.whole || got.fract() == 0.0) {
            Ok(())
        } else {
            Err(BadInput(format!("{wanted}, found {got}")))
        }
    }
}

/// A choice of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Name of the input; with `-` for `_`, that of the flag.
    pub key: &'static str,
    /// What it is, in words.
    pub label: &'static str,
    /// The words, and what each means.
    pub options: &'static [(&'static str, &'static str)],
}

/// A table with a row for each base or stage, whose first column is a name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct List {
    /// Name of the input.
    pub key: &'static str,
    /// What it is, in words.
    pub label: &'static str,
    /// Its columns besides the name.
    pub columns: &'static [Field],
    /// The most rows.
    pub max_rows: usize,
}

/// The inputs of a calculator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Form {
    /// Which calculator: the first part of the page's address.
    pub calculator: &'static str,
    /// Its command.
    pub command: &'static str,
    /// Numbers.
    pub fields: &'static [Field],
    /// Choices.
    pub choices: &'static [Choice],
    /// The table.
    pub list: List,
}

/// An input that cannot be: which one, what was found and what was wanted. Whoever chose it must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub(crate) String);

/// The longest name of a base or a stage, in bytes.
const MAX_NAME_BYTES: usize = 64;

impl Form {
    /// Checks all numbers of inputs that were read.
    pub(crate) fn check(&self, inputs: &impl Serialize) -> Result<(), BadInput> {
        let inputs = serde_json::to_value(inputs).map_err(|error| BadInput(error.to_string()))?;
        for field in self.fields {
            field.check(field.key, &inputs[field.key])?;
        }
        let rows = inputs[self.list.key].as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.len() > self.list.max_rows {
            return Err(BadInput(format!(
                "{}: {} rows, {} at most",
                self.list.key,
                rows.len(),
                self.list.max_rows
            )));
        }
        for (place, row) in rows.iter().enumerate() {
            let at = format!("{} {}", self.list.key, place + 1);
            check_name(&at, row["name"].as_str().unwrap_or_default())?;
            for column in self.list.columns {
                column.check(&format!("{at}, {}", column.key), &row[column.key])?;
            }
        }
        Ok(())
    }

    /// The command that gives the same figures.
    pub(crate) fn command_line(&self, inputs: &impl Serialize) -> String {
        let inputs = serde_json::to_value(inputs).unwrap_or_default();
        let mut line = self.command.to_owned();
        let flag = |key: &str| format!(" --{} ", key.replace('_', "-"));
        for field in self.fields {
            line +=
                &format!("{}{}", flag(field.key), inputs[field.key].as_f64().unwrap_or_default());
        }
        for choice in self.choices {
            line +=
                &format!("{}{}", flag(choice.key), inputs[choice.key].as_str().unwrap_or_default());
        }
        for row in inputs[self.list.key].as_array().into_iter().flatten() {
            let numbers = self
                .list
                .columns
                .iter()
                .map(|column| format!(":{}", row[column.key].as_f64().unwrap_or_default()));
            let name = row["name"].as_str().unwrap_or_default();
            // `bases` are given one by one, as `--base`.
            // With `=`, a name may begin with `-`.
            let flag = self.list.key.trim_end_matches('s');
            line += &format!(" --{flag}='{name}{}'", numbers.collect::<String>());
        }
        line
    }
}

/// Names stand between colons in the address and on the command line, there between quotes, and in tables.
fn check_name(at: &str, name: &str) -> Result<(), BadInput> {
    let is_bad = |letter: char| letter.is_control() || matches!(letter, ':' | ',' | '\'' | '"');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(is_bad) {
        return Err(BadInput(format!(
            "{at}: wanted a name of 1 to {MAX_NAME_BYTES} bytes without colons, commas and quotes, found `{}`",
            name.escape_debug()
        )));
    }
    Ok(())
}

/// Reads a row of a list, written as `NAME:NUMBER:NUMBER`, into its name and numbers.
///
/// # Errors
/// If there are more or fewer parts than that, or no numbers.
pub fn row(text: &str) -> Result<(String, [f64; 2]), BadInput> {
    let wanted = || BadInput(format!("wanted NAME:NUMBER:NUMBER, found `{}`", text.escape_debug()));
    let [name, first, second] = text.split(':').collect::<Vec<_>>()[..] else {
        return Err(wanted());
    };
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wanted());
    Ok((name.to_owned(), [number(first)?, number(second)?]))
}
