//! Driving a fleet whose server is AWS IoT, by its Jobs.
//!
//! Each wave is a thing group and a job for it, both with the wave's name:
//!
//! ```text
//! thing group ─▶ things added to it ─▶ job for the group (IN_PROGRESS) ─▶ COMPLETED
//!                                                                      cancel ─▶ CANCELED
//! ```
//!
//! * Which things a cell has is asked for by their attributes, and a thing's name is the id that is drawn.
//! * A `snapshot` job is for the things that it begins with: more devices are another wave. A `continuous` job grows with its group.
//! * A job cannot pause: a pause cancels it. Things that have not begun do not begin, those in the middle go on to their end, and
//!   who has not begun is offered the target again, in another wave, once the rollout goes on.
//! * [`AbortConfig`] is a second belt: AWS cancels the job itself if too many things fail, however late the rollout's own ticks are.
//!   What was cancelled by anybody else than the driver ends the offering, and the report says so, until that job is deleted.
//! * Devices go back by a job with another document.
//! * The group of a job that has ended is deleted: a thing can be in ten of them.
//!
//! Interface: <https://docs.aws.amazon.com/iot/latest/apireference/Welcome.html>, signed by [Signature Version 4].
//!
//! [Signature Version 4]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use whittle_rollout::{Cell, Orders, WayBack};

use crate::aws::client::{Client, Execution};
use crate::aws::signature::Signer;
use crate::driver::{ChangeKind, Driver, Report, Surroundings};
use crate::waves::{self, Direction, Engine, Member, Progress, Turn, Wave, cell_name};
use crate::{Campaign, DriverError, RetryConfig, SecretSource, files};

mod client;
mod signature;

/// Where AWS IoT is, and which jobs it shall run.
///
/// # Example
///
/// ```
/// let config: whittle_fleet::DriverConfig = toml::from_str(r#"
///     kind = "aws-iot-jobs"
///     region = "eu-central-1"
///     access-key-id = { env = "AWS_ACCESS_KEY_ID" }
///     secret-access-key = { env = "AWS_SECRET_ACCESS_KEY" }
///     session-token = { env = "AWS_SESSION_TOKEN" }
///     document = { file = "jobs/thermostat-2.4.1.json" }
///     way-back = { source = "https://jobs.s3.eu-central-1.amazonaws.com/thermostat-2.4.0.json" }
///     target-selection = "snapshot"
///     per-minute = 50
///     abort = { percent = 10.0, at-least = 20 }
/// "#).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AwsConfig {
    /// Region of the things, such as `eu-central-1`.
    pub region: String,
    /// Address of the service, if it is not the region's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Id of the access key.
    pub access_key_id: SecretSource,
    /// The access key.
    pub secret_access_key: SecretSource,
    /// The session's token, if the access key is a temporary one.
    #[serde(default)]
    pub session_token: Option<SecretSource>,
    /// What devices are told to do.
    pub document: JobDocument,
    /// What devices are told that go back; none if nothing takes them back.
    #[serde(default)]
    pub way_back: Option<JobDocument>,
    /// Whether jobs grow.
    #[serde(default)]
    pub target_selection: TargetSelection,
    /// How many things are told in a minute, 1 to 1000; none leaves it to AWS.
    #[serde(default)]
    pub per_minute: Option<u32>,
    /// When AWS cancels a job by itself.
    #[serde(default)]
    pub abort: AbortConfig,
    /// How many minutes a thing may be at it before it counts as failed, 1 to 10,080; none for no limit.
    #[serde(default)]
    pub timeout_minutes: Option<u32>,
    /// The type of the things that are the fleet; none for things of all types.
    #[serde(default)]
    pub thing_type: Option<String>,
    /// How to try again.
    #[serde(default)]
    pub retry: RetryConfig,
}

impl AwsConfig {
    /// All paths in it.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let secrets = [&mut self.access_key_id, &mut self.secret_access_key];
        let secrets = secrets.into_iter().chain(&mut self.session_token);
        let documents = [&mut self.document].into_iter().chain(&mut self.way_back);
        let documents = documents.filter_map(|document| match document {
            JobDocument::File(path) => Some(path),
            JobDocument::Source(_) => None,
        });
        secrets.filter_map(SecretSource::path).chain(documents).collect()
    }
}

/// Where a job's document is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum JobDocument {
    /// In a file, at most 32 KiB of JSON, which becomes a part of the job.
    File(PathBuf),
    /// In S3, at this address.
    Source(String),
}

/// Whether a job is for things that join its group later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetSelection {
    /// For the things that it begins with.
    #[default]
    Snapshot,
    /// For those that join, too.
    Continuous,
}

/// When AWS cancels a job by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AbortConfig {
    /// If so many per cent of the things that have ended failed, more than 0 and at most 100.
    pub percent: f64,
    /// But not before so many have ended, 1 or more.
    pub at_least: u32,
}

impl Default for AbortConfig {
    fn default() -> Self {
        Self { percent: 10.0, at_least: 20 }
    }
}

/// Why a job was cancelled, if it was the driver.
const REASON: &str = "WHITTLE";

/// The most that AWS takes.
const MAX_DOCUMENT_BYTES: u64 = 32 << 10;

/// Drives AWS IoT Jobs.
pub(crate) struct Aws<'a> {
    config: AwsConfig,
    client: Client<'a>,
    document: Map<String, Value>,
    way_back: Option<Map<String, Value>>,
}

impl<'a> Aws<'a> {
    pub(crate) fn open(
        config: AwsConfig,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        check(&config)?;
        let token = config.session_token.as_ref().map(|source| source.read(surroundings));
        let signer = Signer::new(
            &config.region,
            &config.access_key_id.read(surroundings)?,
            config.secret_access_key.read(surroundings)?,
            token.transpose()?,
            surroundings,
        );
        let own = format!("https://iot.{}.amazonaws.com", config.region);
        let url = config.endpoint.clone().unwrap_or(own);
        let client = Client::new(&url, &config.retry, signer, surroundings)?;
        let document = config.document.read()?;
        let way_back = config.way_back.as_ref().map(JobDocument::read).transpose()?;
        Ok(Self { config, client, document, way_back })
    }

    fn new_job(&self, direction: Direction, group: &str) -> Result<Value, DriverError> {
        let document = match direction {
            Direction::Forth => Some(&self.document),
            Direction::Back => self.way_back.as_ref(),
        };
        let mut job =
            document.ok_or_else(|| DriverError::config("way-back", "is missing"))?.clone();
        let selection = match self.config.target_selection {
            TargetSelection::Snapshot => "SNAPSHOT",
            TargetSelection::Continuous => "CONTINUOUS",
        };
        let AbortConfig { percent, at_least } = self.config.abort;
        let criterion = json!({
            "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": percent, "minNumberOfExecutedThings": at_least,
        });
        job.insert("targets".into(), json!([group]));
        job.insert("targetSelection".into(), selection.into());
        job.insert("description".into(), "Made by whittle: change it by `whittle rollout`.".into());
        job.insert("abortConfig".into(), json!({ "criteriaList": [criterion] }));
        if let Some(number) = self.config.per_minute {
            job.insert("jobExecutionsRolloutConfig".into(), json!({ "maximumPerMinute": number }));
        }
        if let Some(minutes) = self.config.timeout_minutes {
            job.insert("timeoutConfig".into(), json!({ "inProgressTimeoutInMinutes": minutes }));
        }
        Ok(job.into())
    }

    /// Whether a wave is there, and how far it is.
    fn progress(&mut self, name: &str) -> Result<Option<Progress>, DriverError> {
        let Some(job) = self.client.job(name)? else {
            return Ok(self.client.group(name)?.map(|_| Progress::HalfMade));
        };
        let is_ours = job.reason.as_deref() == Some(REASON);
        Ok(Some(match job.status.as_str() {
            "IN_PROGRESS" | "SCHEDULED" => Progress::Open,
            "CANCELED" if !is_ours => Progress::Halted,
            "CANCELED" | "COMPLETED" | "DELETION_IN_PROGRESS" => Progress::Over,
            other => {
                return Err(self
                    .client
                    .odd("describe a job", format!("job `{name}` is `{other}`")));
            }
        }))
    }
}

fn check(config: &AwsConfig) -> Result<(), DriverError> {
    let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let wrong = |field, got: &dyn std::fmt::Display, wanted: &str| {
        Err(DriverError::config(field, format!("{got}, wanted {wanted}")))
    };
    if config.region.is_empty() || !config.region.chars().all(is_region) {
        return wrong("region", &format!("`{}`", config.region), "one such as `eu-central-1`");
    }
    if let Some(number) = config.per_minute.filter(|number| !(1..=1000).contains(number)) {
        return wrong("per-minute", &number, "1 to 1000");
    }
    if let Some(minutes) = config.timeout_minutes.filter(|minutes| !(1..=10_080).contains(minutes))
    {
        return wrong("timeout-minutes", &minutes, "1 to 10,080");
    }
    let AbortConfig { percent, at_least } = config.abort;
    // Written so that what is no number is refused.
    let is_percent = percent > 0.0 && percent <= 100.0;
    if !is_percent {
        return wrong("abort.percent", &percent, "more than 0 and at most 100");
    }
    if at_least == 0 {
        return wrong("abort.at-least", &at_least, "1 or more");
    }
    Ok(())
}

impl JobDocument {
    /// The fields of a job that say what devices do.
    fn read(&self) -> Result<Map<String, Value>, DriverError> {
        let mut fields = Map::new();
        match self {
            Self::Source(address) => fields.insert("documentSource".into(), address.clone().into()),
            Self::File(path) => {
                let wrong = |why: String| {
                    DriverError::config("document", format!("`{}` {why}", path.display()))
                };
                let too_large = || {
                    wrong(format!("has more than the {MAX_DOCUMENT_BYTES} bytes that AWS takes"))
                };
                let bytes = files::read_at_most(path, MAX_DOCUMENT_BYTES)?.ok_or_else(too_large)?;
                let text = String::from_utf8(bytes)
                    .map_err(|error| wrong(format!("is no text: {error}")))?;
                let parsed: Result<Map<String, Value>, _> = serde_json::from_str(&text);
                parsed.map_err(|error| wrong(format!("is no JSON object: {error}")))?;
                fields.insert("document".into(), text.into())
            }
        };
        Ok(fields)
    }
}

impl Driver for Aws<'_> {
    fn apply(&mut self, orders: &Orders, campaign: &Campaign) -> Result<Report, DriverError> {
        waves::apply(self, orders, campaign)
    }
}

/// How far a thing of a job is, by AWS's name for it; none if AWS has not got round to it.
fn turn(status: Option<&str>, progress: Progress) -> Turn {
    match status {
        Some("CANCELED" | "REMOVED") => Turn::Withdrawn,
        None | Some("QUEUED") if progress != Progress::Open => Turn::Withdrawn,
        None | Some("QUEUED") => Turn::Waiting,
        Some(_) => Turn::Taken,
    }
}

impl Engine for Aws<'_> {
    fn devices(&mut self, cell: &Cell) -> Result<Vec<String>, DriverError> {
        let action = format!("list the things of {}", cell_name(cell));
        // AWS looks for one attribute, and tells the others.
        let first = cell.attributes.iter().next();
        let things = self.client.things(first, self.config.thing_type.as_deref(), &action)?;
        let has_all = |attributes: &BTreeMap<String, String>| {
            cell.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value))
        };
        let things = things.into_iter().filter(|thing| has_all(&thing.attributes));
        Ok(things.map(|thing| thing.name).collect())
    }

    fn waves(&mut self, base: &str, direction: Direction) -> Result<Vec<Wave>, DriverError> {
        let mut found = vec![];
        for number in 1u32.. {
            let id = format!("{base}{}{number}", direction.infix());
            match self.progress(&id)? {
                Some(progress) => found.push(Wave { number, id, progress }),
                None => break,
            }
        }
        Ok(found)
    }

    fn members(&mut self, wave: &Wave) -> Result<Vec<Member>, DriverError> {
        if wave.progress == Progress::HalfMade {
            return Ok(vec![]);
        }
        let mut newest: BTreeMap<String, Execution> = BTreeMap::new();
        for execution in self.client.executions(&wave.id)? {
            let known = newest.get(&execution.thing);
            if known.is_none_or(|known| known.number < execution.number) {
                newest.insert(execution.thing.clone(), execution);
            }
        }
        let mut things: BTreeSet<String> = newest.keys().cloned().collect();
        things.extend(self.client.members(&wave.id)?);
        let members = things.into_iter().map(|device| {
            let status = newest.get(&device).map(|execution| execution.status.as_str());
            Member { turn: turn(status, wave.progress), device, id: String::new() }
        });
        Ok(members.collect())
    }

    fn offer(
        &mut self,
        name: &str,
        direction: Direction,
        devices: &[String],
    ) -> Result<bool, DriverError> {
        self.client.make_group(name)?;
        let group = self.client.group(name)?;
        let arn = group.ok_or_else(|| self.client.odd("make a thing group", "it is gone"))?;
        let job = self.new_job(direction, &arn)?;
        let members: BTreeSet<_> = self.client.members(name)?.into_iter().collect();
        let wanted: BTreeSet<_> = devices.iter().cloned().collect();
        for thing in wanted.difference(&members) {
            self.client.join(name, thing)?;
        }
        for thing in members.difference(&wanted) {
            self.client.leave(name, thing)?;
        }
        self.client.make_job(name, &job)?;
        Ok(true)
    }

    fn add(&mut self, wave: &Wave, devices: &[String]) -> Result<bool, DriverError> {
        if self.config.target_selection == TargetSelection::Snapshot {
            return Ok(false);
        }
        for thing in devices {
            // Who was in and was withdrawn is not in the group any more.
            self.client.join(&wave.id, thing)?;
        }
        Ok(true)
    }

    fn start(&mut self, _: &Wave) -> Result<(), DriverError> {
        // A job has started when it is there.
        Ok(())
    }

    fn pause(&mut self, wave: &Wave) -> Result<Option<ChangeKind>, DriverError> {
        self.stop(wave)?;
        Ok(Some(ChangeKind::Stopped))
    }

    fn resume(&mut self, _: &Wave) -> Result<Option<String>, DriverError> {
        // There are no paused jobs.
        Ok(None)
    }

    fn stop(&mut self, wave: &Wave) -> Result<(), DriverError> {
        self.client.cancel(&wave.id, REASON)
    }

    fn withdraw(&mut self, wave: &Wave, member: &Member) -> Result<(), DriverError> {
        if self.config.target_selection == TargetSelection::Continuous {
            self.client.leave(&wave.id, &member.device)?;
        }
        self.client.cancel_execution(&wave.id, &member.device)
    }

    fn tidy(&mut self, wave: &Wave) -> Result<(), DriverError> {
        if self.client.group(&wave.id)?.is_some() {
            self.client.delete_group(&wave.id)?;
        }
        Ok(())
    }

    fn can_take_back(&self, _: &WayBack) -> bool {
        self.way_back.is_some()
    }
}
