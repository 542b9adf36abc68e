//! Talking to a server: JSON over HTTP, with retries, and nothing of a secret in what is said about it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response, StatusCode};

use crate::Surroundings;
use crate::error::DriverError;
use crate::pages::Pages;
use crate::retry::{Failure, Retry, RetryConfig};
use crate::secret::{Secret, without};

/// Largest answer in bytes; pages of lists are far below.
const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// How many characters of a server's words an error quotes.
const MAX_QUOTED: usize = 200;

/// What a request says besides its method, path and body; made anew for each try, since a signature ages.
pub(crate) trait Authorize {
    /// Headers that show who asks.
    fn headers(&self, request: &Call<'_>, base: &str)
    -> Result<Vec<(String, String)>, DriverError>;
    /// What must not be shown to anybody else.
    fn secrets(&self) -> &[Secret];
    /// Whether an error of this name passes, though its status says that it does not.
    fn is_passing(&self, kind: &str) -> bool {
        let _ = kind;
        false
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// From the first slash on, with the query; encoded.
    pub(crate) path: String,
    pub(crate) body: Option<&'a Value>,
    /// What it does, for errors: `start the rollout`.
    pub(crate) action: &'a str,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: String, action: &'a str) -> Self {
        Self { method, path, body: None, action }
    }

    pub(crate) fn with(self, body: &'a Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// An answer that was no failure of the server's or of the way to it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    bytes: Vec<u8>,
}

/// A server.
pub(crate) struct Server<'a> {
    name: &'static str,
    base: String,
    agent: Agent,
    authorize: Box<dyn Authorize + 'a>,
    retry: Retry<'a>,
}

impl<'a> Server<'a> {
    /// # Errors
    /// [`DriverError::Config`] if the address is none, or has a password in it.
    pub(crate) fn new(
        name: &'static str,
        url: &str,
        retry: &RetryConfig,
        authorize: Box<dyn Authorize + 'a>,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, DriverError> {
        retry.check()?;
        let base = check_url(url)?;
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(retry.timeout_ms)))
            .http_status_as_error(false)
            // Whoever redirects must not get the credentials.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("whittle/", env!("CARGO_PKG_VERSION")))
            .build();
        let retry = Retry::new(retry.clone(), surroundings);
        Ok(Self { name, base, agent: agent.into(), authorize, retry })
    }

    /// Asks for something that may be asked for twice, and reads the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, call: &Call<'_>) -> Result<T, DriverError> {
        let answer = self.must(call, &[StatusCode::OK])?;
        self.read(call, &answer)
    }

    /// The same of one of the pages of a list.
    pub(crate) fn ask_page<T: DeserializeOwned>(
        &mut self,
        call: &Call<'_>,
        pages: &mut Pages,
    ) -> Result<T, DriverError> {
        let answer = self.must(call, &[StatusCode::OK])?;
        pages.count(&answer.bytes).map_err(|why| self.odd(call.action, why))?;
        self.read(call, &answer)
    }

    /// The same; none if the server knows no such thing.
    pub(crate) fn find<T: DeserializeOwned>(
        &mut self,
        call: &Call<'_>,
    ) -> Result<Option<T>, DriverError> {
        let answer = self.must(call, &[StatusCode::OK, StatusCode::NOT_FOUND])?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.read(call, &answer).map(Some)
    }

    /// Does something that does no harm if it is done twice. Answers with another status than these are errors.
    pub(crate) fn must(
        &mut self,
        call: &Call<'_>,
        expected: &[StatusCode],
    ) -> Result<Answer, DriverError> {
        let Self { name, base, agent, authorize, retry } = self;
        retry.run(name, call.action, || once(name, base, agent, &**authorize, call, expected))
    }

    /// Makes something, unless it is found to be there: before each try, since one that seemed to fail may have worked.
    ///
    /// `find` tells whether it is there; the answer is what `expected` and whoever reads the state back make of it.
    pub(crate) fn make<T: DeserializeOwned>(
        &mut self,
        find: &Call<'_>,
        is_there: impl Fn(&T) -> bool,
        make: &Call<'_>,
        expected: &[StatusCode],
    ) -> Result<Made, DriverError> {
        let Self { name, base, agent, authorize, retry } = self;
        retry.run(name, make.action, || {
            let looked = [StatusCode::OK, StatusCode::NOT_FOUND];
            let answer = once(name, base, agent, &**authorize, find, &looked)?;
            if answer.status == StatusCode::OK {
                let found: T = parse(name, find, &answer.bytes, authorize.secrets())?;
                if is_there(&found) {
                    return Ok(Made::Already);
                }
            }
            once(name, base, agent, &**authorize, make, expected).map(|_| Made::Now)
        })
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        answer: &Answer,
    ) -> Result<T, DriverError> {
        parse(self.name, call, &answer.bytes, self.authorize.secrets())
    }

    /// Waits as long as before a second try: for a server that needs a moment for what it was told.
    pub(crate) fn wait_a_little(&mut self) {
        self.retry.wait_once();
    }

    /// An error about an answer that can be read but says what cannot be.
    pub(crate) fn odd(&self, action: &str, why: impl Into<String>) -> DriverError {
        let why = without(&why.into(), self.authorize.secrets());
        DriverError::Answer { server: self.name, action: action.to_owned(), why }
    }
}

/// Whether something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Now,
    Already,
}

/// The address without a slash at its end.
fn check_url(url: &str) -> Result<String, DriverError> {
    let wrong = |why: &str| Err(DriverError::config("url", why));
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("wanted an address such as `https://updates.example.com`");
    };
    let host = rest.split('/').next().unwrap_or_default();
    match scheme {
        // It is not repeated: there may be a password in it.
        _ if host.contains('@') => wrong("credentials do not belong into an address"),
        "http" if !is_local(host) => {
            wrong("`http` would show credentials to everybody; wanted `https`")
        }
        "http" | "https" if !host.is_empty() && !rest.contains(['?', '#', ' ']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => wrong("wanted an address such as `https://updates.example.com`"),
    }
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn once(
    server: &'static str,
    base: &str,
    agent: &Agent,
    authorize: &dyn Authorize,
    call: &Call<'_>,
    expected: &[StatusCode],
) -> Result<Answer, Failure> {
    let secrets = authorize.secrets();
    let passing = |why: String| Failure::Passing { why: without(&why, secrets), wait: None };
    let mut request =
        Request::builder().method(call.method.clone()).uri(format!("{base}{}", call.path));
    for (name, value) in authorize.headers(call, base)? {
        request = request.header(name, value);
    }
    let body = call.body.map(Value::to_string);
    let bad = |_| DriverError::config("url", "it makes no request");
    let sent = match body {
        None => agent.run(request.body(()).map_err(bad)?),
        Some(body) => {
            let request = request.header("content-type", "application/json").body(body);
            agent.run(request.map_err(bad)?)
        }
    };
    let mut response = sent.map_err(|error| passing(error.to_string()))?;
    let status = response.status();
    let wait = retry_after(&response);
    let kind = response.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    let bytes = body.read_to_vec().map_err(|error| passing(error.to_string()))?;
    if expected.contains(&status) {
        return Ok(Answer { status, bytes });
    }
    let why = words(&bytes, secrets);
    let passes = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    if passes || authorize.is_passing(&kind) {
        return Err(Failure::Passing { why: format!("{}: {why}", status.as_u16()), wait });
    }
    let (status, action) = (status.as_u16(), call.action.to_owned());
    Err(Failure::Final(match status {
        401 | 403 => DriverError::Credentials { server, status, why },
        _ => DriverError::Refused { server, action, status, why },
    }))
}

/// How long the server wants to be left alone, if it says so in seconds.
///
/// The other form, a date, would need the server's clock to be ours: it counts as an unknown time, and the own wait holds.
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn parse<T: DeserializeOwned>(
    server: &'static str,
    call: &Call<'_>,
    bytes: &[u8],
    secrets: &[Secret],
) -> Result<T, DriverError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let why = format!("{error}; it begins with: {}", words(bytes, secrets));
        DriverError::Answer { server, action: call.action.to_owned(), why: without(&why, secrets) }
    })
}

/// What an answer says, short and on one line: its message if it has one, or its first words.
fn words(bytes: &[u8], secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    let fields = ["message", "Message", "error"];
    let message = json.as_ref().and_then(|json| fields.iter().find_map(|name| json[name].as_str()));
    // Before it is cut: half a secret is one, too.
    let text = without(message.unwrap_or(&text), secrets);
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = plain.chars().filter(|c| !c.is_control()).collect();
    match plain.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None if plain.is_empty() => "nothing".to_owned(),
        None => plain,
    }
}

/// A text as a part of a path or query (RFC 3986: all but unreserved characters are escaped).
pub(crate) fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// The text that [`escape`] or a server has escaped; none if it is not well-formed.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = vec![];
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        plain.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_passwords_and_are_not_overheard() {
        for good in [
            "https://a.example",
            "https://a.example:8443/hawkbit/",
            "http://127.0.0.1:80",
            "http://localhost",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "a.example",
            "https://",
            "http://a.example",
            "https://u:hunter2@a.example",
            "ftp://a",
            "https://a/?q=1",
        ] {
            let error = check_url(bad).expect_err(bad).to_string();
            assert!(error.starts_with("url: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn words_are_short_and_tell_no_secret() {
        let secrets = [Secret::new("hunter2".to_owned())];
        let json = br#"{"message": "no\n such hunter2 thing", "parameters": []}"#;
        assert_eq!(words(json, &secrets), "no such [secret] thing");
        assert_eq!(words(b"", &secrets), "nothing");
        let page = format!("<html>{}", "x".repeat(1000));
        assert_eq!(words(page.as_bytes(), &secrets).chars().count(), MAX_QUOTED + 1);
        // The secret would be cut in two.
        let late = format!("{}hunter2", "x".repeat(MAX_QUOTED - 3));
        assert!(!words(late.as_bytes(), &secrets).contains("hun"));
    }

    #[test]
    fn escaped_texts_come_back() {
        for text in ["", "plain-text_1.~", "a b/c?d=e&f%", "ä€", "id==\"x\""] {
            assert_eq!(unescape(&escape(text)).as_deref(), Some(text));
        }
        assert_eq!(escape("a b/c"), "a%20b%2Fc");
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(unescape(broken), None, "{broken}");
        }
    }
}
