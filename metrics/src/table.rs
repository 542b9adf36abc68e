//! Observations as a table, as spreadsheets and exports of databases give them: CSV with a row for each cell.
//!
//! | column | what stands in it |
//! |---|---|
//! | `from_s`, `until_s` | the stretch of time, in seconds from 1970, UTC |
//! | `rows` | how many rows this file has for that stretch: in SQL `count(*) over (partition by from_s, until_s)` |
//! | `attribute.<name>` | the cell's value of that attribute; empty if it has none |
//! | `devices.offered`, `.updated`, `.committed`, `.rolled_back`, `.bricked`, `.silent` | devices since the rollout began |
//! | `metric.<name>.<side>.count` | events, devices hit, or the sum of the readings; `<side>` is `treated` or `control` |
//! | `metric.<name>.<side>.exposure` | device-hours, devices asked, or the number of readings |
//! | `metric.<name>.<side>.squares` | the sum of the squared readings; may be left out |
//! | `version.<version>` | devices of this cell that report the version; empty for none |
//!
//! Columns come in any order. If all fields of a metric are empty, that cell has no figures of it. Fields are separated by commas, the
//! decimal sign is a point, and fields may be quoted.
//!
//! A file that was cut off is found: each stretch has as many rows as it says, each row as many fields as the header, and the last
//! line ends.

mod columns;
mod rows;
mod write;

pub use write::{Inexpressible, emit};

pub(crate) use rows::parse;
