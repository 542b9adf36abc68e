//! The course of a demo: two releases, two rollouts, and what lies between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use whittle_fleet::published::PublishedConfig;
use whittle_fleet::{Campaign, DriverConfig, Surroundings};
use whittle_release::build::Report;
use whittle_rollout::policy::Policy;
use whittle_rollout::policy::types::{
    Change, Decision, Group, MetricKind, Release, RolloutPlan, Stage, Value,
};
use whittle_rollout::{
    Decided, Draft, Ending, FLEET, Limits, MetricTerms, Outcome as Logged, Phase, Rollout, WayBack,
};
use whittle_rollout_store::{RolloutName, Session, Ticked, open};

use crate::bet;
use crate::character::{ATTRIBUTE, Hardware};
use crate::event::{Event, Look, Told, Worst};
use crate::fleet::{Fleet, METRIC};
use crate::people::{self, OPERATOR};
use crate::summary::{DeviceReport, RolloutSummary, Summary};
use crate::workshop::{FAULTY, FIXED, LAST_GOOD, PRODUCT, Plan, WAY_BACK, Workshop};
use crate::{DemoError, HOUR_S, now_s};

/// The policy that the demo is made for.
pub const POLICY: &str = "significance";

/// Fewer devices show nothing.
pub const LEAST_DEVICES: u32 = 50;

/// More take longer than a demo may.
pub const MOST_DEVICES: u32 = 5000;

/// A healthy rollout pauses with this probability at most.
pub const ALPHA: f64 = 0.001;

/// A rollout that takes longer has gone astray.
const MOST_HOURS: u32 = 1500;

/// After a rollout, devices that were out of reach have so long to come back.
const LINGER_HOURS: u32 = 96;

/// File of the store in which the logs of the rollouts are kept.
const STORE_FILE: &str = "rollouts.whittle";

/// What a demo shall be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many devices there are, [`LEAST_DEVICES`] to [`MOST_DEVICES`].
    pub devices: u32,
    /// A directory that exists and holds nothing of an earlier demo: keys, releases, what is published, and logs go there.
    pub out: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// What was counted.
    pub summary: Summary,
    /// What became of each device.
    pub devices: Vec<DeviceReport>,
    /// All that was told.
    pub timeline: Vec<Told>,
}

/// Runs a demo under a policy. `watch` is told of everything when it happens.
///
/// # Errors
/// [`DemoError`]; what was written until then stays.
pub fn run(
    options: &Options,
    policy: &dyn Policy,
    watch: &mut dyn FnMut(&Told),
) -> Result<Outcome, DemoError> {
    let (got, least, most) = (options.devices, LEAST_DEVICES, MOST_DEVICES);
    if !(least..=most).contains(&got) {
        return Err(DemoError::Devices { got, least, most });
    }
    let workshop = Workshop::open(&options.out, options.seed)?;
    let fleet = Fleet::new(options.seed, options.devices, &workshop)?;
    let teller = Teller { hour: 0, timeline: vec![], watch };
    Story { workshop, fleet, policy, teller, out: &options.out }.tell()
}

struct Story<'a> {
    workshop: Workshop,
    fleet: Fleet,
    policy: &'a dyn Policy,
    teller: Teller<'a>,
    out: &'a Path,
}

/// Keeps what is told, and passes it on.
struct Teller<'a> {
    hour: u32,
    timeline: Vec<Told>,
    watch: &'a mut dyn FnMut(&Told),
}

impl Teller<'_> {
    fn tell(&mut self, event: Event) {
        let told = Told { hour: self.hour, event };
        (self.watch)(&told);
        self.timeline.push(told);
    }
}

/// A rollout that is to be started.
struct Project<'a> {
    name: &'a str,
    version: &'a str,
    security_counter: u32,
    report: Report,
    bases: &'a [&'a str],
    plan: Option<RolloutPlan>,
    /// SHA-256 of the image that devices go back to.
    way_back: String,
}

impl Story<'_> {
    fn tell(mut self) -> Result<Outcome, DemoError> {
        let picture = self.fleet.picture();
        self.teller.tell(picture);
        let bases = [LAST_GOOD, "2.2.0", "2.1.0"];
        let report = self.release(FAULTY, FAULTY, 2, &bases, "stable")?;
        let back = self.release(WAY_BACK, LAST_GOOD, 2, &[FAULTY], "way-back")?;
        let way_back = back.target_sha256.to_string();
        self.roll_out(&Project {
            name: "thermostat-2.4.0",
            version: FAULTY,
            security_counter: 2,
            report,
            bases: &bases,
            plan: None,
            way_back: way_back.clone(),
        })?;

        let bases = [FAULTY, LAST_GOOD, "2.2.0"];
        let report = self.release(FIXED, FIXED, 2, &bases, "stable")?;
        self.roll_out(&Project {
            name: "thermostat-2.4.1",
            version: FIXED,
            security_counter: 2,
            report,
            bases: &bases,
            plan: Some(mending_plan()),
            way_back,
        })?;
        let hours = self.teller.hour;
        let (summary, devices) = self.fleet.finish(hours);
        let outcome = Outcome { summary, devices, timeline: self.teller.timeline };
        write(&self.out.join("outcome.json"), &outcome)?;
        Ok(outcome)
    }

    fn release(
        &mut self,
        version: &str,
        image: &str,
        security_counter: u32,
        bases: &[&str],
        channel: &str,
    ) -> Result<Report, DemoError> {
        let plan = Plan { version, image, security_counter, bases, channel };
        self.workshop.release(&plan, &mut |event| self.teller.tell(event))
    }

    /// A rollout from its start until all devices have heard how it ended.
    fn roll_out(&mut self, project: &Project<'_>) -> Result<(), DemoError> {
        self.fleet.begin();
        let began_h = self.teller.hour;
        let terms = self.draft(project).terms(now_s(began_h), self.policy)?;
        let name: RolloutName = project.name.parse()?;
        let store = open(&self.out.join(STORE_FILE).display().to_string())?;
        let mut session = Session::start(store, name, terms, now_s(began_h))?;
        self.start(project, session.rollout());
        let driver = self.driver(project);
        let mut pauses = 0;
        let mut before = None;
        while !matches!(session.rollout().state().phase(), Phase::Over(_)) {
            if self.teller.hour > began_h + MOST_HOURS {
                let rollout = project.name.to_owned();
                return Err(DemoError::Endless { rollout, hours: MOST_HOURS });
            }
            self.people(&mut session)?;
            self.drive(&driver, project, session.rollout())?;
            self.hour(&mut session, project)?;
            pauses += u32::from(self.look(&mut session, &mut before)?);
        }
        let hours = self.teller.hour - began_h;
        let ending = phase(session.rollout().state().phase());
        let name = project.name.to_owned();
        self.fleet.summary.rollouts.push(RolloutSummary { name, ending, hours, pauses });
        self.linger(&driver, project, session.rollout())
    }

    fn draft(&self, project: &Project<'_>) -> Draft {
        let full = project.report.artifacts.last().map_or(0, |full| full.download_bytes);
        let deltas = project.report.artifacts.iter().filter(|artifact| artifact.kind == "delta");
        let delta = deltas.map(|artifact| artifact.download_bytes).min().unwrap_or(full);
        Draft {
            release: Release {
                name: format!("{PRODUCT} {}", project.version),
                change: if project.version == FIXED { Change::Fix } else { Change::Feature },
                emergency: false,
                safety_critical: false,
                well_tested: true,
                reversible: true,
                full_bytes: full as f64,
                delta_bytes: delta as f64,
            },
            build: project.report.target_sha256.to_string(),
            version: project.version.to_owned(),
            base_versions: project.bases.iter().map(|base| (*base).to_owned()).collect(),
            settings: settings(),
            plan: project.plan.clone(),
            history: vec![],
            split_by: vec![ATTRIBUTE.to_owned()],
            way_back: WayBack::Release {
                name: WAY_BACK.to_owned(),
                security_counter: 2,
                target_security_counter: project.security_counter,
            },
            limits: limits(),
            calendar: Default::default(),
            cells: self.fleet.cells(),
            metrics: vec![metric()],
        }
    }

    fn start(&mut self, project: &Project<'_>, rollout: &Rollout) {
        let terms = rollout.state().terms();
        let stages = terms.plan.stages.iter().enumerate();
        let stages =
            stages.map(|(place, stage)| (stage.clone(), terms.devices_at(stage.share, place)));
        self.teller.tell(Event::Started {
            rollout: project.name.to_owned(),
            version: project.version.to_owned(),
            policy: POLICY.to_owned(),
            policy_sha256: terms.policy.clone(),
            stages: stages.collect(),
            held_back: terms.held_back(),
        });
    }

    /// How what is ordered reaches devices: signed documents beside the packages.
    fn driver(&self, project: &Project<'_>) -> DriverConfig {
        DriverConfig::Published(PublishedConfig {
            directory: self.workshop.product_directory(),
            product: PRODUCT.to_owned(),
            key: self.workshop.key_file().to_owned(),
            flags: None,
            region: None,
            way_back: Some(whittle_fleet::published::WayBackRelease {
                version: WAY_BACK.to_owned(),
                sha256: project.way_back.clone(),
            }),
        })
    }

    fn drive(
        &mut self,
        driver: &DriverConfig,
        project: &Project<'_>,
        rollout: &Rollout,
    ) -> Result<(), DemoError> {
        let at_s = now_s(self.teller.hour);
        let campaign = Campaign::of(project.name, rollout);
        let report = driver.open(&Here { at_s })?.apply(&rollout.orders(at_s), &campaign)?;
        if !report.changed.is_empty() {
            let files = report.changed.into_iter().map(|change| change.object).collect();
            self.teller.tell(Event::Ordered { files });
        }
        Ok(())
    }

    /// An hour goes by, and its figures come in.
    fn hour(&mut self, session: &mut Session, project: &Project<'_>) -> Result<(), DemoError> {
        let hour = self.teller.hour;
        let Self { fleet, teller, .. } = self;
        teller.hour += 1;
        let figures = fleet.hour(hour, project.version, &mut |event| teller.tell(event))?;
        let entry = session.observe(now_s(hour + 1), &figures)?;
        match entry.outcome {
            Logged::SetAside(problem) => Err(DemoError::SetAside { hour, problem }),
            _ => Ok(()),
        }
    }

    /// The policy is asked; whether it paused.
    fn look(
        &mut self,
        session: &mut Session,
        before: &mut Option<Look>,
    ) -> Result<bool, DemoError> {
        let at_s = now_s(self.teller.hour);
        let mut look = Look::of(session.rollout(), at_s);
        let ticked = session.tick(at_s, self.policy)?;
        look.e_value = bet::e_value(&session.rollout().snapshot(at_s).memo, METRIC);
        if before.as_ref() != Some(&look) {
            self.teller.tell(Event::Look(look.clone()));
            *before = Some(look);
        }
        let Ticked::Decided(entry) = ticked else { return Ok(false) };
        let Logged::Decided(decided) = entry.outcome else { return Ok(false) };
        let is_pause = matches!(decided.decision, Decision::Pause(_));
        self.decided(*decided);
        Ok(is_pause)
    }

    fn decided(&mut self, decided: Decided) {
        if decided.decision != Decision::Hold {
            self.teller.tell(Event::Decided { decided });
        }
    }

    fn people(&mut self, session: &mut Session) -> Result<(), DemoError> {
        let at_s = now_s(self.teller.hour);
        let suspicious: Vec<Hardware> = self.fleet.suspicious();
        let suspicious = self.not_yet_back(session.rollout(), suspicious);
        let Some((what, commands)) = people::act(session.rollout(), at_s, &suspicious) else {
            return Ok(());
        };
        if matches!(session.rollout().state().phase(), Phase::Paused(_)) {
            let versions = self.fleet.versions();
            self.teller.tell(Event::Versions { versions });
        }
        self.teller.tell(Event::Said { who: OPERATOR, what: what.to_owned() });
        for command in commands {
            let entry = session.command(at_s, OPERATOR, &command)?;
            if let Logged::Decided(decided) = entry.outcome {
                self.decided(*decided);
            }
        }
        Ok(())
    }

    fn not_yet_back(&self, rollout: &Rollout, mut suspicious: Vec<Hardware>) -> Vec<Hardware> {
        let orders = rollout.orders(now_s(self.teller.hour));
        suspicious.retain(|hardware| !orders.take_back.contains(&hardware.label()));
        suspicious
    }

    /// The rollout is over; devices that were held back, or out of reach, follow.
    fn linger(
        &mut self,
        driver: &DriverConfig,
        project: &Project<'_>,
        rollout: &Rollout,
    ) -> Result<(), DemoError> {
        let is_last = project.version == FIXED;
        for _ in 0..if is_last { LINGER_HOURS } else { LINGER_HOURS / 8 } {
            self.drive(driver, project, rollout)?;
            let Self { fleet, teller, .. } = self;
            let hour = teller.hour;
            teller.hour += 1;
            fleet.hour(hour, project.version, &mut |event| teller.tell(event))?;
            if fleet.all_run(project.version) {
                break;
            }
        }
        let versions = self.fleet.versions();
        self.teller.tell(Event::Versions { versions });
        Ok(())
    }
}

/// The fixed release goes to those first who wait for it.
fn mending_plan() -> RolloutPlan {
    let stage = |name: &str, share, among: Option<Hardware>, hours: u32| Stage {
        name: name.to_owned(),
        share,
        max_devices: None,
        among: among.map(Hardware::label),
        min_time: hours * 3600,
        max_time: Some((hours + 24 * 14) * 3600),
        pace: None,
        needs_approval: share < 0.1,
    };
    let stages = vec![
        stage("canary of C", 0.04, Some(Hardware::C), 6),
        stage("all of C", 0.2, Some(Hardware::C), 12),
        stage("half", 0.5, None, 6),
        stage("all", 1.0, None, 12),
    ];
    RolloutPlan { stages, hold_back: 0.02, reasons: vec![], extra: vec![] }
}

fn settings() -> BTreeMap<String, Value> {
    let numbers = |key: &str, numbers: &[f64]| (key.to_owned(), Value::Numbers(numbers.to_vec()));
    BTreeMap::from([
        numbers("shares", &[0.1, 0.3, 0.6, 1.0]),
        numbers("watch-hours", &[6.0, 12.0, 12.0, 24.0]),
        ("alpha".to_owned(), Value::Number(ALPHA)),
        ("split-by".to_owned(), Value::Text(ATTRIBUTE.to_owned())),
        // Evidence alone shall pause it: what went back before a pause would go on counting behind it.
        ("rolled-back-limit".to_owned(), Value::Number(0.0)),
    ])
}

fn limits() -> Limits {
    // Devices draw whether they are in a stage, and of a small fleet fewer may be than are expected.
    Limits { tick: HOUR_S, full_at: 0.5, alpha: ALPHA, ..Limits::default() }
}

fn metric() -> MetricTerms {
    MetricTerms {
        name: METRIC.to_owned(),
        kind: MetricKind::Rate,
        higher_is_worse: true,
        required: true,
        every: None,
        tolerated: 1.0,
        tolerated_baseline: 1.25,
        alarm: 3.0,
        must_see: None,
        most: None,
    }
}

impl Look {
    /// A rollout before the policy is asked.
    fn of(rollout: &Rollout, at_s: u64) -> Self {
        let (snapshot, state) = (rollout.snapshot(at_s), rollout.state());
        let fleet = state.devices_of(FLEET).unwrap_or_default();
        let stage = snapshot.stages.get(state.stage_index());
        Self {
            stage: stage.map_or_else(String::new, |stage| stage.name.clone()),
            phase: phase(state.phase()),
            offered: fleet.offered,
            updated: fleet.updated,
            committed: fleet.committed,
            rolled_back: fleet.rolled_back,
            e_value: None,
            worst: worst(&rollout.groups(at_s)),
        }
    }
}

/// The group of which the engine's own test says most.
fn worst(groups: &[Group]) -> Option<Worst> {
    let signals = groups.iter().filter(|group| group.label != FLEET).filter_map(|group| {
        let signal = group.metrics.iter().find(|metric| metric.name == METRIC)?.signal?;
        Some((group.label.clone(), signal))
    });
    let worst =
        signals.max_by(|(_, one), (_, other)| one.log_e_worse.total_cmp(&other.log_e_worse));
    worst.map(|(group, signal)| Worst { group, ratio: signal.ratio })
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waits for approval",
        Phase::Running => "running",
        Phase::Paused(_) => "paused",
        Phase::Over(Ending::Completed) => "completed",
        Phase::Over(Ending::RolledBack) => "rolled back",
        Phase::Over(Ending::Stopped) => "stopped",
    }
}

fn write(path: &Path, outcome: &Outcome) -> Result<(), DemoError> {
    let text = serde_json::to_vec(outcome).map_err(std::io::Error::from);
    text.and_then(|text| std::fs::write(path, text)).map_err(DemoError::io("write", path))
}

/// What the driver of the fleet takes from outside: nothing but the demo's own time.
struct Here {
    at_s: u64,
}

impl Surroundings for Here {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn now_s(&self) -> u64 {
        self.at_s
    }

    fn seed(&self) -> u64 {
        0
    }
}
