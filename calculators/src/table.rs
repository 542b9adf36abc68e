//! Outcomes as tables of text: the same in a terminal and on the page.

use serde::Serialize;

use crate::formula::Formula;
use crate::savings::{self, BaseOutcome};
use crate::stages::{self, StageOutcome};
use crate::words::{hours, number, seconds, short_percent, usd};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// Names of its columns.
    pub header: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn of(
        title: &'static str,
        header: &[&'static str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self { title, header: header.to_vec(), rows: rows.into_iter().collect() }
    }

    /// A figure in each row, as its formula tells it.
    fn figures(
        title: &'static str,
        formulas: &[Formula],
        more: impl IntoIterator<Item = [String; 2]>,
    ) -> Self {
        let row = |formula: &Formula| vec![formula.what.to_owned(), formula.text.clone()];
        Self::of(title, &["", ""], formulas.iter().map(row).chain(more.into_iter().map(Vec::from)))
    }
}

fn chance(share: f64) -> String {
    short_percent(share * 100.0)
}

fn or_never(figure: Option<f64>, text: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| "never".to_owned(), text)
}

impl savings::Outcome {
    /// The outcome as people read it.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let title = if self.measured {
            "Savings with measured deltas"
        } else {
            "Savings with estimated deltas"
        };
        let first = or_never(self.first_profitable_devices, number);
        let more = [["first fleet that saves".to_owned(), format!("{first} devices")]];
        vec![
            Table::figures(title, &self.formulas, more),
            Table::of(
                "From each base",
                &["base", "download", "of full", "devices", "on air", "budget"],
                self.bases.iter().map(base_row),
            ),
            self.sensitivity_table(),
        ]
    }

    fn sensitivity_table(&self) -> Table {
        let rows = self.sensitivity.iter().map(|row| {
            vec![
                row.what.to_owned(),
                format!("{}: {}", row.low, usd(row.net_at_low_usd)),
                format!("{}: {}", row.high, usd(row.net_at_high_usd)),
            ]
        });
        Table::of("Saved a year, if", &["", "less", "more"], rows)
    }
}

fn base_row(base: &BaseOutcome) -> Vec<String> {
    let budget = match base.within_budget {
        Some(true) => "within",
        Some(false) => "exceeded",
        None => "none",
    };
    vec![
        base.name.clone(),
        format!("{} bytes", number(base.download_bytes.round())),
        chance(base.ratio),
        chance(base.share),
        base.airtime_seconds.map_or_else(|| "-".to_owned(), seconds),
        budget.to_owned(),
    ]
}

impl stages::Outcome {
    /// The outcome as people read it.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let capacity = if self.trigger_above_capacity {
            "above capacity: it pauses too late"
        } else {
            "within capacity"
        };
        let more = [
            ["those tickets".to_owned(), capacity.to_owned()],
            ["updated in the end".to_owned(), chance(self.updated_share)],
        ];
        vec![
            Table::of(
                "What each stage shows",
                &[
                    "stage",
                    "new",
                    "updated",
                    "share",
                    "watched",
                    "expected",
                    "pauses at",
                    "false pause",
                    "2x",
                    "3x",
                    "5x",
                    "enough",
                    "own test sees",
                ],
                self.stages.iter().map(|stage| shows(stage, &self.inputs)),
            ),
            Table::of(
                "What each stage risks",
                &[
                    "stage",
                    "worst case",
                    "silence excludes",
                    "late bug shows",
                    "tickets, all rolled back",
                    "when it pauses",
                    "a day's capacity",
                ],
                self.stages.iter().map(risks),
            ),
            Table::figures("The rollout", &self.formulas, more),
        ]
    }
}

fn shows(stage: &StageOutcome, inputs: &stages::Inputs) -> Vec<String> {
    let fits = || stage.fitting_hours.map_or_else(|| none_fits(stage, inputs), hours);
    vec![
        stage.name.clone(),
        number(stage.new_devices),
        number(stage.updated_devices),
        chance(stage.updated_share),
        hours(stage.hours),
        number(stage.expected_events),
        number(stage.pause_at_events.into()),
        chance(stage.false_pause),
        chance(stage.power_2x),
        chance(stage.power_3x),
        chance(stage.power_5x),
        fits(),
        stage.test_sees_ratio.map_or_else(
            || "nothing".to_owned(),
            |ratio| format!("{}x", number((ratio * 10.0).round() / 10.0)),
        ),
    ]
}

/// Why no time is long enough: nothing tells the two apart, or so much would have to happen that nobody waits for it.
fn none_fits(stage: &StageOutcome, inputs: &stages::Inputs) -> String {
    let wants_errors = inputs.false_pause_percent > 0.0 && inputs.power_percent < 100.0;
    let has_events = inputs.baseline_percent > 0.0 && stage.watched_devices > 0.0;
    if inputs.pause_ratio > 1.0 && wants_errors && has_events {
        format!("more than {} events", number(stages::MOST_FITTING_EVENTS.into()))
    } else {
        "never".to_owned()
    }
}

fn risks(stage: &StageOutcome) -> Vec<String> {
    let tickets = |tickets: f64| number((tickets * 100.0).round() / 100.0);
    vec![
        stage.name.clone(),
        format!("{} devices", number(stage.updated_devices)),
        or_never(stage.silence_excludes_share, chance),
        chance(stage.late_bug_seen),
        tickets(stage.tickets_if_all_roll_back),
        tickets(stage.tickets_at_trigger),
        if stage.above_capacity { "exceeded" } else { "kept" }.to_owned(),
    ]
}
