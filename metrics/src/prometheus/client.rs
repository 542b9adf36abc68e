//! Asks a Prometheus, and asks again where that may help.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::tls::TlsConfig;

use super::answer::{self, BadAnswer, Sample, short};
use super::auth::Authorization;
use super::source::Source;

/// The largest answer to a query, in bytes: 32 MiB.
pub const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// The first wait before asking again; each one is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Why a query has no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers, or the connection breaks.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It takes too long.
    #[error("no whole answer within {timeout_s} s")]
    Slow {
        /// The limit.
        timeout_s: u64,
    },
    /// The server says that it cannot.
    #[error("the server answers with status {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// What it says.
        text: String,
    },
    /// It does not know who is asking.
    #[error("the server asks who this is, or does not let whittle in (status {0})")]
    Unauthorized(u16),
    /// It sends whittle elsewhere, as to a page to log in. That is never followed: it might hand the secret on.
    #[error("the server answers with a redirect (status {status}) to `{to}`")]
    Redirected {
        /// The status.
        status: u16,
        /// Where to.
        to: String,
    },
    /// The answer is too long.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The answer does not count.
    #[error(transparent)]
    Bad(#[from] BadAnswer),
}

impl AskError {
    /// Whether it may go away by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// A connection to a Prometheus.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    authorization: Option<Authorization>,
    timeout_s: u64,
}

impl Client {
    pub(super) fn new(
        source: &Source,
        authorization: Option<Authorization>,
        trust: TlsConfig,
    ) -> Self {
        // A proxy would be named by the environment, which only the command line reads.
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(source.timeout_s)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .tls_config(trust)
            .user_agent(concat!("whittle/", env!("CARGO_PKG_VERSION")))
            .build();
        let url = format!("{}/api/v1/query", source.url.trim_end_matches('/'));
        Self { agent: config.into(), url, authorization, timeout_s: source.timeout_s }
    }

    /// Asks for a vector at a moment; asks again while `retries` are left and the trouble may pass.
    pub(super) fn ask(
        &self,
        query: &str,
        at_s: u64,
        retries: &Cell<u32>,
    ) -> Result<Vec<Sample>, AskError> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.ask_once(query, at_s) {
                Err(error) if error.is_passing() && retries.get() > 0 => {
                    retries.set(retries.get() - 1);
                    thread::sleep(wait);
                    wait *= 2;
                }
                answer => return answer.map_err(|error| self.redact(error)),
            }
        }
    }

    fn ask_once(&self, query: &str, at_s: u64) -> Result<Vec<Sample>, AskError> {
        let mut request = self.agent.post(&self.url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, &authorization.header);
        }
        let form = [("query", query), ("time", &at_s.to_string())];
        let mut response = request.send_form(form).map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if (300..400).contains(&status) {
            let to = short(header(ureq::http::header::LOCATION).unwrap_or_default());
            return Err(AskError::Redirected { status, to });
        }
        if status == 401 || status == 403 {
            return Err(AskError::Unauthorized(status));
        }
        let is_json = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("json"));
        let kind = short(header(CONTENT_TYPE).unwrap_or("nothing"));
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let body = body.map_err(|error| self.failed(error))?;
        let answer = if is_json {
            answer::parse(&body, at_s)
        } else {
            Err(BadAnswer::NotJson(format!("it says that it is {kind}")))
        };
        match answer {
            // A server in trouble says so by its status, whatever else it sends.
            Err(error) if status >= 500 || status == 429 || !is_json && status >= 400 => {
                Err(AskError::Status { status, text: error.to_string() })
            }
            answer => Ok(answer?),
        }
    }

    fn failed(&self, error: ureq::Error) -> AskError {
        match error {
            ureq::Error::Timeout(_) => AskError::Slow { timeout_s: self.timeout_s },
            ureq::Error::BodyExceedsLimit(limit) => AskError::TooLarge { limit },
            error => AskError::Unreachable(short(&error.to_string())),
        }
    }

    /// A server might send the secret back.
    fn redact(&self, error: AskError) -> AskError {
        let Some(authorization) = &self.authorization else { return error };
        let redact = |text: String| authorization.redact(&text);
        match error {
            AskError::Unreachable(text) => AskError::Unreachable(redact(text)),
            AskError::Status { status, text } => AskError::Status { status, text: redact(text) },
            AskError::Redirected { status, to } => AskError::Redirected { status, to: redact(to) },
            AskError::Bad(bad) => AskError::Bad(match bad {
                BadAnswer::NotJson(text) => BadAnswer::NotJson(redact(text)),
                BadAnswer::Refused { kind, text } => {
                    BadAnswer::Refused { kind: redact(kind), text: redact(text) }
                }
                BadAnswer::Warned(text) => BadAnswer::Warned(redact(text)),
                BadAnswer::NoNumber { labels, got } => {
                    BadAnswer::NoNumber { labels: redact(labels), got: redact(got) }
                }
                BadAnswer::SeriesTwice(text) => BadAnswer::SeriesTwice(redact(text)),
                other @ (BadAnswer::NoVector(_) | BadAnswer::OtherTime { .. }) => other,
            }),
            other => other,
        }
    }
}
