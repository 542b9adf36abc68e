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
    /// Asks for a package, from this offset on; there may be none.
    pub fn ask(name: &CStr, offset: u32) -> Option<Self> {
        let mut file = File::open(name).ok()?;
        file.seek(SeekFrom::Start(offset.into())).ok()?;
        Some(Self { file, at: offset })
    }

    /// The next bytes; none at the end.
    pub fn fetch<'b>(&mut self, into: &'b mut [u8]) -> &'b [u8] {
        let got = self.file.read(into).expect("the server answers");
        println!("server: at={} bytes={got}", self.at);
        self.at += got as u32;
        &into[..got]
    }
}
