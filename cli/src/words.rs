//! Decisions and their reasons in words.

use whittle_policy_host::types::{
    DecidedBy, Decision, Fallback, PauseOrder, Reason, RollbackOrder, RootCause, Severity, Stage,
};

use whittle_release::Source;

use crate::printer::one_line;
use crate::time;

pub(crate) fn reason(reason: &Reason) -> String {
    let figures = match (reason.observed, reason.limit) {
        (Some(observed), Some(limit)) => {
            format!(" ({} against {})", figure(observed), figure(limit))
        }
        (Some(observed), None) => format!(" ({})", figure(observed)),
        _ => String::new(),
    };
    let about = [reason.metric.as_deref(), reason.group.as_deref()];
    let about = one_line(&about.into_iter().flatten().collect::<Vec<_>>().join(", "));
    let about = if about.is_empty() { about } else { format!(" [{about}]") };
    format!("  {}: {}{figures}{about}\n", reason.code, one_line(&reason.text))
}

pub(crate) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Hold => "hold: nothing changes".to_owned(),
        Decision::Advance(share) => format!("advance to {} of the fleet", percent(*share)),
        Decision::Pause(order) => pause(order),
        Decision::Resume(share) => format!("resume up to {} of the fleet", percent(*share)),
        Decision::RollBack(order) => rollback(order),
        Decision::Stop => "stop, and leave the updated devices as they are".to_owned(),
        Decision::Complete => "complete".to_owned(),
    }
}

/// How long a stage is watched once it is full, and how long it may last.
pub(crate) fn watched(stage: &Stage) -> String {
    let length = |seconds: u32| time::length(seconds.into());
    let longest = stage.max_time.map(|longest| format!(" to {}", length(longest)));
    format!("{}{}", length(stage.min_time), longest.unwrap_or_default())
}

/// Whose devices a stage takes.
pub(crate) fn among(stage: &Stage) -> String {
    stage.among.clone().unwrap_or_else(|| "any".to_owned())
}

pub(crate) fn approved(stage: &Stage) -> String {
    if stage.needs_approval { "by a person".to_owned() } else { String::new() }
}

pub(crate) fn pause(order: &PauseOrder) -> String {
    format!(
        "pause ({} severity), to be decided within {}, otherwise {}",
        severity(order.severity),
        time::length(u64::from(order.decide_within)),
        fallback(&order.otherwise)
    )
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Moderate => "moderate",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

pub(crate) fn decided_by(by: DecidedBy) -> &'static str {
    match by {
        DecidedBy::Policy => "the policy",
        DecidedBy::GuardRail => "a guard rail",
        DecidedBy::Person => "a person",
    }
}

pub(crate) fn root_cause(cause: RootCause) -> &'static str {
    match cause {
        RootCause::Unknown => "not found yet",
        RootCause::FoundMinor => "found, and it may go on",
        RootCause::FoundMajor => "found, and it must not go on",
    }
}

pub(crate) fn fallback(fallback: &Fallback) -> String {
    match fallback {
        Fallback::Resume(share) => format!("resume up to {} of the fleet", percent(*share)),
        Fallback::RollBack(order) => rollback(order),
        Fallback::Stop => "stop".to_owned(),
    }
}

fn rollback(order: &RollbackOrder) -> String {
    let whom =
        if order.groups.is_empty() { "all devices".to_owned() } else { order.groups.join(", ") };
    let quarantine = if order.quarantine { " and never offer the release again" } else { "" };
    format!("roll back {whom}{quarantine}")
}

/// A share in percent, without the noise of binary fractions.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}

/// A figure with four digits that count.
fn figure(value: f64) -> String {
    let text = format!("{value:.3e}");
    text.parse::<f64>().map_or(text, |rounded| rounded.to_string())
}

/// Format, address, instruction set and version of a firmware file, as far as it told.
pub(crate) fn source(source: &Source) -> String {
    let address = source.load_address.map(|address| format!(" at {address:#x}"));
    let set = source.instruction_set.map(|set| format!(", {}", set.name()));
    let version = source.version.as_ref().map(|version| format!(", version {}", one_line(version)));
    let known = [address, set, version].into_iter().flatten().collect::<String>();
    format!("{}{known}", source.format)
}

/// What a parser says of JSON without the names that Rust has for things: `expected struct Terms` means nothing to who wrote the file.
pub(crate) fn plain(message: &str) -> String {
    let Some((found, wanted)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let is_object = ["struct ", "internally tagged enum ", "a map"];
    let is_list = ["tuple struct ", "a sequence", "a tuple"];
    let begins = |with: &[&str]| with.iter().any(|with| wanted.starts_with(with));
    let place = wanted.find(" at line ").map_or("", |at| &wanted[at..]);
    let found = match found {
        // A list of values may stand for an object in order; nobody writes that.
        _ if found.starts_with("invalid length") && begins(&is_object) => "invalid type: list",
        "invalid type: sequence" => "invalid type: list",
        "invalid type: map" => "invalid type: object",
        found => found,
    };
    match () {
        () if begins(&is_object) => format!("{found}, expected an object{place}"),
        () if begins(&is_list) => format!("{found}, expected a list{place}"),
        () => format!("{found}, expected {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_speak_of_no_types_of_rust() {
        #[derive(Debug, serde::Deserialize)]
        struct Terms {
            #[allow(dead_code)]
            metrics: Vec<String>,
        }
        let told = |text| {
            let refused = serde_json::from_str::<Terms>(text).expect_err("no terms");
            plain(&refused.to_string())
        };
        let an_object = "expected an object at line 1 column";
        assert_eq!(told("[]"), format!("invalid type: list, {an_object} 2"));
        assert_eq!(told("5"), format!("invalid type: integer `5`, {an_object} 1"));
        let no_list = "invalid type: object, expected a list at line 1 column 12";
        assert_eq!(told("{\"metrics\": {}}"), no_list);
        assert_eq!(told("{}"), "missing field `metrics` at line 1 column 2");
        assert_eq!(plain("a, b, expected `c` or `d`"), "a, b, expected `c` or `d`");
    }
}
