//! What the policy has bet so far, to be shown: it decides by it, and tells it only when it pauses.

/// Stakes of a bet.
const STAKES: usize = 6;

/// The e-value of a metric in a memo of the policy `significance`: the mean of its stakes.
///
/// ```text
/// 7200 running
/// crashes 3ff0000000000000 …      six logarithms, each as the bits of a double
/// ```
///
/// None if the memo is another one's.
pub(crate) fn e_value(memo: &str, metric: &str) -> Option<f64> {
    let line =
        memo.lines().skip(1).find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '))?;
    let stake = |digits: &str| u64::from_str_radix(digits, 16).ok().map(f64::from_bits);
    let stakes: Vec<f64> = line.split(' ').map(stake).collect::<Option<_>>()?;
    let sum: f64 = stakes.iter().map(|stake| libm::exp(*stake)).sum();
    (stakes.len() == STAKES).then_some(sum / STAKES as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_tells_its_mean() {
        let bits = |stake: f64| format!("{:x}", stake.to_bits());
        let stakes = [0.0, 0.0, 0.0, 2.0_f64.ln(), 3.0_f64.ln(), 4.0_f64.ln()].map(bits).join(" ");
        let memo = format!("7200 running\ntickets x\ncrashes {stakes}");
        let found = e_value(&memo, "crashes").expect("it is there");
        assert!((found - 2.0).abs() < 1e-12, "{found}");
        for other in
            ["", "x", "1 running", "1 running\ncrashes 0 0", "1 running\ncrashes z z z z z z"]
        {
            assert_eq!(e_value(other, "crashes"), None, "{other}");
        }
    }
}
