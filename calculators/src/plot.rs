//! What the page draws: points, bars and spans, of which all figures are computed here.

use serde::Serialize;

/// A drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Plot {
    /// Curves.
    Lines(Lines),
    /// Upright bars, each from one figure to another.
    Bars(Spans),
    /// Lying bars, each from one figure to another.
    Spans(Spans),
}

/// Curves over a common axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lines {
    /// What is seen.
    pub title: &'static str,
    /// What the lower axis counts.
    pub x_label: &'static str,
    /// What the other axis counts.
    pub y_label: &'static str,
    /// Whether equal factors are equally far apart on the lower axis.
    pub x_is_log: bool,
    /// The curves.
    pub lines: Vec<Line>,
    /// Places on the lower axis that count.
    pub marks: Vec<Mark>,
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<[f64; 2]>,
}

/// A figure that is marked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// What it is.
    pub label: String,
}

/// Bars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spans {
    /// What is seen.
    pub title: &'static str,
    /// What the axis counts.
    pub label: &'static str,
    /// The bars.
    pub spans: Vec<Span>,
    /// A limit that they are held against.
    pub limit: Option<Mark>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What it stands for.
    pub tone: Tone,
    /// Its figure in words.
    pub text: String,
}

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// An amount.
    Plain,
    /// What is gained.
    Good,
    /// What is lost, or too much.
    Bad,
    /// A time in between.
    Pale,
}

/// Figures from `low` to `high`, with equal factors in between.
pub(crate) fn factors(low: f64, high: f64, points: u32) -> impl Iterator<Item = f64> {
    let step = libm::log(high / low) / f64::from(points - 1);
    (0..points).map(move |place| low * libm::exp(step * f64::from(place)))
}
