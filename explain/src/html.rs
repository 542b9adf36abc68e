//! A report as a page that needs nothing else: no scripts, no fonts, no requests.

use std::fmt::Write as _;

use crate::kind::Kind;
use crate::report::{Basis, KindCost, RegionCost, Report, SymbolCost};
use crate::text::{figure, grouped, moved, percent, run_row, share, shows, sized, symbol_row};

const STYLE: &str = "\
:root{color-scheme:light dark;--text:#222;--soft:#666;--line:#ccc;--ground:#fff;--box:#f4f4f4}\
@media(prefers-color-scheme:dark){:root{--text:#e4e4e4;--soft:#a0a0a0;--line:#444;--ground:#181818;--box:#242424}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:var(--text);background:var(--ground)}\
table{border-collapse:collapse;width:100%}td,th{padding:.15em .8em .15em 0;text-align:left;vertical-align:top}\
th{font-weight:600;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
td.name{font-family:ui-monospace,monospace;font-size:13px;overflow-wrap:anywhere}h2{margin-top:2em}\
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:#fff;pointer-events:none}svg rect{stroke:var(--ground);stroke-width:1}\
.key{display:inline-block;width:.8em;height:.8em;margin-right:.4em}.soft{color:var(--soft)}\
.wide{overflow-x:auto}.advice{background:var(--box);border-left:4px solid #2f7fd1;padding:.4em 1em;margin:.6em 0}";

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 360.0;

/// A page about the delta of a `title`, in HTML.
#[must_use]
pub fn page(report: &Report, title: &str) -> String {
    let title = escaped(title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    let set = report.instruction_set.as_deref().unwrap_or("no known code");
    let _ = writeln!(
        html,
        "<p><strong>{}</strong> bytes of payload, {} % of the target&#39;s {}; the base has {}. Codec compact, class {}, {}.</p>",
        grouped(report.payload_bytes),
        percent(share(report.payload_bytes, report.target_bytes)),
        grouped(report.target_bytes),
        grouped(report.base_bytes),
        escaped(&report.memory_class),
        escaped(set),
    );
    html += &kinds(&report.kinds);
    html += &advice(report);
    html += &treemap(report);
    html += &strip(&report.regions);
    html += &tables(report);
    html += "</body></html>\n";
    html
}

/// The colour of what is of several kinds: that of none.
const OF_SEVERAL_KINDS: &str = "#55606b";

/// The colour of a kind, dark enough for white letters on it.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::MovedCode => "#2f6db5",
        Kind::ChangedCode => "#a8441f",
        Kind::NewCode => "#8a2f6e",
        Kind::MovedData => "#3f7f8f",
        Kind::ChangedData => "#9a6a12",
        Kind::NewData => "#7a4fa8",
        Kind::Pointers => "#4a5fb0",
        Kind::BuildStamp => "#b3261e",
        Kind::Padding => "#6f6f6f",
        Kind::Noise => "#3d3d3d",
        Kind::Unchanged => "#5f7f5f",
        Kind::AddressMap => "#1f7a5a",
        Kind::Frame => "#808080",
    }
}

fn kinds(kinds: &[KindCost]) -> String {
    let all: f64 = kinds.iter().map(|cost| cost.bytes.max(0.0)).sum();
    let mut bar = String::new();
    let mut rows = String::new();
    let mut at = 0.0;
    for cost in kinds.iter().filter(|cost| shows(cost)) {
        let (name, colour) = (cost.kind.name(), colour(cost.kind));
        let width = if all > 0.0 { cost.bytes.max(0.0) / all * WIDTH } else { 0.0 };
        let _ = write!(
            bar,
            "<rect x=\"{at:.2}\" y=\"0\" width=\"{width:.2}\" height=\"28\" fill=\"{colour}\"><title>{name}: {} bytes</title></rect>",
            figure(cost.bytes),
        );
        at += width;
        let _ = writeln!(
            rows,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td><span class=\"key\" style=\"background:{colour}\"></span>{name}</td></tr>",
            figure(cost.bytes),
            percent(cost.percent),
        );
    }
    format!(
        "<h2>By kind of change</h2>\n<svg viewBox=\"0 0 {WIDTH} 28\" role=\"img\" aria-label=\"bytes by kind\">{bar}</svg>\n\
         <table><tr><th class=\"n\">bytes</th><th class=\"n\">%</th><th>kind</th></tr>\n{rows}</table>\n"
    )
}

fn advice(report: &Report) -> String {
    if report.advice.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h2>What would make it smaller</h2>\n");
    for advice in &report.advice {
        let (bytes, title) = (figure(advice.saving_bytes), escaped(&advice.title));
        let saving = match advice.basis {
            Basis::Measured => format!("saves {bytes} bytes (measured)"),
            Basis::UpperBound => format!("saves at most {bytes} bytes (upper bound)"),
        };
        let _ = writeln!(
            html,
            "<div class=\"advice\"><strong>{title}</strong>: {saving}<br><span class=\"soft\">{}</span></div>",
            escaped(&advice.detail),
        );
    }
    html
}

/// Symbols, or stretches where there are none, as areas.
fn treemap(report: &Report) -> String {
    let (what, mut areas) = if report.symbols.is_empty() {
        let of = |region: &RegionCost| Area {
            name: format!("{:#x}", region.offset),
            bytes: region.bytes,
            kind: Some(region.kind),
        };
        ("regions", report.regions.iter().map(of).collect::<Vec<_>>())
    } else {
        let of = |symbol: &SymbolCost| Area {
            name: symbol.name.clone(),
            bytes: symbol.bytes,
            kind: Some(kind_of(symbol)),
        };
        let mut areas: Vec<Area> = report.symbols.iter().map(of).collect();
        let (count, bytes) = report.more_symbols;
        areas.push(Area { name: format!("{count} more"), bytes, kind: None });
        ("functions and constants", areas)
    };
    areas.retain(|area| area.bytes > 0.0);
    areas.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    if areas.is_empty() {
        return String::new();
    }
    let mut svg = String::new();
    lay_out(&areas, [0.0, 0.0, WIDTH, HEIGHT], &mut svg);
    format!(
        "<h2>Bytes by {what}</h2>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"bytes by {what}\">{svg}</svg>\n"
    )
}

struct Area {
    name: String,
    bytes: f64,
    /// None for what is of several kinds.
    kind: Option<Kind>,
}

fn kind_of(symbol: &SymbolCost) -> Kind {
    match symbol.change {
        crate::Change::Same => Kind::Unchanged,
        crate::Change::Moved => Kind::moved(symbol.is_code),
        crate::Change::Changed => Kind::changed(symbol.is_code),
        crate::Change::New => Kind::new(symbol.is_code),
    }
}

/// Halves areas by their sizes, and the room along its longer side.
fn lay_out(areas: &[Area], [x, y, width, height]: [f64; 4], svg: &mut String) {
    let all: f64 = areas.iter().map(|area| area.bytes).sum();
    let [area] = areas else {
        if areas.is_empty() {
            return;
        }
        let mut first = 0.0;
        let middle = areas.iter().position(|area| {
            first += area.bytes;
            first >= all / 2.0
        });
        let middle = middle.map_or(1, |middle| middle + 1).clamp(1, areas.len() - 1);
        let (front, back) = areas.split_at(middle);
        let share = front.iter().map(|area| area.bytes).sum::<f64>() / all;
        let (one, other) = if width >= height {
            let cut = width * share;
            ([x, y, cut, height], [x + cut, y, width - cut, height])
        } else {
            let cut = height * share;
            ([x, y, width, cut], [x, y + cut, width, height - cut])
        };
        lay_out(front, one, svg);
        return lay_out(back, other, svg);
    };
    let _ = write!(
        svg,
        "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{}\"><title>{}: {} bytes, {}</title></rect>",
        area.kind.map_or(OF_SEVERAL_KINDS, colour),
        escaped(&area.name),
        figure(area.bytes),
        area.kind.map_or("of several kinds", Kind::name),
    );
    // Seven pixels for a letter.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number of letters"
    )]
    let letters = (width / 7.0) as usize;
    if height >= 16.0 && letters >= 5 {
        let name: String = area.name.chars().take(letters).collect();
        let _ = write!(
            svg,
            "<text x=\"{:.2}\" y=\"{:.2}\">{}</text>",
            x + 4.0,
            y + 13.0,
            escaped(&name)
        );
    }
}

/// The whole target from left to right: the taller, the more a stretch costs.
fn strip(regions: &[RegionCost]) -> String {
    const TALL: f64 = 90.0;
    let highest = regions.iter().map(|region| region.bytes).fold(0.0, f64::max);
    let end = regions.last().map_or(0, |last| last.offset + last.size);
    if highest <= 0.0 || end == 0 {
        return String::new();
    }
    let mut svg = String::new();
    for region in regions {
        let x = share(region.offset, end) / 100.0 * WIDTH;
        let width = share(region.size, end) / 100.0 * WIDTH;
        let height = region.bytes.max(0.0) / highest * TALL;
        let _ = write!(
            svg,
            "<rect x=\"{x:.2}\" y=\"{:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{}\"><title>{:#x}, {} bytes long: {} bytes, mostly {}</title></rect>",
            TALL - height,
            colour(region.kind),
            region.offset,
            grouped(region.size),
            figure(region.bytes),
            region.kind.name(),
        );
    }
    format!(
        "<h2>Along the target</h2>\n<svg viewBox=\"0 0 {WIDTH} {TALL}\" role=\"img\" aria-label=\"bytes by offset\">{svg}</svg>\n\
         <p class=\"soft\">From offset 0 to {end:#x}; the tallest stretch takes {} bytes.</p>\n",
        figure(highest),
    )
}

/// A column's heading, and whether it holds figures.
type Column = (&'static str, bool);

fn tables(report: &Report) -> String {
    let mut html = sections(report) + &symbols(report);
    if let (more @ 1.., bytes) = report.more_symbols {
        let _ = writeln!(html, "<p class=\"soft\">{more} more take {} bytes.</p>", figure(bytes));
    }
    html + &runs(report) + &stamps(report)
}

fn sections(report: &Report) -> String {
    let columns = [
        ("bytes", true),
        ("%", true),
        ("size", true),
        ("change", true),
        ("moved by", true),
        ("mostly", false),
        ("section", false),
    ];
    let rows = report.sections.iter().map(|cost| {
        let change = cost.name.as_ref().map(|_| sized(cost.base_size, cost.size));
        vec![
            figure(cost.bytes),
            percent(cost.percent),
            grouped(cost.size),
            change.unwrap_or_else(|| "-".to_owned()),
            moved(cost.moved_by),
            cost.kind.name().to_owned(),
            cost.name.clone().unwrap_or_else(|| "(in no section)".to_owned()),
        ]
    });
    table("Sections", &columns, rows)
}

fn symbols(report: &Report) -> String {
    let columns = [
        ("bytes", true),
        ("%", true),
        ("size", true),
        ("change", true),
        ("moved by", true),
        ("what", false),
        ("section", false),
        ("symbol", false),
    ];
    let rows = report.symbols.iter().filter(|cost| cost.bytes > 0.0).map(symbol_row);
    table("Functions and constants", &columns, rows)
}

fn runs(report: &Report) -> String {
    let columns = [
        ("bytes", true),
        ("%", true),
        ("offset", true),
        ("address", true),
        ("length", true),
        ("mostly", false),
        ("inside", false),
    ];
    table("Costly stretches", &columns, report.runs.iter().map(run_row))
}

fn stamps(report: &Report) -> String {
    let columns = [("bytes", true), ("offset", true), ("kind", false), ("value", false)];
    let rows = report.stamps.iter().map(|stamp| {
        vec![
            figure(stamp.bytes),
            format!("{:#x}", stamp.offset),
            stamp.kind.name().to_owned(),
            stamp.value.clone(),
        ]
    });
    table("Build stamps", &columns, rows)
}

/// A table whose last column holds names of others.
fn table(title: &str, columns: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut body = String::new();
    for row in rows {
        body += "<tr>";
        for (number, (cell, (_, is_figure))) in row.iter().zip(columns).enumerate() {
            let class = match (is_figure, number + 1 == columns.len()) {
                (true, _) => " class=\"n\"",
                (_, true) => " class=\"name\"",
                _ => "",
            };
            let _ = write!(body, "<td{class}>{}</td>", escaped(cell));
        }
        body += "</tr>\n";
    }
    if body.is_empty() {
        return body;
    }
    let heading = |(name, is_figure): &Column| {
        format!("<th{}>{name}</th>", if *is_figure { " class=\"n\"" } else { "" })
    };
    let headings: String = columns.iter().map(heading).collect();
    format!(
        "<h2>{title}</h2>\n<div class=\"wide\"><table><tr>{headings}</tr>\n{body}</table></div>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            // Some turn the direction of what follows, or mean nothing to a reader.
            other
                if other.is_control()
                    || matches!(other, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                html.extend(other.escape_unicode());
            }
            other => html.push(other),
        }
    }
    html
}
