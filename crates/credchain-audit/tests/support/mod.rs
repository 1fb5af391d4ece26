//! What the tests of this crate have in common: a log in a directory of its own.

#![allow(dead_code, reason = "no test needs all of it")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::{Path, PathBuf};

use credchain_audit::{Action, Actor, Event, Finding, Log, Report, Settings, Verdict, verify};
use credchain_core::{Clock, Environment, LinkName};
use tempfile::TempDir;

/// A home with a log, and an anchor in a second place.
pub(crate) struct World {
    home: TempDir,
    pub(crate) settings: Settings,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path());
        Self { home, settings }
    }

    /// The same without an anchor.
    pub(crate) fn without_anchor() -> Self {
        let mut world = Self::new();
        world.settings = Settings::new(world.directory());
        world
    }

    /// A log with so many events.
    pub(crate) fn with(events: u64) -> Self {
        let world = Self::new();
        world.record(events);
        world
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.home().join("audit")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.file("audit.jsonl")
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        self.home().join("elsewhere/anchor")
    }

    pub(crate) fn log(&self) -> Log {
        open(&self.settings)
    }

    /// Records events as a process of its own would.
    pub(crate) fn record(&self, events: u64) {
        let log = self.log();
        for number in 0..events {
            log.note(event(number));
        }
        log.flush().unwrap();
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        fs::read(self.current()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let text = self.text();
        text.split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    }

    pub(crate) fn put(&self, text: &[u8]) {
        fs::write(self.current(), text).unwrap();
    }

    pub(crate) fn verify(&self) -> Report {
        verify(&self.settings).unwrap()
    }

    /// Verifies, and wants nothing to be found.
    #[track_caller]
    pub(crate) fn is_intact(&self) -> Report {
        let report = self.verify();
        assert_eq!(report.verdict(), Verdict::Intact, "{}", shown(&report));
        report
    }

    /// Verifies, and wants the log to be broken.
    #[track_caller]
    pub(crate) fn is_broken(&self) -> Report {
        let report = self.verify();
        assert_eq!(report.verdict(), Verdict::Broken, "{}", shown(&report));
        report
    }
}

pub(crate) fn settings(home: &Path) -> Settings {
    Settings::new(home.join("audit")).anchor(home.join("elsewhere/anchor"))
}

pub(crate) fn open(settings: &Settings) -> Log {
    let actor = Actor::detect(&Environment::process());
    Log::open(settings, &actor, Clock::system()).unwrap()
}

pub(crate) fn event(number: u64) -> Event {
    Event::new(Action::Resolve)
        .credential(&format!("credential_{number}").parse().unwrap())
        .link(&LinkName::literal("vault"))
        .generation(number)
}

pub(crate) fn shown(report: &Report) -> String {
    let lines: Vec<String> = report.findings.iter().map(Finding::to_string).collect();
    lines.join("\n")
}

/// Numbers that look random, and are the same each time (`SplitMix64`).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }
}
