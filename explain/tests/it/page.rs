//! The page stands alone, and text of others stays text.

use whittle_explain::html::page;

use super::support::*;

/// Whether each tag that is opened is closed, in order.
fn is_well_formed(html: &str) -> bool {
    let mut open = Vec::new();
    for tag in html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match tag {
            _ if ["meta", "br", "!DOCTYPE"].contains(&name) || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => {
                if open.pop() != Some(name) {
                    return false;
                }
            }
            _ => open.push(name),
        }
    }
    open.is_empty()
}

#[test]
fn the_page_asks_nobody_for_anything() {
    for report in [report(), explained([BASE, TARGET], None)] {
        let html = page(&report, "1.0.0 to 2.0.0");
        for needs in [
            "http", "src=", "href", "url(", "@import", "<script", "<link", "<iframe", "<img", " on",
        ] {
            let found = html
                .match_indices(needs)
                .any(|(at, _)| needs != " on" || html[at..].starts_with(" onerror"));
            assert!(!found, "{needs}");
        }
        assert!(is_well_formed(&html));
        assert!(html.contains("prefers-color-scheme:dark"));
        assert!(
            html.contains("<svg") && html.contains("(measured)") && html.contains("(upper bound)")
        );
    }
}

#[test]
fn names_are_escaped() {
    let mut report = report();
    let nasty = "</title><script>alert('1')</script>\"&\u{202e}\u{1b}[2J";
    let shown = "&lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{202e}\\u{1b}[2J";
    report.symbols[0].name = nasty.to_owned();
    report.symbols[1].section = nasty.to_owned();
    report.sections[0].name = Some(nasty.to_owned());
    report.runs[0].inside = Some(nasty.to_owned());
    report.stamps[0].value = nasty.to_owned();
    report.advice[0].title = nasty.to_owned();
    let html = page(&report, nasty);
    assert!(!html.contains("<script") && html.matches("</title><style").count() == 1);
    assert!(html.matches(shown).count() >= 7);
    assert!(is_well_formed(&html));
}

/// What stands for many symbols is not said to be of one kind.
#[test]
fn the_rest_is_of_no_kind() {
    let mut report = report();
    report.more_symbols = (7, 40.0);
    let html = page(&report, "1.0.0 to 2.0.0");
    assert!(html.contains("<title>7 more: 40.0 bytes, of several kinds</title>"));
}
