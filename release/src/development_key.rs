//! The mark of development keys: keys to try things with, which are in nobody's custody and must reach no device in the field.
//!
//! A key file is marked by one line of text in front of its PEM, where RFC 7468 allows explanations, and where OpenSSL, imgtool
//! and this crate skip them:
//!
//! ```text
//! whittle development key: `whittle publish` refuses what it signs
//! -----BEGIN PUBLIC KEY-----
//! …
//! ```
//!
//! In a key file of minisign, the mark begins its `untrusted comment`. Both files of a pair are marked. The mark is there against
//! accidents: whoever takes it away has made up their mind.

use std::path::Path;

use crate::Result;
use crate::keys::read_text;

/// What the line in front of a development key's PEM begins with.
pub const MARK: &str = "whittle development key";

const LINE: &str = "whittle development key: `whittle publish` refuses what it signs\n";

/// What PEM begins with; the text in front of it is for people.
const PEM_BEGIN: &str = "-----BEGIN ";

/// What the comment of a minisign key begins with.
const MINISIGN_COMMENT: &str = "untrusted comment:";

/// The PEM of a key, private or public, with the mark in front of it.
#[must_use]
pub fn mark(pem: &str) -> String {
    if is_marked(pem) { pem.to_owned() } else { format!("{LINE}{pem}") }
}

/// A key file of minisign with the mark in its comment.
#[must_use]
pub fn mark_minisign(file: &str) -> String {
    file.replacen(MINISIGN_COMMENT, &format!("{MINISIGN_COMMENT} {MARK},"), 1)
}

/// Whether the text of a key file has the mark.
#[must_use]
pub fn is_marked(text: &str) -> bool {
    let front = text.lines().take_while(|line| !line.starts_with(PEM_BEGIN));
    let comments = front.map(|line| line.strip_prefix(MINISIGN_COMMENT).unwrap_or(line));
    comments.map(str::trim_start).any(|line| line.starts_with(MARK))
}

/// Reads a key file and tells whether it has the mark. One that is no text, such as the 32 bytes of a raw key, has none.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn is_marked_file(path: &Path) -> Result<bool> {
    Ok(read_text(path)?.is_some_and(|text| is_marked(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{PrivateKey, Signer, public_pem, read_public};

    #[test]
    fn a_marked_key_is_still_the_key() {
        let key = PrivateKey::from_seed(&[7; 32]);
        let directory = tempfile::tempdir().expect("a directory");
        let (private, public) = key.write_pair(directory.path()).expect("writes");
        for path in [&private, &public] {
            let pem = std::fs::read_to_string(path).expect("text");
            assert!(!is_marked(&pem) && !is_marked_file(path).expect("reads"));
            let marked = mark(&pem);
            assert!(is_marked(&marked) && mark(&marked) == marked);
            assert!(is_marked(&marked.replace('\n', "\r\n")));
            std::fs::write(path, marked).expect("writes");
            assert!(is_marked_file(path).expect("reads"));
            assert_eq!(read_public(path).expect("a key"), key.public_key());
        }
        assert!(PrivateKey::read(&private).is_ok());
    }

    #[test]
    fn only_text_in_front_of_the_key_marks_it() {
        let pem = public_pem(&PrivateKey::from_seed(&[7; 32]).public_key()).expect("a key");
        assert!(!is_marked(&format!("{pem}{MARK}\n")));
        assert!(!is_marked(&format!("no {MARK}\n{pem}")));
        assert!(is_marked(&format!("untrusted comment: {MARK}\nRWQf6LRCGA9i53mlYecO4IzT51TGPp\n")));
        assert!(is_marked(&format!("# made by hand\n  {MARK}, mine\n{pem}")));
    }
}
