//! Numbers as people read them: the same in a terminal, in a formula and on the page.

/// Dollars and cents.
pub(crate) fn usd(amount: f64) -> String {
    let sign = if amount <= -0.005 { "-" } else { "" };
    format!("{sign}${}", fixed(amount.abs(), 2))
}

/// Dollars with all digits that count: cents would hide what a device pays.
pub(crate) fn usd_exactly(amount: f64) -> String {
    format!("${}", number(amount))
}

/// A number with thousands apart: whole ones as they are, larger ones with two decimals, others with five digits that count.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    let size = value.abs();
    let sign = if value < 0.0 { "-" } else { "" };
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}");
    }
    if size.fract() == 0.0 {
        return format!("{sign}{}", fixed(size, 0));
    }
    let decimals = match size {
        1000.0.. => 2,
        100.0.. => 2,
        10.0.. => 3,
        1.0.. => 4,
        0.1.. => 5,
        0.01.. => 6,
        _ => 7,
    };
    let text = fixed(size, decimals);
    format!("{sign}{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A percentage.
pub(crate) fn percent(value: f64) -> String {
    format!("{} %", number(round(value, 1e4)))
}

/// A percentage with one decimal, or with two digits that count where it is small.
#[must_use]
pub fn short_percent(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        1.0.. => 1,
        0.1.. => 2,
        0.01.. => 3,
        0.0001.. => 4,
        _ if size == 0.0 => 0,
        _ => return "<0.0001 %".to_owned(),
    };
    let text = fixed(size, decimals);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{text} %", if value < 0.0 { "-" } else { "" })
}

/// Seconds in the unit that fits.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        7200.0.. => format!("{} h", number(round(value / 3600.0, 10.0))),
        120.0.. => format!("{} min", number(round(value / 60.0, 10.0))),
        _ => format!("{} s", number(round(value, 100.0))),
    }
}

/// Hours, and days beside them where there are many.
#[must_use]
pub fn hours(value: f64) -> String {
    let text = format!("{} h", number(round(value, 100.0)));
    if value < 48.0 || !value.is_finite() {
        text
    } else {
        format!("{text} ({} d)", number(round(value / 24.0, 100.0)))
    }
}

fn round(value: f64, by: f64) -> f64 {
    if value.abs() * by < 1e15 { (value * by).round() / by } else { value }
}

/// Digits before the point in groups of three.
fn fixed(size: f64, decimals: usize) -> String {
    let text = format!("{size:.decimals$}");
    let (whole, rest) =
        text.split_once('.').map_or((&*text, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or_else(|| grouped.clone(), |rest| format!("{grouped}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_counts() {
        let cases = [
            (0.0, "0"),
            (15_000.0, "15,000"),
            (2317.14, "2,317.14"),
            (0.0625, "0.0625"),
            (0.166_859_8, "0.16686"),
            (-1.5, "-1.5"),
            (0.000_01, "1.000e-5"),
            (f64::INFINITY, "∞"),
        ];
        for (value, wanted) in cases {
            assert_eq!(number(value), wanted);
        }
        assert_eq!(
            (usd(10_947.1), usd(-446.345), usd(-0.001)),
            ("$10,947.10".into(), "-$446.35".into(), "$0.00".into())
        );
        assert_eq!((percent(0.02), percent(83.8)), ("0.02 %".into(), "83.8 %".into()));
        assert_eq!(
            (short_percent(6.06), short_percent(0.42), short_percent(47.5)),
            ("6.1 %".into(), "0.42 %".into(), "47.5 %".into())
        );
        assert_eq!(
            (seconds(28.8), seconds(1234.0), hours(150.0)),
            ("28.8 s".into(), "20.6 min".into(), "150 h (6.25 d)".into())
        );
    }
}
