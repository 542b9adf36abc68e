//! Mender's management interfaces as their documents describe them, as far as the driver uses them and no further: any other path,
//! parameter or field is an error.
//!
//! Made after <https://docs.mender.io/api/> and the documents in
//! <https://github.com/mendersoftware/mender-server/tree/main/backend/services>. Mender itself is a dozen containers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use whittle_test_servers::{Reply, Request};

use crate::support::SECRET;
use crate::way::Service;

/// Entries of a page, fewer than asked for, so that there are pages in a test.
const PAGE: usize = 15;

#[derive(Clone, Default)]
pub(crate) struct Mender {
    devices: BTreeMap<String, BTreeMap<String, String>>,
    deployments: Vec<Deployment>,
}

#[derive(Clone)]
struct Deployment {
    name: String,
    artifact: String,
    devices: Vec<String>,
    /// Of devices that have asked for it.
    statuses: BTreeMap<String, &'static str>,
    is_aborted: bool,
}

impl Deployment {
    fn status(&self) -> &'static str {
        let has_ended = |device: &String| {
            self.statuses.get(device).is_some_and(|status| ["success", "aborted"].contains(status))
        };
        let asked = !self.statuses.is_empty();
        match () {
            () if self.is_aborted || self.devices.iter().all(has_ended) => "finished",
            () if asked => "inprogress",
            () => "pending",
        }
    }
}

impl Mender {
    pub(crate) fn new(devices: Vec<(String, BTreeMap<String, String>)>) -> Self {
        Self { devices: devices.into_iter().collect(), deployments: vec![] }
    }

    /// The next devices ask for what they are offered, and install it; each has the newest deployment alone.
    pub(crate) fn take(&mut self, number: usize) {
        let mut left = number;
        for device in self.devices.keys() {
            let is_offered = |found: &&mut Deployment| {
                let is_asked = !found.is_aborted && !found.statuses.contains_key(device);
                is_asked && found.devices.contains(device)
            };
            let newest = self.deployments.iter_mut().rev().find(is_offered);
            if let Some(deployment) = newest.filter(|_| left > 0) {
                deployment.statuses.insert(device.clone(), "success");
                left -= 1;
            }
        }
    }

    /// For each device: which artifact it is offered or has, and whether it has it.
    pub(crate) fn state(&self) -> BTreeMap<String, (&str, bool)> {
        let mut state = BTreeMap::new();
        for deployment in &self.deployments {
            for device in &deployment.devices {
                match deployment.statuses.get(device) {
                    Some(&"aborted") => {}
                    None if deployment.is_aborted => {}
                    status => {
                        state.insert(
                            device.clone(),
                            (deployment.artifact.as_str(), status == Some(&"success")),
                        );
                    }
                }
            }
        }
        state
    }

    fn find(&mut self, id: &str) -> Option<&mut Deployment> {
        let place: usize = id.strip_prefix("deployment-")?.parse().ok()?;
        self.deployments.get_mut(place)
    }

    fn body(&self, place: usize) -> Value {
        let deployment = &self.deployments[place];
        json!({
            "id": format!("deployment-{place}"), "name": deployment.name, "artifact_name": deployment.artifact,
            "status": deployment.status(), "created": "2026-11-26T12:00:00Z", "device_count": deployment.statuses.len(), "type": "software",
        })
    }

    fn search(&self, body: &Value) -> Reply {
        only(body, &["page", "per_page", "filters"]);
        let filters = body["filters"].as_array().expect("filters");
        let mut found = vec![];
        for (id, attributes) in &self.devices {
            let meets = |filter: &Value| {
                only(filter, &["scope", "attribute", "type", "value"]);
                assert_eq!(filter["type"], "$eq");
                let name = filter["attribute"].as_str().expect("a name");
                match filter["scope"].as_str() {
                    Some("identity") => (name, &filter["value"]) == ("status", &json!("accepted")),
                    Some("system") => (name, &filter["value"]) == ("group", &json!("thermostats")),
                    Some("inventory") => {
                        attributes.get(name).map(String::as_str) == filter["value"].as_str()
                    }
                    scope => panic!("scope {scope:?}"),
                }
            };
            if filters.iter().all(meets) {
                found.push(
                    json!({ "id": id, "attributes": [], "updated_ts": "2026-11-26T12:00:00Z" }),
                );
            }
        }
        page(found, body["page"].as_u64().expect("a page"))
    }

    fn make(&mut self, body: &Value) -> Reply {
        only(body, &["name", "artifact_name", "devices"]);
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        let (name, artifact) = (text("name"), text("artifact_name"));
        if !artifact.starts_with("thermostat-") {
            return problem(422, "No artifact for the deployment");
        }
        let devices: Vec<String> = serde_json::from_value(body["devices"].clone()).expect("ids");
        if devices.is_empty() {
            return problem(400, "validating request body: devices: cannot be blank");
        }
        let is_same = |found: &Deployment| {
            (&found.name, &found.devices) == (&name, &devices) && found.status() != "finished"
        };
        if self.deployments.iter().any(is_same) {
            return problem(409, "Active deployment with the same parameters already exists");
        }
        self.deployments.push(Deployment {
            name,
            artifact,
            devices,
            statuses: BTreeMap::new(),
            is_aborted: false,
        });
        let location = format!(
            "./management/v1/deployments/deployments/deployment-{}",
            self.deployments.len() - 1
        );
        Reply::new(201, "").with("location", location)
    }

    fn abort(&mut self, id: &str, body: &Value) -> Reply {
        assert_eq!(*body, json!({ "status": "aborted" }));
        match self.find(id) {
            None => problem(404, "Deployment not found"),
            Some(found) if found.status() == "finished" => {
                problem(422, "Deployment already finished")
            }
            Some(found) => {
                found.is_aborted = true;
                Reply::new(204, "")
            }
        }
    }
}

fn only(body: &Value, known: &[&str]) {
    let fields = body.as_object().expect("an object");
    assert!(fields.keys().all(|name| known.contains(&name.as_str())), "{body}");
}

fn page(all: Vec<Value>, number: u64) -> Reply {
    let before = (usize::try_from(number).expect("few") - 1) * PAGE;
    let total = all.len().to_string();
    let content: Vec<_> = all.into_iter().skip(before).take(PAGE).collect();
    Reply::json(200, &json!(content)).with("x-total-count", total)
}

fn problem(status: u16, error: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "request_id": "f7881e82" }))
}

impl Service for Mender {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some(&format!("Bearer {SECRET}")) {
            return problem(401, &format!("unauthorized: {:?}", request.header("authorization")));
        }
        let known = ["name", "page", "per_page"];
        assert!(
            request.query().iter().all(|(name, _)| known.contains(&name.as_str())),
            "{}",
            request.target
        );
        let number = || request.parameter("page").map_or(1, |page| page.parse().expect("a number"));
        let path = request.path();
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        match (
            request.method.as_str(),
            path.strip_prefix(&["api", "management"]).unwrap_or_default(),
        ) {
            ("POST", ["v2", "inventory", "filters", "search"]) => self.search(&request.json()),
            ("GET", ["v2", "deployments", "deployments"]) => {
                let name = request.parameter("name").expect("a name");
                let places = (0..self.deployments.len()).rev();
                let named = places.filter(|place| self.deployments[*place].name == name);
                page(named.map(|place| self.body(place)).collect(), number())
            }
            ("POST", ["v1", "deployments", "deployments"]) => self.make(&request.json()),
            ("DELETE", ["v1", "deployments", "deployments", "devices", device]) => {
                for deployment in &mut self.deployments {
                    let is_pending = deployment.status() != "finished"
                        && !deployment.statuses.contains_key(*device);
                    if is_pending && deployment.devices.iter().any(|id| id == device) {
                        deployment.statuses.insert((*device).to_owned(), "aborted");
                    }
                }
                Reply::new(204, "")
            }
            ("PUT", ["v1", "deployments", "deployments", id, "status"]) => {
                self.abort(id, &request.json())
            }
            ("GET", ["v1", "deployments", "deployments", id, rest @ ..]) => {
                let place = id
                    .strip_prefix("deployment-")
                    .and_then(|place| place.parse().ok())
                    .filter(|place| *place < self.deployments.len());
                let Some(place) = place else { return problem(404, "Deployment not found") };
                let deployment = &self.deployments[place];
                match rest {
                    [] => Reply::json(200, &self.body(place)),
                    ["device_list"] => Reply::json(200, &json!(deployment.devices)),
                    ["devices", "list"] => {
                        let statuses = deployment.statuses.iter();
                        page(statuses.map(|(id, status)| json!({ "id": id, "status": status, "log": false })).collect(), number())
                    }
                    _ => problem(404, "No such page"),
                }
            }
            _ => problem(404, "No such page"),
        }
    }
}
