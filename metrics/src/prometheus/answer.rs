//! What a Prometheus answers: one number for each series, or why not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// A series at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Any number, even none.
    pub value: f64,
}

/// Why an answer does not count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadAnswer {
    /// It is not what the API gives: a page for people, or cut off.
    #[error("the answer is no JSON of Prometheus: {0}")]
    NotJson(String),
    /// The query was refused.
    #[error("the query was refused ({kind}): {text}")]
    Refused {
        /// Kind of the error, such as `bad_data`.
        kind: String,
        /// What the server says.
        text: String,
    },
    /// The answer may be a part of what was asked for.
    #[error("the answer may not be whole: {0}")]
    Warned(String),
    /// Something else than one number for each series.
    #[error("the query gives a {0}, wanted a vector of numbers")]
    NoVector(&'static str),
    /// A value is no number.
    #[error("the series {labels} has `{got}`, which is no number")]
    NoNumber {
        /// Its labels.
        labels: String,
        /// What it has.
        got: String,
    },
    /// The answer is about another time: one that somebody has kept.
    #[error("the answer is about {got_s}, wanted {wanted_s}")]
    OtherTime {
        /// Which time, in seconds from 1970.
        got_s: f64,
        /// Which one was asked about.
        wanted_s: u64,
    },
    /// The same series twice.
    #[error("the series {0} stands there twice")]
    SeriesTwice(String),
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

/// Read as it comes if the type stands in front, as Prometheus has it: a tree of the whole answer would take many times its size.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Matrix(IgnoredAny),
    Scalar(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    value: (f64, String),
}

/// The samples in the answer to an instant query at `at_s`, in seconds from 1970.
///
/// # Errors
/// [`BadAnswer`]: then nothing of it counts.
pub fn parse(bytes: &[u8], at_s: u64) -> Result<Vec<Sample>, BadAnswer> {
    let not_json = |error: serde_json::Error| BadAnswer::NotJson(error.to_string());
    let answer: Answer = serde_json::from_slice(bytes).map_err(not_json)?;
    if answer.status != "success" {
        let kind = if answer.error_type.is_empty() { answer.status } else { answer.error_type };
        return Err(BadAnswer::Refused { kind: short(&kind), text: short(&answer.error) });
    }
    if !answer.warnings.is_empty() {
        return Err(BadAnswer::Warned(short(&answer.warnings.join("; "))));
    }
    let data = answer.data.ok_or_else(|| BadAnswer::NotJson("no `data`".to_owned()))?;
    let series = match data {
        Data::Vector(series) => series,
        Data::Matrix(_) => return Err(BadAnswer::NoVector("matrix")),
        Data::Scalar(_) => return Err(BadAnswer::NoVector("scalar")),
        Data::String(_) => return Err(BadAnswer::NoVector("string")),
    };
    let mut seen = BTreeSet::new();
    let mut samples = vec![];
    for Series { metric: labels, value: (got_s, value) } in series {
        #[allow(clippy::cast_precision_loss)]
        let is_then = (got_s - at_s as f64).abs() < 1.0;
        if !is_then {
            return Err(BadAnswer::OtherTime { got_s, wanted_s: at_s });
        }
        let value = value
            .parse()
            .map_err(|_| BadAnswer::NoNumber { labels: shown(&labels), got: short(&value) })?;
        if !seen.insert(labels.clone()) {
            return Err(BadAnswer::SeriesTwice(shown(&labels)));
        }
        samples.push(Sample { labels, value });
    }
    Ok(samples)
}

/// Labels as Prometheus writes them.
pub(super) fn shown(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let others = labels.iter().filter(|(label, _)| *label != "__name__");
    let others: Vec<_> = others.map(|(label, value)| format!("{label}={value:?}")).collect();
    short(&format!("{name}{{{}}}", others.join(", ")))
}

/// The beginning of a text, as one line.
pub(super) fn short(text: &str) -> String {
    let shown = text.chars().take(300).map(|char| if char.is_control() { ' ' } else { char });
    shown.chain(text.chars().nth(300).map(|_| '…')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"hw":"B"},"value":[900,"1"]}]}}"#;

    #[test]
    fn the_type_may_come_last() {
        let other = r#"{"data":{"result":[{"value":[900.4,"1"],"metric":{"hw":"B"}}],"resultType":"vector"},"status":"success"}"#;
        assert_eq!(parse(other.as_bytes(), 900), parse(ANSWER.as_bytes(), 900));
        assert_eq!(parse(ANSWER.as_bytes(), 900).unwrap()[0].value, 1.0);
    }

    #[test]
    fn whatever_is_cut_off_does_not_count() {
        for end in 0..ANSWER.len() {
            assert!(matches!(parse(&ANSWER.as_bytes()[..end], 900), Err(BadAnswer::NotJson(_))));
        }
    }

    proptest! {
        #[test]
        fn any_changed_answer_counts_or_does_not(at in 0..ANSWER.len(), byte in any::<u8>()) {
            let mut bytes = ANSWER.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = parse(&bytes, 900);
        }
    }
}
