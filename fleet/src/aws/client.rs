//! Requests to AWS IoT.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{Method, StatusCode};

use crate::aws::signature::Signer;
use crate::http::{Call, Server, escape};
use crate::pages::Pages;
use crate::{DriverError, RetryConfig, Surroundings};

/// Entries of a page; the most that each list gives.
const PAGE: u32 = 250;

/// A job as AWS tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) status: String,
    #[serde(rename = "reasonCode", default)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DescribeJob {
    job: Job,
}

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(rename = "thingGroupArn")]
    arn: String,
}

/// A thing with its attributes.
#[derive(Debug, Deserialize)]
pub(super) struct Thing {
    #[serde(rename = "thingName")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

/// What a thing does for a job.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) thing: String,
    pub(super) status: String,
    pub(super) number: u64,
}

#[derive(Debug, Deserialize)]
struct ExecutionBody {
    #[serde(rename = "thingArn")]
    arn: String,
    #[serde(rename = "jobExecutionSummary")]
    summary: Summary,
}

#[derive(Debug, Deserialize)]
struct Summary {
    status: String,
    #[serde(rename = "executionNumber", default)]
    number: u64,
}

/// AWS IoT.
pub(super) struct Client<'a> {
    server: Server<'a>,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        url: &str,
        retry: &RetryConfig,
        signer: Signer<'a>,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        let server = Server::new("AWS IoT", url, retry, Box::new(signer), surroundings)?;
        Ok(Self { server })
    }

    pub(super) fn odd(&self, action: &str, why: impl Into<String>) -> DriverError {
        self.server.odd(action, why)
    }

    /// All entries of a list, page by page.
    fn all<T: DeserializeOwned>(
        &mut self,
        path: &str,
        field: &str,
        action: &str,
    ) -> Result<Vec<T>, DriverError> {
        let (mut all, mut pages) = (vec![], Pages::default());
        let mut token: Option<String> = None;
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut uri = format!("{path}{separator}maxResults={PAGE}");
            if let Some(token) = &token {
                uri = format!("{uri}&nextToken={}", escape(token));
            }
            let call = Call::new(Method::GET, uri, action);
            let mut page: Value = self.server.ask_page(&call, &mut pages)?;
            let entries: Result<Vec<T>, _> = serde_json::from_value(page[field].take());
            let odd = |error| self.server.odd(action, format!("`{field}`: {error}"));
            all.extend(entries.map_err(odd)?);
            let next = page["nextToken"].as_str().filter(|next| !next.is_empty());
            match next.map(str::to_owned) {
                None => return Ok(all),
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(self.odd(action, "a page leads to itself"));
                }
                next => token = next,
            }
        }
    }

    /// Things with an attribute and of a type, if any are asked for.
    pub(super) fn things(
        &mut self,
        attribute: Option<(&String, &String)>,
        kind: Option<&str>,
        action: &str,
    ) -> Result<Vec<Thing>, DriverError> {
        let attribute = attribute.map(|(name, value)| {
            format!("attributeName={}&attributeValue={}", escape(name), escape(value))
        });
        let kind = kind.map(|kind| format!("thingTypeName={}", escape(kind)));
        let query: Vec<_> = attribute.into_iter().chain(kind).collect();
        self.all(&format!("/things?{}", query.join("&")), "things", action)
    }

    /// The name by which jobs know a group; none if there is no such group.
    pub(super) fn group(&mut self, name: &str) -> Result<Option<String>, DriverError> {
        let call = Call::new(Method::GET, group_path(name), "describe a thing group");
        let found: Option<Group> = self.server.find(&call)?;
        Ok(found.map(|group| group.arn))
    }

    pub(super) fn make_group(&mut self, name: &str) -> Result<(), DriverError> {
        let action = "make a thing group";
        let description = "Things of a wave of a rollout.";
        let body = json!({ "thingGroupProperties": { "thingGroupDescription": description } });
        let find = Call::new(Method::GET, group_path(name), action);
        let make = Call::new(Method::POST, group_path(name), action).with(&body);
        self.server.make(&find, |_: &Group| true, &make, &[StatusCode::OK]).map(|_| ())
    }

    pub(super) fn delete_group(&mut self, name: &str) -> Result<(), DriverError> {
        let call = Call::new(Method::DELETE, group_path(name), "delete a thing group");
        self.server.must(&call, &[StatusCode::OK, StatusCode::NOT_FOUND]).map(|_| ())
    }

    /// Names of the things of a group; none if there is no such group.
    pub(super) fn members(&mut self, group: &str) -> Result<Vec<String>, DriverError> {
        if self.group(group)?.is_none() {
            return Ok(vec![]);
        }
        self.all(&format!("{}/things", group_path(group)), "things", "list the things of a group")
    }

    /// Puts a thing into a group; it may be in it.
    pub(super) fn join(&mut self, group: &str, thing: &str) -> Result<(), DriverError> {
        self.membership(
            "/thing-groups/addThingToThingGroup",
            group,
            thing,
            "add a thing to a group",
        )
    }

    /// Takes a thing out of a group; it need not be in it.
    pub(super) fn leave(&mut self, group: &str, thing: &str) -> Result<(), DriverError> {
        let path = "/thing-groups/removeThingFromThingGroup";
        self.membership(path, group, thing, "remove a thing from a group")
    }

    fn membership(
        &mut self,
        path: &str,
        group: &str,
        thing: &str,
        action: &str,
    ) -> Result<(), DriverError> {
        let body = json!({ "thingGroupName": group, "thingName": thing });
        let call = Call::new(Method::PUT, path.to_owned(), action).with(&body);
        self.server.must(&call, &[StatusCode::OK]).map(|_| ())
    }

    /// A job; none if there is no such job.
    pub(super) fn job(&mut self, id: &str) -> Result<Option<Job>, DriverError> {
        let call = Call::new(Method::GET, job_path(id), "describe a job");
        let found: Option<DescribeJob> = self.server.find(&call)?;
        Ok(found.map(|found| found.job))
    }

    pub(super) fn make_job(&mut self, id: &str, body: &Value) -> Result<(), DriverError> {
        let action = "make a job";
        let find = Call::new(Method::GET, job_path(id), action);
        let make = Call::new(Method::PUT, job_path(id), action).with(body);
        self.server.make(&find, |_: &DescribeJob| true, &make, &[StatusCode::OK]).map(|_| ())
    }

    /// Cancels a job, unless it has ended.
    pub(super) fn cancel(&mut self, id: &str, reason: &str) -> Result<(), DriverError> {
        let action = "cancel a job";
        let body = json!({ "reasonCode": reason, "comment": "Paused or stopped by whittle." });
        let find = Call::new(Method::GET, job_path(id), action);
        let cancel = Call::new(Method::PUT, format!("{}/cancel", job_path(id)), action).with(&body);
        let has_ended = |found: &DescribeJob| {
            !["IN_PROGRESS", "SCHEDULED"].contains(&found.job.status.as_str())
        };
        self.server.make(&find, has_ended, &cancel, &[StatusCode::OK]).map(|_| ())
    }

    pub(super) fn executions(&mut self, job: &str) -> Result<Vec<Execution>, DriverError> {
        let action = "list the executions of a job";
        let path = format!("{}/things", job_path(job));
        let bodies: Vec<ExecutionBody> = self.all(&path, "executionSummaries", action)?;
        let executions = bodies.into_iter().map(|body| {
            let thing = body.arn.split_once(":thing/").map(|(_, name)| name.to_owned());
            let odd = || self.odd(action, "an execution names no thing");
            let Summary { status, number } = body.summary;
            Ok(Execution { thing: thing.ok_or_else(odd)?, status, number })
        });
        executions.collect()
    }

    /// Cancels what a thing does for a job, unless it has begun or ended.
    pub(super) fn cancel_execution(&mut self, job: &str, thing: &str) -> Result<(), DriverError> {
        let action = "cancel a job execution";
        let path = format!("/things/{}/jobs/{}/cancel", escape(thing), escape(job));
        let body = json!({});
        let call = Call::new(Method::PUT, path, action).with(&body);
        // Not found: AWS has not got round to it, and the next look will find it. Conflict: it has begun, or has ended.
        let expected = [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::CONFLICT];
        self.server.must(&call, &expected).map(|_| ())
    }
}

fn group_path(name: &str) -> String {
    format!("/thing-groups/{}", escape(name))
}

fn job_path(id: &str) -> String {
    format!("/jobs/{}", escape(id))
}
