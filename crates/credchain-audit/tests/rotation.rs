//! Files that are full are finished, and old ones removed: the chain goes on.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use credchain_audit::{Filter, Finding, FollowFrom, Follower, read};

use crate::support::{World, event, open, shown};

/// A log with several finished files of 64 KiB.
fn rotated(world: &mut World, keep: usize, events: u64) {
    world.settings = world.settings.clone().max_bytes(1).keep(keep);
    let log = world.log();
    for number in 0..events {
        log.note(event(number));
        if number % 10 == 9 {
            log.flush().unwrap();
        }
    }
    log.flush().unwrap();
}

fn finished(world: &World) -> Vec<PathBuf> {
    let files = fs::read_dir(world.directory()).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("audit.") && name != "audit.jsonl"
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_full_file_is_finished_and_the_chain_goes_on_in_the_next() {
    let mut world = World::new();
    rotated(&mut world, 100, 1000);
    let files = finished(&world);
    assert!(files.len() > 5, "{files:?}");
    let report = world.is_intact();
    assert_eq!(report.findings, []);
    assert_eq!(report.files, files.len() + 1);
    assert_eq!(report.anchored, report.numbers.map(|(_, last)| last));
    for (at, file) in files.iter().enumerate() {
        let text = fs::read_to_string(file).unwrap();
        let last = text.lines().last().unwrap();
        assert!(last.contains("\"action\":\"audit.rotate\""), "{last}");
        assert_eq!(text.starts_with("{\"v\":1,\"seq\":1,"), at == 0);
    }
    let events = read(&world.settings, Filter::new().action("resolve")).unwrap();
    let numbers = events.map(|entry| entry.unwrap().content.unwrap().generation.unwrap());
    assert!(numbers.eq(0..1000));
}

#[test]
fn old_files_are_removed_and_what_is_left_is_verified() {
    let mut world = World::new();
    rotated(&mut world, 2, 1000);
    assert_eq!(finished(&world).len(), 2);
    let report = world.is_intact();
    assert!(report.numbers.unwrap().0 > 1);
    assert_eq!(report.findings, []);
    // Whoever removes one more is found out.
    let removed = finished(&world).remove(0);
    fs::remove_file(&removed).unwrap();
    let report = world.is_broken();
    let Finding::Missing { place, from, .. } = &report.findings[0] else {
        panic!("{}", shown(&report));
    };
    assert_eq!((place.line, Some(*from)), (1, first_of(&removed)));
}

fn first_of(path: &std::path::Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.split(['.', '-']).nth(1)?.parse().ok()
}

#[test]
fn a_file_that_is_missing_between_others_is_said() {
    let mut world = World::new();
    rotated(&mut world, 100, 1000);
    let files = finished(&world);
    fs::remove_file(&files[2]).unwrap();
    let report = world.is_broken();
    let [Finding::Missing { place, from, to }] = &report.findings[..] else {
        panic!("{}", shown(&report));
    };
    assert_eq!(*place.file, *files[3]);
    assert_eq!(Some(*from), first_of(&files[2]));
    assert_eq!(Some(*to + 1), first_of(&files[3]));
}

#[test]
fn a_manifest_that_is_made_up_is_found_out() {
    let mut world = World::new();
    rotated(&mut world, 2, 1000);
    let manifest = world.file("manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"seq\":", "\"seq\":1", 1)).unwrap();
    assert!(shown(&world.is_broken()).contains("manifest` was changed"));
    fs::copy(world.file("head"), &manifest).unwrap();
    world.is_broken();
    fs::remove_file(&manifest).unwrap();
    assert!(shown(&world.is_broken()).contains("are missing before this line"));
}

#[test]
fn many_threads_finish_files_at_the_same_time() {
    let mut world = World::new();
    world.settings = world.settings.clone().max_bytes(1).keep(1000);
    // Each with a log of its own, as processes have.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let log = open(&world.settings);
                for number in 0..150 {
                    log.record(event(number)).unwrap();
                }
            });
        }
    });
    let report = world.is_intact();
    assert!(report.files > 4, "{}", report.files);
    assert_eq!(report.records, 1 + 900 + report.files as u64 - 1);
}

#[test]
fn following_goes_on_over_finished_files() {
    let mut world = World::new();
    rotated(&mut world, 100, 100);
    let filter = Filter::new().action("resolve");
    let mut follower = Follower::new(&world.settings, filter.clone(), FollowFrom::End).unwrap();
    let mut from_start = Follower::new(&world.settings, filter, FollowFrom::Start).unwrap();
    assert_eq!(from_start.poll().unwrap().len(), 100);
    assert_eq!(follower.poll().unwrap().len(), 0);
    // Several files at once.
    rotated(&mut world, 100, 500);
    let seen = follower.poll().unwrap();
    let numbers = seen
        .iter()
        .map(|entry| entry.content.as_ref().unwrap().generation.unwrap());
    assert!(numbers.eq(0..500));
    assert_eq!(follower.poll().unwrap().len(), 0);
    world.record(3);
    assert_eq!(follower.poll().unwrap().len(), 3);
    assert_eq!(from_start.poll().unwrap().len(), 503);
}

#[test]
fn a_long_log_is_followed_in_pieces() {
    let mut world = World::new();
    rotated(&mut world, 100, 2500);
    let filter = Filter::new().action("resolve");
    let mut follower = Follower::new(&world.settings, filter, FollowFrom::Start).unwrap();
    let mut seen = Vec::new();
    loop {
        let piece = follower.poll().unwrap();
        assert!(piece.len() <= 1024);
        if piece.is_empty() {
            break;
        }
        let records = piece.into_iter().map(|entry| entry.content.unwrap());
        seen.extend(records.map(|record| record.generation.unwrap()));
    }
    assert!(seen.into_iter().eq(0..2500));
}

#[test]
fn files_under_each_others_names_are_out_of_order() {
    let mut world = World::new();
    rotated(&mut world, 100, 500);
    let files = finished(&world);
    let aside = world.home().join("aside");
    fs::rename(&files[0], &aside).unwrap();
    fs::rename(&files[1], &files[0]).unwrap();
    fs::rename(&aside, &files[1]).unwrap();
    let report = world.is_broken();
    let first = report.findings.first().unwrap();
    assert!(
        matches!(first, Finding::OutOfOrder { seq: 1, .. }),
        "{first}"
    );
}

#[test]
fn a_line_that_has_no_end_yet_comes_when_it_has() {
    let world = World::with(2);
    let text = world.text();
    let (most, rest) = text.split_at(text.len() - 5);
    world.put(most);
    let mut follower = Follower::new(&world.settings, Filter::new(), FollowFrom::Start).unwrap();
    assert_eq!(follower.poll().unwrap().len(), 2);
    assert_eq!(follower.poll().unwrap().len(), 0);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(world.current())
        .unwrap();
    std::io::Write::write_all(&mut file, rest).unwrap();
    assert_eq!(follower.poll().unwrap().len(), 1);
}

#[test]
fn what_was_there_is_skipped_by_who_follows_from_the_end() {
    let world = World::with(30);
    let mut follower = Follower::new(&world.settings, Filter::new(), FollowFrom::End).unwrap();
    assert_eq!(follower.poll().unwrap().len(), 0);
    world.record(2);
    let seen = follower.poll().unwrap();
    assert_eq!((seen.len(), seen[0].place.line), (2, 1));
}

#[test]
fn following_ends_when_it_is_told_to() {
    let world = World::new();
    let mut follower = Follower::new(&world.settings, Filter::new(), FollowFrom::Start).unwrap();
    let mut seen = 0;
    let mut idle = 0;
    let mut each = |entry: Option<credchain_audit::Entry>| {
        match entry {
            Some(_) => seen += 1,
            // Only now is there a log at all.
            None if idle == 0 => {
                idle += 1;
                world.record(2);
            }
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    };
    follower.run(Duration::from_millis(1), &mut each).unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn a_line_that_is_no_record_does_not_end_the_reading() {
    let world = World::with(2);
    let mut lines = world.lines();
    lines.insert(1, b"no json\n".to_vec());
    lines.insert(3, [vec![b'x'; 10_000], b"\n".to_vec()].concat());
    lines.push(b"{\"v\":2,\"seq\":9,\"action\":\"new\",\"ts\":\"\",\"more\":[1]}\n".to_vec());
    lines.push(b"{\"v\":1,\"se".to_vec());
    world.put(&lines.concat());
    let entries = read(&world.settings, Filter::new()).unwrap();
    let seen: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| match entry.content {
            Ok(record) => record.seq.to_string(),
            Err(why) => format!("{}: {why}", entry.place),
        })
        .collect();
    let expected = [
        "1",
        "audit.jsonl:2: the line is no record",
        "2",
        "audit.jsonl:4: the line is longer than any record",
        "3",
        "9",
        "audit.jsonl:7: the line has no end",
    ];
    assert_eq!(seen, expected);
    assert!(
        read(&World::new().settings, Filter::new())
            .unwrap()
            .next()
            .is_none()
    );
}
