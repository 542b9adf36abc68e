//! Version 0.1 of the contract: its bindings, and how its types and ours become each other.
//!
//! A later version gets a module like this one; the types of the host stay those of [`crate::types`].

use wasmtime::component::{
    ComponentExportIndex, ComponentType, InstancePre, Lift, Lower, TypedFunc,
};
use wasmtime::{Engine, Store};

use crate::store::Meter;
use crate::types;

mod bindings {
    #![allow(missing_docs, unreachable_pub, unused_qualifications)]

    wasmtime::component::bindgen!({ path: "../wit", world: "whittle:rollout-policy/rollout-policy@0.1.0" });
}

use bindings::exports::whittle::rollout_policy::policy as wit;
use bindings::{RolloutPolicy, RolloutPolicyPre};

/// The interface that a component must export.
pub(crate) const INTERFACE: &str = "whittle:rollout-policy/policy@0.1.0";

/// The functions of a component.
pub(crate) struct Exports {
    all: RolloutPolicyPre<Meter>,
    plan: ComponentExportIndex,
    evaluate: ComponentExportIndex,
}

/// A function that gives an answer, or a text why there is none.
pub(crate) type Exported<I, O> =
    TypedFunc<(<I as Mirrored>::Wit,), (Result<<O as Mirrored>::Wit, String>,)>;

/// What a function returns: an answer, a text why there is none, or an error of wasmtime.
pub(crate) type Asked<O> = wasmtime::Result<Result<<O as Mirrored>::Wit, String>>;

impl Exports {
    /// Finds the functions, and compares their types if an instance can be made in the store; else whoever makes one says why not.
    pub(crate) fn of(
        instance: InstancePre<Meter>,
        mut store: Store<Meter>,
    ) -> wasmtime::Result<Self> {
        let all = RolloutPolicyPre::new(instance)?;
        if let Ok(instance) = all.instance_pre().instantiate(&mut store) {
            RolloutPolicy::new(&mut store, &instance)?;
        }
        let component = all.instance_pre().component();
        let interface = component.get_export_index(None, INTERFACE);
        let exported = |name: &str| {
            let found = component.get_export_index(interface.as_ref(), name);
            found.ok_or_else(|| wasmtime::Error::msg(format!("no function `{name}`")))
        };
        let (plan, evaluate) = (exported("plan")?, exported("evaluate")?);
        Ok(Self { all, plan, evaluate })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.all.engine()
    }

    /// An instance, of all functions.
    pub(crate) fn instantiate(&self, store: &mut Store<Meter>) -> wasmtime::Result<RolloutPolicy> {
        self.all.instantiate(store)
    }

    /// `plan` of an instance of its own.
    pub(crate) fn plan(
        &self,
        store: &mut Store<Meter>,
    ) -> wasmtime::Result<Exported<types::PlanInput, types::RolloutPlan>> {
        self.function::<types::PlanInput, types::RolloutPlan>(store, &self.plan)
    }

    /// `evaluate` of an instance of its own.
    pub(crate) fn evaluate(
        &self,
        store: &mut Store<Meter>,
    ) -> wasmtime::Result<Exported<types::Snapshot, types::Verdict>> {
        self.function::<types::Snapshot, types::Verdict>(store, &self.evaluate)
    }

    /// Compares the types of one function again: those of all take a thirtieth of a call.
    fn function<I, O>(
        &self,
        store: &mut Store<Meter>,
        exported: &ComponentExportIndex,
    ) -> wasmtime::Result<Exported<I, O>>
    where
        I: Mirrored<Wit: ComponentType + Lower + 'static>,
        O: Mirrored<Wit: ComponentType + Lift + 'static>,
    {
        let instance = self.all.instance_pre().instantiate(&mut *store)?;
        instance.get_typed_func(store, exported)
    }
}

/// Calls `describe`.
pub(crate) fn describe(
    policy: &RolloutPolicy,
    store: &mut Store<Meter>,
    settings: &[wit::Setting],
) -> Asked<types::PolicyInfo> {
    policy.whittle_rollout_policy_policy().call_describe(store, settings).map(Ok)
}

/// Calls another function.
pub(crate) fn call<I, O>(
    function: &TypedFunc<(I,), (Result<O, String>,)>,
    store: &mut Store<Meter>,
    input: I,
) -> wasmtime::Result<Result<O, String>>
where
    I: ComponentType + Lower + 'static,
    O: ComponentType + Lift + 'static,
{
    function.call(store, (input,)).map(|(answer,)| answer)
}

/// A type of ours that has a counterpart in the bindings.
pub(crate) trait Mirrored: Sized {
    /// The counterpart.
    type Wit;

    /// Makes the counterpart of this value.
    fn to_wit(&self) -> Self::Wit;

    /// Makes our value of its counterpart.
    fn from_wit(wit: Self::Wit) -> Self;

    /// How many bytes the value takes in a policy's memory, about: padding is left out.
    fn bytes(&self) -> usize;
}

/// Types that are the same on both sides.
macro_rules! same {
    ($($name:ty),*) => {$(
        impl Mirrored for $name {
            type Wit = Self;

            fn to_wit(&self) -> Self {
                *self
            }

            fn from_wit(wit: Self) -> Self {
                wit
            }

            fn bytes(&self) -> usize {
                size_of::<Self>()
            }
        }
    )*};
}

same!(bool, f64, u8, u16, u32);

/// Bytes of a pointer and a length, in the 32-bit memory of a policy.
const POINTER_AND_LENGTH: usize = 8;

impl Mirrored for String {
    type Wit = Self;

    fn to_wit(&self) -> Self {
        self.clone()
    }

    fn from_wit(wit: Self) -> Self {
        wit
    }

    fn bytes(&self) -> usize {
        POINTER_AND_LENGTH + self.len()
    }
}

impl<T: Mirrored> Mirrored for Vec<T> {
    type Wit = Vec<T::Wit>;

    fn to_wit(&self) -> Self::Wit {
        self.iter().map(T::to_wit).collect()
    }

    fn from_wit(wit: Self::Wit) -> Self {
        wit.into_iter().map(T::from_wit).collect()
    }

    fn bytes(&self) -> usize {
        POINTER_AND_LENGTH + self.iter().map(T::bytes).sum::<usize>()
    }
}

impl<T: Mirrored> Mirrored for Option<T> {
    type Wit = Option<T::Wit>;

    fn to_wit(&self) -> Self::Wit {
        self.as_ref().map(T::to_wit)
    }

    fn from_wit(wit: Self::Wit) -> Self {
        wit.map(T::from_wit)
    }

    fn bytes(&self) -> usize {
        1 + self.as_ref().map_or(0, T::bytes)
    }
}

/// Records and variants: every field and case stands here once, so that none can be forgotten.
macro_rules! mirrored {
    () => {};
    (record $name:ident { $($field:ident),* } $($rest:tt)*) => {
        impl Mirrored for types::$name {
            type Wit = wit::$name;

            fn to_wit(&self) -> Self::Wit {
                wit::$name { $($field: self.$field.to_wit()),* }
            }

            fn from_wit(wit: Self::Wit) -> Self {
                Self { $($field: Mirrored::from_wit(wit.$field)),* }
            }

            fn bytes(&self) -> usize {
                0 $(+ self.$field.bytes())*
            }
        }
        mirrored! { $($rest)* }
    };
    (variant $name:ident { $($case:ident $(($inner:ident))?),* } $($rest:tt)*) => {
        impl Mirrored for types::$name {
            type Wit = wit::$name;

            fn to_wit(&self) -> Self::Wit {
                match self {
                    $(Self::$case $(($inner))? => wit::$name::$case $(($inner.to_wit()))?),*
                }
            }

            fn from_wit(wit: Self::Wit) -> Self {
                match wit {
                    $(wit::$name::$case $(($inner))? => Self::$case $((Mirrored::from_wit($inner)))?),*
                }
            }

            fn bytes(&self) -> usize {
                match self {
                    $(Self::$case $(($inner))? => 1 $(+ $inner.bytes())?),*
                }
            }
        }
        mirrored! { $($rest)* }
    };
}

mirrored! {
    variant Value { Number(inner), Flag(inner), Text(inner), Numbers(inner) }
    record Setting { key, value }
    record SettingSpec { key, help, unit, default, min, max }
    variant MetricKind { Rate, Proportion, Mean }
    record MetricNeed { name, kind, unit, help, required }
    record PolicyInfo { name, version, summary, settings, metrics, buckets, bucket_length, split_by, extra }
    record Tally { count, exposure, squares }
    variant Reference { Control, Baseline }
    record Signal { against, ratio, low, high, tolerated, log_e_worse, alarm, log_e_fine }
    record Bucket { age, length, treated, control }
    record Metric { name, kind, higher_is_worse, age, baseline, control, treated, current, signal, recent }
    record Group { label, devices, held_back, offered, updated, committed, rolled_back, bricked, silent, metrics }
    record Clock { elapsed, year, month, day, weekday, hour, minute }
    variant Change { Cosmetic, Fix, Feature, Security }
    record Release { name, change, emergency, safety_critical, well_tested, reversible, full_bytes, delta_bytes }
    record PastRollout { name, lasted, paused, rolled_back, time_to_trouble, devices_harmed }
    record Stage { name, share, max_devices, among, min_time, max_time, pace, needs_approval }
    record PlanInput { clock, release, groups, history, settings, extra }
    record Reason { code, text, metric, group, observed, limit }
    record RolloutPlan { stages, hold_back, reasons, extra }
    variant Severity { Low, Moderate, High, Critical }
    record RollbackOrder { groups, quarantine }
    variant Fallback { Resume(inner), RollBack(inner), Stop }
    record PauseOrder { severity, decide_within, otherwise, more_telemetry }
    variant RootCause { Unknown, FoundMinor, FoundMajor }
    record PauseState { age, time_left, severity, root_cause, otherwise, reasons }
    variant DecisionKind { Hold, Advance, Pause, Resume, RollBack, Stop, Complete }
    variant DecidedBy { Policy, GuardRail, Person }
    record PastDecision { age, kind, by, code }
    record Snapshot { clock, release, stages, stage_index, stage_age, full_for, share_limit, groups, paused, decisions, settings, memo, extra }
    variant Decision { Hold, Advance(inner), Pause(inner), Resume(inner), RollBack(inner), Stop, Complete }
    record FlagOrder { name, on, groups }
    record Verdict { decision, reasons, again_in, feature_flags, memo, extra }
}
