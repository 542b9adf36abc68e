//! hawkBit's Management API as its documents describe it, as far as the driver uses it and no further: any other path, parameter or
//! field is an error, and so is whatever a rollout's state does not allow.
//!
//! Made after <https://eclipse.dev/hawkbit/rest-api/> and the interfaces in
//! <https://github.com/eclipse-hawkbit/hawkbit/tree/master/hawkbit-mgmt/hawkbit-mgmt-api>. hawkBit itself needs a JVM, and is in no
//! package registry as a program.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use whittle_test_servers::{Reply, Request};

use crate::way::Service;

/// `Basic`, and `rollouts` with the tests' secret.
const AUTHORIZATION: &str = "Basic cm9sbG91dHM6aHVudGVyMi12ZXJ5LXNlY3JldA==";

#[derive(Clone, Default)]
pub(crate) struct Hawkbit {
    targets: BTreeMap<String, BTreeMap<String, String>>,
    tags: Vec<(String, Vec<String>)>,
    rollouts: Vec<Rollout>,
    actions: Vec<Action>,
    pub(crate) needs_approval: bool,
}

#[derive(Clone)]
struct Rollout {
    name: String,
    set: u64,
    status: &'static str,
    targets: Vec<String>,
    groups: usize,
}

#[derive(Clone)]
struct Action {
    target: String,
    rollout: usize,
    status: &'static str,
    group: usize,
}

impl Action {
    fn is_active(&self) -> bool {
        !["finished", "error", "canceled"].contains(&self.status)
    }
}

impl Hawkbit {
    pub(crate) fn new(targets: impl Iterator<Item = (String, BTreeMap<String, String>)>) -> Self {
        Self { targets: targets.collect(), ..Self::default() }
    }

    /// The next devices fetch what they are offered, and install it.
    pub(crate) fn take(&mut self, number: usize) {
        let open: Vec<_> = self.rollouts.iter().map(|rollout| rollout.status).collect();
        let offered = self.actions.iter_mut().filter(|action| action.status == "running");
        let offered =
            offered.filter(|action| ["running", "paused"].contains(&open[action.rollout]));
        offered.take(number).for_each(|action| action.status = "finished");
        // Devices that are told to cancel do so as they ask the next time.
        self.actions
            .iter_mut()
            .filter(|action| action.status == "canceling")
            .for_each(|action| action.status = "canceled");
        self.go_on();
    }

    /// For each target: which set it is offered or has, and how far it is.
    pub(crate) fn state(&self) -> BTreeMap<String, (u64, &'static str)> {
        let last = self.actions.iter().map(|action| {
            let status = if action.status == "canceling" { "canceled" } else { action.status };
            (action.target.clone(), (self.rollouts[action.rollout].set, status))
        });
        last.filter(|(_, (_, status))| *status != "canceled").collect()
    }

    pub(crate) fn statuses(&self) -> Vec<(&str, &'static str)> {
        self.rollouts.iter().map(|rollout| (rollout.name.as_str(), rollout.status)).collect()
    }

    /// What the server does by itself, a step at each request.
    fn go_on(&mut self) {
        for place in 0..self.rollouts.len() {
            let next = match self.rollouts[place].status {
                "creating" if self.needs_approval => "waiting_for_approval",
                "creating" => "ready",
                "starting" => {
                    self.begin(place);
                    "running"
                }
                "stopping" => {
                    let stopped = self.actions.iter_mut().filter(|action| action.rollout == place);
                    let open =
                        stopped.filter(|action| ["scheduled", "running"].contains(&action.status));
                    open.for_each(|action| action.status = "canceled");
                    "stopped"
                }
                "running"
                    if !self
                        .actions
                        .iter()
                        .any(|action| action.rollout == place && action.is_active()) =>
                {
                    "finished"
                }
                same => same,
            };
            self.rollouts[place].status = next;
        }
    }

    fn begin(&mut self, place: usize) {
        let Rollout { targets, groups, .. } = &self.rollouts[place];
        let size = targets.len().div_ceil(*groups);
        for (number, target) in targets.clone().into_iter().enumerate() {
            // What a target was to do before is over.
            let earlier = self
                .actions
                .iter_mut()
                .filter(|action| action.target == target && action.is_active());
            earlier.for_each(|action| action.status = "canceled");
            let group = number / size;
            let status = if group == 0 { "running" } else { "scheduled" };
            self.actions.push(Action { target, rollout: place, status, group });
        }
    }

    /// The next devices fail; hawkBit pauses a rollout of which half have.
    pub(crate) fn fail(&mut self, number: usize) {
        let offered = self.actions.iter_mut().filter(|action| action.status == "running");
        offered.take(number).for_each(|action| action.status = "error");
        for (place, rollout) in self.rollouts.iter_mut().enumerate() {
            let actions = self.actions.iter().filter(|action| action.rollout == place);
            let failed = actions.clone().filter(|action| action.status == "error").count();
            if rollout.status == "running" && failed * 2 >= actions.count() {
                rollout.status = "paused";
            }
        }
    }

    /// Starts the next group, as hawkBit does once enough devices of the one before are done.
    pub(crate) fn start_group(&mut self, group: usize) {
        let running: Vec<_> =
            self.rollouts.iter().map(|rollout| rollout.status == "running").collect();
        let scheduled = self
            .actions
            .iter_mut()
            .filter(|action| action.group == group && running[action.rollout]);
        scheduled
            .filter(|action| action.status == "scheduled")
            .for_each(|action| action.status = "running");
    }

    fn rollout(&self, place: usize) -> Value {
        let rollout = &self.rollouts[place];
        let link = |what: &str| json!({ "href": format!("https://hawkbit.example/rest/v1/rollouts/{}{what}", place + 1) });
        json!({
            "id": place + 1, "name": rollout.name, "status": rollout.status, "distributionSetId": rollout.set,
            "totalTargets": rollout.targets.len(), "deleted": false, "createdBy": "rollouts",
            "_links": { "self": link(""), "start": link("/start"), "pause": link("/pause"), "resume": link("/resume") },
        })
    }

    fn action(&self, place: usize) -> Value {
        let action = &self.actions[place];
        let target = action.target.replace(' ', "%20");
        let is_cancel = ["canceling", "canceled"].contains(&action.status);
        json!({
            "id": place + 1, "type": if is_cancel { "cancel" } else { "update" },
            "status": if action.is_active() { "pending" } else { "finished" }, "detailStatus": action.status,
            "rollout": action.rollout + 1, "rolloutName": self.rollouts[action.rollout].name,
            "_links": {
                "self": { "href": format!("https://hawkbit.example/rest/v1/targets/{target}/actions/{}", place + 1) },
                "target": { "href": format!("https://hawkbit.example/rest/v1/targets/{target}"), "name": action.target },
            },
        })
    }

    /// One of the conditions of a query, joined by `;`.
    fn matches(&self, condition: &str, fields: &BTreeMap<String, String>) -> Option<bool> {
        let condition = condition.trim_start_matches('(').trim_end_matches(')');
        let (name, value) = condition.split_once("==")?;
        let value = value.strip_prefix('\'').map_or(value, |value| value.trim_end_matches('\''));
        let field = fields.get(name);
        // Attributes that a target has not are no mistake.
        if field.is_none() && !name.starts_with("attribute.") {
            return None;
        }
        let field = field.map(String::as_str).unwrap_or_default();
        Some(value.strip_suffix('*').map_or(field == value, |start| field.starts_with(start)))
    }

    /// A page of a list, by the parameters of the request.
    fn page(&self, request: &Request, all: Vec<(BTreeMap<String, String>, Value)>) -> Reply {
        let known = ["limit", "offset", "sort", "q", "representation"];
        if let Some((name, _)) =
            request.query().iter().find(|(name, _)| !known.contains(&name.as_str()))
        {
            return problem(400, &format!("parameter {name} is unknown"));
        }
        let number = |name: &str, default: usize| {
            request.parameter(name).map_or(default, |text| text.parse().expect("a number"))
        };
        let query = request.parameter("q").unwrap_or_default();
        let mut found = vec![];
        for (fields, entry) in all {
            let conditions = query.split(';').filter(|condition| !condition.is_empty());
            let met: Option<Vec<bool>> =
                conditions.map(|condition| self.matches(condition, &fields)).collect();
            let Some(met) = met else {
                return problem(400, &format!("the query {query} cannot be parsed"));
            };
            if met.iter().all(|is_met| *is_met) {
                found.push(entry);
            }
        }
        let total = found.len();
        // Smaller than asked for, so that there are pages in a test.
        let size = number("limit", 50).min(15);
        let content: Vec<_> = found.into_iter().skip(number("offset", 0)).take(size).collect();
        Reply::json(200, &json!({ "content": content, "total": total, "size": content.len() }))
    }

    fn target_fields(
        &self,
        id: &str,
        attributes: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let attributes =
            attributes.iter().map(|(name, value)| (format!("attribute.{name}"), value.clone()));
        attributes.chain([("controllerId".to_owned(), id.to_owned())]).collect()
    }

    fn make_rollout(&mut self, body: &Value) -> Reply {
        let known = [
            "name",
            "description",
            "distributionSetId",
            "targetFilterQuery",
            "amountGroups",
            "type",
            "successCondition",
            "successAction",
            "errorCondition",
            "errorAction",
        ];
        let fields = body.as_object().expect("an object");
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return problem(400, &format!("field {name} is unknown"));
        }
        let name = body["name"].as_str().expect("a name");
        if self.rollouts.iter().any(|rollout| rollout.name == name) {
            return problem(409, "The given entity already exists in database");
        }
        let set = body["distributionSetId"].as_u64().expect("a set");
        if ![41, 42].contains(&set) {
            return problem(404, "DistributionSet with given identifier does not exist");
        }
        assert_eq!(
            (&body["type"], &body["successAction"]["action"], &body["errorAction"]["action"]),
            (&json!("forced"), &json!("NEXTGROUP"), &json!("PAUSE"))
        );
        let tag = body["targetFilterQuery"]
            .as_str()
            .and_then(|query| query.strip_prefix("tag=="))
            .expect("a tag");
        let Some((_, targets)) = self
            .tags
            .iter()
            .find(|(found, _)| found == tag)
            .filter(|(_, targets)| !targets.is_empty())
        else {
            return problem(400, "Rollout target filter does not match any targets");
        };
        let groups = body["amountGroups"].as_u64().expect("a number of groups");
        let groups = usize::try_from(groups).expect("few");
        self.rollouts.push(Rollout {
            name: name.to_owned(),
            set,
            status: "creating",
            targets: targets.clone(),
            groups,
        });
        Reply::json(201, &self.rollout(self.rollouts.len() - 1))
    }

    fn tell(&mut self, place: usize, what: &str) -> Reply {
        let Some(rollout) = self.rollouts.get_mut(place) else {
            return problem(404, "Rollout does not exist");
        };
        let stoppable =
            ["running", "creating", "paused", "ready", "starting", "waiting_for_approval"];
        let next = match (what, rollout.status) {
            ("start", "ready") => "starting",
            ("pause", "running") => "paused",
            ("resume", "paused") => "running",
            ("stop", status) if stoppable.contains(&status) => "stopping",
            (_, status) => {
                let why =
                    format!("Rollout can only be told to {what} in another state, it is {status}");
                return problem(400, &why);
            }
        };
        rollout.status = next;
        Reply::new(204, "")
    }

    fn cancel(&mut self, target: &str, place: usize) -> Reply {
        match self.actions.get_mut(place).filter(|action| action.target == target) {
            None => problem(404, "Action does not exist"),
            Some(action) if !action.is_active() || action.status == "canceling" => {
                problem(400, "Only active actions which are in state pending are cancelable.")
            }
            Some(action) => {
                action.status = "canceling";
                Reply::new(204, "")
            }
        }
    }

    fn assign(&mut self, place: usize, request: &Request) -> Reply {
        let ids: Vec<String> = serde_json::from_value(request.json()).expect("a list of ids");
        if let Some(id) = ids.iter().find(|id| !self.targets.contains_key(*id)) {
            return problem(404, &format!("Target {id} does not exist"));
        }
        let Some((_, targets)) = self.tags.get_mut(place) else {
            return problem(404, "TargetTag does not exist");
        };
        match request.method.as_str() {
            "PUT" => ids.into_iter().for_each(|id| {
                if !targets.contains(&id) {
                    targets.push(id);
                }
            }),
            _ => targets.retain(|target| !ids.contains(target)),
        }
        Reply::new(200, "")
    }
}

fn problem(status: u16, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "exceptionClass": "org.eclipse.hawkbit", "errorCode": "hawkbit.server.error", "message": message }),
    )
}

fn place(id: &str) -> usize {
    id.parse::<usize>().expect("an id") - 1
}

/// What is listed: with fields by which it can be asked for.
type Listed = Vec<(BTreeMap<String, String>, Value)>;

impl Hawkbit {
    fn list_targets(&self) -> Listed {
        let target = |(id, attributes): (&String, &_)| {
            let shown = json!({ "controllerId": id, "name": id, "updateStatus": "in_sync" });
            (self.target_fields(id, attributes), shown)
        };
        self.targets.iter().map(target).collect()
    }

    fn list_tags(&self) -> Listed {
        let tags = self.tags.iter().enumerate().map(|(place, (name, _))| {
            let shown = json!({ "id": place + 1, "name": name });
            (BTreeMap::from([("name".to_owned(), name.clone())]), shown)
        });
        tags.collect()
    }

    fn list_rollouts(&self) -> Listed {
        let rollouts = self.rollouts.iter().enumerate().map(|(place, rollout)| {
            let fields = BTreeMap::from([("name".to_owned(), rollout.name.clone())]);
            (fields, self.rollout(place))
        });
        rollouts.collect()
    }

    fn list_actions(&self) -> Listed {
        let actions = self.actions.iter().enumerate().map(|(place, action)| {
            let fields = [
                ("rollout.id", (action.rollout + 1).to_string()),
                ("detailStatus", action.status.to_owned()),
            ];
            (fields.map(|(name, value)| (name.to_owned(), value)).into(), self.action(place))
        });
        actions.collect()
    }

    /// Makes the tag that a body names; none if there is one of that name.
    fn make_tag(&mut self, body: &Value) -> Option<usize> {
        let [tag] = body.as_array().expect("a list").as_slice() else { panic!("one tag") };
        let name = tag["name"].as_str().expect("a name").to_owned();
        if self.tags.iter().any(|(found, _)| *found == name) {
            return None;
        }
        self.tags.push((name, vec![]));
        Some(self.tags.len())
    }
}

impl Service for Hawkbit {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some(AUTHORIZATION) {
            let got = request.header("authorization").unwrap_or_default();
            return problem(401, &format!("Bad credentials {got}"));
        }
        let path = request.path();
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let Some((["rest", "v1"], path)) = path.split_at_checked(2) else {
            return problem(404, "No such page");
        };
        let reply = match (request.method.as_str(), path) {
            ("GET", ["targets"]) => self.page(request, self.list_targets()),
            ("GET", ["targettags"]) => self.page(request, self.list_tags()),
            ("POST", ["targettags"]) => match self.make_tag(&request.json()) {
                Some(id) => Reply::json(201, &json!([{ "id": id }])),
                None => return problem(409, "The given entity already exists in database"),
            },
            ("GET", ["targettags", id, "assigned"]) => {
                let (_, targets) = &self.tags[place(id)];
                let named = |id| (BTreeMap::new(), json!({ "controllerId": id }));
                self.page(request, targets.iter().map(named).collect())
            }
            ("PUT" | "DELETE", ["targettags", id, "assigned"]) => self.assign(place(id), request),
            ("GET", ["rollouts"]) => self.page(request, self.list_rollouts()),
            ("POST", ["rollouts"]) => self.make_rollout(&request.json()),
            ("GET", ["rollouts", id]) if place(id) < self.rollouts.len() => {
                Reply::json(200, &self.rollout(place(id)))
            }
            ("POST", ["rollouts", id, what @ ("start" | "pause" | "resume" | "stop")]) => {
                assert!(request.body.is_empty(), "nothing to say");
                self.tell(place(id), what)
            }
            ("GET", ["actions"]) => self.page(request, self.list_actions()),
            ("GET", ["targets", _, "actions", id]) if place(id) < self.actions.len() => {
                Reply::json(200, &self.action(place(id)))
            }
            ("DELETE", ["targets", target, "actions", id]) => self.cancel(target, place(id)),
            _ => problem(404, &format!("No such page: {} {}", request.method, request.target)),
        };
        self.go_on();
        reply
    }
}
