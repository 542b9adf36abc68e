//! The server that offers updates: a file on the host. A product would ask by HTTP, with a `Range` for the offset.

use core::ffi::CStr;

use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom};
use semihosting::println;

/// A package that the server offers.
pub struct Offer {
    file: File,
    at: u32,
}

impl Offer {
    /// Asks for a package; there may be none.
    pub fn ask(name: &CStr) -> Option<Self> {
        Some(Self { file: File::open(name).ok()?, at: 0 })
    }

    /// Begins at this offset of the package.
    pub fn seek(&mut self, offset: u32) {
        self.at = offset;
        self.file.seek(SeekFrom::Start(offset.into())).expect("within the package");
    }

    /// The next bytes; none at the end.
    pub fn fetch<'b>(&mut self, into: &'b mut [u8]) -> &'b [u8] {
        let got = self.file.read(into).expect("the server answers");
        println!("server: at={} bytes={got}", self.at);
        self.at += got as u32;
        &into[..got]
    }
}
