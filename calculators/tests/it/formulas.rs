//! A formula's numbers give its value: they are what is printed, and the value is what is reckoned with.

use whittle_calculators::{Formula, presets, savings, stages};

#[test]
fn printed_numbers_give_the_printed_value() {
    let mut evaluated = 0;
    for formula in formulas() {
        // Tails of laws and logarithms are no arithmetic.
        if formula.numbers.contains(['P', 'l', ';', 'f']) {
            continue;
        }
        let found = Reader(&formula.numbers).sum();
        let by = (formula.value.abs() * 1e-3).max(0.006);
        assert!(
            (found - formula.value).abs() <= by,
            "{}: {} = {found}, not {}",
            formula.key,
            formula.numbers,
            formula.value
        );
        evaluated += 1;
    }
    assert!(evaluated > 100, "{evaluated}");
}

#[test]
fn symbols_and_numbers_have_the_same_shape() {
    let shape = |text: &str| text.matches(['×', '/', '≥', '^']).count();
    for formula in formulas() {
        assert!(!formula.symbols.contains('?') && !formula.symbols.contains("{}"), "{formula:?}");
        // Sums over bases and stages have one name and many numbers.
        if !formula.symbols.contains("sum") && !formula.symbols.contains("product") {
            assert_eq!(shape(&formula.symbols), shape(&formula.numbers), "{formula:?}");
        }
    }
}

fn formulas() -> Vec<Formula> {
    let mut formulas = vec![];
    let base = |name: &str, download_bytes| savings::Base {
        name: name.to_owned(),
        download_bytes,
        weight: 2.5,
    };
    for preset in presets::savings() {
        let bases = vec![base("1", 40_000.0), base("2", 524_288.0)];
        let measured =
            savings::Inputs { bases, link_bits_per_second: 9600.0, ..preset.inputs.clone() };
        for inputs in [preset.inputs, measured] {
            formulas.extend(savings::outcome(&inputs).expect("it can be").formulas);
        }
    }
    for preset in presets::stages() {
        let outcome = stages::outcome(&preset.inputs).expect("it can be");
        formulas.extend(outcome.formulas);
        formulas.extend(outcome.stages.into_iter().flat_map(|stage| stage.formulas));
    }
    formulas
}

/// Reads sums of products of powers, with thousands apart, dollars and percentages.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn takes(&mut self, sign: char) -> bool {
        let text = self.0.trim_start();
        text.strip_prefix(sign).inspect(|rest| self.0 = rest).is_some()
    }

    fn sum(&mut self) -> f64 {
        let mut sum = self.product();
        loop {
            if self.takes('+') {
                sum += self.product();
            } else if self.takes('-') {
                sum -= self.product();
            } else {
                return sum;
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut product = self.power();
        loop {
            if self.takes('×') {
                product *= self.power();
            } else if self.takes('/') {
                product /= self.power();
            } else {
                return product;
            }
        }
    }

    fn power(&mut self) -> f64 {
        let base = self.number();
        if self.takes('^') { base.powf(self.number()) } else { base }
    }

    fn number(&mut self) -> f64 {
        if self.takes('(') {
            let sum = self.sum();
            assert!(self.takes(')'), "`{}`", self.0);
            return sum;
        }
        let is_negative = self.takes('-');
        self.takes('$');
        // What is next to nothing is written as less than something that is.
        self.takes('<');
        let text = self.0.trim_start();
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ',' | '.'))
            .unwrap_or(text.len());
        self.0 = &text[end..];
        let number: f64 =
            text[..end].replace(',', "").parse().unwrap_or_else(|_| panic!("`{text}`"));
        let number = if self.takes('%') { number / 100.0 } else { number };
        if is_negative { -number } else { number }
    }
}
