//! Driving a fleet whose server is Mender, by its management interfaces.
//!
//! Each wave is a Mender deployment of an artifact to the devices that it lists; it is made by one request, so it is there or it is not.
//! Which devices a cell has is asked of the inventory, and a device's Mender id is the id that is drawn.
//!
//! * Mender cannot pause a deployment: a pause aborts it. Devices that have not begun do not begin, those in the middle roll
//!   back, and both are offered the target again, in another wave, once the rollout goes on.
//! * Single devices that have not begun are withdrawn by aborting the device's deployments, which is all that Mender has for
//!   that: those of others, too.
//! * Devices go back by another artifact.
//! * Phases and dynamic filters of Mender Enterprise are not used: waves are those of the rollout, and are the same for every plan.
//!
//! Interfaces: deployments [v1] and [v2], and the [inventory]'s search; see <https://docs.mender.io/api/>.
//!
//! [v1]: https://github.com/mendersoftware/mender-server/blob/main/backend/services/deployments/docs/management_api.yml
//! [v2]: https://github.com/mendersoftware/mender-server/blob/main/backend/services/deployments/docs/management_api_v2.yml
//! [inventory]: https://github.com/mendersoftware/mender-server/blob/main/backend/services/inventory/docs/management_api_v2.yml

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::{Method, StatusCode};
use whittle_rollout::{Cell, Orders, WayBack};

use crate::driver::{ChangeKind, Driver, Report, Surroundings};
use crate::http::{Authorize, Call, Server, escape};
use crate::pages::Pages;
use crate::secret::Secret;
use crate::waves::{self, Direction, Engine, Member, Progress, Turn, Wave, cell_name};
use crate::{Campaign, DriverError, RetryConfig, SecretSource};

/// Where Mender is, and what it shall deploy.
///
/// # Example
///
/// ```
/// let config: whittle_fleet::DriverConfig = toml::from_str(r#"
///     kind = "mender"
///     url = "https://hosted.mender.io"
///     token = { file = "/run/secrets/mender" }
///     artifact = "thermostat-2.4.1"
///     way-back = "thermostat-2.4.0"
///     group = "thermostats"
/// "#).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MenderConfig {
    /// Address of the server, without `/api`.
    pub url: String,
    /// A personal access token that may manage deployments and read the inventory.
    pub token: SecretSource,
    /// Name of the artifact that holds the target.
    pub artifact: String,
    /// Name of the artifact that takes devices back; none if none does.
    #[serde(default)]
    pub way_back: Option<String>,
    /// The static group whose devices are the fleet; none for all accepted devices.
    #[serde(default)]
    pub group: Option<String>,
    /// How to try again.
    #[serde(default)]
    pub retry: RetryConfig,
}

const V1: &str = "/api/management/v1/deployments";
const V2: &str = "/api/management/v2/deployments";
const SEARCH: &str = "/api/management/v2/inventory/filters/search";

/// Entries of a page; the most that Mender gives.
const PAGE: usize = 500;

/// RFC 6750.
struct Bearer([Secret; 1]);

impl Authorize for Bearer {
    fn headers(&self, _: &Call<'_>, _: &str) -> Result<Vec<(String, String)>, DriverError> {
        let token = format!("Bearer {}", self.0[0].expose());
        let accept = ("accept".to_owned(), "application/json".to_owned());
        Ok(vec![("authorization".to_owned(), token), accept])
    }

    fn secrets(&self) -> &[Secret] {
        &self.0
    }
}

#[derive(Debug, Deserialize)]
struct Deployment {
    id: String,
    name: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Device {
    id: String,
    #[serde(default)]
    status: String,
}

/// Drives Mender.
pub(crate) struct Mender<'a> {
    config: MenderConfig,
    server: Server<'a>,
}

impl<'a> Mender<'a> {
    pub(crate) fn open(
        config: MenderConfig,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        if config.artifact.is_empty() {
            return Err(DriverError::config("artifact", "is empty"));
        }
        let token = Bearer([config.token.read(surroundings)?]);
        let retry = &config.retry;
        let server = Server::new("Mender", &config.url, retry, Box::new(token), surroundings)?;
        Ok(Self { config, server })
    }

    /// The deployments with a name: one, unless somebody else has made others.
    fn named(&mut self, name: &str) -> Result<Vec<Deployment>, DriverError> {
        let call = find(name, "list deployments");
        self.server.ask(&call)
    }

    /// Aborts a deployment, unless it has ended.
    fn abort(&mut self, id: &str) -> Result<(), DriverError> {
        let action = "abort a deployment";
        let path = format!("{V1}/deployments/{}", escape(id));
        let find = Call::new(Method::GET, path.clone(), action);
        let body = json!({ "status": "aborted" });
        let abort = Call::new(Method::PUT, format!("{path}/status"), action).with(&body);
        let has_ended = |deployment: &Deployment| deployment.status == "finished";
        self.server.make(&find, has_ended, &abort, &[StatusCode::NO_CONTENT]).map(|_| ())
    }

    /// The status of each device that knows of a deployment.
    fn statuses(&mut self, id: &str) -> Result<BTreeMap<String, String>, DriverError> {
        let (mut all, mut pages) = (BTreeMap::new(), Pages::default());
        for page in 1u32.. {
            let path =
                format!("{V1}/deployments/{}/devices/list?page={page}&per_page={PAGE}", escape(id));
            let call = Call::new(Method::GET, path, "list the devices of a deployment");
            let devices: Vec<Device> = self.server.ask_page(&call, &mut pages)?;
            let is_last = devices.is_empty();
            all.extend(devices.into_iter().map(|device| (device.id, device.status)));
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}

/// Asks for the deployments with a name.
fn find<'a>(name: &str, action: &'a str) -> Call<'a> {
    let path = format!("{V2}/deployments?name={}&page=1&per_page={PAGE}", escape(name));
    Call::new(Method::GET, path, action)
}

impl Driver for Mender<'_> {
    fn apply(&mut self, orders: &Orders, campaign: &Campaign) -> Result<Report, DriverError> {
        waves::apply(self, orders, campaign)
    }
}

/// How far a device of a deployment is, by Mender's name for it; none if it has not asked for it yet.
fn turn(status: Option<&str>, is_over: bool) -> Turn {
    match status {
        Some("aborted" | "decommissioned") => Turn::Withdrawn,
        None | Some("pending") if is_over => Turn::Withdrawn,
        None | Some("pending") => Turn::Waiting,
        Some(_) => Turn::Taken,
    }
}

impl Engine for Mender<'_> {
    fn devices(&mut self, cell: &Cell) -> Result<Vec<String>, DriverError> {
        let is = |scope: &str, name: &str, value: &str| json!({ "scope": scope, "attribute": name, "type": "$eq", "value": value });
        let mut filters = vec![is("identity", "status", "accepted")];
        filters.extend(self.config.group.iter().map(|group| is("system", "group", group)));
        let attributes = cell.attributes.iter();
        filters.extend(attributes.map(|(name, value)| is("inventory", name, value)));
        let action = format!("list the devices of {}", cell_name(cell));
        let (mut all, mut pages) = (vec![], Pages::default());
        for page in 1u32.. {
            let body = json!({ "page": page, "per_page": PAGE, "filters": filters });
            let call = Call::new(Method::POST, SEARCH.to_owned(), &action).with(&body);
            let devices: Vec<Device> = self.server.ask_page(&call, &mut pages)?;
            if devices.is_empty() {
                break;
            }
            all.extend(devices.into_iter().map(|device| device.id));
        }
        Ok(all)
    }

    /// Asks for one wave after the other, since Mender finds deployments by their whole names only.
    fn waves(&mut self, base: &str, direction: Direction) -> Result<Vec<Wave>, DriverError> {
        let mut found = vec![];
        for number in 1u32.. {
            let name = format!("{base}{}{number}", direction.infix());
            let named = self.named(&name)?;
            for deployment in named.iter().filter(|deployment| deployment.name == name) {
                let progress = match deployment.status.as_str() {
                    "pending" | "inprogress" | "scheduled" => Progress::Open,
                    "finished" => Progress::Over,
                    other => {
                        let why = format!("deployment `{name}` is `{other}`");
                        return Err(self.server.odd("list deployments", why));
                    }
                };
                found.push(Wave { number, id: deployment.id.clone(), progress });
            }
            if found.last().is_none_or(|wave: &Wave| wave.number < number) {
                break;
            }
        }
        Ok(found)
    }

    fn members(&mut self, wave: &Wave) -> Result<Vec<Member>, DriverError> {
        let path = format!("{V1}/deployments/{}/device_list", escape(&wave.id));
        let call = Call::new(Method::GET, path, "list the devices of a deployment");
        let devices: Vec<String> = self.server.ask(&call)?;
        let statuses = self.statuses(&wave.id)?;
        let is_over = wave.progress == Progress::Over;
        let members = devices.into_iter().map(|device| Member {
            turn: turn(statuses.get(&device).map(String::as_str), is_over),
            id: String::new(),
            device,
        });
        Ok(members.collect())
    }

    fn offer(
        &mut self,
        name: &str,
        direction: Direction,
        devices: &[String],
    ) -> Result<bool, DriverError> {
        let artifact = match direction {
            Direction::Forth => Some(&self.config.artifact),
            Direction::Back => self.config.way_back.as_ref(),
        };
        let artifact = artifact.ok_or_else(|| DriverError::config("way-back", "is missing"))?;
        let body = json!({ "name": name, "artifact_name": artifact, "devices": devices });
        let action = "make a deployment";
        let make = Call::new(Method::POST, format!("{V1}/deployments"), action).with(&body);
        let is_there = |found: &Vec<Value>| found.iter().any(|found| found["name"] == name);
        self.server.make(&find(name, action), is_there, &make, &[StatusCode::CREATED])?;
        Ok(true)
    }

    fn start(&mut self, _: &Wave) -> Result<(), DriverError> {
        // A deployment has started when it is there.
        Ok(())
    }

    fn pause(&mut self, wave: &Wave) -> Result<Option<ChangeKind>, DriverError> {
        self.abort(&wave.id)?;
        Ok(Some(ChangeKind::Stopped))
    }

    fn resume(&mut self, _: &Wave) -> Result<Option<String>, DriverError> {
        // There are no paused deployments.
        Ok(None)
    }

    fn stop(&mut self, wave: &Wave) -> Result<(), DriverError> {
        self.abort(&wave.id)
    }

    fn withdraw(&mut self, _: &Wave, member: &Member) -> Result<(), DriverError> {
        let path = format!("{V1}/deployments/devices/{}", escape(&member.device));
        let call = Call::new(Method::DELETE, path, "abort the deployments of a device");
        self.server.must(&call, &[StatusCode::NO_CONTENT]).map(|_| ())
    }

    fn can_take_back(&self, _: &WayBack) -> bool {
        self.config.way_back.is_some()
    }
}
