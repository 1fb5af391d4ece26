//! Whoever changes the log without its key is found out, and it is said where.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;

use credchain_audit::{Finding, Verdict};

use crate::support::{Numbers, World, shown};

/// How many records the log has that is tampered with.
const RECORDS: u64 = 24;

#[test]
fn a_log_that_nobody_touched_is_intact_and_anchored() {
    let report = World::with(RECORDS).is_intact();
    assert_eq!(report.findings, []);
    assert_eq!(report.records, RECORDS + 1);
    assert_eq!(report.numbers, Some((1, RECORDS + 1)));
    assert_eq!(report.anchored, Some(RECORDS + 1));
    assert!(report.first.unwrap() <= report.last.unwrap());
}

#[test]
fn a_log_that_was_never_begun_is_intact_and_empty() {
    let report = World::new().is_intact();
    assert_eq!((report.records, report.files), (0, 0));
    assert_eq!(report.first, None);
}

#[test]
fn each_of_a_thousand_random_changes_is_found_where_it_is() {
    let world = World::with(RECORDS);
    let lines = world.lines();
    let mut numbers = Numbers(1);
    for round in 0..1000 {
        let mut changed = lines.clone();
        let at = numbers.below(lines.len());
        let seq = at as u64 + 1;
        let what = match numbers.below(5) {
            0 => {
                let byte = numbers.below(changed[at].len());
                changed[at][byte] ^= 1 << numbers.below(7);
                "changed"
            }
            1 => {
                changed.remove(at);
                "removed"
            }
            2 => {
                let other = (at + 1 + numbers.below(lines.len() - 1)) % lines.len();
                changed.swap(at, other);
                "swapped"
            }
            3 => {
                let copy = changed[at].clone();
                changed.insert(numbers.below(lines.len() + 1), copy);
                "copied"
            }
            _ => {
                let kept = numbers.below(changed[at].len());
                changed.truncate(at + 1);
                changed[at].truncate(kept);
                "cut off"
            }
        };
        world.put(&changed.concat());
        let report = world.is_broken();
        let located = report.findings.iter().any(|finding| {
            let there = finding.place().is_some_and(|place| place.line == seq);
            match finding {
                Finding::Missing { from, to, .. } => (*from..=*to).contains(&seq),
                _ => finding.seq() == Some(seq) || there,
            }
        });
        let found = shown(&report);
        assert!(located, "{round}: {seq} {what}: {found}");
    }
}

#[test]
fn every_byte_of_a_small_log_counts() {
    let world = World::with(3);
    let text = world.text();
    let lines = world.lines();
    let mut line = 1;
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        world.put(&changed);
        let report = world.is_broken();
        let found = report.findings[0].place().unwrap().line;
        assert_eq!(found, line, "{at}: {}", shown(&report));
        if text[at] == b'\n' {
            line += 1;
        }
    }
    assert_eq!(line, lines.len() as u64 + 1);
}

#[test]
fn every_place_to_cut_the_log_off_is_found_out() {
    let world = World::with(2);
    let text = world.text();
    for length in 0..text.len() {
        world.put(&text[..length]);
        let report = world.is_broken();
        let whole = text[..length].split(|byte| *byte == b'\n').count() as u64 - 1;
        let cut = report.findings.iter().find_map(|finding| match finding {
            Finding::CutOff { last, known, .. } => Some((*last, *known)),
            _ => None,
        });
        assert_eq!(cut, Some((whole, 3)), "{length}: {}", shown(&report));
    }
}

#[test]
fn each_kind_of_change_is_called_by_its_name() {
    let world = World::with(5);
    let lines = world.lines();
    let findings = |order: &[usize]| {
        let picked: Vec<_> = order.iter().map(|line| lines[*line].clone()).collect();
        world.put(&picked.concat());
        shown(&world.is_broken())
    };
    assert_eq!(
        findings(&[0, 1, 2, 4, 5]),
        "audit.jsonl:4: record 4 is missing before this line"
    );
    assert_eq!(
        findings(&[0, 4, 5]),
        "audit.jsonl:2: records 2 to 4 are missing before this line"
    );
    assert_eq!(
        findings(&[0, 1, 3, 2, 4, 5]),
        "audit.jsonl:4: record 3 stands behind later ones"
    );
    assert_eq!(
        findings(&[0, 1, 2, 2, 3, 4, 5]),
        "audit.jsonl:4: record 3 is there twice"
    );
    assert_eq!(
        findings(&[3, 4, 5]),
        "audit.jsonl:1: records 1 to 3 are missing before this line"
    );
    let mut changed = lines.clone();
    let text = String::from_utf8(changed[2].clone()).unwrap();
    changed[2] = text.replace("credential_1", "credential_7").into_bytes();
    changed[4] = b"{}\n".to_vec();
    world.put(&changed.concat());
    assert_eq!(
        shown(&world.is_broken()),
        "audit.jsonl:3: record 3 was changed\naudit.jsonl:5: the line is no record"
    );
}

#[test]
fn a_copy_of_the_whole_log_behind_it_is_found_record_by_record() {
    let world = World::with(4);
    world.put(&[world.text(), world.text()].concat());
    let report = world.is_broken();
    let twice = |finding: &Finding| matches!(finding, Finding::Duplicate { .. });
    assert_eq!(report.findings.len(), 5);
    assert!(report.findings.iter().all(twice), "{}", shown(&report));
}

#[test]
fn two_logs_of_one_beginning_are_not_one_log() {
    let world = World::without_anchor();
    world.record(2);
    let (text, head) = (world.text(), fs::read(world.file("head")).unwrap());
    world.record(2);
    let one = world.lines();
    world.put(&text);
    fs::write(world.file("head"), head).unwrap();
    world.record(2);
    let other = world.lines();
    world.put(&[&one[..4], &other[4..]].concat().concat());
    let found = shown(&world.is_broken());
    assert_eq!(
        found,
        "audit.jsonl:5: record 5 follows another record than the one before it"
    );
}

#[test]
fn what_was_put_back_as_a_whole_is_found_out_by_the_anchor_alone() {
    for (world, found_out) in [(World::new(), true), (World::without_anchor(), false)] {
        world.record(2);
        let (text, head) = (world.text(), fs::read(world.file("head")).unwrap());
        world.record(2);
        world.put(&text);
        fs::write(world.file("head"), head).unwrap();
        assert_eq!(world.verify().verdict() == Verdict::Broken, found_out);
    }
}

#[test]
fn a_file_of_anything_else_is_no_log_and_is_read_to_its_end() {
    let world = World::with(1);
    let mut numbers = Numbers(7);
    for length in [1, 5_000, 600_000] {
        let noise = (0..length).map(|_| u8::try_from(numbers.below(256)).unwrap());
        world.put(&noise.collect::<Vec<u8>>());
        let report = world.is_broken();
        assert_eq!((report.records, report.bytes), (0, length));
        assert!(report.findings.len() <= 1001);
        world.put(&vec![0; usize::try_from(length).unwrap()]);
        world.is_broken();
    }
}

#[test]
fn without_the_key_or_the_anchor_nothing_is_proven() {
    let world = World::with(3);
    let key = fs::read(world.file("key")).unwrap();
    fs::remove_file(world.file("key")).unwrap();
    let report = world.verify();
    assert_eq!(report.verdict(), Verdict::Unverifiable);
    assert!(matches!(&report.findings[..], [Finding::NoKey { .. }]));

    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(world.file("key")).unwrap();
    std::io::Write::write_all(&mut file, &key).unwrap();
    fs::remove_file(world.anchor()).unwrap();
    let report = world.verify();
    assert_eq!(report.verdict(), Verdict::Unverifiable);
    assert!(matches!(&report.findings[..], [Finding::NoAnchor { .. }]));
    assert_eq!((report.records, report.anchored), (4, None));

    // Broken is broken, whatever else is not known.
    let mut text = world.text();
    text[20] ^= 1;
    world.put(&text);
    world.is_broken();
}

#[test]
fn another_key_makes_every_record_another() {
    let world = World::with(3);
    let other = World::with(1);
    fs::copy(other.file("key"), world.file("key")).unwrap();
    let report = world.is_broken();
    assert_eq!(report.records, 0);
}

#[test]
fn a_head_or_an_anchor_that_was_changed_is_found_out() {
    for name in ["head", "anchor"] {
        let world = World::with(3);
        let path = match name {
            "head" => world.file("head"),
            _ => world.anchor(),
        };
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"seq\":4", "\"seq\":3")).unwrap();
        let report = world.is_broken();
        assert!(matches!(&report.findings[..], [Finding::NotAMark { .. }]));
        // Nor does one stand for the other.
        let (from, to) = match name {
            "head" => (world.anchor(), world.file("head")),
            _ => (world.file("head"), world.anchor()),
        };
        fs::copy(from, to).unwrap();
        world.is_broken();
    }
}

#[test]
fn a_log_that_is_put_back_with_its_head_is_behind_its_anchor() {
    let world = World::with(3);
    let (text, head) = (world.text(), fs::read(world.file("head")).unwrap());
    world.record(2);
    world.put(&text);
    fs::write(world.file("head"), head).unwrap();
    let report = world.is_broken();
    assert!(
        matches!(&report.findings[..], [Finding::CutOff { last: 4, known: 6, says, .. }] if *says == world.anchor()),
        "{}",
        shown(&report)
    );
    // Whoever writes next says so, and the log goes on behind what is missing.
    world.record(1);
    let report = world.is_broken();
    let found = shown(&report);
    assert!(found.contains("records 5 to 6 are missing"), "{found}");
    assert!(
        found.contains("record 7 notes a gap: the log was put back"),
        "{found}"
    );
    assert_eq!(report.numbers, Some((1, 8)));
}

#[test]
fn a_removed_log_is_missed() {
    let world = World::with(3);
    fs::remove_file(world.current()).unwrap();
    fs::remove_file(world.file("head")).unwrap();
    assert!(shown(&world.is_broken()).contains("knows of record 4"));
    world.record(1);
    let found = shown(&world.is_broken());
    assert!(found.contains("records 1 to 4 are missing"), "{found}");
    assert!(found.contains("put back"), "{found}");
}

#[test]
fn a_log_without_its_head_is_continued_and_says_so() {
    let world = World::with(3);
    fs::remove_file(world.file("head")).unwrap();
    assert!(shown(&world.is_broken()).contains("is gone"));
    world.record(1);
    // The anchor shows that nothing else is missing.
    let report = world.is_intact();
    assert!(shown(&report).contains("the head was lost; nothing else is"));

    let world = World::without_anchor();
    world.record(3);
    fs::remove_file(world.file("head")).unwrap();
    world.record(1);
    assert!(shown(&world.is_broken()).contains("nothing shows where the log ended"));
}

#[test]
fn an_anchor_that_was_lost_is_made_anew_and_that_is_said() {
    let world = World::with(3);
    fs::remove_file(world.anchor()).unwrap();
    world.record(1);
    let report = world.is_intact();
    assert!(shown(&report).contains("the anchor was made anew"));
    assert_eq!(report.anchored, Some(6));
}

#[test]
fn a_log_whose_key_is_gone_is_not_continued_with_another() {
    let world = World::with(3);
    fs::remove_file(world.file("key")).unwrap();
    let actor = credchain_audit::Actor::default();
    let clock = credchain_core::Clock::system();
    let error = credchain_audit::Log::open(&world.settings, &actor, clock).unwrap_err();
    assert_eq!(error.kind(), credchain_core::Kind::Misconfigured);
    assert!(error.message().contains("is gone"), "{error}");
    assert!(!world.file("key").exists());
}
