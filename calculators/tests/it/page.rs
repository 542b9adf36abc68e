//! The page in a real browser: what it shows are the figures of this crate, and it asks nobody for anything.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use whittle_calculators::{Form, Formula, Plot, Start, page, presets, row, savings, stages};

use crate::browser::Browser;

struct Opened {
    browser: Browser,
    file: PathBuf,
    _room: TempDir,
}

fn open(start: &Start, hash: &str) -> Opened {
    let room = TempDir::new().expect("there is room");
    let file = room.path().join("calculators.html");
    std::fs::write(&file, page(start)).expect("there is room");
    let mut browser = Browser::start();
    browser.open(&file, hash);
    Opened { browser, file, _room: room }
}

fn sensors() -> savings::Inputs {
    presets::savings().remove(0).inputs
}

fn thermostats() -> stages::Inputs {
    presets::stages().remove(0).inputs
}

impl Opened {
    fn text(&mut self, selector: &str) -> String {
        let text =
            self.browser.evaluate(&format!("document.querySelector({selector:?}).textContent"));
        text.as_str().expect("there is such an element").to_owned()
    }

    /// Waits until the address has followed.
    fn settle(&mut self) {
        let settled = "new Promise(done => { const look = () => document.body.dataset.address ? setTimeout(look, 5) : done(true); look(); })";
        assert_eq!(self.browser.evaluate(settled), true);
    }

    /// What the address says.
    fn address(&mut self, form: &Form) -> Value {
        self.settle();
        let hash = self.browser.evaluate("decodeURIComponent(location.hash)");
        let hash = hash.as_str().expect("there is one").to_owned();
        let mut parts = hash.trim_start_matches('#').split('&');
        assert_eq!(parts.next(), Some(form.calculator));
        let mut inputs = Map::from_iter([
            ("schema".to_owned(), json!(1)),
            (form.list.key.to_owned(), json!([])),
        ]);
        for part in parts {
            let (key, text) = part.split_once('=').expect("it is a pair");
            if key == form.list.key {
                let (name, numbers) = row(text).expect("it is a row");
                let columns = form.list.columns.iter().zip(numbers);
                let mut row = json!({"name": name});
                columns.for_each(|(column, number)| row[column.key] = number.into());
                inputs[key].as_array_mut().expect("a list").push(row);
            } else if form.choices.iter().any(|choice| choice.key == key) {
                inputs.insert(key.to_owned(), text.into());
            } else {
                inputs.insert(key.to_owned(), text.parse::<f64>().expect("a number").into());
            }
        }
        inputs.into()
    }

    fn savings(&mut self) -> savings::Outcome {
        let inputs = serde_json::from_value(self.address(&savings::FORM))
            .expect("the address has all inputs");
        savings::outcome(&inputs).expect("it can be")
    }

    fn stages(&mut self) -> stages::Outcome {
        let inputs = serde_json::from_value(self.address(&stages::FORM))
            .expect("the address has all inputs");
        stages::outcome(&inputs).expect("it can be")
    }

    /// Compares every formula that is shown, to the last bit of its value.
    fn shows(&mut self, wanted: &[(&str, &Formula)], command: &str) {
        let rows = self.browser.evaluate(
            "[...document.querySelectorAll('#formulas tr')].map(row => \
             [row.dataset.of, row.dataset.key, row.dataset.value, ...[...row.querySelectorAll('code')].map(code => code.textContent), row.lastChild.textContent])",
        );
        let rows = rows.as_array().expect("a list");
        assert_eq!(rows.len(), wanted.len());
        for (row, (of, formula)) in rows.iter().zip(wanted) {
            let value = row[2].as_str().and_then(|text| text.parse::<f64>().ok());
            assert_eq!(value, Some(formula.value), "{}", formula.key);
            let texts = [0, 1, 3, 4, 5].map(|at| row[at].as_str().unwrap_or_default().to_owned());
            let numbers = format!("= {}", formula.numbers);
            assert_eq!(texts, [of, formula.key, &*formula.symbols, &*numbers, &*formula.text]);
        }
        assert_eq!(self.text("#command"), command);
    }

    fn shows_savings(&mut self, outcome: &savings::Outcome) {
        let formulas: Vec<_> = outcome.formulas.iter().map(|formula| ("", formula)).collect();
        self.shows(&formulas, &outcome.inputs.command_line());
        self.draws(&outcome.plots());
    }

    fn shows_stages(&mut self, outcome: &stages::Outcome) {
        let all = outcome.formulas.iter().map(|formula| ("", formula));
        let each = outcome.stages.iter();
        let each =
            each.flat_map(|stage| stage.formulas.iter().map(|formula| (&*stage.name, formula)));
        let formulas: Vec<_> = all.chain(each).collect();
        self.shows(&formulas, &outcome.inputs.command_line());
        self.draws(&outcome.plots());
    }

    /// Compares what is drawn: each curve and bar is there, and bars are as long as their figures, one beside the other.
    fn draws(&mut self, plots: &[Plot]) {
        let drawn = self.browser.evaluate(
            "[...document.querySelectorAll('figure')].map(figure => ({title: figure.dataset.plot, \
             curves: [...figure.querySelectorAll('path.curve')].map(path => [path.dataset.name, path.getAttribute('d').split('L').length]), \
             bars: [...figure.querySelectorAll('rect')].map(rect => [rect.dataset.name, +rect.getAttribute('width'), +rect.getAttribute('height'), rect.getAttribute('class')]), \
             wrong: /NaN|Infinity|undefined/.test(figure.innerHTML)}))",
        );
        let drawn = drawn.as_array().expect("a list");
        assert_eq!(drawn.len(), plots.len());
        for (drawn, plot) in drawn.iter().zip(plots) {
            assert_eq!(drawn["wrong"], false, "{drawn}");
            match plot {
                Plot::Lines(lines) => {
                    let curves =
                        lines.lines.iter().map(|line| json!([line.name, line.points.len()]));
                    assert_eq!(
                        (&drawn["title"], &drawn["curves"]),
                        (&json!(lines.title), &curves.collect())
                    );
                }
                Plot::Bars(spans) => has_lengths(&drawn["bars"], spans, 2),
                Plot::Spans(spans) => has_lengths(&drawn["bars"], spans, 1),
            }
        }
    }

    /// Nothing was asked for but the page's own file, and nothing went wrong.
    fn kept_to_itself(&mut self) {
        self.browser.evaluate("new Promise(done => setTimeout(done, 0))");
        let wanted = format!("file://{}", self.file.display());
        for request in self.browser.told("Network.requestWillBeSent") {
            let url = request["request"]["url"].as_str().expect("it has one");
            assert_eq!(url.split('#').next(), Some(&*wanted));
        }
        assert!(self.browser.told("Network.requestWillBeSent").count() > 0, "requests are told");
        for kind in ["Runtime.exceptionThrown", "Log.entryAdded", "Network.webSocketCreated"] {
            let told: Vec<_> = self.browser.told(kind).collect();
            assert!(told.is_empty(), "{kind}: {told:?}");
        }
    }
}

#[track_caller]
fn has_lengths(drawn: &Value, spans: &whittle_calculators::Spans, side: usize) {
    let drawn = drawn.as_array().expect("a list");
    assert_eq!(drawn.len(), spans.spans.len(), "{}", spans.title);
    let length = |span: &whittle_calculators::Span| (span.to - span.from).abs();
    let longest = spans
        .spans
        .iter()
        .max_by(|one, other| length(one).total_cmp(&length(other)))
        .expect("there are some");
    let place = spans.spans.iter().position(|span| span == longest).expect("it is one of them");
    let by = drawn[place][side].as_f64().expect("a length") / length(longest);
    for (rect, span) in drawn.iter().zip(&spans.spans) {
        assert_eq!((&rect[0], &rect[3]), (&json!(span.name), &json!(span.tone)), "{}", spans.title);
        let found = rect[side].as_f64().expect("a length");
        assert!(
            (found - (length(span) * by).max(1.0)).abs() < 0.01,
            "{}: {rect} for {span:?}",
            spans.title
        );
    }
}

#[test]
fn savings_follow_the_sliders() {
    let mut opened = open(&Start::Savings(sensors()), "");
    let chapter = savings::outcome(&sensors()).expect("it can be");
    assert_eq!(opened.savings(), chapter, "the address has the values");
    opened.shows_savings(&chapter);
    assert!(opened.text("#tables").contains("$10,947.10"));

    opened.browser.drag("#fallback_percent-slider", 0.01, 0.4);
    let fallback =
        opened.browser.evaluate("Number(document.querySelector('#fallback_percent').value)");
    let fallback = fallback.as_f64().expect("a number");
    assert!((20.0..60.0).contains(&fallback), "{fallback}");
    let moved = opened.savings();
    assert_eq!(moved.inputs, savings::Inputs { fallback_percent: fallback, ..sensors() });
    assert!(moved.net_usd < chapter.net_usd);
    opened.shows_savings(&moved);

    // By the keyboard, on a slider that moves by factors.
    opened.browser.press("#devices-slider", "ArrowLeft", 60);
    let fewer = opened.savings();
    assert!(fewer.inputs.devices < moved.inputs.devices * 0.6, "{}", fewer.inputs.devices);
    opened.shows_savings(&fewer);

    // The box beside it takes what no slider reaches, and moves it.
    opened.browser.write("#devices", "123456789");
    let many = opened.savings();
    assert_eq!(many.inputs.devices, 123_456_789.0);
    opened.shows_savings(&many);
    assert_eq!(opened.browser.evaluate("document.querySelector('#devices-slider').value"), "1000");

    opened.kept_to_itself();
}

#[test]
fn stages_follow_sliders_choices_and_rows() {
    let mut opened = open(&Start::Stages(thermostats()), "");
    let chapter = stages::outcome(&thermostats()).expect("it can be");
    assert_eq!(opened.stages(), chapter);
    opened.shows_stages(&chapter);

    opened.browser.drag("#pause_ratio-slider", 0.2, 0.7);
    let moved = opened.stages();
    assert!(
        moved.inputs.pause_ratio > 4.0 && moved.stages[1].power_3x < chapter.stages[1].power_3x
    );
    opened.shows_stages(&moved);

    opened.browser.drag("#stages-0-hours-slider", 0.02, 0.6);
    let longer = opened.stages();
    assert!(longer.stages[0].hours > 24.0 && longer.hours > 160.0, "{}", longer.hours);
    opened.shows_stages(&longer);

    let choose = "{ const select = document.querySelector('#rate_per'); select.value = 'device-hour'; select.dispatchEvent(new Event('change')); }";
    opened.browser.evaluate(choose);
    let hourly = opened.stages();
    assert!(
        (hourly.stages[1].expected_events / longer.stages[1].expected_events - 24.0).abs() < 1e-9
    );
    opened.shows_stages(&hourly);

    opened.browser.click("fieldset:last-of-type legend button");
    let fewer = opened.stages();
    assert_eq!(fewer.stages.len(), 3);
    opened.shows_stages(&fewer);
    opened.browser.click("#add-stages");
    assert!(opened.text("#inputs").contains("stage 4"));

    // Another preset, and the other calculator.
    let choose = "{ const select = document.querySelector('#preset'); select.value = '2'; select.dispatchEvent(new Event('change')); }";
    opened.browser.evaluate(choose);
    let meters = stages::outcome(&presets::stages()[2].inputs).expect("it can be");
    assert_eq!(opened.stages(), meters);
    opened.shows_stages(&meters);
    opened.browser.click("nav button[value=savings]");
    let savings = savings::outcome(&sensors()).expect("it can be");
    let changed = "new Promise(done => { const look = () => location.hash.includes('&') && location.hash.startsWith('#savings') ? \
                   done(true) : setTimeout(look, 5); look(); })";
    opened.browser.evaluate(changed);
    assert_eq!(opened.savings(), savings);
    opened.shows_savings(&savings);

    opened.kept_to_itself();
}

#[test]
fn the_address_holds_everything() {
    let mut opened = open(&Start::Savings(sensors()), "");
    opened.browser.write("#usd_per_mb", "0.125");
    opened.settle();
    let kept = opened.browser.evaluate("location.hash");
    let before = opened.savings();
    let file = opened.file.clone();
    opened.browser.open(&file, kept.as_str().expect("text"));
    assert_eq!(opened.savings(), before);
    opened.shows_savings(&before);

    // What cannot be is told, and nothing is shown in its place.
    opened.browser.open(&file, "#savings&devices=-5");
    assert_eq!(
        opened.text("#error"),
        "devices: wanted a whole number from 1 to 1000000000, found -5"
    );
    assert_eq!(opened.browser.evaluate("document.querySelector('#outcome').hidden"), true);
    opened.browser.write("#devices", "5");
    assert_eq!(opened.browser.evaluate("document.querySelector('#error').hidden"), true);

    // Names are text, whatever they are.
    opened.browser.open(
        &file,
        "#stages&percents=cumulative&stages=%3Cimg src=x onerror=alert(1)%3E%3C/td%3E%25:100:5",
    );
    assert!(opened.text("#tables").contains("<img src=x onerror=alert(1)></td>%"));
    assert_eq!(opened.browser.evaluate("document.querySelectorAll('img').length"), 0);
    opened.browser.open(&file, "#constructor&%E0%A4%A=%E0%A4%A&stages=a:b");
    assert_eq!(opened.text("#command").split(" --").next(), Some("whittle savings"));

    opened.kept_to_itself();
}

#[test]
fn hostile_addresses_are_told_at_once() {
    let mut opened = open(&Start::Savings(sensors()), "");
    let file = opened.file.clone();
    opened.browser.open(&file, "#savings&usd_per_mb=1e-310");
    let told = opened.text("#error");
    assert!(told.starts_with("usd_per_mb: wanted a number from 0.000000001 to "), "{told}");
    // A break-even at no number of devices, and one at more than there is a number for.
    for tiny in ["1e-310", "1e-300", "5e-324"] {
        opened.browser.open(&file, &format!("#savings&updates_per_year={tiny}"));
        let found = opened.savings();
        assert!(found.inputs.updates_per_year < 1e-299);
        opened.shows_savings(&found);
    }
    let powers = "[[0, 1], [5e-324, 1], [-1, 1], [NaN, 1], [1, Infinity], [1, null], [1, 10]].map(([low, high]) => powers(low, high).length)";
    assert_eq!(opened.browser.evaluate(powers), json!([0, 0, 0, 0, 0, 0, 4]));

    // Rows in excess have no controls.
    let rows = "&bases=a:1:1".repeat(5000);
    opened.browser.open(&file, &format!("#savings{rows}"));
    assert_eq!(opened.text("#error"), "bases: 65 rows, 64 at most");
    assert_eq!(opened.browser.evaluate("document.querySelectorAll('fieldset').length"), 65);
    opened.kept_to_itself();
}

#[test]
fn the_address_follows_once_however_often_a_slider_moves() {
    let mut opened = open(&Start::Savings(sensors()), "");
    opened.settle();
    let moves = "{ window.calls = 0; const replace = history.replaceState.bind(history); \
                 history.replaceState = (...what) => { window.calls += 1; replace(...what); }; \
                 const box = document.querySelector('#devices'); \
                 for (let at = 1; at <= 500; at += 1) { box.value = at; box.dispatchEvent(new Event('input')); } }";
    opened.browser.evaluate(moves);
    assert!(opened.text("#command").contains(" --devices 500 "), "it is drawn before");
    let moved = opened.savings();
    assert_eq!(moved.inputs.devices, 500.0);
    assert_eq!(opened.browser.evaluate("window.calls"), 1);
    opened.shows_savings(&moved);

    // What is told to go elsewhere goes with the address that it had.
    opened.browser.write("#devices", "501");
    opened.browser.click("nav button[value=stages]");
    let changed = "new Promise(done => { const look = () => location.hash.startsWith('#stages&') ? done(true) : setTimeout(look, 5); look(); })";
    opened.browser.evaluate(changed);
    let back = "new Promise(done => { addEventListener('hashchange', () => done(location.hash.includes('&devices=501&')), {once: true}); history.back(); })";
    assert_eq!(opened.browser.evaluate(back), true);

    // A browser that refuses still draws.
    opened.browser.evaluate("history.replaceState = () => { throw new Error('too many'); }");
    opened.browser.write("#devices", "502");
    opened.settle();
    assert!(opened.text("#command").contains(" --devices 502 "));
    opened.kept_to_itself();
}

#[test]
fn measured_deltas_begin_the_page() {
    let base = |name: &str, download_bytes| savings::Base {
        name: name.to_owned(),
        download_bytes,
        weight: 1.0,
    };
    let bases = vec![base("1.2.1", 900.0), base("</script><b>", 2100.0)];
    let inputs = savings::Inputs { bases, full_bytes: 30_000.0, budget_bytes: 1000.0, ..sensors() };
    let wanted = savings::outcome(&inputs).expect("it can be");
    let mut opened = open(&Start::Savings(inputs), "");
    assert_eq!(opened.savings(), wanted);
    opened.shows_savings(&wanted);
    assert_eq!(
        opened.browser.evaluate("document.querySelector('#changed_percent')"),
        Value::Null,
        "estimates are of no use then"
    );
    opened.browser.drag("#bases-0-download_bytes-slider", 0.1, 0.9);
    let moved = opened.savings();
    assert!(moved.delta_bytes > wanted.delta_bytes);
    opened.shows_savings(&moved);
    opened.kept_to_itself();
}

#[test]
fn nothing_may_leave_the_page() {
    let mut opened = open(&Start::Savings(sensors()), "");
    for attempt in [
        "fetch('http://127.0.0.1:9/')",
        "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/'}))",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))",
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'b{}'}))",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: 'http://127.0.0.1:9/'}))",
    ] {
        let violation = format!(
            "new Promise(told => {{ document.addEventListener('securitypolicyviolation', () => told('refused'), {{once: true}}); \
             Promise.resolve({attempt}).catch(() => {{}}); }})"
        );
        assert_eq!(opened.browser.evaluate(&violation), "refused", "{attempt}");
    }
}

#[test]
fn the_command_is_copied_and_paper_has_no_buttons() {
    let mut opened = open(&Start::Savings(sensors()), "");
    opened.browser.click("#copy");
    let copied = "new Promise(done => { const look = () => document.querySelector('#copy').textContent === 'copied' || \
                  String(getSelection()).startsWith('whittle savings') ? done(true) : setTimeout(look, 5); look(); })";
    assert_eq!(opened.browser.evaluate(copied), true);

    let color = "getComputedStyle(document.body).color";
    let light = opened.browser.evaluate(color);
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    opened.browser.call("Emulation.setEmulatedMedia", &dark);
    assert_ne!(opened.browser.evaluate(color), light);
    opened.browser.call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let hidden = "['nav', '#copy', 'input[type=range]'].map(it => getComputedStyle(document.querySelector(it)).display)";
    assert_eq!(opened.browser.evaluate(hidden), json!(["none", "none", "none"]));
    assert_eq!(opened.browser.evaluate(color), light);
}
