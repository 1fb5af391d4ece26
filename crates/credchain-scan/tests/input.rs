//! Input that could be slow, large or strange.

use std::fs;

use credchain_redact::{Options, Redactor, Rules};
use credchain_scan::{Baseline, ErrorKind, Scan, SkipReason};

fn known(value: &str) -> Redactor {
    let redactor = Redactor::new();
    assert!(
        redactor
            .register("api_key", value.as_bytes(), Options::default())
            .is_masked()
    );
    redactor
}

#[test]
fn findings_do_not_depend_on_how_many_threads_work() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..200 {
        let text = format!("{}v4lue-{}-x9\n", "\n".repeat(number % 7), number % 3);
        let folder = directory.path().join(format!("{}", number % 10));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}.txt")), text).unwrap();
    }
    let scan = Scan::new(Rules::builtin())
        .known(&known("v4lue-1-x9"))
        .files([directory.path()]);
    let one = scan.clone().threads(1).run(&|_| {}).unwrap();
    let many = scan.threads(8).run(&|_| {}).unwrap();
    assert_eq!(one.findings.len(), 67);
    assert_eq!(one.findings, many.findings);
    assert_eq!((one.texts, one.bytes), (many.texts, many.bytes));
}

#[test]
fn progress_ends_where_it_said_it_would() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..20 {
        fs::write(directory.path().join(format!("{number}")), [b'a'; 1000]).unwrap();
    }
    let last = std::sync::Mutex::new((0, 0));
    let scan = Scan::new(Rules::none()).files([directory.path()]);
    let report = scan
        .run(&|now| {
            let mut last = last.lock().unwrap();
            *last = (*last).max((now.bytes, now.of));
        })
        .unwrap();
    assert_eq!(*last.lock().unwrap(), (20_000, 20_000));
    assert_eq!(report.bytes, 20_000);
}

#[test]
fn bytes_that_are_no_text_are_searched_and_shown_as_text() {
    let mut text = b"\xff\xfe k=".to_vec();
    text.extend(b"v4lue-1-x9 \x1b[2J\xc3\n");
    let scan = Scan::new(Rules::builtin()).known(&known("v4lue-1-x9"));
    let report = scan.text("-", text).run(&|_| {}).unwrap();
    let finding = &report.findings[0];
    assert!(finding.snippet.contains("k=***"), "{}", finding.snippet);
    assert!(!finding.snippet.contains("v4lue"));
}

#[test]
fn a_secret_of_many_lines_is_told_once_where_it_begins() {
    let value = "-----BEGIN THING-----\nqwertyuiopasdfgh\nzxcvbnm1234567890\n-----END THING-----";
    let text = format!("a\nb {value}\nc\n");
    let scan = Scan::new(Rules::none()).known(&known(value));
    let report = scan.text("-", text).run(&|_| {}).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!((report.findings[0].line, report.findings[0].column), (2, 3));
    assert_eq!(report.findings[0].snippet, "b ***");
}

#[test]
fn what_is_too_large_is_told_and_not_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("large"), [b'a'; 101]).unwrap();
    fs::write(directory.path().join("small"), [b'a'; 100]).unwrap();
    let scan = Scan::new(Rules::none()).max_size(100);
    let report = scan.files([directory.path()]).run(&|_| {}).unwrap();
    assert_eq!(report.texts, 1);
    assert_eq!(report.skipped[0].reason, SkipReason::TooLarge);
    assert!(report.skipped[0].path.ends_with("large"));
}

#[test]
fn a_file_that_is_named_twice_is_scanned_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a");
    fs::write(&file, "v4lue-1-x9").unwrap();
    let scan = Scan::new(Rules::none()).known(&known("v4lue-1-x9"));
    let paths = [
        directory.path().to_owned(),
        file.clone(),
        directory.path().join("./a"),
    ];
    let report = scan.files(paths).run(&|_| {}).unwrap();
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn what_is_not_there_is_an_error_with_a_next_step() {
    let directory = tempfile::tempdir().unwrap();
    let kind = |scan: Scan| {
        let error = scan.run(&|_| {}).unwrap_err();
        assert!(!error.hint().is_empty());
        error.kind()
    };
    let scan = Scan::new(Rules::none());
    let missing = directory.path().join("missing");
    assert_eq!(kind(scan.clone().files([missing])), ErrorKind::NoSuchPath);
    assert_eq!(
        kind(scan.clone().history(directory.path())),
        ErrorKind::NotARepository
    );
    assert_eq!(
        kind(scan.clone().staged(directory.path())),
        ErrorKind::NotARepository
    );
    assert_eq!(kind(scan.allow(["a[z-a]"])), ErrorKind::Pattern);
}

#[test]
fn a_baseline_holds_no_value_and_survives_being_written() {
    let value = "v4lue-1-x9";
    let scan = Scan::new(Rules::none())
        .known(&known(value))
        .text("f", value);
    let empty = Baseline::new(&[7; 16]);
    let report = scan.clone().baseline(empty.clone()).run(&|_| {}).unwrap();
    let written = empty.with_findings(&report.findings).to_json();
    assert!(!written.contains(value));
    let read = Baseline::from_json(written.as_bytes()).unwrap();
    assert_eq!((read.len(), read.to_json()), (1, written));
    let again = scan.baseline(read).run(&|_| {}).unwrap();
    assert_eq!((again.findings.len(), again.known_before), (0, 1));
    for broken in [
        "",
        "{}",
        "{\"version\":2,\"key\":\"00\",\"findings\":[]}",
        "{\"version\":1,\"key\":\"\",\"findings\":[]}",
    ] {
        let error = Baseline::from_json(broken.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Baseline, "{broken}");
    }
}

#[test]
fn a_line_with_very_many_findings_is_looked_at_once() {
    // Looking at the line again for each finding would be tens of gigabytes.
    let text = "x='v4lue-1-x9';".repeat(20_000);
    let scan = Scan::new(Rules::none()).known(&known("v4lue-1-x9"));
    let report = scan.text("-", text).run(&|_| {}).unwrap();
    assert_eq!(report.findings.len(), 20_000);
    assert_eq!(report.findings[19_999].column, 19_999 * 15 + 4);
    assert!(report.findings.iter().all(|one| one.snippet.len() < 200));
}
