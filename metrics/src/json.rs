//! Observations as JSON: the form in which the engine itself writes them down.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use whittle_rollout::Observation;

use crate::file::BadFile;

/// Reads documents, one after the other; a document is taken as a whole or not at all.
pub(crate) fn parse(text: &str) -> Result<Vec<Observation>, BadFile> {
    let checked = serde_json::Deserializer::from_str(text).into_iter::<Object>();
    for document in checked {
        document.map_err(BadFile::Json)?;
    }
    let documents = serde_json::Deserializer::from_str(text).into_iter();
    documents.map(|document| document.map_err(BadFile::Json)).collect()
}

/// Writes observations down, one a line: JSON Lines, or a JSON document if there is one.
///
/// # Errors
///
/// If a figure is no number, which JSON has no word for.
pub fn emit(observations: &[Observation]) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    for observation in observations {
        for cell in &observation.cells {
            let tallies = cell.metrics.iter().flat_map(|metric| [metric.treated, metric.control]);
            let figures = tallies.flat_map(|tally| [tally.count, tally.exposure, tally.squares]);
            if let Some(figure) = figures.into_iter().find(|figure| !figure.is_finite()) {
                let why = format!("{figure} cannot be written as JSON");
                return Err(serde::ser::Error::custom(why));
            }
        }
        lines.push_str(&serde_json::to_string(observation)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// An object in which no name stands twice. What is read next would take a list for one.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the figures of a stretch of time")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
        NamesOnceVisitor.visit_map(map).map(|_| Object)
    }
}

/// Any JSON in which no name stands twice in an object: of two attributes or versions of the same name one would be lost.
struct NamesOnce;

impl<'de> Deserialize<'de> for NamesOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesOnceVisitor)
    }
}

struct NamesOnceVisitor;

impl<'de> Visitor<'de> for NamesOnceVisitor {
    type Value = NamesOnce;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamesOnce, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("`{name}` stands there twice")));
            }
            names.insert(name);
            map.next_value::<NamesOnce>()?;
        }
        Ok(NamesOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NamesOnce, A::Error> {
        while items.next_element::<NamesOnce>()?.is_some() {}
        Ok(NamesOnce)
    }

    fn visit_bool<E>(self, _: bool) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }

    fn visit_str<E>(self, _: &str) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }

    fn visit_unit<E>(self) -> Result<NamesOnce, E> {
        Ok(NamesOnce)
    }
}
