//! Lengths of time.

/// Hours as seconds, rounded; at most what the contract's `seconds` can hold.
pub const fn hours(hours: f64) -> u32 {
    // The cast saturates, and makes NaN zero.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let seconds = (hours * 3_600.0).round() as u32;
    seconds
}

/// Days as seconds, rounded.
pub const fn days(days: f64) -> u32 {
    hours(days * 24.0)
}

/// Seconds as hours.
pub fn in_hours(seconds: u32) -> f64 {
    f64::from(seconds) / 3_600.0
}
