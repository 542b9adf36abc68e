//! What can go wrong, sorted by who must act.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing was exported, or why what was exported does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The release, its files or the signer.
    #[error(transparent)]
    Release(#[from] whittle_release::Error),
    /// Bytes that are no SUIT envelope, or none of ours.
    #[error("this is no SUIT envelope that can be used")]
    Suit(#[source] ParseError),
    /// Bytes that are no DSSE envelope with a statement.
    #[error("this is no signed statement that can be used")]
    Statement(#[source] ParseError),
    /// No key that is trusted has signed.
    #[error("no trusted key has signed this")]
    UnknownKey,
    /// A trusted key is named, but has not signed this.
    #[error("the signature does not fit")]
    BadSignature,
    /// A bundle with a component that wants another one to be there before, which comes later or is in the field.
    #[error("a SUIT manifest cannot ask for what must be there before")]
    Order(#[source] whittle_release::Error),
    /// Something that the caller has said cannot stand where it is wanted.
    #[error("{what} {why}")]
    Unusable {
        /// Which of the arguments.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Why bytes are refused. Names are those of the drafts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// More bytes than are ever needed.
    #[error("{got} bytes, at most {limit} are read")]
    TooLarge {
        /// How many there are.
        got: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No CBOR, or something behind it.
    #[error("{what} is not one item of CBOR")]
    NotCbor {
        /// Where.
        what: &'static str,
    },
    /// The same said in other bytes than those of RFC 8949, section 4.2.1.
    #[error("{what} is not encoded deterministically")]
    NotDeterministic {
        /// Where.
        what: &'static str,
    },
    /// No JSON, or without fields that it should have.
    #[error("{what} is not the JSON that it should be: {why}")]
    NotJson {
        /// Where.
        what: &'static str,
        /// The parser's own words.
        why: String,
    },
    /// Another thing than is wanted.
    #[error("{what}: {wanted} is wanted")]
    Unexpected {
        /// Where.
        what: &'static str,
        /// What should be there.
        wanted: &'static str,
    },
    /// A label that this reader does not know.
    #[error("{what}: label {label} is unknown")]
    UnknownLabel {
        /// Where.
        what: &'static str,
        /// The label.
        label: i64,
    },
    /// A label without which it makes no sense.
    #[error("{what}: label {label} is missing")]
    MissingLabel {
        /// Where.
        what: &'static str,
        /// The label.
        label: i64,
    },
    /// A digest that is another one than that of what it stands for.
    #[error("the digest of {what} is another one")]
    DigestMismatch {
        /// Whose.
        what: &'static str,
    },
    /// Sequences within sequences, further down than anybody writes them.
    #[error("sequences of commands are more than {limit} levels deep")]
    TooDeep {
        /// How deep they may be.
        limit: usize,
    },
}
