//! Stages of a rollout: signing them, and reading what was signed.

use std::path::Path;

use whittle_format::limits::MAX_STAGE_ENVELOPE_BYTES;
use whittle_format::{Seed, Stage, stage};
use whittle_patcher_nostd::follows;
pub use whittle_patcher_nostd::{Draw, Gate, VerifiedStage, place};

use crate::keys::{Keyring, Signer};
use crate::{Error, Result, SignedEnvelope, files, refusal};

/// Makes the seed of a new rollout from the operating system's random numbers.
///
/// # Errors
/// [`Error::NoRandomness`].
pub fn new_seed() -> Result<Seed> {
    let mut seed = Seed::default();
    getrandom::fill(&mut seed).map_err(Error::NoRandomness)?;
    Ok(seed)
}

/// Signs a stage.
///
/// # Errors
/// What the signer returns.
pub fn sign(stage: &Stage, signer: &dyn Signer) -> Result<SignedEnvelope> {
    let mut payload = vec![0; stage::MAX_LEN];
    let len = stage.emit(&mut payload).map_err(Error::format("the stage to be signed"))?;
    payload.truncate(len);
    SignedEnvelope::sign(&payload, signer)
}

/// Reads a signed stage and checks that a trusted key signed it.
///
/// # Errors
/// [`Error::Io`], [`Error::FileTooLarge`], [`Error::Document`], or [`Error::Refused`] for a key that is not trusted.
pub fn read(path: &Path, keys: &Keyring) -> Result<VerifiedStage> {
    let bytes = files::read_document(path, MAX_STAGE_ENVELOPE_BYTES)?;
    VerifiedStage::authenticate(&bytes, keys).map_err(Error::document(path, &bytes))
}

/// Checks that devices which hold one stage would accept the other; `what` names the new one in errors.
///
/// # Errors
/// [`Error::Refused`] or [`Error::Document`].
pub fn check_follows(what: &Path, stage: &Stage, accepted: &Stage) -> Result<()> {
    let what = || format!("`{}`", what.display());
    follows(stage, accepted).map_err(|error| refusal::of_stage(error, what(), stage, accepted))
}
