//! A page with the figures and plots of a simulation, which needs nothing else.

use std::fmt::Write as _;

use crate::run::{Run, Sample};
use crate::scenario::Scenario;
use crate::summary::{Quantiles, Summary, course, short};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top}\
th{font-weight:600;border-bottom:1px solid #999}h2{margin-top:2em}svg{width:100%;height:auto}\
.axis{stroke:#999;fill:none}.band{fill:#8ab4d8;opacity:.45}.mid{stroke:#1d5f96;fill:none;stroke-width:2}\
.limit{stroke:#b3261e;stroke-dasharray:4 3}text{font-size:11px;fill:#444}";

/// A page in HTML about a scenario under one or more policies, by their names. It has no scripts, and fetches nothing.
#[must_use]
pub fn page(scenario: &Scenario, title: &str, policies: &[(String, Summary, Vec<Run>)]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{about}</p>\n",
        title = escaped(title),
        about = escaped(&scenario.about),
    );
    let days = f64::from(scenario.max_days);
    let capacity = scenario.rollout.limits.support_per_day.map(f64::from);
    for (name, summary, runs) in policies {
        let _ = writeln!(html, "<h2>{}</h2>", escaped(name));
        html += &table(summary);
        html += &plot(
            "Share of the fleet that was updated",
            days,
            None,
            &course(runs, |point: &Sample| point.share),
        );
        html +=
            &plot("Devices that failed", days, None, &course(runs, |point: &Sample| point.harmed));
        html += &plot(
            "Tickets in 24 hours",
            days,
            capacity,
            &course(runs, |point: &Sample| point.tickets),
        );
    }
    html += "</body></html>\n";
    html
}

fn table(summary: &Summary) -> String {
    let rows = summary.rows().into_iter().map(|(what, figure)| {
        format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(&what), escaped(&figure))
    });
    let rows: String = rows.collect();
    format!("<table><tr><th></th><th>{}</th></tr>\n{rows}</table>\n", Summary::HEADING)
}

/// A band from 5 to 95 % with the middle, over the days of the scenario.
fn plot(title: &str, days: f64, limit: Option<f64>, course: &[Quantiles]) -> String {
    let highest = course.iter().map(|point| point.p95).chain(limit).fold(0.0, f64::max);
    if course.is_empty() || highest <= 0.0 {
        return format!("<p>{}: none.</p>\n", escaped(title));
    }
    #[allow(clippy::cast_precision_loss)]
    let x = |at: usize| at as f64 / (course.len().max(2) - 1) as f64 * WIDTH;
    let y = |figure: f64| HEIGHT - figure / highest * HEIGHT;
    let line = |figure: &dyn Fn(&Quantiles) -> f64| -> Vec<String> {
        let points = course.iter().enumerate();
        points.map(|(at, point)| format!("{:.1},{:.1}", x(at), y(figure(point)))).collect()
    };
    let (upper, mut lower) = (line(&|point| point.p95), line(&|point| point.p5));
    lower.reverse();
    let mut svg = format!(
        "<h3>{}</h3>\n<svg viewBox=\"-45 -10 {} {}\" role=\"img\"><polygon class=\"band\" points=\"{} {}\"/>\
         <polyline class=\"mid\" points=\"{}\"/>",
        escaped(title),
        WIDTH + 60.0,
        HEIGHT + 40.0,
        upper.join(" "),
        lower.join(" "),
        line(&|point| point.p50).join(" "),
    );
    if let Some(limit) = limit {
        let at = y(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<polyline class=\"axis\" points=\"0,0 0,{HEIGHT} {WIDTH},{HEIGHT}\"/>\
         <text x=\"-6\" y=\"4\" text-anchor=\"end\">{}</text><text x=\"-6\" y=\"{HEIGHT}\" text-anchor=\"end\">0</text>\
         <text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">day {days}</text></svg>",
        short(highest),
        HEIGHT + 16.0,
    );
    svg
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
            other => html.push(other),
        }
    }
    html
}
