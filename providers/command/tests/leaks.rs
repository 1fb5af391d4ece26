//! Nothing is left behind: no process, no zombie, no descriptor, no thread. Alone in its binary,
//! because it counts what belongs to the whole test process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use support::{at, build, cx, eventually, hostile};

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}"))
        .unwrap()
        .count()
}

fn children() -> String {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .collect()
}

#[test]
fn dozens_of_processes_leave_nothing_behind() {
    let round = || {
        for mode in ["plain", "crash", "half", "garbage", "exit", "family"] {
            let world = hostile(mode);
            let _ = credchain_core::block_on(world.get("a")).unwrap();
        }
        let tool = |args: &[&str], more| {
            let settings = json!({"program": "sh", "get": args});
            let provider = build(support::merged(settings, &more));
            credchain_core::block_on(async { provider.get(&at("p"), &cx()).await }).unwrap()
        };
        assert!(tool(&["-c", "echo v"], json!({})).is_ok());
        assert!(tool(&["-c", "exit 1"], json!({})).is_err());
        assert!(tool(&["-c", "sleep 1000"], json!({"request_timeout": "20ms"})).is_err());
        assert!(tool(&["-c", "cat /dev/zero"], json!({"max_response": "64KiB"})).is_err());
        // A daemon that keeps the pipes open, out of the reach of a group kill.
        assert!(tool(&["-c", "setsid sleep 2 & echo v"], json!({})).is_ok());
    };
    round();
    let settled = |files: usize, threads: usize| {
        count("fd") <= files && count("task") <= threads && children().is_empty()
    };
    eventually("the first round is over", || children().is_empty());
    let (files, threads) = (count("fd"), count("task"));
    for _ in 0..3 {
        round();
    }
    // Reading a directory and the threads that end just now are in the counts of both sides.
    eventually("everything is closed and reaped", || {
        settled(files, threads)
    });
    assert_eq!(children(), "");
}
