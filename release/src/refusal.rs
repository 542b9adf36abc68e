//! Why the device crate refuses something, in numbers: its errors carry none, and people want them.

use whittle_format::envelope::Envelope;
use whittle_format::{Manifest, Stage};
use whittle_patcher_nostd::{Device, DocumentError, PatchError};

use crate::image::hex;
use crate::{Culprit, Error};

/// Names the package, and what it and the device say.
pub(crate) fn of_package(
    error: PatchError,
    what: String,
    manifest: &Manifest,
    device: &Device<'_>,
) -> Error {
    let why = match error {
        PatchError::WrongProduct => {
            format!(
                "package is for the product `{}`, this is `{}`",
                manifest.product, device.product
            )
        }
        PatchError::WrongHardware => format!(
            "package is for hardware revisions {} to {}, this is {}",
            manifest.hardware.min, manifest.hardware.max, device.hardware_revision
        ),
        PatchError::CounterTooLow => format!(
            "package has security counter {}, the device already requires {}",
            manifest.security_counter, device.security_counter
        ),
        other => return Error::package(what)(other),
    };
    Error::Refused { what, why, culprit: Culprit::BadInput }
}

/// Names the stage, and what it and the accepted one say.
pub(crate) fn of_stage(
    error: DocumentError,
    what: String,
    stage: &Stage,
    accepted: &Stage,
) -> Error {
    let why = match error {
        DocumentError::StageTooLow => format!(
            "stage {} comes before stage {}, which is already accepted",
            stage.number, accepted.number
        ),
        DocumentError::ShareTooLow => format!(
            "share of {} ppm is below the {} ppm already accepted",
            stage.share.ppm(),
            accepted.share.ppm()
        ),
        source => return Error::Document { what, source },
    };
    Error::Refused { what, why, culprit: Culprit::BadInput }
}

/// Names the key of an envelope that nobody trusts; `None` if these bytes are no envelope.
pub(crate) fn of_key(what: String, envelope: &[u8]) -> Option<Error> {
    let (envelope, _) = Envelope::parse(envelope).ok()?;
    let why = format!("it is signed by the unknown key {}", hex(&envelope.key_id[..4]));
    Some(Error::Refused { what, why, culprit: Culprit::Key })
}
