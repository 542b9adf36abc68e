//! What the net saving depends on.

use serde::Serialize;

use super::case::Case;
use crate::words::{number, percent, usd, usd_exactly};

/// The net saving at a smaller and a larger value of an input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sensitivity {
    /// Which input.
    pub what: &'static str,
    /// The smaller value.
    pub low: String,
    /// The larger value.
    pub high: String,
    /// Net saving a year at the smaller one.
    pub net_at_low_usd: f64,
    /// Net saving a year at the larger one.
    pub net_at_high_usd: f64,
}

/// Each input at half and twice its value, within what can be, and the share without a base at nothing and a fifth at least.
pub(super) fn sensitivity(case: &Case) -> Vec<Sensitivity> {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = *case;
        change(&mut case);
        case.net()
    };
    let most_fallback = (case.fallback * 2.0).clamp(0.2, 1.0);
    let most_delta = (case.delta_bytes * 2.0).min(case.full_bytes.max(case.delta_bytes));
    let ratio = |bytes: f64| percent(bytes / case.full_bytes * 100.0);
    let mut rows = vec![
        Sensitivity {
            what: "size of a delta",
            low: ratio(case.delta_bytes / 2.0),
            high: ratio(most_delta),
            net_at_low_usd: with(&|case| case.delta_bytes /= 2.0),
            net_at_high_usd: with(&|case| case.delta_bytes = most_delta),
        },
        Sensitivity {
            what: "devices that run no base",
            low: percent(0.0),
            high: percent(most_fallback * 100.0),
            net_at_low_usd: with(&|case| case.fallback = 0.0),
            net_at_high_usd: with(&|case| case.fallback = most_fallback),
        },
        Sensitivity {
            what: "price of a megabyte",
            low: usd_exactly(case.usd_per_mb / 2.0),
            high: usd_exactly(case.usd_per_mb * 2.0),
            net_at_low_usd: with(&|case| case.usd_per_mb /= 2.0),
            net_at_high_usd: with(&|case| case.usd_per_mb *= 2.0),
        },
        Sensitivity {
            what: "updates a year",
            low: number(case.updates / 2.0),
            high: number(case.updates * 2.0),
            net_at_low_usd: with(&|case| case.updates /= 2.0),
            net_at_high_usd: with(&|case| case.updates *= 2.0),
        },
        Sensitivity {
            what: "cost of the tools",
            low: usd(case.tooling_usd / 2.0),
            high: usd(case.tooling_usd * 2.0),
            net_at_low_usd: with(&|case| case.tooling_usd /= 2.0),
            net_at_high_usd: with(&|case| case.tooling_usd *= 2.0),
        },
        Sensitivity {
            what: "downloads made once more",
            low: percent(case.retries * 50.0),
            high: percent((case.retries * 200.0).min(100.0)),
            net_at_low_usd: with(&|case| case.retries /= 2.0),
            net_at_high_usd: with(&|case| case.retries = (case.retries * 2.0).min(1.0)),
        },
    ];
    let width = |row: &Sensitivity| (row.net_at_high_usd - row.net_at_low_usd).abs();
    rows.sort_by(|one, other| width(other).total_cmp(&width(one)));
    rows
}
