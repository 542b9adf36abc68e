//! Rollout policy: stages last as long as history and risk demand
