//! The types of `wit/policy.wit`, made from it. Their documentation is that of the contract.

#![allow(missing_docs, reason = "types of the contract are explained there")]
#![allow(
    unsafe_code,
    unreachable_pub,
    reason = "generated code lifts and lowers values by pointers"
)]
#![allow(clippy::all, clippy::pedantic, unused_qualifications, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "rollout-policy",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "whittle_policy::contract",
});

pub use exports::whittle::rollout_policy::policy::*;
