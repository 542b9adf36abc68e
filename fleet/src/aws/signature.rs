//! Who asks, shown to AWS by a signature (Signature Version 4).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;

use crate::http::{Authorize, Call};
use crate::secret::Secret;
use crate::{DriverError, Surroundings};

/// Name of the service in signatures.
const SERVICE: &str = "iot";

/// Signs requests.
pub(super) struct Signer<'a> {
    region: String,
    credentials: Credentials,
    /// The access key and the session's token; the id of the key is none.
    secrets: Vec<Secret>,
    surroundings: &'a dyn Surroundings,
}

impl<'a> Signer<'a> {
    pub(super) fn new(
        region: &str,
        id: &Secret,
        key: Secret,
        token: Option<Secret>,
        surroundings: &'a dyn Surroundings,
    ) -> Self {
        let text = |secret: &Secret| secret.expose().to_owned();
        let session = token.as_ref().map(text);
        let credentials = Credentials::new(text(id), text(&key), session, None, "whittle");
        let secrets = [Some(key), token].into_iter().flatten().collect();
        Self { region: region.to_owned(), credentials, secrets, surroundings }
    }
}

impl Authorize for Signer<'_> {
    fn headers(&self, call: &Call<'_>, base: &str) -> Result<Vec<(String, String)>, DriverError> {
        // What the library says about a request that it cannot sign might quote it.
        let wrong = || DriverError::config("access-key-id", "nothing can be signed with it");
        let identity = self.credentials.clone().into();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.surroundings.now_s());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| wrong())?
            .into();
        let body = call.body.map(Value::to_string).unwrap_or_default();
        let request = SignableRequest::new(
            call.method.as_str(),
            format!("{base}{}", call.path),
            std::iter::empty(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let signed = sign(request.map_err(|_| wrong())?, &parameters).map_err(|_| wrong())?;
        let (instructions, _) = signed.into_parts();
        let headers = instructions.headers();
        Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// AWS throttles with the status of a bad request; the name tells them apart.
    fn is_passing(&self, kind: &str) -> bool {
        ["ThrottlingException", "RequestTimeout", "TooManyRequestsException"]
            .iter()
            .any(|name| kind.starts_with(name))
    }
}
