//! Rollout policy: few devices first, at working hours, within the capacity of support
