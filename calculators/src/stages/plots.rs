//! Drawings of stages.

use super::outcome::MOST_EVENTS;
use super::step::{pause_at, pause_events};
use super::{Outcome, StageOutcome};
use crate::plot::{Line, Lines, Mark, Plot, Span, Spans, Tone, factors};
use crate::poisson;
use crate::words::{hours, number};

impl Outcome {
    /// The drawings of the page.
    #[must_use]
    pub fn plots(&self) -> Vec<Plot> {
        vec![self.exposed(), self.power(), self.times(), self.tickets()]
    }

    /// Each stage as a step from its beginning on.
    fn exposed(&self) -> Plot {
        let share = |share: f64| share * 100.0;
        let mut points = vec![[0.0, 0.0]];
        let mut before = 0.0;
        for stage in &self.stages {
            points.push([stage.from_hour, before]);
            before = share(stage.updated_share);
            points.push([stage.from_hour, before]);
        }
        points.push([self.hours, before]);
        Plot::Lines(Lines {
            title: "How much of the fleet is exposed",
            x_label: "hours",
            y_label: "% of the fleet",
            x_is_log: false,
            lines: vec![Line { name: "updated".to_owned(), points }],
            marks: vec![],
        })
    }

    /// The rule's power at its own ratio, for each stage, by how long it is watched.
    fn power(&self) -> Plot {
        let ratio = self.inputs.pause_ratio;
        let longest = self.inputs.stages.iter().map(|stage| stage.hours).fold(0.0, f64::max);
        let line = |stage: &StageOutcome| {
            let at = |hours: f64| {
                let expected = stage.watched_devices * self.inputs.rate_per_hour() * hours;
                let events = pause_events(pause_at(ratio, expected));
                [hours, poisson::at_least(events, (ratio * expected).min(MOST_EVENTS)) * 100.0]
            };
            Line {
                name: stage.name.clone(),
                points: factors(0.5, longest.max(1.0) * 4.0, 81).map(at).collect(),
            }
        };
        Plot::Lines(Lines {
            title: "How likely the rule pauses at its own ratio",
            x_label: "hours watched",
            y_label: "%",
            x_is_log: true,
            lines: self.stages.iter().map(line).collect(),
            marks: self
                .stages
                .iter()
                .map(|stage| Mark { at: stage.hours, label: stage.name.clone() })
                .collect(),
        })
    }

    fn times(&self) -> Plot {
        let mut spans = vec![];
        for (place, stage) in self.stages.iter().enumerate() {
            let until = stage.from_hour + stage.hours;
            if place > 0 && self.inputs.analysis_hours > 0.0 {
                let from = stage.from_hour - self.inputs.analysis_hours;
                spans.push(span(
                    "analysis",
                    [from, stage.from_hour],
                    Tone::Pale,
                    hours(self.inputs.analysis_hours),
                ));
            }
            spans.push(span(
                &stage.name,
                [stage.from_hour, until],
                Tone::Plain,
                hours(stage.hours),
            ));
        }
        if self.inputs.pause_hours > 0.0 {
            spans.push(span(
                "one pause more",
                [self.hours, self.hours_with_one_pause],
                Tone::Bad,
                hours(self.inputs.pause_hours),
            ));
        }
        Plot::Spans(Spans { title: "When", label: "hours", spans, limit: None })
    }

    fn tickets(&self) -> Plot {
        let bar = |stage: &StageOutcome| {
            let tickets = stage.tickets_if_all_roll_back;
            let tone = if stage.above_capacity { Tone::Bad } else { Tone::Plain };
            span(&stage.name, [0.0, tickets], tone, number((tickets * 100.0).round() / 100.0))
        };
        let capacity = self.inputs.tickets_per_day;
        Plot::Spans(Spans {
            title: "Tickets if a stage is rolled back",
            label: "tickets",
            spans: self.stages.iter().map(bar).collect(),
            limit: (capacity > 0.0)
                .then(|| Mark { at: capacity, label: "a day's capacity".to_owned() }),
        })
    }
}

fn span(name: &str, [from, to]: [f64; 2], tone: Tone, text: String) -> Span {
    Span { name: name.to_owned(), from, to, tone, text }
}
