//! Components that were built when a version of the contract was released, and which users may have.

use whittle_policy_host::Limits;

use crate::support::{host, plan_input, released, snapshot};

#[test]
fn a_component_of_0_1_0_keeps_working() {
    let policy = host(Limits::default()).load(&released("0.1.0")).expect("it loads");
    policy.plan(&plan_input()).expect("it plans");
    let mut now = snapshot();
    for looks in 1..=3 {
        now.memo = policy.evaluate(&now).expect("it decides").value.memo;
        assert_eq!(now.memo, "x".repeat(looks), "the memo comes back");
    }
}
