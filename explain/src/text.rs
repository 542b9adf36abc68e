//! A report as text for a terminal.

use std::fmt::Write as _;

use crate::report::{Advice, Basis, KindCost, Report, RunCost, SymbolCost};

/// Narrower than this nothing can be shown.
const MIN_WIDTH: usize = 40;

/// Names are not cut shorter than this, whatever the width.
const MIN_NAME: usize = 12;

/// A report in lines of at most `width` columns, as far as figures fit.
#[must_use]
pub fn render(report: &Report, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut text = head(report, width);
    let kinds =
        report.kinds.iter().filter(|cost| shows(cost)).map(|cost| {
            vec![figure(cost.bytes), percent(cost.percent), cost.kind.name().to_owned()]
        });
    table(&mut text, width, "By kind of change", &["bytes", "%", "kind"], kinds);
    let sections = report.sections.iter().map(|cost| {
        vec![
            figure(cost.bytes),
            percent(cost.percent),
            grouped(cost.size),
            cost.name.as_ref().map_or("-".to_owned(), |_| sized(cost.base_size, cost.size)),
            moved(cost.moved_by),
            cost.kind.name().to_owned(),
            cost.name.clone().unwrap_or_else(|| "(in no section)".to_owned()),
        ]
    });
    let columns = ["bytes", "%", "size", "change", "moved by", "mostly", "section"];
    table(&mut text, width, "By section", &columns, sections);
    let symbols = report.symbols.iter().filter(|cost| cost.bytes > 0.0).map(symbol_row);
    let columns = ["bytes", "%", "size", "change", "moved by", "what", "section", "symbol"];
    table(&mut text, width, "Functions and constants", &columns, symbols);
    if let (more @ 1.., bytes) = report.more_symbols {
        let _ = writeln!(text, "  {more} more take {} bytes", figure(bytes));
    }
    let runs = report.runs.iter().map(run_row);
    let columns = ["bytes", "%", "offset", "address", "length", "mostly", "inside"];
    table(&mut text, width, "Costly stretches", &columns, runs);
    let stamps = report.stamps.iter().map(|stamp| {
        let offset = format!("{:#x}", stamp.offset);
        vec![figure(stamp.bytes), offset, stamp.kind.name().to_owned(), stamp.value.clone()]
    });
    table(&mut text, width, "Build stamps", &["bytes", "offset", "kind", "value"], stamps);
    advice(&mut text, width, &report.advice);
    text
}

/// What a table tells of a function or constant.
pub(crate) fn symbol_row(cost: &SymbolCost) -> Vec<String> {
    vec![
        figure(cost.bytes),
        percent(cost.percent),
        grouped(cost.size),
        sized(cost.base_size, cost.size),
        moved(cost.moved_by),
        cost.change.name().to_owned(),
        cost.section.clone(),
        cost.name.clone(),
    ]
}

/// What a table tells of a costly stretch.
pub(crate) fn run_row(run: &RunCost) -> Vec<String> {
    vec![
        figure(run.bytes),
        percent(run.percent),
        format!("{:#x}", run.offset),
        run.address.map_or("-".to_owned(), |address| format!("{address:#010x}")),
        grouped(run.size),
        run.kind.name().to_owned(),
        run.inside.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

/// Whether a kind costs enough to be a figure.
pub(crate) fn shows(cost: &KindCost) -> bool {
    cost.bytes.abs() >= 0.05
}

fn head(report: &Report, width: usize) -> String {
    let how = &report.how;
    let set = report.instruction_set.as_deref().unwrap_or("no known code");
    let size = format!(
        "{} bytes of payload, {} % of the target's {} (compact, {}, {set})",
        grouped(report.payload_bytes),
        percent(share(report.payload_bytes, report.target_bytes)),
        grouped(report.target_bytes),
        report.memory_class,
    );
    let how = format!(
        "where copies begin {}, misses {}, literals {}, hits {}, address map {}, header and end {}",
        figure(how.starts),
        figure(how.misses),
        figure(how.literals),
        figure(how.hits),
        figure(how.address_map),
        figure(how.header + how.end),
    );
    let mut text = String::new();
    wrapped(&mut text, width, "", &size);
    wrapped(&mut text, width, "", &how);
    text
}

fn advice(text: &mut String, width: usize, advice: &[Advice]) {
    if advice.is_empty() {
        return;
    }
    text.push_str("\nWhat would make it smaller\n");
    for advice in advice {
        let saving = match advice.basis {
            Basis::Measured => format!("saves {} bytes (measured)", figure(advice.saving_bytes)),
            Basis::UpperBound => {
                format!("saves at most {} bytes (upper bound)", figure(advice.saving_bytes))
            }
        };
        wrapped(text, width, "  ", &format!("{}: {saving}", advice.title));
        wrapped(text, width, "    ", &advice.detail);
    }
}

/// Words in lines, all of them indented.
fn wrapped(text: &mut String, width: usize, indent: &str, words: &str) {
    let mut line = String::new();
    for word in words.split(' ') {
        let len = indent.len() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && len > width {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{indent}{line}");
}

/// A table whose last column is a name that is cut where the line would get too long.
fn table(
    text: &mut String,
    width: usize,
    title: &str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let rows: Vec<Vec<String>> =
        rows.map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    if rows.is_empty() {
        return;
    }
    let column = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(column).collect();
    let fixed: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum::<usize>() + 2;
    let last = width.saturating_sub(fixed).max(MIN_NAME);
    let _ = writeln!(text, "\n{title}");
    let names = header.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(names).chain(rows) {
        let mut line = String::from("  ");
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_last = number + 1 == widths.len();
            let is_figure = cell
                .starts_with(|letter: char| letter.is_ascii_digit() || "+-".contains(letter))
                || ["bytes", "%", "size", "change", "moved by", "length", "offset", "address"]
                    .contains(&cell.as_str());
            let _ = match (is_last, is_figure) {
                (true, _) => write!(line, "{}", cut(cell, last)),
                (false, true) => write!(line, "{cell:>width$}  "),
                (false, false) => write!(line, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A name without what would end its line, or move the cursor.
fn one_line(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A name's beginning and end, where it is too long: both tell more than the middle.
fn cut(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_owned();
    }
    let front = (width - 1) / 2;
    let back = width - 1 - front;
    let start: String = name.chars().take(front).collect();
    let end: String = name.chars().skip(count - back).collect();
    format!("{start}…{end}")
}

/// A number of bytes with one decimal, where that says something.
pub(crate) fn figure(bytes: f64) -> String {
    if bytes.abs() >= 1000.0 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^32")]
        let whole = bytes.abs().round() as u64;
        return format!("{}{}", if bytes < 0.0 { "-" } else { "" }, grouped(whole));
    }
    let text = format!("{bytes:.1}");
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

pub(crate) fn percent(percent: f64) -> String {
    figure(percent)
}

#[allow(clippy::cast_precision_loss, reason = "images are small")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// By how much a size has changed.
pub(crate) fn sized(before: Option<u64>, now: u64) -> String {
    match before {
        None => "new".to_owned(),
        Some(before) if before == now => "-".to_owned(),
        Some(before) if before < now => format!("+{}", grouped(now - before)),
        Some(before) => format!("-{}", grouped(before - now)),
    }
}

/// How far something has moved.
pub(crate) fn moved(by: Option<i64>) -> String {
    match by {
        None | Some(0) => "-".to_owned(),
        Some(by) => format!("{}{:#x}", if by < 0 { "-" } else { "+" }, by.unsigned_abs()),
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle_and_figures_are_short() {
        assert_eq!(cut("a::long::name::of::a::function", 13), "a::lon…nction");
        assert_eq!(cut("short", 12), "short");
        assert_eq!(
            (figure(12.34), figure(-0.01), figure(12345.6)),
            ("12.3".into(), "0.0".into(), "12,346".into())
        );
        assert_eq!((sized(Some(1000), 2), sized(None, 7)), ("-998".into(), "new".into()));
        assert_eq!((moved(Some(-16)), moved(Some(0))), ("-0x10".into(), "-".into()));
    }
}
