//! Bytes that are taken as they are.

use crate::{Format, Input, Note};

/// An image of which nothing but the bytes is known.
pub(crate) fn read(bytes: Vec<u8>, notes: Vec<Note>) -> Input {
    Input {
        format: Format::Raw,
        bytes,
        load_address: None,
        instruction_set: None,
        version: None,
        header: None,
        notes,
    }
}
