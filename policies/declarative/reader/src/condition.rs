//! Conditions such as `crashes > 2 x control`, and quantities with units.

use whittle_policy::prelude::*;
use whittle_policy::whole;

/// What a condition says.
pub(crate) struct Condition {
    pub(crate) source: Source,
    pub(crate) limit: Limit,
}

impl Condition {
    /// Reads a condition.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text);
        let [name, relation, rest @ ..] = &words[..] else {
            return Err(format!("`{text}` is no condition such as `crashes > 2 x control`"));
        };
        let source = match *name {
            "rolled-back" => Source::RolledBack,
            "silent" => Source::Silent,
            "bricked" => Source::Bricked,
            name => Source::metric(name),
        };
        let limit = match *relation {
            ">" => over(rest)?,
            "<" => under(rest)?,
            other => return Err(format!("`{other}` is neither `>` nor `<`")),
        };
        let is_absolute = matches!(limit, Limit::Above(_) | Limit::Below(_));
        if !is_absolute && !matches!(source, Source::Metric(_)) {
            return Err(format!(
                "`{name}` is counted by the host, without anything to compare with: write `{name} > 1 %`"
            ));
        }
        Ok(Self { source, limit })
    }
}

fn over(words: &[&str]) -> Result<Limit, String> {
    match words {
        [factor, "x", reference] => Ok(Limit::TimesReference(number(factor)?, against(reference)?)),
        [count, "in", window @ ..] => {
            Ok(Limit::CountWithin(number(count)?, bucketed(&window.join(" "))?))
        }
        amount => Ok(Limit::Above(value(amount)?)),
    }
}

fn under(words: &[&str]) -> Result<Limit, String> {
    match words {
        [reference, "-", less @ ..] => Ok(Limit::BelowReference(value(less)?, against(reference)?)),
        amount => Ok(Limit::Below(value(amount)?)),
    }
}

fn against(word: &str) -> Result<Against, String> {
    match word {
        "control" => Ok(Against::Control),
        "baseline" => Ok(Against::Baseline),
        "reference" => Ok(Against::Either),
        _ => Err(format!("`{word}` is none of `control`, `baseline` and `reference`")),
    }
}

/// A value in the metric's unit: `0.1`, `5 %`, `0.02 % per day`.
fn value(words: &[&str]) -> Result<f64, String> {
    let (amount, per) = match words {
        [amount @ .., "per", "hour"] => (amount, 1.0),
        [amount @ .., "per", "day"] => (amount, 24.0),
        amount => (amount, 1.0),
    };
    match amount {
        [amount] => Ok(number(amount)? / per),
        [amount, "%"] => Ok(number(amount)? / 100.0 / per),
        _ => Err(format!("`{}` is no number such as `5 %`", words.join(" "))),
    }
}

/// A share or proportion: `2 %` or `0.02`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = value(&words(text))?;
    if share > 1.0 { Err(format!("`{text}` is more than all of it")) } else { Ok(share) }
}

/// A length of time in seconds: `90 min`, `12 h`, `7 d`.
pub(crate) fn duration(text: &str) -> Result<u32, String> {
    let length = match &words(text)[..] {
        [minutes, "min"] => hours(number(minutes)? / 60.0),
        [amount, "h"] => hours(number(amount)?),
        [amount, "d"] => days(number(amount)?),
        _ => return Err(format!("`{text}` is no time such as `12 h`")),
    };
    if length == u32::MAX { Err(format!("`{text}` is too long")) } else { Ok(length) }
}

/// A length of time that quarters of an hour fit into.
fn bucketed(text: &str) -> Result<u32, String> {
    const QUARTER: u32 = 900;
    let window = duration(text)?;
    if window > 0 && window % QUARTER == 0 && window <= 240 * 3_600 {
        Ok(window)
    } else {
        Err(format!("`{text}` is not a number of quarters of an hour up to 10 days"))
    }
}

/// Devices to start per hour: `500 per hour`, `500` or `12000 per day`.
pub(crate) fn pace(text: &str) -> Result<u32, String> {
    match words(text)[..] {
        [devices] | [devices, "per", "hour"] => count(devices),
        [devices, "per", "day"] => at_least_one(number(devices)? / 24.0),
        _ => Err(format!("`{text}` is no pace such as `500 per hour`")),
    }
}

/// A number of devices, 1 or greater.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    at_least_one(number(text)?)
}

fn at_least_one(number: f64) -> Result<u32, String> {
    let whole = whole(number);
    if whole == 0 { Err("this must be 1 at least".to_owned()) } else { Ok(whole) }
}

/// The words of a text. Nearly all texts are ASCII, whose spaces are found quickly.
fn words(text: &str) -> Vec<&str> {
    const LONGEST_CONDITION: usize = 8;
    let mut words = Vec::with_capacity(LONGEST_CONDITION);
    if text.is_ascii() {
        words.extend(text.split_ascii_whitespace());
    } else {
        words.extend(text.split_whitespace());
    }
    words
}

/// A number, written with digits and a point: 15 digits at most, so that it is exact.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no number such as `12` or `0.5`");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if whole.is_empty() || part.is_empty() || whole.len() + part.len() > 15 {
        return Err(wrong());
    }
    let (mut all, mut scale) = (0.0, 1.0);
    for (digits, step) in [(whole, 1.0), (part, 10.0)] {
        for digit in digits.bytes() {
            if !digit.is_ascii_digit() {
                return Err(wrong());
            }
            all = all * 10.0 + f64::from(digit - b'0');
            scale *= step;
        }
    }
    Ok(all / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for text in ["0", "12", "0.5", "0.0002", "3.14159", "123456789012.345"] {
            assert_eq!(number(text), Ok(text.parse::<f64>().expect("a number")), "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "1e3", "1_000", "0x10", "nan", "1234567890.123456"]
        {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_have_units() {
        assert_eq!(share("2.5 %"), Ok(0.025));
        assert_eq!(share("0.02"), Ok(0.02));
        assert_eq!(share("101 %"), Err("`101 %` is more than all of it".to_owned()));
        assert_eq!(duration("90 min"), Ok(5_400));
        assert_eq!(duration("12 h"), Ok(43_200));
        assert_eq!(duration("0.5 d"), Ok(43_200));
        assert_eq!(duration("12\u{a0}h"), Ok(43_200));
        assert_eq!(duration("12"), Err("`12` is no time such as `12 h`".to_owned()));
        assert_eq!(duration("99999999 d"), Err("`99999999 d` is too long".to_owned()));
        assert_eq!(
            (pace("500 per hour"), pace("500"), pace("12000 per day")),
            (Ok(500), Ok(500), Ok(500))
        );
    }

    #[test]
    fn conditions_of_every_form() {
        let limit = |text: &str| Condition::parse(text).map(|condition| condition.limit);
        assert_eq!(
            limit("crashes > 2 x control"),
            Ok(Limit::TimesReference(2.0, Against::Control))
        );
        assert_eq!(
            limit("tickets > 1.5 x reference"),
            Ok(Limit::TimesReference(1.5, Against::Either))
        );
        assert_eq!(
            limit("connected < baseline - 5 %"),
            Ok(Limit::BelowReference(0.05, Against::Baseline))
        );
        assert_eq!(limit("rolled-back > 10 %"), Ok(Limit::Above(0.1)));
        assert_eq!(limit("connected < 95 %"), Ok(Limit::Below(0.95)));
        assert_eq!(limit("crashes > 24 per day"), Ok(Limit::Above(1.0)));
        assert_eq!(limit("crashes > 2.4 % per day"), Ok(Limit::Above(0.024 / 24.0)));
        assert_eq!(limit("tickets > 100 in 4 h"), Ok(Limit::CountWithin(100.0, 14_400)));
    }

    #[test]
    fn conditions_that_are_none() {
        let error = |text: &str| Condition::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(error("crashes"), "`crashes` is no condition such as `crashes > 2 x control`");
        assert_eq!(error("crashes = 2"), "`=` is neither `>` nor `<`");
        assert_eq!(error("crashes > two"), "`two` is no number such as `12` or `0.5`");
        assert_eq!(
            error("crashes > 2 x before"),
            "`before` is none of `control`, `baseline` and `reference`"
        );
        assert_eq!(
            error("tickets > 100 in 100 min"),
            "`100 min` is not a number of quarters of an hour up to 10 days"
        );
        assert_eq!(
            error("silent > 2 x control"),
            "`silent` is counted by the host, without anything to compare with: write `silent > 1 %`"
        );
    }
}
