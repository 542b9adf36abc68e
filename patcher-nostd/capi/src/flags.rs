//! Feature flags: a signed document that the journal keeps, and what it says of this device.

use core::ffi::c_char;

use whittle_format::limits::MAX_FLAGS_ENVELOPE_BYTES;
use whittle_patcher_nostd::{DeviceFacts, Reason as Decided, VerifiedFlags, VerifiedStage};

use crate::error::{Error, WHITTLE_NOTHING, WHITTLE_OK, result};
use crate::handle::{Handle, Kind};
use crate::pointer;
use crate::updater::{Updater, with};

/// Words of `struct whittle_flags`.
pub const WHITTLE_FLAGS_WORDS: usize = 160;

/// Most groups that a device can be in.
pub const WHITTLE_MAX_GROUPS: usize = 16;

/// A flags document whose signature has been checked; every byte of it belongs to the library. It must stay where it
/// was read.
#[repr(C)]
pub struct Flags {
    /// Whatever the library puts there.
    pub storage: [u64; WHITTLE_FLAGS_WORDS],
}

/// What rules ask about a device.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Facts {
    /// Its id, byte for byte as rules name it: a serial number, a MAC address.
    pub id: *const u8,
    /// Bytes of it.
    pub id_len: usize,
    /// Names of the groups that it is in; null if there are none.
    pub groups: *const *const c_char,
    /// How many they are.
    pub group_count: usize,
    /// The region that it is in; null if there is none.
    pub region: *const c_char,
}

/// What decided about a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// The kill switch of the whole document.
    DocumentKilled = 0,
    /// The kill switch of the flag.
    FlagKilled = 1,
    /// A rule of the flag.
    Rule = 2,
    /// No rule matched.
    Default = 3,
}

/// The value of a flag on a device, and why.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Decision {
    /// What decided.
    pub reason: Reason,
    /// Number of the rule, from 0, if one decided.
    pub rule: u32,
    /// Whether the feature is on.
    pub is_on: bool,
}

/// A document, and the bytes that it refers to: no reference to the whole is made.
struct OpenFlags {
    flags: VerifiedFlags<'static>,
    bytes: [u8; MAX_FLAGS_ENVELOPE_BYTES],
}

impl Kind for OpenFlags {
    const NUMBER: usize = 0x7768_6601;
}

/// Checks a flags document and keeps it; its version is never below that of the one that is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_accept_flags(
    updater: *mut Updater,
    bytes: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            updater.accept_flags(pointer::slice(bytes, len)?)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Reads the flags document that is kept and checks its signature, once for all questions; `WHITTLE_NOTHING` if none is
/// kept. `flags` may hold anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_read_flags(updater: *mut Updater, flags: *mut Flags) -> i32 {
    // SAFETY: the header's rules: the storage is valid, and nobody else's.
    let outcome = unsafe {
        with(updater, |updater| {
            let handle = Handle::<OpenFlags>::at(flags)?;
            Handle::close(handle);
            let place = Handle::value(handle);
            (&raw mut (*place).bytes).write([0; MAX_FLAGS_ENVELOPE_BYTES]);
            let Some(read) = updater.flags(&mut (*place).bytes)? else {
                return Ok(WHITTLE_NOTHING);
            };
            (&raw mut (*place).flags).write(read);
            Handle::open(handle);
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Tells whether a feature is on, on a device with these facts.
///
/// `WHITTLE_NOTHING` if the document says nothing of it, so that the firmware's own default holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_flag(
    flags: *mut Flags,
    name: *const c_char,
    facts: *const Facts,
    decision: *mut Decision,
) -> i32 {
    result((|| {
        // SAFETY: the header's rules.
        unsafe {
            let mut open = Handle::take(Handle::<OpenFlags>::at(flags)?)?;
            let name = pointer::string(name.cast())?;
            let read = &(*open.as_ptr()).flags;
            let Some(decided) = with_facts(facts, |facts| read.decide(name, facts))? else {
                return Ok(WHITTLE_NOTHING);
            };
            let (reason, rule) = match decided.reason {
                Decided::DocumentKilled => (Reason::DocumentKilled, 0),
                Decided::FlagKilled => (Reason::FlagKilled, 0),
                Decided::Rule(rule) => (Reason::Rule, u32::try_from(rule).unwrap_or(u32::MAX)),
                Decided::Default => (Reason::Default, 0),
            };
            pointer::write(decision, Decision { reason, rule, is_on: decided.is_on })?;
            Ok(WHITTLE_OK)
        }
    })())
}

/// Whether these flags and a stage let a device with these facts take the stage's target; none do where there are no flags.
///
/// # Safety
/// The header's rules hold for both pointers.
pub(crate) unsafe fn admits(
    flags: *mut Flags,
    facts: *const Facts,
    stage: &VerifiedStage,
) -> Result<bool, Error> {
    if flags.is_null() {
        return Ok(false);
    }
    // SAFETY: as this function's rule.
    unsafe {
        let mut open = Handle::take(Handle::<OpenFlags>::at(flags)?)?;
        let read = &(*open.as_ptr()).flags;
        with_facts(facts, |facts| stage.admits(read, facts))
    }
}

/// Asks something about a device with these facts.
///
/// # Safety
/// The header's rules hold for `facts`.
unsafe fn with_facts<T>(
    facts: *const Facts,
    ask: impl FnOnce(&DeviceFacts<'_>) -> T,
) -> Result<T, Error> {
    // SAFETY: as this function's rule.
    unsafe {
        let facts = pointer::read(facts)?;
        let mut groups = [""; WHITTLE_MAX_GROUPS];
        let named = pointer::slice(facts.groups, facts.group_count)?;
        let groups = groups.get_mut(..named.len()).ok_or(Error::BadArgument)?;
        for (group, name) in groups.iter_mut().zip(named) {
            *group = pointer::string(name.cast())?;
        }
        let region = match facts.region.is_null() {
            true => None,
            false => Some(pointer::string(facts.region.cast())?),
        };
        let id = pointer::slice(facts.id, facts.id_len)?;
        Ok(ask(&DeviceFacts { id, groups, region }))
    }
}
