//! The policies that come with whittle, on rollouts that are made up.

use whittle_policy_host::shipped::SHIPPED;
use whittle_policy_host::{Fault, Limits, sample};

use crate::support::host;

#[test]
fn each_answers_within_the_contract_whatever_happens() {
    let host = host(Limits::default());
    for shipped in SHIPPED {
        let policy = host.load(shipped.component).expect("it is a policy");
        assert_eq!(policy.info().name, shipped.name);
        let plan = policy.plan(&sample::plan_input(policy.info())).expect("it plans").value;
        for (name, snapshot) in sample::snapshots(policy.info(), &plan) {
            let answer = policy.evaluate(&snapshot);
            if let Err(error) = &answer {
                let is_refusal = matches!(error.fault, Fault::Refused(_));
                assert!(is_refusal, "{}: {name}: {error:?}", shipped.name);
            }
            for _ in 0..3 {
                let again = policy.evaluate(&snapshot);
                assert_eq!(again.ok(), answer.as_ref().ok().cloned(), "{name}");
            }
        }
    }
}
