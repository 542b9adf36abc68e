//! Measured sizes: the report of a build, as `whittle build --format json` writes it.

use serde::Deserialize;

use crate::savings::{Base, Inputs};

/// What the calculators need of a build's report.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildReport {
    /// What a device downloads for the full image, in bytes.
    pub full_bytes: f64,
    /// What a device downloads from each base; the full image for bases without a delta.
    pub bases: Vec<Base>,
}

/// Why a text is no report of a build. Whoever chose it must act.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    /// It is no JSON, or has not the fields of a report.
    #[error("it is not what `whittle build --format json` writes")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it has schema {0}, wanted 1")]
    Schema(u32),
    /// It has no full image, or several.
    #[error("it lists {0} full images, wanted one")]
    Full(usize),
    /// Nothing was built from any base, so that there is nothing to compare.
    #[error("it has no base")]
    NoBase,
    /// A base is given a weight that the report does not know.
    #[error("it has no base `{name}`: it has {}", known.join(", "))]
    UnknownBase {
        /// As it was called.
        name: String,
        /// The bases that there are.
        known: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Report {
    schema: u32,
    artifacts: Vec<Artifact>,
    #[serde(default)]
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Artifact {
    kind: Kind,
    base_sha256: Option<String>,
    base_version: Option<String>,
    download_bytes: u32,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Delta,
    Full,
}

#[derive(Deserialize)]
struct Refused {
    base_sha256: String,
    base_version: Option<String>,
}

impl BuildReport {
    /// Reads a report.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &str) -> Result<Self, BadReport> {
        let report: Report = serde_json::from_str(json)?;
        if report.schema != 1 {
            return Err(BadReport::Schema(report.schema));
        }
        let (full, deltas): (Vec<_>, Vec<_>) =
            report.artifacts.into_iter().partition(|artifact| artifact.kind == Kind::Full);
        let [full] = &full[..] else { return Err(BadReport::Full(full.len())) };
        let full_bytes = f64::from(full.download_bytes);
        let deltas = deltas.into_iter().map(|delta| Base {
            name: name(delta.base_version, delta.base_sha256.as_deref().unwrap_or_default()),
            download_bytes: delta.download_bytes.into(),
            weight: 1.0,
        });
        let refused = report.refused.into_iter().map(|refused| Base {
            name: name(refused.base_version, &refused.base_sha256),
            download_bytes: full_bytes,
            weight: 1.0,
        });
        let bases: Vec<_> = deltas.chain(refused).collect();
        if bases.is_empty() { Err(BadReport::NoBase) } else { Ok(Self { full_bytes, bases }) }
    }

    /// Says how many devices run each base, in any measure; those that are not named keep 1.
    ///
    /// # Errors
    /// If the build has no such base.
    pub fn weigh(&mut self, weights: &[(String, f64)]) -> Result<(), BadReport> {
        for (name, weight) in weights {
            let Some(base) = self.bases.iter_mut().find(|base| base.name == *name) else {
                let known = self.bases.iter().map(|base| base.name.clone()).collect();
                return Err(BadReport::UnknownBase { name: name.clone(), known });
            };
            base.weight = *weight;
        }
        Ok(())
    }

    /// Puts the measured sizes in the place of estimates.
    pub fn fill(self, inputs: &mut Inputs) {
        (inputs.full_bytes, inputs.bases) = (self.full_bytes, self.bases);
    }
}

/// The version, or the beginning of the digest where it is not known, as `build` shows it.
fn name(version: Option<String>, sha256: &str) -> String {
    let name = version.unwrap_or_else(|| sha256.chars().take(8).collect());
    // Names stand between colons, commas and quotes elsewhere.
    name.replace([':', ',', '\'', '"'], "-")
}
