//! Lists that come in pages, from servers that may not end them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Most pages of one list: those of millions of devices.
const MAX_PAGES: u32 = 20_000;

/// Most bytes of all of them, which are kept until the last one has come.
const MAX_BYTES: u64 = 1 << 30;

/// The pages of one list that have been read.
#[derive(Default)]
pub(crate) struct Pages {
    read: u32,
    bytes: u64,
    last: Option<u64>,
}

impl Pages {
    /// Counts a page.
    ///
    /// # Errors
    /// Why the list has no end, as far as can be told: the page is the one before once more, or one too many.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let this = Some(hasher.finish());
        if self.last == this {
            return Err("the same page comes again".to_owned());
        }
        (self.last, self.read) = (this, self.read + 1);
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_BYTES {
            return Err(format!("its pages have more than {MAX_BYTES} bytes"));
        }
        if self.read > MAX_PAGES {
            return Err(format!("there are more than {MAX_PAGES} pages"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end() {
        let mut pages = Pages::default();
        for page in 0..MAX_PAGES {
            pages.count(&page.to_le_bytes()).expect("it is a new one");
        }
        assert!(pages.count(b"more").expect_err("too many").contains("more than"));
        let mut pages = Pages::default();
        pages.count(b"[1]").and_then(|()| pages.count(b"[]")).expect("they differ");
        assert_eq!(pages.count(b"[]"), Err("the same page comes again".to_owned()));
    }
}
