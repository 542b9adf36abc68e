//! Drawings of the savings.

use super::case::Case;
use super::{BaseOutcome, Outcome, Sensitivity};
use crate::plot::{Line, Lines, Mark, Plot, Span, Spans, Tone, factors};
use crate::words::{number, seconds, usd};

/// Break-evens beyond are not drawn: all else would be at the edge.
const MOST_DEVICES: f64 = 1e12;

impl Outcome {
    /// The drawings of the page.
    #[must_use]
    pub fn plots(&self) -> Vec<Plot> {
        vec![self.cost_by_fleet(), self.waterfall(), self.sensitivity_spans(), self.sizes()]
    }

    fn cost_by_fleet(&self) -> Plot {
        let case = Case::of(&self.inputs, self.delta_bytes);
        let middle = self
            .break_even_devices
            .filter(|devices| (1.0..=MOST_DEVICES).contains(devices))
            .unwrap_or(self.inputs.devices);
        let (low, high) =
            (middle.min(self.inputs.devices) / 5.0, middle.max(self.inputs.devices) * 2.0);
        let curve = |name: &str, usd: &dyn Fn(&Case) -> f64| {
            let at = |devices| [devices, usd(&Case { devices, ..case })];
            Line { name: name.to_owned(), points: factors(low, high, 41).map(at).collect() }
        };
        let fleet = Mark { at: self.inputs.devices, label: "this fleet".to_owned() };
        let even = self
            .break_even_devices
            .map(|at| Mark { at, label: format!("break-even: {}", number(at.round())) });
        Plot::Lines(Lines {
            title: "Cost by size of the fleet",
            x_label: "devices",
            y_label: "$ a year",
            x_is_log: true,
            lines: vec![
                curve("full images", &|case| case.full_usd().value),
                curve("deltas with tools", &|case| case.delta_usd().value),
                curve("saved", &|case| case.net()),
            ],
            marks: [fleet].into_iter().chain(even).collect(),
        })
    }

    fn waterfall(&self) -> Plot {
        let case = Case::of(&self.inputs, self.delta_bytes);
        let all_deltas = Case { fallback: 0.0, ..case }.data_usd().value;
        let bar = |name: &str, from: f64, to: f64, tone| Span {
            name: name.to_owned(),
            from,
            to,
            tone,
            text: usd(if tone == Tone::Plain { to } else { to - from }),
        };
        Plot::Bars(Spans {
            title: "From full images to deltas",
            label: "$ a year",
            spans: vec![
                bar("full images", 0.0, self.full_usd, Tone::Plain),
                bar("deltas", self.full_usd, all_deltas, Tone::Good),
                bar("no base", all_deltas, self.data_usd, Tone::Bad),
                bar("tools", self.data_usd, self.delta_usd, Tone::Bad),
                bar("with deltas", 0.0, self.delta_usd, Tone::Plain),
            ],
            limit: None,
        })
    }

    fn sensitivity_spans(&self) -> Plot {
        let span = |row: &Sensitivity| Span {
            name: row.what.to_owned(),
            from: row.net_at_low_usd,
            to: row.net_at_high_usd,
            tone: if row.net_at_high_usd < row.net_at_low_usd { Tone::Bad } else { Tone::Good },
            text: format!("{} to {}", row.low, row.high),
        };
        Plot::Spans(Spans {
            title: "What the saving depends on",
            label: "$ saved a year",
            spans: self.sensitivity.iter().map(span).collect(),
            limit: Some(Mark { at: self.net_usd, label: "now".to_owned() }),
        })
    }

    fn sizes(&self) -> Plot {
        let span = |base: &BaseOutcome| Span {
            name: base.name.clone(),
            from: 0.0,
            to: base.download_bytes,
            tone: if base.within_budget == Some(false) { Tone::Bad } else { Tone::Plain },
            text: match base.airtime_seconds {
                Some(airtime) => {
                    format!("{} bytes, {}", number(base.download_bytes.round()), seconds(airtime))
                }
                None => format!("{} bytes", number(base.download_bytes.round())),
            },
        };
        let budget = self.inputs.budget_bytes;
        let full = Span {
            name: "full image".to_owned(),
            from: 0.0,
            to: self.inputs.full_bytes,
            tone: Tone::Pale,
            text: format!("{} bytes", number(self.inputs.full_bytes)),
        };
        Plot::Spans(Spans {
            title: "Download from each base",
            label: "bytes",
            spans: self.bases.iter().map(span).chain([full]).collect(),
            limit: (budget > 0.0).then(|| Mark { at: budget, label: "budget".to_owned() }),
        })
    }
}
