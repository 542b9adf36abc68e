//! Requests to hawkBit's Management API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Method, StatusCode};

use crate::http::{Authorize, Call, Server, escape, unescape};
use crate::pages::Pages;
use crate::secret::Secret;
use crate::{DriverError, RetryConfig, Surroundings};

/// Entries of a page; the most that hawkBit gives.
const PAGE: u64 = 500;

/// Basic authentication, RFC 7617.
pub(super) struct Login {
    header: String,
    secrets: Vec<Secret>,
}

impl Login {
    pub(super) fn new(user: &str, password: &Secret) -> Self {
        let token = STANDARD.encode(format!("{user}:{}", password.expose()));
        let header = format!("Basic {token}");
        Self { header, secrets: vec![Secret::new(token), password.clone()] }
    }
}

impl Authorize for Login {
    fn headers(&self, _: &Call<'_>, _: &str) -> Result<Vec<(String, String)>, DriverError> {
        let accept = ("accept".to_owned(), "application/json".to_owned());
        Ok(vec![("authorization".to_owned(), self.header.clone()), accept])
    }

    fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page<T> {
    content: Vec<T>,
    total: u64,
}

/// A rollout as hawkBit tells it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rollout {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
}

/// A tag of targets.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    #[serde(rename = "controllerId")]
    id: String,
}

/// What a target shall do for a rollout.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) target: String,
    pub(super) status: String,
}

#[derive(Debug, Deserialize)]
struct ActionBody {
    id: u64,
    #[serde(rename = "detailStatus")]
    status: String,
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Debug, Deserialize)]
struct Links {
    target: Link,
}

#[derive(Debug, Deserialize)]
struct Link {
    href: String,
}

/// hawkBit, with what it said last about its rollouts.
pub(super) struct Client<'a> {
    server: Server<'a>,
    pub(super) rollouts: Vec<Rollout>,
    /// Tags that are known; their ids stay.
    tags: Vec<Tag>,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        url: &str,
        retry: &RetryConfig,
        login: Login,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        let server = Server::new("hawkBit", url, retry, Box::new(login), surroundings)?;
        Ok(Self { server, rollouts: vec![], tags: vec![] })
    }

    pub(super) fn odd(&self, action: &str, why: impl Into<String>) -> DriverError {
        self.server.odd(action, why)
    }

    /// All entries of a list, page by page; sorted, so that an entry that is added meanwhile moves no other one.
    fn all<T: for<'de> Deserialize<'de>>(
        &mut self,
        path: &str,
        query: &str,
        action: &str,
    ) -> Result<Vec<T>, DriverError> {
        let (mut all, mut pages) = (vec![], Pages::default());
        loop {
            let mut uri = format!("/rest/v1{path}?limit={PAGE}&offset={}&sort=id:ASC", all.len());
            if !query.is_empty() {
                uri = format!("{uri}&q={}", escape(query));
            }
            if path == "/actions" {
                uri.push_str("&representation=full");
            }
            let call = Call::new(Method::GET, uri, action);
            let page: Page<T> = self.server.ask_page(&call, &mut pages)?;
            let is_last = page.content.is_empty();
            all.extend(page.content);
            if is_last || all.len() as u64 >= page.total {
                return Ok(all);
            }
        }
    }

    pub(super) fn targets(
        &mut self,
        query: &str,
        action: &str,
    ) -> Result<Vec<String>, DriverError> {
        let targets: Vec<Target> = self.all("/targets", query, action)?;
        Ok(targets.into_iter().map(|target| target.id).collect())
    }

    pub(super) fn read_rollouts(&mut self, query: &str) -> Result<(), DriverError> {
        let found: Vec<Rollout> = self.all("/rollouts", query, "list rollouts")?;
        // Those of the other direction stay known.
        self.rollouts.retain(|known| !found.iter().any(|rollout| rollout.name == known.name));
        self.rollouts.extend(found);
        Ok(())
    }

    pub(super) fn tags(&mut self, query: &str) -> Result<Vec<Tag>, DriverError> {
        let found: Vec<Tag> = self.all("/targettags", query, "list tags")?;
        self.tags.retain(|known| !found.iter().any(|tag| tag.name == known.name));
        self.tags.extend(found.iter().cloned());
        Ok(found)
    }

    pub(super) fn actions(&mut self, query: &str) -> Result<Vec<Action>, DriverError> {
        let bodies: Vec<ActionBody> = self.all("/actions", query, "list actions")?;
        let actions = bodies.into_iter().map(|body| {
            let path = body.links.target.href.split(['?', '#']).next().unwrap_or_default();
            let target = path.rsplit('/').next().and_then(unescape).filter(|id| !id.is_empty());
            let target =
                target.ok_or_else(|| self.odd("list actions", "an action has no target"))?;
            Ok(Action { id: body.id, target, status: body.status })
        });
        actions.collect()
    }

    pub(super) fn count_actions(&mut self, query: &str) -> Result<u64, DriverError> {
        let uri = format!("/rest/v1/actions?limit=1&offset=0&q={}", escape(query));
        let page: Page<Value> = self.server.ask(&Call::new(Method::GET, uri, "count actions"))?;
        Ok(page.total)
    }

    fn tag(&mut self, name: &str) -> Result<Option<Tag>, DriverError> {
        if let Some(known) = self.tags.iter().find(|tag| tag.name == name) {
            return Ok(Some(known.clone()));
        }
        Ok(self.tags(&format!("name=={name}"))?.into_iter().find(|tag| tag.name == name))
    }

    /// Ids of the targets with a tag; none if there is no such tag.
    pub(super) fn tagged(&mut self, name: &str) -> Result<Vec<String>, DriverError> {
        let Some(tag) = self.tag(name)? else { return Ok(vec![]) };
        self.targets_of(&tag)
    }

    fn targets_of(&mut self, tag: &Tag) -> Result<Vec<String>, DriverError> {
        let path = format!("/targettags/{}/assigned", tag.id);
        let targets: Vec<Target> = self.all(&path, "", "list targets of a tag")?;
        Ok(targets.into_iter().map(|target| target.id).collect())
    }

    pub(super) fn make_tag(&mut self, name: &str) -> Result<(), DriverError> {
        let body = json!([{ "name": name, "description": "Targets of a wave of a rollout." }]);
        self.make("/targettags", name, &body, "make a tag")
    }

    pub(super) fn make_rollout(&mut self, name: &str, body: &Value) -> Result<(), DriverError> {
        self.make("/rollouts", name, body, "make a rollout")
    }

    fn make(
        &mut self,
        path: &str,
        name: &str,
        body: &Value,
        action: &str,
    ) -> Result<(), DriverError> {
        let query = escape(&format!("name=={name}"));
        let uri = format!("/rest/v1{path}?limit=1&offset=0&q={query}");
        let find = Call::new(Method::GET, uri, action);
        let make = Call::new(Method::POST, format!("/rest/v1{path}"), action).with(body);
        let is_there = |page: &Page<Value>| page.content.iter().any(|found| found["name"] == name);
        self.server.make(&find, is_there, &make, &[StatusCode::CREATED]).map(|_| ())
    }

    /// Puts targets under a tag (`PUT`), or takes them from under it (`DELETE`).
    pub(super) fn assign(
        &mut self,
        name: &str,
        method: Method,
        targets: &[String],
    ) -> Result<(), DriverError> {
        let action = "assign targets to a tag";
        let tag = self.tag(name)?.ok_or_else(|| self.odd(action, "the tag is gone"))?;
        let body = json!(targets);
        let call = Call::new(method, format!("/rest/v1/targettags/{}/assigned", tag.id), action);
        self.server.must(&call.with(&body), &[StatusCode::OK, StatusCode::NO_CONTENT]).map(|_| ())
    }

    /// A rollout once hawkBit has made it; none if that takes longer than a few looks.
    pub(super) fn settled(&mut self, name: &str) -> Result<Option<Rollout>, DriverError> {
        for _ in 0..5 {
            self.read_rollouts(&format!("name=={name}"))?;
            let found = self.rollouts.iter().find(|rollout| rollout.name == name);
            match found.filter(|rollout| rollout.status != "creating") {
                Some(found) => return Ok(Some(found.clone())),
                None => self.server.wait_a_little(),
            }
        }
        Ok(None)
    }

    /// Tells a rollout to `start`, `pause`, `resume` or `stop`, unless it is in one of the states that this leads to.
    pub(super) fn tell(&mut self, id: u64, what: &str, done: &[&str]) -> Result<(), DriverError> {
        let action = format!("{what} a rollout");
        let find = Call::new(Method::GET, format!("/rest/v1/rollouts/{id}"), &action);
        let tell = Call::new(Method::POST, format!("/rest/v1/rollouts/{id}/{what}"), &action);
        let is_done = |rollout: &Rollout| done.contains(&rollout.status.as_str());
        let expected = [StatusCode::OK, StatusCode::NO_CONTENT];
        self.server.make(&find, is_done, &tell, &expected).map(|_| ())
    }

    /// Cancels an action of a target, softly: a device that has begun ends in its own way.
    pub(super) fn cancel(&mut self, target: &str, action: &str) -> Result<(), DriverError> {
        let what = "cancel an action";
        let path = format!("/rest/v1/targets/{}/actions/{action}", escape(target));
        let find = Call::new(Method::GET, path.clone(), what);
        let cancel = Call::new(Method::DELETE, path, what);
        // An action that is over, or is being cancelled, has another type or state.
        let is_over = |found: &Value| found["status"] == "finished" || found["type"] == "cancel";
        let expected = [StatusCode::OK, StatusCode::NO_CONTENT];
        self.server.make(&find, is_over, &cancel, &expected).map(|_| ())
    }
}
