//! Rollout policy: a pause with triage, deadline and forced decision
