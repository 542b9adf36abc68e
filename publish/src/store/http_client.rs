//! The HTTP client behind `object_store`: ureq, as everywhere here, on threads of the runtime that may block.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind,
    HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use ureq::Agent;
use ureq::http::Request;

/// How long a request may take, with everything that is sent and received.
const TIMEOUT: Duration = Duration::from_secs(900);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer in bytes: an object of the largest package, and to spare.
const MAX_ANSWER_BYTES: u64 = 2 << 30;

/// What a request says about its answer: of an object, no more bytes than these are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxAnswer(pub(super) u64);

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .https_only(allow_http.as_deref() != Some("true"))
            .http_status_as_error(false)
            // Whoever redirects must not get the credentials.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("whittle/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(HttpClient::new(Client(agent.into())))
    }
}

#[derive(Debug)]
struct Client(Agent);

impl HttpService for Client {
    // What `async_trait` makes of an async function.
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let agent = self.0.clone();
        Box::pin(async move {
            let joined = tokio::task::spawn_blocking(move || send(&agent, request)).await;
            joined.unwrap_or_else(|error| Err(HttpError::new(HttpErrorKind::Unknown, error)))
        })
    }
}

fn send(agent: &Agent, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let body = collect(body)?;
    let max_object = parts.extensions.get().map_or(MAX_ANSWER_BYTES, |MaxAnswer(bytes)| *bytes);
    let wants_body = matches!(parts.method.as_str(), "POST" | "PUT" | "PATCH");
    let sent = if body.is_empty() && !wants_body {
        agent.run(Request::from_parts(parts, ()))
    } else {
        agent.run(Request::from_parts(parts, body))
    };
    let (parts, body) = sent.map_err(failure)?.into_parts();
    let mut bytes = Vec::new();
    // What is no object tells why not.
    let max = if parts.status.is_success() { max_object } else { MAX_ANSWER_BYTES };
    let reader = body.into_with_config().limit(MAX_ANSWER_BYTES).reader();
    let read = reader.take(max).read_to_end(&mut bytes);
    read.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
    Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(bytes)))
}

/// A body is in memory, so nothing is waited for.
fn collect(body: HttpRequestBody) -> Result<Vec<u8>, HttpError> {
    let collected = HttpResponseBody::new(body).bytes().now_or_never();
    let waits = || std::io::Error::other("the body is not in memory");
    let bytes = collected.ok_or_else(|| HttpError::new(HttpErrorKind::Unknown, waits()))??;
    Ok(bytes.to_vec())
}

fn failure(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            HttpErrorKind::Connect
        }
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) | ureq::Error::Protocol(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
