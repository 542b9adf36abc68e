//! The updater: opened, asked at boot, told how things went.

use core::ffi::{c_char, c_void};
use core::ptr::NonNull;

use whittle_patcher_nostd::life::DEFAULT_ATTEMPTS;
use whittle_patcher_nostd::{
    Boot, Device, ResetCause as Cause, SlotId, UpdateError, Updater as Inner, any_signed_slot,
    check_slot,
};

use crate::error::{Error, WHITTLE_NOTHING, WHITTLE_OK, result};
use crate::flash::{Flash, Region};
use crate::handle::{Handle, Kind, Use};
use crate::image::{SignedImage, Slot};
use crate::pointer;
use crate::verifier::{Verifier, Verify};

/// Words of `struct whittle_updater`.
pub const WHITTLE_UPDATER_WORDS: usize = 80;

/// An updater; every byte of it belongs to the library. It must stay where it was opened.
#[repr(C)]
pub struct Updater {
    /// Whatever the library puts there.
    pub storage: [u64; WHITTLE_UPDATER_WORDS],
}

/// What the device is, whom it trusts and where its flash is. What it points to must stay as long as the updater is
/// used; the structure itself may go.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Config {
    /// Name of the product.
    pub product: *const c_char,
    /// RAM that a decoder may use, in bytes; as the packages were built for.
    pub decoder_ram_bytes: u32,
    /// Lowest security counter that may ever run, such as one in fuses; the journal's may be higher.
    pub security_counter: u32,
    /// Hardware revision.
    pub hardware_revision: u16,
    /// How often a new image is attempted before it is rolled back; 0 stands for 3.
    pub attempts: u8,
    /// Ed25519 keys that are trusted; `whittle pubkey --to c` prints one.
    pub keys: *const [u8; 32],
    /// How many they are; 0 if `verify` is there.
    pub key_count: usize,
    /// Checks signatures instead of the library, such as by a routine in ROM; null if the library shall.
    pub verify: Verify,
    /// Anything; handed to `verify`.
    pub verify_context: *mut c_void,
    /// Where the journal is kept: two erase units or more, half of them in turn.
    pub journal: Flash,
    /// The two slots that images run from; a device with a single one names it twice, and opens it by
    /// whittle_open_single().
    pub slots: [Flash; 2],
}

/// Why the processor started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ResetCause {
    /// The power came; the only one that does not count as an attempt.
    PowerOn = 0,
    /// The voltage fell too low.
    BrownOut = 1,
    /// The watchdog was not fed.
    Watchdog = 2,
    /// Software asked for it.
    Software = 3,
    /// The chip does not tell.
    Unknown = 4,
}

/// What the boot loader must start.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BootChoice {
    /// Where it is; `WHITTLE_SLOT_NONE` if no slot holds an image that may boot.
    pub slot: Slot,
    /// What it is; nothing of use for `WHITTLE_SLOT_NONE`.
    pub image: SignedImage,
}

pub(crate) type OpenUpdater = Inner<'static, Region, Region, Verifier>;

impl Kind for OpenUpdater {
    const NUMBER: usize = 0x7768_7501;
}

/// Opens the journal, or begins one.
///
/// A device whose journal is empty or lost believes what its slots hold: the image with the higher security counter
/// counts as committed. `updater` may hold anything; an updater that was open there is closed.
///
/// If the journal cannot be opened, a boot loader starts what whittle_any_signed_slot() finds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_open(updater: *mut Updater, config: *const Config) -> i32 {
    // SAFETY: the header's rules.
    result(unsafe {
        open(updater, config, |parts| {
            Inner::open(&parts.device, parts.verifier, parts.journal, parts.slots)
        })
    })
}

/// The same for a device with a single slot, the first of `slots`: packages are installed by whittle_install_in_place().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_open_single(updater: *mut Updater, config: *const Config) -> i32 {
    // SAFETY: the header's rules.
    result(unsafe {
        open(updater, config, |parts| {
            let [slot, _] = parts.slots;
            Inner::open_single(&parts.device, parts.verifier, parts.journal, slot)
        })
    })
}

/// Tells the library which slot the program runs from, `WHITTLE_SLOT_A` or `WHITTLE_SLOT_B`: an application with two slots
/// does so as soon as it has opened its updater, and commits nothing otherwise.
///
/// Where the journal cannot be read, or written, the boot loader may start another image than the journal means by now.
/// What that says of itself would be taken for the other one's, and what it downloads and installs would take its own
/// place: all of that is `WHITTLE_ERROR_ANOTHER_SLOT_RUNS` then, until the boot loader has started the one that is meant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_set_running_slot(updater: *mut Updater, slot: u32) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            updater.set_running_slot(slot_id(slot)?);
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Tells which slot to start: called once by the boot loader. `cause` is one of `enum whittle_reset_cause`.
///
/// The boot is counted in the journal before anything is looked at; where it cannot be counted, the committed image starts.
/// Only a slot that holds a signed image, whole, is ever told. If this fails, a boot loader starts what
/// whittle_any_signed_slot() finds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_boot(
    updater: *mut Updater,
    cause: u32,
    choice: *mut BootChoice,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            if choice.is_null() {
                return Err(Error::NullArgument);
            }
            let boot = match updater.boot(reset_cause(cause)?)? {
                Boot::Slot(slot, manifest) => {
                    BootChoice { slot: slot.into(), image: SignedImage::of(&manifest) }
                }
                Boot::Recovery => BootChoice { slot: Slot::None, image: NO_IMAGE },
            };
            pointer::write(choice, boot)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Finds the slot with the higher security counter among those that hold a signed image, whole.
///
/// It looks at nothing but the slots: for boot loaders that cannot open the journal. `WHITTLE_NOTHING` if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_any_signed_slot(
    config: *const Config,
    choice: *mut BootChoice,
) -> i32 {
    result((|| {
        // SAFETY: the header's rules: both are valid.
        unsafe {
            let mut parts = Parts::of(pointer::read(config)?)?;
            let found = any_signed_slot(&parts.device, &parts.verifier, &mut parts.slots);
            let (slot, image) = match &found {
                Some((slot, manifest)) => ((*slot).into(), SignedImage::of(manifest)),
                None => (Slot::None, NO_IMAGE),
            };
            pointer::write(choice, BootChoice { slot, image })?;
            Ok(if found.is_some() { WHITTLE_OK } else { WHITTLE_NOTHING })
        }
    })())
}

/// Checks that a slot, `WHITTLE_SLOT_A` or `WHITTLE_SLOT_B`, holds a signed image for this device, whole and unchanged.
///
/// `image` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_check_slot(
    config: *const Config,
    slot: u32,
    image: *mut SignedImage,
) -> i32 {
    result((|| {
        // SAFETY: the header's rules: both are valid.
        unsafe {
            let mut parts = Parts::of(pointer::read(config)?)?;
            let [a, b] = &mut parts.slots;
            let slot = match slot_id(slot)? {
                SlotId::A => a,
                SlotId::B => b,
            };
            let manifest = check_slot(slot, &parts.device, &parts.verifier)?;
            if !image.is_null() {
                pointer::write(image, SignedImage::of(&manifest))?;
            }
        }
        Ok(WHITTLE_OK)
    })())
}

/// Starts what is installed at the next boot, on trial.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_activate(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::activate) }
}

/// All health checks passed: the image on trial is committed, and the security counter rises to its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_healthy(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::healthy) }
}

/// A health check failed: the next boot starts the committed image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_unhealthy(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::unhealthy) }
}

/// The health checks did not end in time: the next boot starts the committed image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_too_late(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::too_late) }
}

/// Gives up the package that is being downloaded, or that could not be installed; if it is a delta, that counts as one of its
/// failures. Where an installation in place has begun, nothing boots then but a recovery.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_abandon(updater: *mut Updater) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, OpenUpdater::abandon) }
}

/// Switches features of the running image off, one bit each, because they were found to fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_disable(updater: *mut Updater, features: u32) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, |updater| updater.disable(features)) }
}

/// Switches them on again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_enable(updater: *mut Updater, features: u32) -> i32 {
    // SAFETY: the header's rules.
    unsafe { step(updater, |updater| updater.enable(features)) }
}

/// Keeps something of the application's in the journal, at most 1024 bytes, in place of what it kept before; with a `len` of 0
/// it keeps nothing any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_keep(updater: *mut Updater, bytes: *const u8, len: usize) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            updater.keep(pointer::slice(bytes, len)?)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Reads what the application keeps, and puts its length into `len`; `WHITTLE_NOTHING` if it never kept anything.
///
/// `into` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_kept(
    updater: *mut Updater,
    into: *mut u8,
    size: usize,
    len: *mut usize,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let kept = updater.kept(pointer::slice_mut(into, size)?)?.map(<[u8]>::len);
            pointer::write(len, kept.unwrap_or(0))?;
            Ok(if kept.is_some() { WHITTLE_OK } else { WHITTLE_NOTHING })
        })
    };
    result(outcome)
}

/// Opens an updater in storage that may hold anything.
///
/// # Safety
/// The header's rules hold for both.
unsafe fn open(
    updater: *mut Updater,
    config: *const Config,
    open: impl FnOnce(Parts) -> Result<OpenUpdater, UpdateError>,
) -> Result<i32, Error> {
    let handle = Handle::<OpenUpdater>::at(updater)?;
    // SAFETY: as this function's rule: both are valid, and the storage is nobody else's.
    unsafe {
        Handle::close(handle);
        let parts = Parts::of(pointer::read(config)?)?;
        let attempts = parts.attempts;
        let opened = open(parts)?;
        Handle::value(handle).write(opened.with_attempts(attempts));
        Handle::open(handle);
    }
    Ok(WHITTLE_OK)
}

/// Calls the device crate with an open updater.
///
/// # Safety
/// The header's rules hold for `updater`.
pub(crate) unsafe fn with(
    updater: *mut Updater,
    call: impl FnOnce(&mut OpenUpdater) -> Result<i32, Error>,
) -> Result<i32, Error> {
    // SAFETY: as this function's rule.
    let mut updater = unsafe { take(updater) }?;
    call(updater.get())
}

unsafe fn take(updater: *mut Updater) -> Result<Use<OpenUpdater>, Error> {
    let handle: NonNull<Handle<OpenUpdater>> = Handle::at(updater)?;
    // SAFETY: the header's rules hold for `updater`.
    unsafe { Handle::take(handle) }
}

/// The same for what only succeeds or fails.
///
/// # Safety
/// The header's rules hold for `updater`.
pub(crate) unsafe fn step(
    updater: *mut Updater,
    step: impl FnOnce(&mut OpenUpdater) -> Result<(), UpdateError>,
) -> i32 {
    // SAFETY: the header's rules hold for `updater`.
    let outcome = unsafe {
        with(updater, |updater| {
            step(updater)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

const NO_IMAGE: SignedImage = SignedImage {
    digest: [0; 32],
    size: 0,
    security_counter: 0,
    block_bytes: 0,
    product: [0; crate::image::WHITTLE_NAME_BYTES],
    version: [0; crate::image::WHITTLE_NAME_BYTES],
    is_delta: 0,
};

fn slot_id(number: u32) -> Result<SlotId, Error> {
    match number {
        0 => Ok(SlotId::A),
        1 => Ok(SlotId::B),
        _ => Err(Error::BadArgument),
    }
}

fn reset_cause(number: u32) -> Result<Cause, Error> {
    let known = [
        (ResetCause::PowerOn, Cause::PowerOn),
        (ResetCause::BrownOut, Cause::BrownOut),
        (ResetCause::Watchdog, Cause::Watchdog),
        (ResetCause::Software, Cause::Software),
        (ResetCause::Unknown, Cause::Unknown),
    ];
    let found = known.into_iter().find(|(cause, _)| *cause as u32 == number);
    found.map(|(_, cause)| cause).ok_or(Error::BadArgument)
}

/// A configuration as the device crate wants it.
struct Parts {
    device: Device<'static>,
    verifier: Verifier,
    journal: Region,
    slots: [Region; 2],
    attempts: u8,
}

impl Parts {
    /// # Safety
    /// What the configuration points to stays as long as it is used.
    unsafe fn of(config: &Config) -> Result<Self, Error> {
        // SAFETY: as this function's rule.
        let (product, keys) = unsafe {
            (
                pointer::string(config.product.cast())?,
                pointer::slice(config.keys, config.key_count)?,
            )
        };
        // Keys that nobody would look at are a mistake, and so is a device that trusts nobody.
        let has_keys = !keys.is_empty();
        let looks_at_keys = cfg!(feature = "ed25519") && config.verify.is_none();
        if has_keys != looks_at_keys || !has_keys && config.verify.is_none() {
            return Err(Error::BadArgument);
        }
        let [a, b] = &config.slots;
        Ok(Self {
            device: Device {
                product,
                hardware_revision: config.hardware_revision,
                security_counter: config.security_counter,
                decoder_ram_bytes: config.decoder_ram_bytes,
            },
            verifier: Verifier {
                #[cfg(feature = "ed25519")]
                keys,
                function: config.verify,
                context: config.verify_context,
            },
            journal: Region::new(&config.journal)?,
            slots: [Region::new(a)?, Region::new(b)?],
            attempts: if config.attempts == 0 { DEFAULT_ATTEMPTS } else { config.attempts },
        })
    }
}
