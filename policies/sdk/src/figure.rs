//! Numbers for people. The standard library writes every digit of a number, at the cost of 20 KiB in each component.

/// Writes a number with four significant digits, or all of them before the point: `0.0002`, `2.5`, `12500`.
///
/// ```
/// use whittle_policy::figure;
///
/// let texts = [0.0, 0.1 + 0.2, -2.0 / 3.0, 12_500.0, 8.333e-6, 1e-20, 0.99999].map(figure);
/// assert_eq!(texts, ["0", "0.3", "-0.6667", "12500", "0.000008333", "0", "1"]);
/// ```
pub fn figure(number: f64) -> String {
    const SIGNIFICANT: u32 = 4;
    const MOST_DECIMALS: u32 = 15;

    let size = number.abs();
    let (mut decimals, mut scale) = (0, 1.0);
    while decimals < MOST_DECIMALS && size * scale < f64::from(10_u32.pow(SIGNIFICANT - 1)) {
        decimals += 1;
        scale *= 10.0;
    }
    // The cast saturates, which is right for anything as large as that.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let scaled = (size * scale).round() as u64;
    let unit = 10_u64.pow(decimals);
    let sign = if number < 0.0 && scaled > 0 { "-" } else { "" };
    let (whole, rest) = (scaled / unit, scaled % unit);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let rest = format!("{rest:0width$}", width = decimals as usize);
    format!("{sign}{whole}.{}", rest.trim_end_matches('0'))
}
