//! Budgets: what a release may take on devices of a profile, checked once it is built.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, de};
use whittle_format::Share;

use crate::build::{Artifact, Report};
use crate::{DeviceProfile, Error, Result, percent};

/// What a release may take. What is not given is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Name of the device profile, for people.
    pub profile: Option<String>,
    /// Bytes that a device with one of the bases may have to fetch.
    pub max_delta_bytes: Option<u64>,
    /// The same as a share of the target's size; in files, per cent with their sign: `12.5%`.
    #[serde(deserialize_with = "share")]
    pub max_ratio: Option<Share>,
    /// Capacity of the slot in bytes.
    pub slot_size: Option<u64>,
    /// RAM in bytes for decoding and for the block that is authenticated.
    pub max_patcher_ram: Option<u64>,
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Share>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_suffix('%').ok_or_else(|| {
        de::Error::custom(format!("`{text}` is no percentage with its sign, such as 12.5%"))
    })?;
    percent::parse(digits.trim_end()).map(Some).map_err(de::Error::custom)
}

/// Which budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// [`Budgets::max_delta_bytes`].
    MaxDeltaBytes,
    /// [`Budgets::max_ratio`].
    MaxRatio,
    /// [`Budgets::slot_size`].
    SlotSize,
    /// [`Budgets::max_patcher_ram`].
    MaxPatcherRam,
}

impl Budget {
    /// Its name in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxDeltaBytes => "max_delta_bytes",
            Self::MaxRatio => "max_ratio",
            Self::SlotSize => "slot_size",
            Self::MaxPatcherRam => "max_patcher_ram",
        }
    }
}

/// What is spent, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Figure {
    /// Bytes.
    Bytes(u64),
    /// Per cent of the target's size.
    Percent(f64),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// One budget, held against one artifact.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Which budget.
    pub budget: Budget,
    /// Name of the package file; `image` for the target itself.
    pub artifact: String,
    /// The base that it serves: its version, or the first digits of its digest.
    pub base: Option<String>,
    /// What may be spent.
    pub limit: Figure,
    /// What is spent.
    pub actual: Figure,
    /// Whether that is within the limit.
    pub passed: bool,
}

/// All budgets of a profile, held against a release.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checked {
    /// Name of the device profile.
    pub profile: Option<String>,
    /// Whether all passed.
    pub passed: bool,
    /// One for each budget and artifact.
    pub checks: Vec<Check>,
}

/// Holds budgets against a release that was built for `profile`.
///
/// A base that is served by the full image counts with that: it is what such a device fetches.
#[must_use]
pub fn check(report: &Report, profile: &DeviceProfile, budgets: &Budgets) -> Checked {
    let mut checks = Vec::new();
    for fetched in fetched(report) {
        checks.extend(budgets.max_delta_bytes.map(|limit| fetched.against_bytes(limit)));
        let target_bytes = u64::from(report.target_bytes);
        checks.extend(budgets.max_ratio.map(|limit| fetched.against_ratio(limit, target_bytes)));
    }
    checks.extend(budgets.slot_size.map(|limit| {
        let actual = u64::from(report.target_bytes);
        bytes(Budget::SlotSize, "image".to_owned(), None, limit, actual)
    }));
    if let Some(limit) = budgets.max_patcher_ram {
        let block = 1u64 << profile.block_log2();
        checks.extend(report.artifacts.iter().map(|artifact| {
            let actual = artifact.decoder_ram_bytes.saturating_add(block);
            bytes(Budget::MaxPatcherRam, artifact.file.clone(), base(artifact), limit, actual)
        }));
    }
    let passed = checks.iter().all(|check| check.passed);
    Checked { profile: budgets.profile.clone(), passed, checks }
}

/// What devices with one base fetch.
struct Fetched {
    file: String,
    base: Option<String>,
    bytes: u64,
}

fn fetched(report: &Report) -> Vec<Fetched> {
    let deltas = report.artifacts.iter().filter(|artifact| artifact.base_sha256.is_some());
    let deltas = deltas.map(|artifact| Fetched {
        file: artifact.file.clone(),
        base: base(artifact),
        bytes: artifact.download_bytes,
    });
    let full = report.artifacts.iter().find(|artifact| artifact.base_sha256.is_none());
    let refused = report.refused.iter().map(|refused| Fetched {
        file: full.map(|full| full.file.clone()).unwrap_or_default(),
        base: Some(refused.base_version.clone().unwrap_or_else(|| refused.base_sha256.short())),
        bytes: refused.full_bytes,
    });
    deltas.chain(refused).collect()
}

fn base(artifact: &Artifact) -> Option<String> {
    let digest = artifact.base_sha256?;
    Some(artifact.base_version.clone().unwrap_or_else(|| digest.short()))
}

impl Fetched {
    fn against_bytes(&self, limit: u64) -> Check {
        let (file, base) = (self.file.clone(), self.base.clone());
        bytes(Budget::MaxDeltaBytes, file, base, limit, self.bytes)
    }

    fn against_ratio(&self, limit: Share, target_bytes: u64) -> Check {
        let whole = u128::from(Share::WHOLE_PPM);
        let (spent, target) = (u128::from(self.bytes) * whole, u128::from(target_bytes));
        // Rounded up, so that what is above a limit is never shown as the limit.
        let ppm = u32::try_from(spent.div_ceil(target.max(1))).unwrap_or(u32::MAX);
        Check {
            budget: Budget::MaxRatio,
            artifact: self.file.clone(),
            base: self.base.clone(),
            limit: Figure::Percent(percent::number(limit)),
            actual: Figure::Percent(f64::from(ppm) / f64::from(Share::WHOLE_PPM / 100)),
            passed: spent <= target * u128::from(limit.ppm()),
        }
    }
}

fn bytes(budget: Budget, artifact: String, base: Option<String>, limit: u64, actual: u64) -> Check {
    let (limit_bytes, actual_bytes) = (Figure::Bytes(limit), Figure::Bytes(actual));
    let passed = actual <= limit;
    Check { budget, artifact, base, limit: limit_bytes, actual: actual_bytes, passed }
}

impl Check {
    /// What it is about, in words.
    fn about(&self) -> String {
        match &self.base {
            Some(base) => {
                format!("`{}` of `{}` for base {base}", self.budget.name(), self.artifact)
            }
            None => format!("`{}` of `{}`", self.budget.name(), self.artifact),
        }
    }
}

impl Checked {
    /// A target that is larger than its slot, of which nothing can be built that could be held against other budgets.
    #[must_use]
    pub fn overfull_slot(
        profile: Option<&str>,
        target_bytes: u64,
        slot_bytes: Option<u64>,
    ) -> Option<Self> {
        let limit = slot_bytes.filter(|slot| target_bytes > *slot)?;
        let check = Check {
            budget: Budget::SlotSize,
            artifact: "image".to_owned(),
            base: None,
            limit: Figure::Bytes(limit),
            actual: Figure::Bytes(target_bytes),
            passed: false,
        };
        let profile = profile.map(str::to_owned);
        Some(Self { profile, passed: false, checks: vec![check] })
    }

    /// Refuses a release that is above a budget.
    ///
    /// # Errors
    /// [`Error::OverBudget`], which names the first budget that is exceeded.
    pub fn enforce(&self) -> Result<()> {
        let exceeded = self.checks.iter().filter(|check| !check.passed).count();
        let Some(first) = self.checks.iter().find(|check| !check.passed) else { return Ok(()) };
        Err(Error::OverBudget {
            exceeded,
            of: self.checks.len(),
            first: format!("{}: {}, limit {}", first.about(), first.actual, first.limit),
            checked: Box::new(self.clone()),
        })
    }

    /// A table in Markdown, fit for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        let verdict = if self.passed { "kept" } else { "exceeded" };
        let profile = self.profile.as_deref().map(|name| format!(" for `{}`", cell(name)));
        let mut text = format!("### Update budgets{}: {verdict}\n\n", profile.unwrap_or_default());
        if self.checks.is_empty() {
            text += "Nothing to check: the release has no bases.\n";
            return text;
        }
        text += "| | budget | base | limit | actual | artifact |\n|---|---|---|--:|--:|---|\n";
        for check in &self.checks {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | `{}` |",
                if check.passed { "✅" } else { "❌" },
                check.budget.name(),
                check.base.as_deref().map_or("-".to_owned(), cell),
                check.limit,
                check.actual,
                cell(&check.artifact),
            );
        }
        text
    }

    /// Lines that GitHub shows beside a run: an error for each budget that is exceeded.
    #[must_use]
    pub fn github_annotations(&self) -> Vec<String> {
        let exceeded = self.checks.iter().filter(|check| !check.passed);
        let line = |check: &Check| {
            let text = format!("{}: {}, limit {}", check.about(), check.actual, check.limit);
            format!("::error title=update budget exceeded::{}", escaped(&text))
        };
        exceeded.map(line).collect()
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' => cell += "\\|",
            '<' => cell += "&lt;",
            '`' => cell.push('\''),
            other if other.is_control() => cell.push(' '),
            other => cell.push(other),
        }
    }
    cell
}

/// Text that stays in its line, as GitHub wants it.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Refused;
    use crate::{Culprit, Sha256Digest};

    fn artifact(base: Option<&str>, download_bytes: u64, decoder_ram_bytes: u64) -> Artifact {
        Artifact {
            kind: if base.is_some() { "delta" } else { "full" },
            codec: "compact",
            encoder: 4,
            base_sha256: base.map(|base| Sha256Digest::of(base.as_bytes())),
            base_version: base.map(str::to_owned),
            download_bytes,
            decoder_ram_bytes,
            file: format!("thermostat-2.0.0-{}.pkg", base.unwrap_or("full")),
            instruction_set: None,
            alternatives: Vec::new(),
        }
    }

    fn report() -> Report {
        Report {
            product: "thermostat".to_owned(),
            target_version: "2.0.0".to_owned(),
            security_counter: 0,
            target_bytes: 100_000,
            target_sha256: Sha256Digest::of(b"target"),
            target_input: crate::Source::default(),
            warnings: vec![],
            artifacts: vec![
                artifact(Some("1.1.0"), 8000, 16384),
                artifact(Some("1.0.0"), 12_001, 65536),
                artifact(None, 60_000, 16384),
            ],
            refused: vec![Refused {
                base_sha256: Sha256Digest::of(b"old"),
                base_version: None,
                delta_bytes: Some(59_500),
                full_bytes: 60_000,
                reason: "too large".to_owned(),
            }],
        }
    }

    fn budgets() -> Budgets {
        Budgets {
            profile: Some("sensor|v2".to_owned()),
            max_delta_bytes: Some(8000),
            max_ratio: Some(percent::parse("12").unwrap()),
            slot_size: Some(100_000),
            max_patcher_ram: Some(16384 + 4096),
        }
    }

    fn profile() -> DeviceProfile {
        DeviceProfile { decoder_ram_bytes: 64 << 10, ..Default::default() }
    }

    #[test]
    fn each_artifact_is_held_against_each_budget() {
        let checked = check(&report(), &profile(), &budgets());
        let passed: Vec<(Budget, Option<&str>, bool)> = checked
            .checks
            .iter()
            .map(|check| (check.budget, check.base.as_deref(), check.passed))
            .collect();
        let old = Sha256Digest::of(b"old").short();
        assert_eq!(
            passed,
            [
                (Budget::MaxDeltaBytes, Some("1.1.0"), true),
                (Budget::MaxRatio, Some("1.1.0"), true),
                (Budget::MaxDeltaBytes, Some("1.0.0"), false),
                (Budget::MaxRatio, Some("1.0.0"), false),
                (Budget::MaxDeltaBytes, Some(old.as_str()), false),
                (Budget::MaxRatio, Some(old.as_str()), false),
                (Budget::SlotSize, None, true),
                (Budget::MaxPatcherRam, Some("1.1.0"), true),
                (Budget::MaxPatcherRam, Some("1.0.0"), false),
                (Budget::MaxPatcherRam, None, true),
            ]
        );
        let error = checked.enforce().unwrap_err();
        assert_eq!(error.culprit(), Culprit::Budget);
        assert_eq!(
            error.to_string(),
            "budgets exceeded: 5 of 10, the first is `max_delta_bytes` of `thermostat-2.0.0-1.0.0.pkg` for base 1.0.0: \
             12001 bytes, limit 8000 bytes"
        );
    }

    #[test]
    fn what_is_a_byte_above_a_ratio_is_shown_so() {
        let checked = check(&report(), &profile(), &budgets());
        let ratio =
            checked.checks.iter().find(|check| !check.passed && check.budget == Budget::MaxRatio);
        assert_eq!(ratio.map(|check| check.actual), Some(Figure::Percent(12.001)));
    }

    #[test]
    fn budgets_that_are_kept_or_not_given_pass() {
        let nothing = check(&report(), &profile(), &Budgets::default());
        assert!(nothing.passed && nothing.checks.is_empty() && nothing.enforce().is_ok());
        assert!(nothing.markdown().contains("Nothing to check"));
        let wide = Budgets { max_delta_bytes: Some(60_000), ..Default::default() };
        let checked = check(&report(), &profile(), &wide);
        assert!(checked.passed && checked.checks.len() == 3);
        assert!(checked.github_annotations().is_empty());
    }

    #[test]
    fn tables_and_annotations_are_as_their_readers_want_them() {
        let mut report = report();
        report.artifacts[1].base_version = Some("1.0|`\n<b>".to_owned());
        let checked = check(&report, &profile(), &budgets());
        let markdown = checked.markdown();
        assert!(
            markdown.starts_with("### Update budgets for `sensor\\|v2`: exceeded\n\n| | budget |")
        );
        let row = "| ❌ | max_delta_bytes | 1.0\\|' &lt;b> | 8000 bytes | 12001 bytes | `thermostat-2.0.0-1.0.0.pkg` |";
        assert!(markdown.lines().any(|line| line == row), "{markdown}");
        assert_eq!(markdown.lines().count(), 4 + checked.checks.len());
        let annotations = checked.github_annotations();
        assert_eq!(annotations.len(), 5);
        assert!(
            annotations
                .iter()
                .all(|line| line.starts_with("::error title=") && !line.contains('\n'))
        );
        assert!(annotations[1].ends_with("12.001 %25, limit 12 %25"), "{}", annotations[1]);
    }

    #[test]
    fn budgets_are_read_from_files() {
        let json = r#"{"max_ratio": "12.5%", "max_delta_bytes": 8000}"#;
        let budgets: Budgets = serde_json::from_str(json).unwrap();
        assert_eq!(budgets.max_ratio.map(Share::ppm), Some(125_000));
        for wrong in [r#"{"max_ratio": "0.125"}"#, r#"{"max_ratio": 0.125}"#, r#"{"max_size": 3}"#]
        {
            assert!(serde_json::from_str::<Budgets>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_that_does_not_fit_its_slot_is_a_budget_that_is_exceeded() {
        assert!(Checked::overfull_slot(None, 1 << 30, None).is_none());
        assert!(Checked::overfull_slot(None, 4096, Some(4096)).is_none());
        let checked = Checked::overfull_slot(None, 4097, Some(4096)).expect("it does not fit");
        let row = "| ❌ | slot_size | - | 4096 bytes | 4097 bytes | `image` |";
        assert!(checked.markdown().lines().any(|line| line == row), "{}", checked.markdown());
        assert_eq!(checked.github_annotations().len(), 1);
    }
}
