//! Which of two releases is the newer one.
//!
//! Versions are text for people. Those of the form that Semantic Versioning has, with any number of numbers and perhaps a `v` in
//! front, are compared as it says: number by number, and what has a pre-release behind a hyphen comes before what has none. What
//! stands behind a plus does not count. Others are not compared.

use std::cmp::Ordering;

use whittle_format::Label;

/// Where a version stands among others. Versions that are not of the form come first, and are all equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VersionOrder(Option<(Vec<u64>, Stability)>);

/// A pre-release comes before what has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stability {
    Before(Vec<Identifier>),
    Final,
}

/// Numbers come before names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Name(String),
}

impl VersionOrder {
    pub(crate) fn of(version: &Label) -> Self {
        Self(parse(version.as_str()))
    }

    /// How two versions compare; none if one of them is not of the form.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        (self.0.is_some() && other.0.is_some()).then(|| self.cmp(other))
    }
}

fn parse(version: &str) -> Option<(Vec<u64>, Stability)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let version = version.split_once('+').map_or(version, |(version, _)| version);
    let (numbers, before) = match version.split_once('-') {
        Some((numbers, before)) => (numbers, Some(before)),
        None => (version, None),
    };
    let mut numbers: Vec<u64> = numbers.split('.').map(number).collect::<Option<_>>()?;
    // 1.2 is 1.2.0.
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    let stability = match before {
        Some(before) => Stability::Before(before.split('.').map(identifier).collect()),
        None => Stability::Final,
    };
    Some((numbers, stability))
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn identifier(text: &str) -> Identifier {
    number(text).map_or_else(|| Identifier::Name(text.to_owned()), Identifier::Number)
}

/// What tells an older release from a newer one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReleaseOrder {
    security_counter: u32,
    version: VersionOrder,
}

impl ReleaseOrder {
    pub(crate) fn of(release: &whittle_format::index::Release) -> Self {
        let version = VersionOrder::of(&release.target_version);
        Self { security_counter: release.security_counter, version }
    }

    /// Whether devices would go back: by their counter, which they refuse, or by the version.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.security_counter < other.security_counter
            || self.version.compare(&other.version) == Some(Ordering::Less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(version: &str) -> VersionOrder {
        VersionOrder::of(&version.parse().expect("a label"))
    }

    #[test]
    fn versions_are_ordered_as_people_expect() {
        let ascending = [
            "nightly",
            "0.9",
            "v1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10.0",
            "2.0.0-rc1",
            "2.0.0",
            "2024.1.1",
        ];
        for pair in ascending.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
        assert_eq!(order("1.2.0"), order("v1.2+build.7"));
        assert_eq!(order("nightly").compare(&order("1.0")), None);
        assert_eq!(order("1..2"), order("nightly"));
        assert_eq!(order("99999999999999999999"), order("nightly"));
    }

    #[test]
    fn neither_counter_nor_version_goes_back() {
        let release =
            |security_counter, version| ReleaseOrder { security_counter, version: order(version) };
        let now = release(5, "1.3.0");
        assert!(release(4, "1.4.0").is_before(&now));
        assert!(release(6, "1.2.9").is_before(&now));
        assert!(!release(5, "1.3.0").is_before(&now));
        assert!(!release(6, "1.3.0").is_before(&now));
        assert!(!release(5, "nightly").is_before(&now), "who knows");
    }
}
