//! What the savings are worked out from.

use serde::{Deserialize, Serialize};

use crate::SCHEMA;
use crate::form::{BadInput, Choice, Field, Form, List};

/// What is asked. Percentages are of 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Version of this form: 1.
    pub schema: u32,
    /// Devices of the fleet.
    pub devices: f64,
    /// Updates that each device takes in a year.
    pub updates_per_year: f64,
    /// What a device downloads for the full image, in bytes.
    pub full_bytes: f64,
    /// What a device downloads for a delta from each base, as measured; if there are none, they are estimated.
    #[serde(default)]
    pub bases: Vec<Base>,
    /// How much of the image changes, for the estimate.
    pub changed_percent: f64,
    /// How much the delta adds to what changed, for the estimate.
    pub overhead_percent: f64,
    /// Deltas that are kept for a release, for the estimate.
    pub kept_bases: f64,
    /// Price of a megabyte.
    pub usd_per_mb: f64,
    /// What a megabyte is on the bill.
    pub megabyte: Megabyte,
    /// Downloads that fail and are made once more.
    pub retry_percent: f64,
    /// Devices that run none of the bases, and take the full image.
    pub fallback_percent: f64,
    /// A delta that failed so often once more is followed by the full image.
    pub full_after_retries: f64,
    /// What making deltas costs in a year.
    pub tooling_usd_per_year: f64,
    /// The most bytes that a delta may have; 0 for no limit.
    pub budget_bytes: f64,
    /// Speed of the link; 0 if it is not known.
    pub link_bits_per_second: f64,
}

/// A base with its measured delta.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its version.
    pub name: String,
    /// What a device that runs it downloads: the package of its delta, or of the full image where that is not larger.
    pub download_bytes: f64,
    /// How many of the devices with a base run this one, in any measure.
    pub weight: f64,
}

/// What a megabyte is on the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Megabyte {
    /// 1,048,576 bytes.
    Binary,
    /// 1,000,000 bytes.
    Decimal,
}

impl Megabyte {
    /// How many bytes it has.
    #[must_use]
    pub fn bytes(self) -> f64 {
        match self {
            Self::Binary => 1_048_576.0,
            Self::Decimal => 1_000_000.0,
        }
    }
}

/// What may be asked.
pub const FORM: Form = Form {
    calculator: "savings",
    command: "whittle savings",
    fields: &[
        Field::whole("devices", "fleet", "devices", [1.0, 1e6, 1e9]),
        Field::real("updates_per_year", "updates", "a year", [0.0, 52.0, 1000.0]),
        Field::whole(
            "full_bytes",
            "download of the full image",
            "bytes",
            [1.0, 16_777_216.0, 4_294_967_295.0],
        ),
        Field::percent("changed_percent", "of the image changes (estimate)"),
        Field::percent("overhead_percent", "overhead of the delta (estimate)"),
        Field::whole(
            "kept_bases",
            "deltas kept for a release (estimate)",
            "bases",
            [0.0, 16.0, 16.0],
        ),
        Field::real("usd_per_mb", "price", "$/MB", [1e-9, 5.0, 1e6]),
        Field::percent("retry_percent", "downloads made once more"),
        Field::percent("fallback_percent", "devices that run no base"),
        Field::whole("full_after_retries", "full image after", "retries", [0.0, 10.0, 100.0]),
        Field::real("tooling_usd_per_year", "tools", "$ a year", [0.0, 100_000.0, 1e9]),
        Field::whole(
            "budget_bytes",
            "budget of a delta, 0 for none",
            "bytes",
            [0.0, 4_194_304.0, 4_294_967_295.0],
        ),
        Field::whole(
            "link_bits_per_second",
            "link, 0 if unknown",
            "bit/s",
            [0.0, 10_000_000.0, 1e12],
        ),
    ],
    choices: &[Choice {
        key: "megabyte",
        label: "a megabyte on the bill",
        options: &[("binary", "1,048,576 bytes"), ("decimal", "1,000,000 bytes")],
    }],
    list: List {
        key: "bases",
        label: "measured deltas",
        columns: &[
            Field::whole(
                "download_bytes",
                "download",
                "bytes",
                [0.0, 4_194_304.0, 4_294_967_295.0],
            ),
            Field::real("weight", "devices", "weight", [0.0, 100.0, 1e9]),
        ],
        max_rows: 64,
    },
};

impl Inputs {
    /// Checks that all of them can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), BadInput> {
        if self.schema != SCHEMA {
            return Err(BadInput(format!("schema: wanted {SCHEMA}, found {}", self.schema)));
        }
        FORM.check(self)?;
        if !self.bases.is_empty() && self.weights() <= 0.0 {
            return Err(BadInput(
                "bases: no device runs any of them, wanted one weight above 0".to_owned(),
            ));
        }
        Ok(())
    }

    /// The command that gives the same figures.
    #[must_use]
    pub fn command_line(&self) -> String {
        FORM.command_line(self)
    }

    pub(super) fn weights(&self) -> f64 {
        self.bases.iter().map(|base| base.weight).sum()
    }
}
