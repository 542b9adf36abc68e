//! Driving a fleet whose server is Eclipse hawkBit, by its Management API.
//!
//! Each wave is a hawkBit rollout of the targets with a tag that has the wave's name:
//!
//! ```text
//! tag ─▶ targets assigned to it ─▶ rollout `tag==…` (creating ─▶ ready) ─▶ start ─▶ running ─▶ finished
//!                                                                           pause ⇄ resume     stop ─▶ stopped
//! ```
//!
//! * Which targets a cell has is asked for by their attributes (`attribute.hw==C`), and a target's id is the id that is drawn.
//! * hawkBit's own pause keeps *further groups* from starting; devices of groups that run would still begin. So a pause also
//!   cancels the actions that no device has fetched yet; they are offered again, in another wave, once the rollout goes on.
//! * Devices go back by another distribution set, whose assignment takes the place of the target's.
//! * A server that wants approvals keeps a new rollout `waiting_for_approval`: the report calls it unfinished until somebody agrees.
//!
//! Interface: <https://eclipse.dev/hawkbit/rest-api/>, in particular [rollouts], [target tags], [actions] and [targets].
//!
//! [rollouts]: https://github.com/eclipse-hawkbit/hawkbit/blob/master/hawkbit-mgmt/hawkbit-mgmt-api/src/main/java/org/eclipse/hawkbit/mgmt/rest/api/MgmtRolloutRestApi.java
//! [target tags]: https://github.com/eclipse-hawkbit/hawkbit/blob/master/hawkbit-mgmt/hawkbit-mgmt-api/src/main/java/org/eclipse/hawkbit/mgmt/rest/api/MgmtTargetTagRestApi.java
//! [actions]: https://github.com/eclipse-hawkbit/hawkbit/blob/master/hawkbit-mgmt/hawkbit-mgmt-api/src/main/java/org/eclipse/hawkbit/mgmt/rest/api/MgmtActionRestApi.java
//! [targets]: https://github.com/eclipse-hawkbit/hawkbit/blob/master/hawkbit-mgmt/hawkbit-mgmt-api/src/main/java/org/eclipse/hawkbit/mgmt/rest/api/MgmtTargetRestApi.java

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::Method;
use whittle_rollout::{Cell, Orders, WayBack};

use crate::driver::{ChangeKind, Driver, Report, Surroundings};
use crate::hawkbit::client::{Client, Login, Rollout};
use crate::waves::{self, Direction, Engine, Member, Progress, Turn, Wave, cell_name, number};
use crate::{Campaign, DriverError, RetryConfig, SecretSource};

mod client;

/// Where hawkBit is, and what it shall roll out.
///
/// # Example
///
/// ```
/// let config: whittle_fleet::DriverConfig = toml::from_str(r#"
///     kind = "hawkbit"
///     url = "https://hawkbit.example.com"
///     user = "rollouts"
///     password = { env = "HAWKBIT_PASSWORD" }
///     distribution-set = 42
///     way-back = 41
///     targets = "controllerId==TH-*"
///
///     [retry]
///     tries = 8
/// "#).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HawkbitConfig {
    /// Address of the server, without `/rest/v1`.
    pub url: String,
    /// Who logs in; with its tenant, `tenant\user`, where there are several.
    pub user: String,
    /// The password.
    pub password: SecretSource,
    /// Id of the distribution set that holds the target.
    pub distribution_set: u64,
    /// Id of the distribution set that takes devices back; none if none does.
    #[serde(default)]
    pub way_back: Option<u64>,
    /// Which targets are the fleet, in hawkBit's query language (RSQL); none for all.
    #[serde(default)]
    pub targets: Option<String>,
    /// Groups of each wave, which hawkBit starts one after the other as half of the one before has finished; 1 for all at once.
    #[serde(default = "one")]
    pub groups: u32,
    /// hawkBit's own emergency brake, besides that of the policy: a wave pauses if so many per cent of a group's devices fail, and is
    /// not resumed while so many of the wave have.
    #[serde(default = "half")]
    pub error_percent: u32,
    /// How to try again.
    #[serde(default)]
    pub retry: RetryConfig,
}

fn one() -> u32 {
    1
}

fn half() -> u32 {
    50
}

/// Targets that are assigned to a tag by one request.
const TARGETS_AT_ONCE: usize = 1000;

/// Drives hawkBit.
pub(crate) struct Hawkbit<'a> {
    config: HawkbitConfig,
    client: Client<'a>,
}

impl<'a> Hawkbit<'a> {
    pub(crate) fn open(
        config: HawkbitConfig,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        if config.user.is_empty() {
            return Err(DriverError::config("user", "is empty"));
        }
        if !(1..=500).contains(&config.groups) {
            return Err(DriverError::config(
                "groups",
                format!("{}, wanted 1 to 500", config.groups),
            ));
        }
        if !(1..=100).contains(&config.error_percent) {
            let why = format!("{}, wanted 1 to 100", config.error_percent);
            return Err(DriverError::config("error-percent", why));
        }
        let login = Login::new(&config.user, &config.password.read(surroundings)?);
        let client = Client::new(&config.url, &config.retry, login, surroundings)?;
        Ok(Self { config, client })
    }

    /// A rollout of the targets with a tag.
    fn new_rollout(&self, name: &str, direction: Direction) -> Result<Value, DriverError> {
        let set = match direction {
            Direction::Forth => Some(self.config.distribution_set),
            Direction::Back => self.config.way_back,
        };
        let set = set.ok_or_else(|| DriverError::config("way-back", "is not configured"))?;
        Ok(json!({
            "name": name,
            "description": "Made by whittle: change it by `whittle rollout`.",
            "distributionSetId": set,
            "targetFilterQuery": format!("tag=={name}"),
            "amountGroups": self.config.groups,
            "type": "forced",
            "successCondition": { "condition": "THRESHOLD", "expression": "50" },
            "successAction": { "action": "NEXTGROUP", "expression": "" },
            "errorCondition": { "condition": "THRESHOLD", "expression": self.config.error_percent.to_string() },
            "errorAction": { "action": "PAUSE", "expression": "" },
        }))
    }

    fn id(&self, wave: &Wave) -> Result<u64, DriverError> {
        let found = self.client.rollouts.iter().find(|rollout| rollout.name == wave.id);
        found
            .map(|rollout| rollout.id)
            .ok_or_else(|| self.client.odd("find a rollout", "it is gone"))
    }
}

impl Driver for Hawkbit<'_> {
    fn apply(&mut self, orders: &Orders, campaign: &Campaign) -> Result<Report, DriverError> {
        waves::apply(self, orders, campaign)
    }
}

/// What hawkBit calls the states of a rollout, <https://eclipse.dev/hawkbit/concepts/rollout-management/>.
fn progress(status: &str) -> Option<Progress> {
    Some(match status {
        "ready" => Progress::Ready,
        "creating" | "starting" | "stopping" | "waiting_for_approval" => Progress::Changing,
        "running" => Progress::Open,
        "paused" => Progress::Paused,
        "finished" | "stopped" | "approval_denied" | "deleting" | "deleted" => Progress::Over,
        _ => return None,
    })
}

/// What hawkBit calls the states of an action, in `detailStatus`.
fn turn(status: &str, rollout: Progress) -> Turn {
    match status {
        "canceled" | "canceling" => Turn::Withdrawn,
        // Of a group that never starts.
        "scheduled" if rollout == Progress::Over => Turn::Withdrawn,
        "scheduled" | "running" | "wait_for_confirmation" => Turn::Waiting,
        _ => Turn::Taken,
    }
}

impl Engine for Hawkbit<'_> {
    fn devices(&mut self, cell: &Cell) -> Result<Vec<String>, DriverError> {
        let attributes = cell.attributes.iter();
        let attributes =
            attributes.map(|(name, value)| format!("attribute.{name}=={}", quoted(value)));
        let base = self.config.targets.iter().map(|filter| format!("({filter})"));
        let query = base.chain(attributes).collect::<Vec<_>>().join(";");
        self.client.targets(&query, &format!("list the targets of {}", cell_name(cell)))
    }

    fn waves(&mut self, base: &str, direction: Direction) -> Result<Vec<Wave>, DriverError> {
        let pattern = format!("name=={base}{}*", direction.infix());
        self.client.read_rollouts(&pattern)?;
        let mut found = vec![];
        for rollout in &self.client.rollouts {
            let Some(number) = number(&rollout.name, base, direction) else { continue };
            let progress = progress(&rollout.status);
            let unknown = || format!("rollout `{}` is `{}`", rollout.name, rollout.status);
            let progress = progress.ok_or_else(|| self.client.odd("list rollouts", unknown()))?;
            found.push(Wave { number, id: rollout.name.clone(), progress });
        }
        for tag in self.client.tags(&pattern)? {
            let number = number(&tag.name, base, direction);
            let is_new = |number: &u32| !found.iter().any(|wave| wave.number == *number);
            if let Some(number) = number.filter(is_new) {
                found.push(Wave { number, id: tag.name, progress: Progress::HalfMade });
            }
        }
        found.sort_by_key(|wave| wave.number);
        Ok(found)
    }

    fn members(&mut self, wave: &Wave) -> Result<Vec<Member>, DriverError> {
        if wave.progress == Progress::HalfMade {
            return Ok(vec![]);
        }
        let id = self.id(wave)?;
        let actions = self.client.actions(&format!("rollout.id=={id}"))?;
        let members = actions.into_iter().map(|action| Member {
            turn: turn(&action.status, wave.progress),
            id: action.id.to_string(),
            device: action.target,
        });
        let mut members: Vec<_> = members.collect();
        if matches!(wave.progress, Progress::Ready | Progress::Changing) {
            // Actions come into being as a rollout starts; until then there is the tag.
            let acting: BTreeSet<_> = members.iter().map(|member| member.device.clone()).collect();
            let tagged = self.client.tagged(&wave.id)?.into_iter();
            let waiting = tagged.filter(|device| !acting.contains(device));
            members.extend(waiting.map(|device| Member {
                device,
                turn: Turn::Waiting,
                id: String::new(),
            }));
        }
        Ok(members)
    }

    fn offer(
        &mut self,
        name: &str,
        direction: Direction,
        devices: &[String],
    ) -> Result<bool, DriverError> {
        let rollout = self.new_rollout(name, direction)?;
        self.client.make_tag(name)?;
        let tagged: BTreeSet<_> = self.client.tagged(name)?.into_iter().collect();
        let wanted: BTreeSet<_> = devices.iter().cloned().collect();
        let missing: Vec<_> = wanted.difference(&tagged).cloned().collect();
        let extra: Vec<_> = tagged.difference(&wanted).cloned().collect();
        for part in missing.chunks(TARGETS_AT_ONCE) {
            self.client.assign(name, Method::PUT, part)?;
        }
        for part in extra.chunks(TARGETS_AT_ONCE) {
            self.client.assign(name, Method::DELETE, part)?;
        }
        self.client.make_rollout(name, &rollout)?;
        let Some(Rollout { id, status, .. }) = self.client.settled(name)? else { return Ok(false) };
        if status == "ready" {
            self.client.tell(id, "start", &["starting", "running", "finished"])?;
        }
        Ok(status != "creating" && status != "waiting_for_approval")
    }

    fn start(&mut self, wave: &Wave) -> Result<(), DriverError> {
        let id = self.id(wave)?;
        self.client.tell(id, "start", &["starting", "running", "finished"])
    }

    fn pause(&mut self, wave: &Wave) -> Result<Option<ChangeKind>, DriverError> {
        let id = self.id(wave)?;
        let is_open = wave.progress == Progress::Open;
        if is_open {
            // One that has ended in the meantime need not be paused.
            self.client.tell(id, "pause", &["paused", "finished", "stopped"])?;
        }
        let has_withdrawn = self.withdraw_running(id)?;
        let withdrawn = has_withdrawn.then_some(ChangeKind::Withdrawn);
        Ok(if is_open { Some(ChangeKind::Paused) } else { withdrawn })
    }

    fn resume(&mut self, wave: &Wave) -> Result<Option<String>, DriverError> {
        let id = self.id(wave)?;
        let failed = self.client.count_actions(&format!("rollout.id=={id};detailStatus==error"))?;
        let all = self.client.count_actions(&format!("rollout.id=={id}"))?;
        if failed > 0 && failed * 100 >= all * u64::from(self.config.error_percent) {
            return Ok(Some(format!("{failed} of {all} devices failed; resume it in hawkBit")));
        }
        self.client.tell(id, "resume", &["running", "finished"])?;
        Ok(None)
    }

    fn stop(&mut self, wave: &Wave) -> Result<(), DriverError> {
        let id = self.id(wave)?;
        self.client.tell(id, "stop", &["stopping", "stopped", "finished"])
    }

    fn withdraw(&mut self, _: &Wave, member: &Member) -> Result<(), DriverError> {
        if member.id.is_empty() {
            return Ok(());
        }
        self.client.cancel(&member.device, &member.id)
    }

    fn can_take_back(&self, _: &WayBack) -> bool {
        self.config.way_back.is_some()
    }
}

impl Hawkbit<'_> {
    /// Cancels the actions of a rollout that no device has fetched; tells whether there were any.
    fn withdraw_running(&mut self, rollout: u64) -> Result<bool, DriverError> {
        let running = format!("rollout.id=={rollout};detailStatus==running");
        let actions = self.client.actions(&running)?;
        for action in &actions {
            self.client.cancel(&action.target, &action.id.to_string())?;
        }
        Ok(!actions.is_empty())
    }
}

/// A value in hawkBit's query language.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}'")
}
