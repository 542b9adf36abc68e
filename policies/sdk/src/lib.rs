//! Write rollout policies for whittle in Rust.
//!
//! A policy is a pure function from a snapshot of a rollout to a decision, compiled to a WebAssembly component that imports
//! nothing. It implements [`Policy`] and names itself in [`export_policy!`]; that is all. On other targets than WebAssembly
//! the same code is a library, so that it is tested like any other: [`testing`] makes the snapshots.
//!
//! ```
//! use whittle_policy::prelude::*;
//!
//! /// Goes to everybody at once, and waits until half of the devices have committed.
//! struct Bold;
//!
//! const ENOUGH: Number = Number {
//!     key: "enough",
//!     help: "Share of the updated devices that must have committed.",
//!     unit: "fraction",
//!     default: 0.5,
//!     min: 0.0,
//!     max: 1.0,
//! };
//!
//! impl Policy for Bold {
//!     fn describe(_: &[Setting]) -> PolicyInfo {
//!         PolicyInfo::new("bold", "0.1.0", "Goes to everybody at once.").settings(&[&ENOUGH])
//!     }
//!
//!     fn plan(_: PlanInput) -> Result<RolloutPlan, String> {
//!         Ok(RolloutPlan::new(vec![Stage::new("all", 1.0, hours(24.0))]))
//!     }
//!
//!     fn evaluate(now: Snapshot) -> Result<Verdict, String> {
//!         let (fleet, enough) = (now.fleet()?, ENOUGH.of(&now.settings)?);
//!         let committed = f64::from(fleet.committed) / f64::from(fleet.updated.max(1));
//!         if committed < enough {
//!             let reason = Reason::new("too-few-committed", "too few devices have committed");
//!             return Ok(Verdict::hold(reason.figures(committed, enough)));
//!         }
//!         Ok(Watch::of(&now.settings)?.decide(&now, &[])?)
//!     }
//! }
//!
//! export_policy!(Bold);
//!
//! let mut now = whittle_policy::testing::snapshot();
//! assert_eq!(Bold::evaluate(now.clone())?.reasons[0].code, "too-few-committed");
//! now.groups[0].committed = now.groups[0].updated;
//! assert_eq!(Bold::evaluate(now)?.decision, Decision::Advance(0.05));
//! # Ok::<(), String>(())
//! ```
//!
//! What most policies share is here, too: [`settings`] with types and ranges, [`Trigger`]s that hold metrics against limits,
//! the [`Watch`] that turns what they find into a verdict, and [`statistics`].

mod check;
pub mod contract;
mod figure;
mod flow;
#[cfg(target_family = "wasm")]
mod heap;
mod info;
mod measure;
mod plan;
mod reason;
pub mod settings;
pub mod statistics;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod time;
mod trigger;

pub use check::{Check, Rule, Subject};
pub use figure::figure;
pub use flow::{Otherwise, Watch, await_people, blame, proceed};
pub use info::words;
pub use plan::{PlanSettings, SHARES, WATCH_HOURS, whole};
pub use time::{days, hours, in_hours};
pub use trigger::{Action, Against, Evidence, Findings, Limit, Source, Trigger, Tripped};

/// What a policy file wants to have in scope.
pub mod prelude {
    pub use crate::contract::{
        Change, Decision, Fallback, Group, Metric, MetricKind, MetricNeed, PauseOrder, PauseState,
        PlanInput, PolicyInfo, Reason, RollbackOrder, RolloutPlan, RootCause, Setting, Severity,
        Snapshot, Stage, Tally, Value, Verdict,
    };
    pub use crate::settings::{Flag, Number, Numbers, Spec, Text};
    pub use crate::{
        Action, Against, Check, Limit, PlanSettings, Policy, Source, Trigger, Watch, days,
        export_policy, hours, in_hours,
    };
}

use contract::{PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Verdict};

/// A rollout policy.
///
/// The functions are called in a fresh instance each time; what a policy wants to know the next time it puts into
/// [`Verdict::memo`].
pub trait Policy {
    /// Says what the policy is and which input it wants under these settings, which may be none.
    fn describe(settings: &[Setting]) -> PolicyInfo;

    /// Plans the stages of a rollout.
    ///
    /// # Errors
    ///
    /// In one sentence, what the user must change. The rollout does not start.
    fn plan(input: PlanInput) -> Result<RolloutPlan, String>;

    /// Decides what happens next.
    ///
    /// # Errors
    ///
    /// In one sentence, what is wrong with the input. The host pauses the rollout.
    fn evaluate(now: Snapshot) -> Result<Verdict, String>;
}

/// Makes a [`Policy`] the one that this component exports.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        const _: () = {
            struct Component;

            impl $crate::contract::Guest for Component {
                fn describe(
                    settings: Vec<$crate::contract::Setting>,
                ) -> $crate::contract::PolicyInfo {
                    <$policy as $crate::Policy>::describe(&settings)
                }

                fn plan(
                    input: $crate::contract::PlanInput,
                ) -> Result<$crate::contract::RolloutPlan, String> {
                    <$policy as $crate::Policy>::plan(input)
                }

                fn evaluate(
                    now: $crate::contract::Snapshot,
                ) -> Result<$crate::contract::Verdict, String> {
                    <$policy as $crate::Policy>::evaluate(now)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::contract::export_component!(Component with_types_in $crate::contract);
        };
    };
}
