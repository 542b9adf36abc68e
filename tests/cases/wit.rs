//! The contract of rollout policies is valid WIT.

use crate::support::root;

#[test]
fn the_policy_world_parses_and_imports_nothing() {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).expect("valid WIT");
    let name = &resolve.packages[package].name;
    assert_eq!(name.to_string(), "whittle:rollout-policy@0.1.0");
    let world = resolve.select_world(&[package], None).expect("one world");
    assert_eq!(resolve.worlds[world].imports.len(), 0, "a policy has no powers");
}
