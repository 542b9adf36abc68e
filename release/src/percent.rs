//! Shares as people write them: in per cent.

use whittle_format::Share;

const DECIMALS: usize = 4;

/// Parses per cent with at most four decimals, without a sign: `5`, `12.5`.
///
/// # Errors
/// Words that say what is wanted.
pub fn parse(text: &str) -> Result<Share, String> {
    let wrong =
        || format!("`{text}` is no percentage from 0 to 100 with at most {DECIMALS} decimals");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || fraction.len() > DECIMALS {
        return Err(wrong());
    }
    let ppm = format!("{whole}{fraction:0<DECIMALS$}").parse().map_err(|_| wrong())?;
    Share::from_ppm(ppm).map_err(|_| wrong())
}

/// The percentage as a number.
#[must_use]
pub fn number(share: Share) -> f64 {
    f64::from(share.ppm()) / f64::from(Share::WHOLE_PPM / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact_to_four_decimals() {
        for (text, ppm) in [
            ("0", 0),
            ("0.0001", 1),
            ("5", 50_000),
            ("12.5", 125_000),
            ("100", 1_000_000),
            ("100.0", 1_000_000),
        ] {
            assert_eq!(parse(text).map(Share::ppm), Ok(ppm), "{text}");
        }
        for wrong in
            ["", "-1", "100.0001", "101", "0.00001", ".5", "5.", "1e2", "5%", "99999999999"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_come_back() {
        for ppm in (0..=Share::WHOLE_PPM).step_by(37) {
            let share = Share::from_ppm(ppm).expect("in range");
            assert_eq!(parse(&number(share).to_string()), Ok(share));
        }
    }
}
