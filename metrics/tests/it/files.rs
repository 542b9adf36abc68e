//! Files: what is written is read back, and what is wrong is named.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use whittle_metrics::{Format, emit_csv, emit_json, parse, read};
use whittle_rollout::policy::types::Tally;
use whittle_rollout::{CellObservation, DeviceCounts, MetricObservation, Observation};

use crate::support::chain;

/// Each file with its error; a file that is not in the list, and an error that has changed, are shown as the whole new list.
#[test]
fn hostile_files_have_their_errors() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| !path.ends_with("errors.txt")).collect();
    paths.sort();
    let mut errors = String::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let error = match read(&path) {
            Err(error) => chain(&error).replace(&*path.to_string_lossy(), &name),
            Ok(observations) => panic!("{name} was taken: {observations:?}"),
        };
        writeln!(errors, "{error}").unwrap();
    }
    let wanted = fs::read_to_string(directory.join("errors.txt")).unwrap_or_default();
    assert!(errors == wanted, "the errors are now:\n{errors}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.json");
    let size = u64::try_from(whittle_metrics::MAX_FILE_BYTES).unwrap() + 1;
    fs::File::create(&path).unwrap().set_len(size).unwrap();
    assert!(chain(&read(&path).unwrap_err()).ends_with("large.json`: more than 67108864 bytes"));
    let gone = directory.path().join("gone.csv");
    assert!(
        chain(&read(&gone).unwrap_err()).contains("gone.csv`: it cannot be read: No such file")
    );
}

const TABLE: &str = "\
from_s,until_s,rows,attribute.hw,devices.offered,devices.updated,devices.committed,devices.rolled_back,devices.bricked,\
devices.silent,metric.crashes.treated.count,metric.crashes.treated.exposure,metric.crashes.control.count,\
metric.crashes.control.exposure,version.2.4.1
100,200,2,\"B, old\",15,15,14,1,0,0,1,15.5,3,1485,15
100,200,2,C,5,5,5,0,0,0,,,,,
200,300,1,C,5,5,5,0,0,0,0,5,1,495,5
";

#[test]
fn a_table_is_read_with_its_times_cells_and_gaps() {
    let observations = parse("t", Format::Csv, TABLE.as_bytes()).unwrap();
    let [first, second] = &*observations else { panic!("{observations:?}") };
    assert_eq!((first.from_s, first.until_s, first.cells.len()), (100, 200, 2));
    assert_eq!(first.cells[0].attributes["hw"], "B, old");
    let crashes = &first.cells[0].metrics[0];
    assert_eq!((crashes.treated.count, crashes.treated.exposure), (1.0, 15.5));
    assert_eq!((crashes.control.count, crashes.control.exposure), (3.0, 1485.0));
    assert!(first.cells[1].metrics.is_empty());
    assert_eq!(first.versions["2.4.1"], 15);
    assert_eq!((second.from_s, second.cells.len()), (200, 1));
}

#[test]
fn squares_may_be_empty_and_do_not_stand_alone() {
    let header = TABLE
        .split_once('\n')
        .unwrap()
        .0
        .replace(",version", ",metric.crashes.treated.squares,version");
    let read = |figures: &str| {
        let table = format!("{header}\n100,200,1,B,15,15,14,1,0,0,{figures},15\n");
        parse("t", Format::Csv, table.as_bytes())
    };
    let plain = read("1,15.5,3,1485,").unwrap();
    assert_eq!(plain[0].cells[0].metrics[0].treated.squares, 0.0);
    let mean = read("1,15.5,3,1485,2.5").unwrap();
    assert_eq!(mean[0].cells[0].metrics[0].treated.squares, 2.5);
    let alone = chain(&read(",,,,2.5").unwrap_err());
    assert!(
        alone.ends_with("found ``, wanted a figure, as other columns of the metric"),
        "{alone}"
    );
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let plain = parse("t", Format::Csv, TABLE.as_bytes()).unwrap();
    let windows = format!("\u{feff}{}", TABLE.replace('\n', "\r\n"));
    assert_eq!(parse("t", Format::Csv, windows.as_bytes()).unwrap(), plain);
    let json = emit_json(&plain).unwrap();
    let windows = format!("\u{feff}{}", json.replace('\n', "\r\n"));
    assert_eq!(parse("t", Format::Json, windows.as_bytes()).unwrap(), plain);
}

/// Wherever a table is cut, what is left is refused, or is the whole stretches of time before the cut.
#[test]
fn a_cut_never_makes_other_figures() {
    let whole = parse("t", Format::Csv, TABLE.as_bytes()).unwrap();
    let json = emit_json(&whole).unwrap();
    for (format, text) in [(Format::Csv, TABLE), (Format::Json, &json)] {
        let taken = (0..text.len()).filter(|at| {
            let left = parse("t", format, &text.as_bytes()[..*at]);
            assert!(left.as_ref().is_ok_and(|left| whole.starts_with(left)) || left.is_err());
            left.is_ok_and(|left| left.len() < whole.len())
        });
        assert!(taken.count() <= 3, "{format:?}");
    }
}

#[test]
fn what_has_no_words_is_not_written() {
    let [whole, _] = &*parse("t", Format::Csv, TABLE.as_bytes()).unwrap() else { panic!() };
    let changed = |change: fn(&mut Observation)| {
        let mut observation = whole.clone();
        change(&mut observation);
        [observation]
    };
    let nan = changed(|it| it.cells[0].metrics[0].control.squares = f64::NAN);
    assert_eq!(emit_json(&nan).unwrap_err().to_string(), "NaN cannot be written as JSON");
    let cases = [
        (nan, "NaN is no figure"),
        (changed(|it| it.cells[0].metrics[0].treated.count = -1.0), "-1 is no figure"),
        (
            changed(|it| it.cells.clear()),
            "there is no cell from 100 to 200, so there would be no row",
        ),
        (
            changed(|it| it.cells.push(it.cells[0].clone())),
            "cell {\"hw\": \"B, old\"} stands there twice",
        ),
        (
            changed(|it| it.cells[0].metrics = vec![it.cells[0].metrics[0].clone(); 2]),
            "metric `crashes` stands there twice",
        ),
        (
            changed(|it| it.versions.extend([(String::new(), 1)])),
            "`` is empty or has control characters",
        ),
        (
            changed(|it| drop(it.cells[1].attributes.insert("hw".into(), "C\n".into()))),
            "`C\\n` is empty or has control characters",
        ),
    ];
    for (observation, wanted) in cases {
        assert_eq!(emit_csv(&observation).unwrap_err().to_string(), wanted);
    }
    let twice = [whole.clone(), whole.clone()];
    assert_eq!(emit_csv(&twice).unwrap_err().to_string(), "two observations from 100 to 200");
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.,;\" =äß-]{1,8}"
}

fn tally() -> impl Strategy<Value = Tally> {
    let figure = || prop_oneof![Just(0.0), 0.0..1e15, any::<u32>().prop_map(f64::from)];
    (figure(), figure(), figure()).prop_map(|(count, exposure, squares)| Tally {
        count,
        exposure,
        squares,
    })
}

prop_compose! {
    fn cell()(
        attributes in btree_map(text(), text(), 0..3),
        counts in any::<[u32; 6]>(),
        metrics in btree_map(text(), (tally(), tally()), 0..3),
    ) -> CellObservation {
        let [offered, updated, committed, rolled_back, bricked, silent] = counts;
        let devices = DeviceCounts { offered, updated, committed, rolled_back, bricked, silent };
        let metrics = metrics.into_iter().map(|(name, (treated, control))| MetricObservation { name, treated, control });
        CellObservation { attributes, devices, metrics: metrics.collect() }
    }
}

prop_compose! {
    fn observations()(
        all in btree_map(any::<(u64, u64)>(), (vec(cell(), 1..4), btree_map(text(), any::<u32>(), 0..3)), 1..3),
    ) -> Vec<Observation> {
        let observation = |((until_s, from_s), (mut cells, versions)): (_, (Vec<CellObservation>, _))| {
            cells.sort_by(|one, other| one.attributes.cmp(&other.attributes));
            cells.dedup_by(|one, other| one.attributes == other.attributes);
            Observation { from_s, until_s, cells, versions }
        };
        all.into_iter().map(observation).collect()
    }
}

proptest! {
    #[test]
    fn json_is_read_back(observations in observations()) {
        let text = emit_json(&observations).unwrap();
        prop_assert_eq!(parse("t", Format::Json, text.as_bytes()).unwrap(), observations);
    }

    #[test]
    fn a_table_is_read_back(observations in observations()) {
        let text = emit_csv(&observations).unwrap();
        prop_assert_eq!(parse("t", Format::Csv, text.as_bytes()).unwrap(), observations);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse("t", Format::Json, &bytes);
        let _ = parse("t", Format::Csv, &bytes);
    }

    /// Bytes that come further.
    #[test]
    fn any_changed_table_is_read_or_refused(at in 0..TABLE.len(), byte in any::<u8>()) {
        let mut bytes = TABLE.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = parse("t", Format::Csv, &bytes);
    }
}
