//! A release in the words of others.
//!
//! ```text
//!                       ┌──▶ suit        a SUIT envelope, for devices and servers that know no whittle
//! release ──▶ Delivery ─┤
//! bundle                └──▶ provenance  an in-toto statement with SLSA provenance in a DSSE envelope, for whoever audits
//! ```
//!
//! Both say what the signed index says, and nothing else: what an index does not tell, such as a vendor's domain or who ran the build,
//! the caller adds. There is no clock and no environment, so that the same input gives the same bytes. Whatever is emitted can be
//! read back by the same module.

mod delivery;
mod error;
pub mod provenance;
pub mod suit;
mod uri;

pub use delivery::{Delivery, MAX_NOTES_BYTES, Part};
pub use error::{Error, ParseError, Result};
pub use uri::BaseUri;
