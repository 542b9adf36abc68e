//! What a column holds, by its name.

use std::collections::BTreeSet;
use std::fmt;

use crate::file::BadFile;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    FromS,
    UntilS,
    Rows,
    Attribute(String),
    Devices(Devices),
    Figure { metric: String, side: Side, part: Part },
    Version(String),
}

/// A field of [`whittle_rollout::DeviceCounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Devices {
    Offered,
    Updated,
    Committed,
    RolledBack,
    Bricked,
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Treated,
    Control,
}

/// A field of a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Count,
    Exposure,
    Squares,
}

pub(super) const DEVICES: [(Devices, &str); 6] = [
    (Devices::Offered, "offered"),
    (Devices::Updated, "updated"),
    (Devices::Committed, "committed"),
    (Devices::RolledBack, "rolled_back"),
    (Devices::Bricked, "bricked"),
    (Devices::Silent, "silent"),
];

pub(super) const SIDES: [(Side, &str); 2] =
    [(Side::Treated, "treated"), (Side::Control, "control")];

pub(super) const PARTS: [(Part, &str); 3] =
    [(Part::Count, "count"), (Part::Exposure, "exposure"), (Part::Squares, "squares")];

impl Column {
    /// Its meaning; none if the name has none.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "from_s" => return Some(Self::FromS),
            "until_s" => return Some(Self::UntilS),
            "rows" => return Some(Self::Rows),
            _ => {}
        }
        let (kind, rest) = name.split_once('.').filter(|(_, rest)| !rest.is_empty())?;
        match kind {
            "attribute" => Some(Self::Attribute(rest.to_owned())),
            "devices" => find(&DEVICES, rest).map(Self::Devices),
            "version" => Some(Self::Version(rest.to_owned())),
            "metric" => {
                let (rest, part) = rest.rsplit_once('.')?;
                let (metric, side) = rest.rsplit_once('.')?;
                let (side, part) = (find(&SIDES, side)?, find(&PARTS, part)?);
                let metric = Some(metric).filter(|metric| !metric.is_empty())?.to_owned();
                Some(Self::Figure { metric, side, part })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromS => formatter.write_str("from_s"),
            Self::UntilS => formatter.write_str("until_s"),
            Self::Rows => formatter.write_str("rows"),
            Self::Attribute(name) => write!(formatter, "attribute.{name}"),
            Self::Devices(which) => write!(formatter, "devices.{}", name(&DEVICES, *which)),
            Self::Version(version) => write!(formatter, "version.{version}"),
            Self::Figure { metric, side, part } => {
                let (side, part) = (name(&SIDES, *side), name(&PARTS, *part));
                write!(formatter, "metric.{metric}.{side}.{part}")
            }
        }
    }
}

fn find<T: Copy>(names: &[(T, &str)], name: &str) -> Option<T> {
    names.iter().find(|(_, own)| *own == name).map(|(value, _)| *value)
}

fn name<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(own, _)| *own == value).map_or("", |(_, name)| name)
}

/// The columns of a table: each known, none twice, none missing.
pub(super) fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<Column>, BadFile> {
    let mut seen = BTreeSet::new();
    let mut columns = vec![];
    for name in names {
        let column =
            Column::parse(name).ok_or_else(|| BadFile::UnknownColumn(super::rows::short(name)))?;
        if !seen.insert(column.clone()) {
            return Err(BadFile::ColumnTwice(name.to_owned()));
        }
        columns.push(column);
    }
    let mut wanted = vec![Column::FromS, Column::UntilS, Column::Rows];
    wanted.extend(DEVICES.map(|(which, _)| Column::Devices(which)));
    for metric in metrics(&columns) {
        for (side, _) in SIDES {
            for part in [Part::Count, Part::Exposure] {
                wanted.push(Column::Figure { metric: metric.to_owned(), side, part });
            }
        }
    }
    match wanted.into_iter().find(|column| !seen.contains(column)) {
        Some(missing) => Err(BadFile::NoColumn(missing.to_string())),
        None => Ok(columns),
    }
}

/// Names of the metrics, in the order of their first columns.
pub(super) fn metrics(columns: &[Column]) -> Vec<&str> {
    let mut metrics = vec![];
    let mut seen = BTreeSet::new();
    for column in columns {
        if let Column::Figure { metric, .. } = column
            && seen.insert(metric)
        {
            metrics.push(metric.as_str());
        }
    }
    metrics
}
