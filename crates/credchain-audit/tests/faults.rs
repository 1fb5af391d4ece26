//! The file is moved, removed, emptied or edited under its writer, or the disk does not take it.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use credchain_audit::{Actor, Filter, Finding, GapReason, Log, Report, read};
use credchain_core::{Clock, Kind, ManualClock};

use crate::program::{Program, ready, told};
use crate::support::{World, event, open, settings, shown};

fn reasons(report: &Report) -> Vec<GapReason> {
    let gaps = report.findings.iter().filter_map(|finding| match finding {
        Finding::Gap { reason, .. } => Some(*reason),
        _ => None,
    });
    gaps.collect()
}

fn missing(report: &Report) -> Vec<(u64, u64)> {
    let ranges = report.findings.iter().filter_map(|finding| match finding {
        Finding::Missing { from, to, .. } => Some((*from, *to)),
        _ => None,
    });
    ranges.collect()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn cannot_open(world: &World) -> credchain_core::Error {
    Log::open(&world.settings, &Actor::default(), Clock::system()).unwrap_err()
}

#[test]
fn everything_is_made_private() {
    let world = World::with(1);
    for path in [
        world.directory(),
        world.anchor().parent().unwrap().to_owned(),
    ] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    let files = fs::read_dir(world.directory()).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    for path in files.chain([world.anchor()]) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_file_that_is_moved_away_is_missed_and_nothing_is_written_to_it() {
    let world = World::new();
    let log = world.log();
    log.record(event(1)).unwrap();
    let aside = world.home().join("aside");
    fs::rename(world.current(), &aside).unwrap();
    let before = fs::read(&aside).unwrap();
    let recorded = log.record(event(2)).unwrap();
    // The record of the gap is the third.
    assert_eq!(recorded.seq, 4);
    assert_eq!(fs::read(&aside).unwrap(), before);
    let report = world.is_broken();
    assert_eq!(reasons(&report), [GapReason::Replaced]);
    assert_eq!(missing(&report), [(1, 2)]);
}

#[test]
fn a_file_that_is_removed_is_missed() {
    let world = World::new();
    let log = world.log();
    log.record(event(1)).unwrap();
    fs::remove_file(world.current()).unwrap();
    log.record(event(2)).unwrap();
    log.record(event(3)).unwrap();
    let report = world.is_broken();
    assert_eq!(reasons(&report), [GapReason::Replaced]);
    assert_eq!(
        (missing(&report), report.numbers),
        (vec![(1, 2)], Some((3, 5)))
    );
}

#[test]
fn a_file_that_is_copied_and_emptied_is_missed() {
    let world = World::new();
    let log = world.log();
    log.record(event(1)).unwrap();
    log.record(event(2)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(world.current());
    file.unwrap().set_len(0).unwrap();
    log.record(event(3)).unwrap();
    let report = world.is_broken();
    assert_eq!(missing(&report), [(1, 3)]);
    assert_eq!(reasons(&report), [GapReason::Replaced]);
}

#[test]
fn a_file_that_became_shorter_is_missed_where_it_was_cut() {
    for cut in [1, 50] {
        let world = World::new();
        let log = world.log();
        log.record(event(1)).unwrap();
        log.record(event(2)).unwrap();
        let text = world.text();
        world.put(&text[..text.len() - cut]);
        log.record(event(3)).unwrap();
        let report = world.is_broken();
        assert_eq!(
            reasons(&report),
            [GapReason::Truncated],
            "{}",
            shown(&report)
        );
        let line = report.findings[0].place().unwrap().line;
        // A line break is put back.
        assert_eq!(line, if cut == 1 { 4 } else { 3 }, "{}", shown(&report));
    }
}

#[test]
fn a_last_record_that_was_edited_is_not_followed_silently() {
    let world = World::with(2);
    let text = String::from_utf8(world.text()).unwrap();
    world.put(text.replace("credential_1", "credential_2").as_bytes());
    world.record(1);
    assert!(shown(&world.is_broken()).contains("audit.jsonl:3: record 3 was changed"));

    let world = World::with(2);
    let mut text = world.text();
    let last = text.len() - 10;
    text[last] ^= 1;
    world.put(&text);
    world.record(1);
    assert_eq!(reasons(&world.is_broken()), [GapReason::Damaged]);
}

#[test]
fn what_a_stranger_appended_is_no_record() {
    let world = World::with(2);
    let copy = world.lines()[1].clone();
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(world.current())
        .unwrap();
    file.write_all(b"{\"v\":1,\"seq\":4}\n").unwrap();
    file.write_all(&copy).unwrap();
    let report = world.is_broken();
    assert!(shown(&report).contains("audit.jsonl:4: the line is no record"));
    assert!(shown(&report).contains("audit.jsonl:5: record 2 is there twice"));
}

#[test]
fn a_torn_end_is_noted_once_and_kept_as_it_was() {
    let world = World::with(2);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(world.current())
        .unwrap();
    file.write_all(b"{\"v\":1,\"seq\":4,\"action\":\"res")
        .unwrap();
    let report = world.is_intact();
    assert!(matches!(report.findings[..], [Finding::Unfinished { .. }]));
    world.record(1);
    world.record(1);
    let report = world.is_intact();
    let [Finding::Torn { place, bytes: 28 }] = &report.findings[..] else {
        panic!("{}", shown(&report));
    };
    assert_eq!((place.line, report.records), (4, 6));
    // What was torn is part of what is verified from now on.
    let text = String::from_utf8(world.text()).unwrap();
    world.put(text.replace("\"res\n", "\"set\n").as_bytes());
    assert!(shown(&world.is_broken()).contains("was changed or removed"));
    world.put(
        text.replace("{\"v\":1,\"seq\":4,\"action\":\"res\n", "")
            .as_bytes(),
    );
    assert!(shown(&world.is_broken()).contains("was changed or removed"));
}

#[test]
fn a_clock_that_goes_back_changes_no_order() {
    let world = World::new();
    world.record(2);
    // Stands at the beginning of a year that is over.
    let clock = ManualClock::new().clock();
    let log = Log::open(&world.settings, &Actor::default(), clock).unwrap();
    log.record(event(7)).unwrap();
    world.record(1);
    let report = world.is_intact();
    assert_eq!(report.numbers, Some((1, 5)));
    let lines = world.lines();
    assert!(String::from_utf8_lossy(&lines[3]).contains("\"ts\":\"2026-01-01T00:00:00.000000Z\""));
}

#[test]
fn what_others_can_see_or_wrote_is_refused_with_the_command_that_closes_it() {
    let world = World::with(1);
    for (path, mode) in [
        (world.directory(), 0o755),
        (world.file("key"), 0o644),
        (world.current(), 0o640),
        (world.file("head"), 0o604),
        (world.file("lock"), 0o620),
        (world.anchor(), 0o622),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        chmod(&path, mode);
        let opened = Log::open(&world.settings, &Actor::default(), Clock::system());
        let error = opened.and_then(|log| log.record(event(2))).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        let hint = error.hint().unwrap_or_default();
        let shown = format!("{:?} '{}'", before.mode() & 0o777, path.display());
        assert!(
            hint.contains(&path.display().to_string()),
            "{shown}: {error:?}"
        );
        assert!(hint.contains("chmod"), "{shown}: {error:?}");
        fs::set_permissions(&path, before).unwrap();
    }
    world.record(1);
    world.is_intact();
}

#[test]
fn nothing_is_written_through_a_symlink() {
    let world = World::with(1);
    let target = world.home().join("target");
    for path in [
        world.current(),
        world.file("head"),
        world.file("lock"),
        world.anchor(),
    ] {
        fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        let before = fs::read(&target).unwrap();
        let error = world.log().record(event(2)).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains("symlink"), "{error}");
        assert_eq!(fs::read(&target).unwrap(), before);
        fs::remove_file(&path).unwrap();
        fs::rename(&target, &path).unwrap();
    }
    let elsewhere = world.home().join("elsewhere-too");
    fs::rename(world.directory(), &elsewhere).unwrap();
    symlink(&elsewhere, world.directory()).unwrap();
    assert_eq!(cannot_open(&world).kind(), Kind::Misconfigured);
}

#[test]
fn a_directory_in_the_place_of_a_file_is_refused() {
    let world = World::with(1);
    fs::remove_file(world.current()).unwrap();
    fs::create_dir(world.current()).unwrap();
    let error = world.log().record(event(2)).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
}

#[test]
fn what_belongs_to_a_stranger_is_refused() {
    let world = World::with(1);
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away.
        return;
    }
    std::os::unix::fs::chown(world.current(), Some(4711), None).unwrap();
    let error = world.log().record(event(2)).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[test]
fn a_directory_that_cannot_be_made_is_said() {
    let world = World::new();
    fs::write(world.directory(), "a file").unwrap();
    let error = cannot_open(&world);
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.message().contains("is no directory"), "{error}");
}

/// Not a test of its own: a program whose disk is full after a while.
#[test]
fn the_program() {
    let Some((home, _)) = told() else { return };
    let log = open(&settings(&home));
    ready();
    for number in 0..200 {
        match log.record(event(number)) {
            Ok(recorded) => println!("\nTOLD {}", recorded.seq),
            Err(error) => println!("\nFAILED {} {}", error.kind().as_str(), error.message()),
        }
    }
    log.note(event(200));
    assert!(log.flush().is_err());
}

#[test]
fn a_full_disk_is_said_and_nothing_that_was_told_is_lost() {
    let world = World::new();
    // A file that may grow no further is what a full disk looks like to the writer.
    let mut program = Program::start_confined("the_program", world.home(), "full", 16);
    program.go();
    let mut told = Vec::new();
    let mut failed = 0;
    while let Some(line) = program.line(" ") {
        match line.parse::<u64>() {
            Ok(seq) => told.push(seq),
            Err(_) => failed += u64::from(line.starts_with("unavailable cannot write")),
        }
    }
    assert!(told.len() > 5 && failed > 100, "{told:?} {failed}");
    let last = *told.last().unwrap();
    assert!(told.into_iter().eq(2..=last));
    // Nothing is left of what did not fit.
    let report = world.is_intact();
    assert_eq!((report.numbers, report.findings), (Some((1, last)), vec![]));
    world.record(1);
    assert_eq!(world.is_intact().numbers, Some((1, last + 1)));
}

#[test]
fn a_head_that_is_older_than_its_file_is_caught_up_with() {
    let world = World::with(2);
    let head = fs::read(world.file("head")).unwrap();
    world.record(3);
    // What a power failure may leave: the records were synced, the head was not.
    fs::write(world.file("head"), head).unwrap();
    assert_eq!(world.is_intact().findings, []);
    world.record(1);
    let report = world.is_intact();
    assert_eq!((report.numbers, report.findings), (Some((1, 7)), vec![]));
}

/// A file system of its own, unmounted again at the end.
struct Mounted(std::path::PathBuf);

impl Mounted {
    /// Only root can mount one, and a container need not let its root.
    fn new(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = "size=64k,mode=700";
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(at).status();
    rustix::process::geteuid().is_root() && status.is_ok_and(|status| status.success())
}

#[test]
fn a_small_disk_that_is_full_is_said() {
    let world = World::new();
    let Some(_disk) = Mounted::new(&world.directory()) else {
        return;
    };
    let log = world.log();
    let mut count = 0;
    let error = loop {
        match log.record(event(count)) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.hint().unwrap().contains("make room"), "{error:?}");
    let report = world.is_intact();
    assert_eq!((report.records, report.findings), (count + 1, vec![]));
    drop(log);
}

#[test]
fn a_log_that_cannot_be_written_is_said_and_can_be_read_and_verified() {
    let world = World::new();
    let disk = Mounted::new(&world.directory());
    world.record(2);
    let log = world.log();
    if disk.is_some() {
        assert!(mount(&["-o", "remount,ro"], &world.directory()));
    } else if rustix::process::geteuid().is_root() {
        return;
    } else {
        for name in ["audit.jsonl", "head", "lock", "turn"] {
            chmod(&world.file(name), 0o400);
        }
    }
    let error = log.record(event(3)).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
    assert!(
        error.hint().unwrap().contains("this user may write"),
        "{error:?}"
    );
    assert_eq!(world.is_intact().records, 3);
    let entries = read(&world.settings, Filter::new()).unwrap();
    assert_eq!(entries.count(), 3);
    drop(log);
}
