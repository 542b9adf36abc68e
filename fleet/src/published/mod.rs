//! Driving a fleet without a server: signed documents beside the release, which devices check themselves.
//!
//! | file | what | who reads it |
//! |---|---|---|
//! | `stage.bin` | a signed [`Stage`]: release, seed and share of the rollout | `VerifiedStage` on the device |
//! | `flags.bin` | signed flags: the product's own ones, those that the rollout orders, and its [`Gate`] | `VerifiedFlags` on the device |
//! | `way-back-stage.bin` | a signed stage of the release that takes devices back, once any are | `VerifiedStage` on the device |
//!
//! A stage never falls, so it says how far the rollout has ever come; the gate says who may go on *now*: it closes for a pause, for
//! groups that are closed or taken back, and narrows a share after a slow resume or for a ring. A device takes a target if
//! [`VerifiedStage::admits`](whittle_patcher_nostd::VerifiedStage::admits) says so. If the way back is the other slot, the flag
//! [`go_back_flag`] is on for whoever shall return to it.
//!
//! Flags know a device's region, which is the attribute that [`PublishedConfig::region`] names, and its groups. To each other
//! attribute belongs a group, its name and value with a dot between them: a device with `hw=C` is in the group `hw.C`. A cell of
//! several such groups cannot be closed alone, so the smallest of them is closed as a whole, and the report says so.
//!
//! A directory belongs to one rollout until that is over: [`OWNER_FILE`] says to which, for drivers alone.
//!
//! What cannot be read is left alone, and nothing goes on, but it keeps no gate open: if anything is to be closed, the gate is shut for
//! everybody with what can be made anew, and the report says so. The product's own flags are then those that are published, and the
//! version follows on that of the copy of the last flags, [`COPY_FILE`], which is written before each of them.
//!
//! Flags are written before stages, each in one step: a device that reads in between finds a gate without its stage, which admits
//! nobody.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use whittle_format::{Label, Seed, Share, Stage, shorten};
use whittle_patcher_nostd::Gate;
use whittle_release::image::from_hex;
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{Sha256Digest, SignedEnvelope, files, stage};
use whittle_rollout::{Orders, WayBack};

use self::owner::Owner;
use crate::driver::{ChangeKind, Driver, Report};
use crate::{Campaign, DriverError};

mod document;
mod flags;
mod owner;
mod reach;

pub use flags::{MORE_TELEMETRY, go_back_flag};
pub use owner::OWNER_FILE;

/// File name of the stage.
pub const STAGE_FILE: &str = "stage.bin";

/// File name of the flags.
pub const FLAGS_FILE: &str = "flags.bin";

/// File name of the stage of the release that takes devices back.
pub const WAY_BACK_FILE: &str = "way-back-stage.bin";

/// File name of the copy of the last flags, for drivers alone.
pub const COPY_FILE: &str = ".flags.last";

const LOCK_FILE: &str = ".rollout.lock";

/// Where and as what documents are published.
///
/// # Example
///
/// ```
/// let config: whittle_fleet::DriverConfig = toml::from_str(r#"
///     kind = "published"
///     directory = "public/thermostat"
///     product = "thermostat"
///     key = "keys/release.key.pem"
///     flags = "flags.json"
///     region = "region"
///
///     [way-back]
///     version = "2.4.0-back"
///     sha256 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
/// "#).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PublishedConfig {
    /// The directory that devices see; it exists.
    pub directory: PathBuf,
    /// Name of the product: devices of others refuse the documents.
    pub product: String,
    /// The private key, in PKCS#8 PEM; in a file, since an environment variable holds one line.
    pub key: PathBuf,
    /// The product's own flags, as JSON; none if it has none.
    #[serde(default)]
    pub flags: Option<PathBuf>,
    /// The attribute that devices know as their region; none if there is none.
    #[serde(default)]
    pub region: Option<String>,
    /// The release that takes devices back, if the way back is one.
    #[serde(default)]
    pub way_back: Option<WayBackRelease>,
}

impl PublishedConfig {
    /// All paths in it.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        [&mut self.directory, &mut self.key].into_iter().chain(&mut self.flags).collect()
    }
}

/// The release that takes devices back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WayBackRelease {
    /// Its version.
    pub version: String,
    /// SHA-256 of its image, in hexadecimal.
    pub sha256: String,
}

/// Publishes what is ordered as signed documents.
pub struct Published {
    config: PublishedConfig,
    product: Label,
    way_back: Option<(Label, Sha256Digest)>,
    key: PrivateKey,
}

impl Published {
    /// Checks a configuration and reads the key.
    ///
    /// # Errors
    /// [`DriverError::Config`] or [`DriverError::Document`].
    pub(crate) fn open(config: PublishedConfig) -> Result<Self, DriverError> {
        let product = label("product", &config.product)?;
        let way_back = config.way_back.as_ref();
        let way_back = way_back.map(|release| {
            let version = label("way-back.version", &release.version)?;
            Ok::<_, DriverError>((version, digest("way-back.sha256", &release.sha256)?))
        });
        let way_back = way_back.transpose()?;
        let key = PrivateKey::read(&config.key).map_err(DriverError::Document)?;
        Ok(Self { config, product, way_back, key })
    }

    fn names(&self) -> flags::Names<'_> {
        flags::Names { region: self.config.region.as_deref() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.config.directory.join(file)
    }

    /// Keeps two drivers from publishing at the same time; until it is dropped.
    fn lock(&self) -> Result<File, DriverError> {
        let path = self.path(LOCK_FILE);
        files::lock_file(&path).map_err(|source| DriverError::Io { action: "lock", path, source })
    }

    /// The rollout that had the directory so far, which must leave room for this one.
    fn owner(&self, campaign: &Campaign) -> Result<Option<Owner>, DriverError> {
        let owner = Owner::read(&self.config.directory)?;
        if let Some(owner) = &owner {
            owner.must_leave_room(campaign, &self.config.directory)?;
        }
        Ok(owner)
    }

    /// The stage that is published in a file; none if there is none.
    fn published(&self, file: &str) -> Result<Option<Stage>, DriverError> {
        let path = self.path(file);
        if !exists(&path)? {
            return Ok(None);
        }
        let stage = stage::read(&path, &Keyring::of(&self.key)).map_err(DriverError::Document)?;
        if stage.product != self.product {
            let (got, wanted) = (stage.product.to_string(), self.product.to_string());
            let [got, wanted] = [got, wanted].map(|product| format!("of product `{product}`"));
            return Err(DriverError::OtherDocument { path, got, wanted });
        }
        Ok(Some(*stage))
    }

    /// Publishes a stage unless it is there already. A share that fell is none of a stage: the gate narrows it.
    fn publish_stage(
        &self,
        file: &str,
        (version, target, seed): (Label, Sha256Digest, Seed),
        wanted: Share,
        report: &mut Report,
    ) -> Result<(), DriverError> {
        let before = self.published(file)?;
        let same = before.filter(|stage| stage.seed == seed);
        let next = Stage {
            product: self.product,
            target_version: version,
            target_digest: shorten(&target.0),
            seed,
            number: same.map_or(1, |stage| stage.number),
            share: same.map_or(wanted, |stage| stage.share.max(wanted)),
        };
        if same == Some(next) {
            report.already.push(file.to_owned());
            return Ok(());
        }
        let number = same.map_or(Some(1), |stage| stage.number.checked_add(1));
        let number =
            number.ok_or_else(|| DriverError::config("stage", "its numbers are used up"))?;
        let next = Stage { number, ..next };
        let path = self.path(file);
        if let Some(before) = &same {
            stage::check_follows(&path, &next, before).map_err(DriverError::Document)?;
        }
        let signed = stage::sign(&next, &self.key).map_err(DriverError::Document)?;
        self.write(file, &signed, report)
    }

    fn write(
        &self,
        file: &str,
        signed: &SignedEnvelope,
        report: &mut Report,
    ) -> Result<(), DriverError> {
        signed.write(&self.path(file)).map_err(DriverError::Document)?;
        files::sync_directory(&self.config.directory).map_err(DriverError::Document)?;
        report.change(ChangeKind::Published, file, None);
        Ok(())
    }

    /// The share that the stage says: that of anybody, or, where a plan has rings, all that is not held back, so that the gate can give
    /// each ring another part of it.
    fn stage_share(reach: &reach::Reach, campaign: &Campaign) -> Share {
        let has_rings = campaign.rings.iter().any(|ring| ring.among.is_some());
        let part = if has_rings { reach.most } else { reach.greatest() };
        crate::campaign::share(part)
    }
}

impl Driver for Published {
    fn check(&self, campaign: &Campaign) -> Result<(), DriverError> {
        label("version", &campaign.version)?;
        digest("build", &campaign.build)?;
        self.names().check(campaign)?;
        let _lock = self.lock()?;
        self.owner(campaign).map(drop)
    }

    fn apply(&mut self, orders: &Orders, campaign: &Campaign) -> Result<Report, DriverError> {
        let _lock = self.lock()?;
        let (owned, owner) = (self.owner(campaign)?, Owner::of(campaign, orders));
        if !owned.as_ref().is_some_and(|owned| owned.is_same(&owner)) {
            owner.begun().write(&self.config.directory)?;
        }
        let version = label("version", &campaign.version)?;
        let target = digest("build", &campaign.build)?;
        let mut report = Report::default();

        let reach = reach::Reach::of(orders, campaign);
        let wanted = Self::stage_share(&reach, campaign);
        let share = match self.published(STAGE_FILE) {
            Ok(before) => {
                let before = before.filter(|stage| stage.seed == campaign.seed());
                Some(before.map_or(wanted, |stage| stage.share.max(wanted)))
            }
            Err(error) => {
                pass_over(&self.path(STAGE_FILE), error, orders, &mut report)?;
                None
            }
        };
        self.publish_flags(orders, campaign, (&reach, share), &mut report)?;
        if share.is_some() {
            let what = (version, target, campaign.seed());
            self.publish_stage(STAGE_FILE, what, wanted, &mut report)?;
        }
        match (&orders.way_back, self.way_back) {
            (Some(WayBack::Release { .. }), Some((version, target))) => {
                let what = (version, target, campaign.seed_back());
                self.publish_stage(WAY_BACK_FILE, what, Share::ALL, &mut report)?;
            }
            (Some(WayBack::Release { name, .. }), None) => {
                let missing =
                    format!("`way-back` is not configured: nothing takes devices to `{name}`");
                report.shortfalls.push(missing);
            }
            (Some(WayBack::None), _) => {
                report.shortfalls.push("there is no way back for devices".to_owned());
            }
            (Some(WayBack::OtherSlot) | None, _) => {}
        }
        // Last of all: until the documents say so, it is not over for devices.
        if owned.as_ref() != Some(&owner) {
            owner.write(&self.config.directory)?;
        }
        Ok(report)
    }
}

impl Published {
    fn publish_flags(
        &self,
        orders: &Orders,
        campaign: &Campaign,
        (reach, share): (&reach::Reach, Option<Share>),
        report: &mut Report,
    ) -> Result<(), DriverError> {
        let gate = Gate::of(&campaign.seed());
        let Sources { mut document, before, are_whole } =
            self.sources(gate.name(), orders, report)?;
        let reach = (reach, share.filter(|_| are_whole));
        let names = self.names();
        let closed = flags::closures(orders, campaign, &names);
        report.shortfalls.extend(closed.shortfalls.iter().cloned());
        let shortfalls = &mut report.shortfalls;
        let open = flags::gate(gate.name(), orders, reach, &closed, &names, shortfalls);
        let own = &document.own;
        document.flags =
            flags::besides_gate(own, gate.name(), orders, campaign, &names, shortfalls);
        let signed = match document.follow(before.as_ref(), &open, &self.key) {
            Err(why) => {
                report.shortfalls.push(format!("{why}: the rollout is shut for all devices"));
                let shut = flags::shut_gate(gate.name());
                match document.follow(before.as_ref(), &shut, &self.key) {
                    Err(_) => {
                        let text = "flags that were ordered are left out, too".to_owned();
                        report.shortfalls.push(text);
                        document.flags = document.own.clone();
                        document.follow(before.as_ref(), &shut, &self.key)
                    }
                    signed => signed,
                }
            }
            signed => signed,
        };
        match signed.map_err(DriverError::Document)? {
            Some(signed) => {
                // A copy that cannot be written keeps no gate open.
                let copied = signed.write(&self.path(COPY_FILE)).map_err(DriverError::Document);
                self.write(FLAGS_FILE, &signed, report).and(copied)
            }
            None => {
                report.already.push(FLAGS_FILE.to_owned());
                Ok(())
            }
        }
    }

    /// The product's own flags and those that are published; what cannot be read is made up for where something is to be closed.
    fn sources(
        &self,
        gate: &str,
        orders: &Orders,
        report: &mut Report,
    ) -> Result<Sources, DriverError> {
        let path = self.path(FLAGS_FILE);
        let read = |path: &Path| document::Published::read(path, &self.key, self.product);
        let (before, is_gone) = match read(&path) {
            Ok(before) => (before, false),
            Err(error) => {
                pass_over(&path, error, orders, report)?;
                (read(&self.path(COPY_FILE)).ok().flatten(), true)
            }
        };
        let own = self.config.flags.as_deref();
        let (document, is_read) = match (document::Source::read(own, self.product), &before, own) {
            (Ok(document), ..) => (document, true),
            (Err(error), Some(before), Some(own)) => {
                pass_over(own, error, orders, report)?;
                (document::Source::of_published(before, gate), false)
            }
            (Err(error), ..) => return Err(error),
        };
        if is_gone && before.is_none() {
            let text = "no copy of the last flags is there, and devices refuse older ones: raise `version` in the product's own flags";
            report.shortfalls.push(text.to_owned());
        }
        let before = if is_gone { before.map(document::Published::gone) } else { before };
        Ok(Sources { document, before, are_whole: is_read && !is_gone })
    }
}

/// What flags are made of.
struct Sources {
    document: document::Source,
    before: Option<document::Published>,
    /// Whether all of it could be read.
    are_whole: bool,
}

/// Goes on without a file that cannot be read, if something is to be closed: the gate is shut for everybody then.
///
/// # Errors
/// The error itself if nothing is, or if the file is somebody else's.
fn pass_over(
    path: &Path,
    error: DriverError,
    orders: &Orders,
    report: &mut Report,
) -> Result<(), DriverError> {
    use std::error::Error as _;
    let closes = orders.closed.is_some() || !orders.closed_cells.is_empty();
    let is_unreadable = matches!(&error, DriverError::Document(_) | DriverError::Io { .. });
    if !closes || !is_unreadable {
        return Err(error);
    }
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let shown = path.display();
    report
        .shortfalls
        .push(format!("`{shown}` cannot be read ({why}): the rollout is shut for all devices"));
    Ok(())
}

fn exists(path: &Path) -> Result<bool, DriverError> {
    let found = path.try_exists();
    found.map_err(|source| DriverError::Io { action: "read", path: path.to_owned(), source })
}

fn label(field: &'static str, text: &str) -> Result<Label, DriverError> {
    text.parse().map_err(|error| DriverError::config(field, format!("`{text}`: {error}")))
}

fn digest(field: &'static str, text: &str) -> Result<Sha256Digest, DriverError> {
    let why =
        || DriverError::config(field, format!("`{text}` is no SHA-256, 64 hexadecimal digits"));
    from_hex(text).map(Sha256Digest).ok_or_else(why)
}
