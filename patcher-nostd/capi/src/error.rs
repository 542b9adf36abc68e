//! What functions return: what happened, and whose turn it is.

use core::ffi::c_char;

use embedded_storage::nor_flash::NorFlashErrorKind;
use whittle_patcher_nostd::{
    DecodeError, DocumentError, FlashError, JournalError, LifeError, PatchError, StagingError,
    UpdateError,
};

/// It was done.
pub const WHITTLE_OK: i32 = 0;
/// It was done, and the package is complete.
pub const WHITTLE_DONE: i32 = 1;
/// There is nothing of the kind that was asked for: no download to resume, no document kept, no such flag.
pub const WHITTLE_NOTHING: i32 = 2;

/// Why a function failed. Whatever it is, the image that was running still boots, unless an installation in place has
/// begun to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    // 100 and up: the firmware calls wrongly.
    /// A pointer is null that must not be.
    NullArgument = 100,
    /// An argument is out of range or not aligned, or a string is no name.
    BadArgument = 101,
    /// The handle is not open: it was never opened, was closed, or was copied to where it is.
    NotOpen = 102,
    /// The handle is in use: by a download that was begun with it, or by the call that calls back now.
    Busy = 103,
    /// A function of `struct whittle_flash` is missing, or its sizes do not suit this build of the library.
    FlashGeometry = 104,
    /// The buffer is shorter than what is to be put into it, than a block, or no multiple of the write size.
    BufferTooSmall = 105,
    /// The bytes are more than the application may keep.
    TooLong = 106,
    /// The step does not fit the phase in which the update is.
    OutOfTurn = 107,
    /// The journal has no room: its region is too small for what an update needs, or what is to be kept is too long for it.
    JournalFull = 108,
    /// The staging region has no room for the package, with what power cuts have left in it.
    StagingFull = 109,
    /// Half of the region for the decoder's state is smaller than the state.
    StatesFull = 110,
    /// Another slot runs than the journal means by now, or nobody has told which one does: the boot loader could not read the
    /// journal, or write to it. Another start may find it well.
    AnotherSlotRuns = 111,
    /// The journal holds a record that this firmware is too old to read; update it, or start what
    /// whittle_any_signed_slot() finds.
    JournalRecord = 112,

    // 200 and up: fetch the package or the document again, or fetch another one.
    /// The bytes are not a signed envelope.
    Envelope = 200,
    /// No trusted key has the id that the envelope names.
    UnknownKey = 201,
    /// The signature does not match.
    BadSignature = 202,
    /// What is signed is nothing that this version reads.
    Format = 203,
    /// It is for another product.
    WrongProduct = 204,
    /// It is for other hardware revisions.
    WrongHardware = 205,
    /// Its security counter is below the device's.
    CounterTooLow = 206,
    /// The image does not fit the slot.
    TargetTooLarge = 207,
    /// Decoding takes more memory than the device has for it.
    DecoderRam = 208,
    /// This build has no decoder for it.
    UnsupportedCodec = 209,
    /// The delta was made from another image than the one that runs.
    BaseMismatch = 210,
    /// A block is not the one that was signed.
    BlockMismatch = 211,
    /// The payload is authentic and cannot be decoded: the package was built wrongly.
    Payload = 212,
    /// The finished image is not the one that was signed: the package was built wrongly, or a slot was changed.
    ImageMismatch = 213,
    /// Bytes are missing.
    Truncated = 214,
    /// Bytes follow where there should be none.
    TrailingBytes = 215,
    /// This target was rolled back before.
    Rejected = 216,
    /// Deltas to this target failed twice: fetch its full image.
    FullImageWanted = 217,
    /// The flags are older than those that are kept.
    VersionTooLow = 218,
    /// The stage comes before the one that is kept.
    StageTooLow = 219,
    /// The stage has a smaller share than the one that is kept.
    ShareTooLow = 220,
    /// The stage has another target than the one of the same rollout that is kept.
    TargetChanged = 221,
    /// It was refused for a reason that this header does not know yet.
    Refused = 299,

    // 300 and up: the flash fails.
    /// The journal cannot be read, erased or written.
    JournalFlash = 300,
    /// The journal reads back differently from what was written.
    JournalReadBack = 301,
    /// The staging region cannot be read, erased or written.
    StagingFlash = 303,
    /// The staging region reads back differently from what was written.
    StagingReadBack = 304,
    /// The slot that runs cannot be read.
    BaseFlash = 305,
    /// The slot that is written, or that was asked for, cannot be read, erased or written.
    TargetFlash = 306,
    /// The other slot reads back differently from what was written.
    TargetReadBack = 307,
    /// What the decoder knows cannot be kept, or is not what was kept.
    StatesFlash = 308,
}

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Culprit {
    /// Nobody: it is no error.
    Nobody = 0,
    /// Whoever wrote the firmware: a buffer, a region, an argument or the order of calls.
    Caller = 1,
    /// Whoever made or delivered the package or the document: fetch it again, or fetch another one.
    Package = 2,
    /// The flash: try again.
    Hardware = 3,
}

/// Tells who must act on what a function returned.
#[unsafe(no_mangle)]
pub extern "C" fn whittle_culprit_of(result: i32) -> Culprit {
    match result {
        i32::MIN..100 => Culprit::Nobody,
        100..200 => Culprit::Caller,
        200..300 => Culprit::Package,
        300.. => Culprit::Hardware,
    }
}

/// Says in English what a function returned; never null.
#[unsafe(no_mangle)]
pub extern "C" fn whittle_error_text(result: i32) -> *const c_char {
    let text = match result {
        WHITTLE_OK => c"done",
        WHITTLE_DONE => c"the package is complete",
        WHITTLE_NOTHING => c"there is none",
        _ => Error::ALL
            .iter()
            .find(|(error, _)| *error as i32 == result)
            .map_or(c"unknown result", |(_, text)| *text),
    };
    text.as_ptr()
}

impl Error {
    /// Every error, and what it says.
    const ALL: &'static [(Self, &'static core::ffi::CStr)] = &[
        (Self::NullArgument, c"a pointer is null"),
        (Self::BadArgument, c"an argument is out of range or not aligned"),
        (Self::NotOpen, c"the handle is not open"),
        (Self::Busy, c"the handle is in use"),
        (Self::FlashGeometry, c"the flash does not suit this build"),
        (Self::BufferTooSmall, c"a buffer is too small"),
        (Self::TooLong, c"more bytes than can be kept"),
        (Self::OutOfTurn, c"the step does not fit the phase"),
        (Self::JournalFull, c"the journal's region is too small"),
        (Self::StagingFull, c"the staging region is too small"),
        (Self::StatesFull, c"the region for the decoder's state is too small"),
        (Self::AnotherSlotRuns, c"not the slot that runs, as far as anybody has told"),
        (Self::JournalRecord, c"the journal holds an unknown record"),
        (Self::Envelope, c"not a signed envelope"),
        (Self::UnknownKey, c"signed by an unknown key"),
        (Self::BadSignature, c"the signature does not match"),
        (Self::Format, c"signed, but not readable"),
        (Self::WrongProduct, c"for another product"),
        (Self::WrongHardware, c"for other hardware revisions"),
        (Self::CounterTooLow, c"security counter below the device's"),
        (Self::TargetTooLarge, c"the image does not fit the slot"),
        (Self::DecoderRam, c"decoding takes more memory than there is"),
        (Self::UnsupportedCodec, c"no decoder for this package"),
        (Self::BaseMismatch, c"a delta for another image than the one that runs"),
        (Self::BlockMismatch, c"a block is not the one that was signed"),
        (Self::Payload, c"the payload cannot be decoded"),
        (Self::ImageMismatch, c"the image is not the one that was signed"),
        (Self::Truncated, c"bytes are missing"),
        (Self::TrailingBytes, c"bytes follow the end"),
        (Self::Rejected, c"this target was rolled back before"),
        (Self::FullImageWanted, c"deltas failed: full image wanted"),
        (Self::VersionTooLow, c"flags older than those kept"),
        (Self::StageTooLow, c"stage before the one kept"),
        (Self::ShareTooLow, c"share below the one kept"),
        (Self::TargetChanged, c"stage with another target than its rollout"),
        (Self::Refused, c"refused"),
        (Self::JournalFlash, c"the journal cannot be read or written"),
        (Self::JournalReadBack, c"the journal reads back differently"),
        (Self::StagingFlash, c"the staging region cannot be read or written"),
        (Self::StagingReadBack, c"the staging region reads back differently"),
        (Self::BaseFlash, c"the slot that runs cannot be read"),
        (Self::TargetFlash, c"the other slot cannot be read or written"),
        (Self::TargetReadBack, c"the other slot reads back differently"),
        (Self::StatesFlash, c"the decoder's state cannot be kept"),
    ];
}

/// The number that goes to C.
pub(crate) fn result(outcome: Result<i32, Error>) -> i32 {
    outcome.unwrap_or_else(|error| error as i32)
}

impl From<UpdateError> for Error {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Journal(cause) => cause.into(),
            UpdateError::Record(_) => Self::JournalRecord,
            UpdateError::Life(cause) => cause.into(),
            UpdateError::Staging(cause) => cause.into(),
            UpdateError::Patch(cause) => cause.into(),
            UpdateError::Document(cause) => cause.into(),
            _ => Self::Refused,
        }
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Flash(NorFlashErrorKind::NotAligned) | JournalError::Geometry => {
                Self::FlashGeometry
            }
            JournalError::Flash(_) => Self::JournalFlash,
            JournalError::ReadBack => Self::JournalReadBack,
            JournalError::Full => Self::JournalFull,
            JournalError::BufferTooSmall => Self::BufferTooSmall,
            JournalError::TooLong => Self::TooLong,
            _ => Self::Refused,
        }
    }
}

impl From<LifeError> for Error {
    fn from(error: LifeError) -> Self {
        match error {
            LifeError::OutOfTurn { .. } => Self::OutOfTurn,
            LifeError::Rejected => Self::Rejected,
            LifeError::FullImageWanted => Self::FullImageWanted,
            LifeError::CounterTooLow => Self::CounterTooLow,
            LifeError::AnotherSlotRuns => Self::AnotherSlotRuns,
        }
    }
}

impl From<StagingError> for Error {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::Flash(_) => Self::StagingFlash,
            StagingError::ReadBack => Self::StagingReadBack,
            StagingError::Full => Self::StagingFull,
            StagingError::Geometry => Self::FlashGeometry,
        }
    }
}

impl From<FlashError> for Error {
    fn from(error: FlashError) -> Self {
        match error {
            FlashError::Base(_) => Self::BaseFlash,
            FlashError::Staging(_) => Self::StagingFlash,
            FlashError::Journal => Self::JournalFlash,
            FlashError::State => Self::StatesFlash,
            FlashError::Target(_) => Self::TargetFlash,
            FlashError::ReadBack => Self::TargetReadBack,
            FlashError::ReadSize => Self::FlashGeometry,
            FlashError::PageBuffer => Self::BufferTooSmall,
        }
    }
}

impl From<PatchError> for Error {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Envelope(_) => Self::Envelope,
            PatchError::UnknownKey => Self::UnknownKey,
            PatchError::BadSignature => Self::BadSignature,
            PatchError::Manifest(_) => Self::Format,
            PatchError::WrongProduct => Self::WrongProduct,
            PatchError::WrongHardware => Self::WrongHardware,
            PatchError::CounterTooLow => Self::CounterTooLow,
            PatchError::TargetTooLarge => Self::TargetTooLarge,
            PatchError::DecoderRam => Self::DecoderRam,
            PatchError::UnsupportedCodec { .. } => Self::UnsupportedCodec,
            PatchError::BlockBuffer => Self::BufferTooSmall,
            PatchError::BaseMismatch => Self::BaseMismatch,
            PatchError::BlockMismatch => Self::BlockMismatch,
            PatchError::Payload(DecodeError::Images(cause)) | PatchError::Flash(cause) => {
                cause.into()
            }
            PatchError::Payload(_) => Self::Payload,
            PatchError::ImageMismatch => Self::ImageMismatch,
            PatchError::StateRoom => Self::StatesFull,
            PatchError::Truncated => Self::Truncated,
            PatchError::TrailingBytes => Self::TrailingBytes,
            _ => Self::Refused,
        }
    }
}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::TooLong | DocumentError::Envelope(_) => Self::Envelope,
            DocumentError::UnknownKey => Self::UnknownKey,
            DocumentError::BadSignature => Self::BadSignature,
            DocumentError::Document(_) => Self::Format,
            DocumentError::WrongProduct => Self::WrongProduct,
            DocumentError::VersionTooLow => Self::VersionTooLow,
            DocumentError::StageTooLow => Self::StageTooLow,
            DocumentError::ShareTooLow => Self::ShareTooLow,
            DocumentError::TargetChanged => Self::TargetChanged,
            _ => Self::Refused,
        }
    }
}
