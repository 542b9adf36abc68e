//! What reaches a rollout: scenarios, figures, logs, answers of policies, and the documents of another driver.

use std::collections::{BTreeMap, BTreeSet};

use whittle_fleet::published::{FLAGS_FILE, OWNER_FILE, PublishedConfig, STAGE_FILE};
use whittle_fleet::{Campaign, DriverConfig, Surroundings};
use whittle_metrics::Format;
use whittle_release::keys::PrivateKey;
use whittle_rollout::policy::types::{
    PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Tally, Verdict,
};
use whittle_rollout::policy::{Answer, Policy, PolicyFault};
use whittle_rollout::{
    CellObservation, DeviceCounts, Draft, Entry, Input, MetricObservation, Observation, Outcome,
    Phase, Rollout, Terms, replay,
};
use whittle_simulation::{Recording, Scenario, backtest};

const START_S: u64 = 1_795_694_400;
const HOUR_S: u64 = 3600;

/// A policy that says what it is told to say.
struct Parrot(Result<Verdict, String>);

fn fault(text: &str) -> PolicyFault {
    PolicyFault { text: text.to_owned(), fuel: 1 }
}

impl Policy for Parrot {
    fn digest(&self) -> String {
        "aa".repeat(32)
    }

    fn describe(&self, _: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault> {
        let info = PolicyInfo {
            name: "parrot".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Says what it is told to say.".to_owned(),
            settings: vec![],
            metrics: vec![],
            buckets: 4,
            bucket_length: 3600,
            split_by: vec![],
            extra: vec![],
        };
        Ok(Answer { value: info, fuel: 1 })
    }

    fn plan(&self, _: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault> {
        Err(fault("it plans nothing"))
    }

    fn evaluate(&self, _: &Snapshot) -> Result<Answer<Verdict>, PolicyFault> {
        let said = self.0.clone().map_err(|text| fault(&text))?;
        Ok(Answer { value: said, fuel: 1 })
    }
}

fn silent() -> Parrot {
    Parrot(Err("it says nothing".to_owned()))
}

/// The terms of a rollout to 100,000 devices of two revisions.
fn terms() -> Terms {
    let draft: Draft = toml::from_str(include_str!("rollout.toml")).expect("it is a rollout");
    draft.terms(START_S, &silent()).expect("its stages are written down")
}

fn started() -> Rollout {
    Rollout::start(terms(), START_S, &BTreeSet::new()).expect("the terms hold together").0
}

/// Any text as a scenario: refused by name, or terms that a rollout starts with or refuses.
///
/// # Panics
/// Only if what is read does.
pub fn scenario_file(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(scenario) = toml::from_str::<Scenario>(text) else { return };
    if scenario.check().is_err() {
        return;
    }
    let at_s = scenario.start_s;
    let Ok(terms) = scenario.rollout.terms(at_s, &silent()) else { return };
    if let Ok((mut rollout, _)) = Rollout::start(terms, at_s, &BTreeSet::new()) {
        let _ = rollout.orders(at_s);
        let _ = rollout.tick(at_s, &silent());
    }
}

/// Any text as a recording: refused, or gone through to its end.
///
/// # Panics
/// Only if what is read does.
pub fn recording_file(json: &[u8]) {
    let Ok(mut recording) = serde_json::from_slice::<Recording>(json) else { return };
    recording.figures.truncate(50);
    let _ = backtest(&recording, &silent());
}

/// Any figures that can be read: counted or set aside, and a rollout that has set some aside does not grow.
///
/// # Panics
/// If it does.
pub fn observations(file: &[u8]) {
    let Ok(read) = whittle_metrics::parse("figures", Format::Json, file) else { return };
    let mut rollout = started();
    for observation in read.into_iter().take(20) {
        let at_s = observation.until_s.clamp(rollout.state().now_s(), START_S + 10_000 * HOUR_S);
        let Ok(entry) = rollout.observe(at_s, observation) else { continue };
        let before = rollout.state().share_limit();
        let Ok(_) = rollout.tick(at_s, &silent()) else { return };
        if matches!(entry.outcome, Outcome::SetAside(_)) {
            assert!(rollout.state().share_limit() <= before, "it grew without good figures");
        }
    }
}

/// Any log: it replays, or the first entry is named that does not.
///
/// # Panics
/// If a log that replays does not replay again.
pub fn rollout_log(json: &[u8]) {
    let entries = serde_json::Deserializer::from_slice(json).into_iter::<Entry>();
    let Ok(log) = entries.take(100).collect::<Result<Vec<_>, _>>() else { return };
    if let Ok(rollout) = replay(&log, None) {
        assert_eq!(replay(&log, None).as_ref(), Ok(&rollout));
    }
}

/// Any verdicts as JSON, one an hour: whatever a policy says, the rails hold.
///
/// # Panics
/// If they do not.
pub fn policy_answers(json: &[u8]) {
    let verdicts = serde_json::Deserializer::from_slice(json).into_iter::<Verdict>();
    let mut rollout = started();
    let mut log = vec![start_of(&rollout)];
    for verdict in verdicts.map_while(Result::ok).take(60) {
        let at_s = rollout.state().now_s() + HOUR_S;
        let before = rollout.clone();
        let observation = healthy(&rollout, at_s);
        log.push(rollout.observe(at_s, observation).expect("it is under way"));
        let Ok(entry) = rollout.tick(at_s, &Parrot(Ok(verdict))) else { break };
        log.push(entry);
        check_rails(&before, &rollout);
    }
    // A number that JSON has no word for cannot have come from JSON.
    assert_eq!(replay(&log, None).as_ref(), Ok(&rollout), "the log does not replay");
}

fn start_of(rollout: &Rollout) -> Entry {
    let (again, entry) =
        Rollout::start(terms(), START_S, &BTreeSet::new()).expect("the terms hold together");
    assert_eq!(again, *rollout);
    assert!(matches!(entry.input, Input::Start(_)));
    entry
}

/// Figures of a fleet that does as it is ordered, and is well.
fn healthy(rollout: &Rollout, until_s: u64) -> Observation {
    let from_s = rollout.state().now_s();
    let terms = rollout.state().terms();
    let seen = rollout.state().devices_of(whittle_rollout::FLEET).unwrap_or_default();
    let ordered = rollout.orders(from_s).devices.max(seen.updated);
    let hours = (until_s - from_s) as f64 / HOUR_S as f64;
    let cells = terms.cells.iter().map(|cell| {
        let part = u64::from(ordered) * u64::from(cell.devices) / u64::from(terms.devices());
        let updated = u32::try_from(part).unwrap_or(cell.devices);
        let tally = |devices: u32| {
            let exposure = f64::from(devices) * hours;
            Tally { count: exposure * 0.002, exposure, squares: 0.0 }
        };
        let metrics = terms.metrics.iter().map(|metric| MetricObservation {
            name: metric.name.clone(),
            treated: tally(updated / 2),
            control: tally(cell.devices - updated),
        });
        let devices =
            DeviceCounts { offered: updated, updated, committed: updated, ..Default::default() };
        CellObservation { attributes: cell.attributes.clone(), devices, metrics: metrics.collect() }
    });
    Observation { from_s, until_s, cells: cells.collect(), versions: BTreeMap::new() }
}

fn check_rails(before: &Rollout, after: &Rollout) {
    let (old, new) = (before.state(), after.state());
    let stages = &new.terms().plan.stages;
    assert!(new.stage_index() <= old.stage_index() + 1, "a stage was skipped");
    assert!(new.share_limit() > 0.0 && new.share_limit() <= stages[new.stage_index()].share);
    if old.phase() == &Phase::Running {
        let most = old.share_limit() * new.terms().limits.growth;
        assert!(new.share_limit() <= most.max(old.share_limit()) + 1e-12, "it grew too fast");
    }
    assert!(new.is_quarantined() || !old.is_quarantined(), "a quarantine ended");
}

/// Nothing around the driver: no variables, and no time.
struct Nowhere;

impl Surroundings for Nowhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn now_s(&self) -> u64 {
        START_S
    }
    fn seed(&self) -> u64 {
        1
    }
}

/// Any bytes in the place of one of the documents in a published directory; the first byte says which.
///
/// # Panics
/// If what is there is neither taken, replaced nor left alone with an error.
pub fn published_directory(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let room = tempfile::tempdir().expect("there is room");
    let key = PrivateKey::from_seed(&[7; 32]);
    let (key, _) = key.write_pair(&room.path().join("keys")).expect("there is room");
    let files = [OWNER_FILE, STAGE_FILE, FLAGS_FILE];
    let file = room.path().join(files[usize::from(*which) % files.len()]);
    std::fs::write(&file, bytes).expect("there is room");
    let config = DriverConfig::Published(PublishedConfig {
        directory: room.path().to_owned(),
        product: "thermostat".to_owned(),
        key,
        flags: None,
        region: None,
        way_back: None,
    });
    let rollout = started();
    let mut driver = config.open(&Nowhere).expect("it is a good configuration");
    let campaign = Campaign::of("fuzzed", &rollout);
    if driver.apply(&rollout.orders(START_S), &campaign).is_ok() {
        let again = driver.apply(&rollout.orders(START_S), &campaign).expect("it did before");
        assert!(again.changed.is_empty(), "the second time something was changed");
    } else {
        let left = std::fs::read(&file).expect("it is there");
        assert_eq!(left, bytes, "what was refused was changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_log_replays() {
        let json = crate::seed("rollout_log", "held");
        let entries = serde_json::Deserializer::from_slice(&json).into_iter::<Entry>();
        let log: Vec<Entry> = entries.collect::<Result<_, _>>().expect("a log");
        assert!(log.len() > 2);
        replay(&log, None).expect("it replays");
    }

    #[test]
    fn a_good_scenario_starts() {
        let text = String::from_utf8(crate::seed("scenario_file", "planned")).expect("text");
        let scenario: Scenario = toml::from_str(&text).expect("a scenario");
        scenario.check().expect("it makes sense");
        let terms = scenario.rollout.terms(START_S, &silent()).expect("it has stages");
        Rollout::start(terms, START_S, &BTreeSet::new()).expect("the terms hold together");
    }

    #[test]
    fn good_figures_are_counted() {
        let file = crate::seed("observations", "two-hours");
        let read = whittle_metrics::parse("figures", Format::Json, &file).expect("figures");
        let mut rollout = started();
        for observation in read {
            let entry = rollout.observe(observation.until_s, observation).expect("under way");
            assert!(matches!(entry.outcome, Outcome::Counted), "{:?}", entry.outcome);
        }
    }

    /// Whether the share grows at all under answers that may let it.
    #[test]
    fn good_answers_make_it_grow() {
        let json = crate::seed("policy_answers", "advances");
        let verdicts = serde_json::Deserializer::from_slice(&json).into_iter::<Verdict>();
        let mut rollout = started();
        let begun = rollout.state().share_limit();
        for verdict in verdicts {
            let at_s = rollout.state().now_s() + HOUR_S;
            let observation = healthy(&rollout, at_s);
            let entry = rollout.observe(at_s, observation).expect("under way");
            assert!(matches!(entry.outcome, Outcome::Counted), "{:?}", entry.outcome);
            rollout.tick(at_s, &Parrot(Ok(verdict.expect("a verdict")))).expect("under way");
        }
        assert!(rollout.state().share_limit() > begun, "{:?}", rollout.state().last_decision());
    }
}
