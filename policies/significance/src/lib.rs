//! Rollout policy: pauses on evidence against a control group
