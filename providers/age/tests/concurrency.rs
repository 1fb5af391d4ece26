//! Writers in threads and processes, and writers that are killed.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{World, at, get, set, text};
use credchain_core::{Expect, Kind, Provider as _, Secret, SetOptions, Version};

/// The example that stores lines, built with the tests.
fn writer(world: &World) -> Child {
    let mut program: PathBuf = std::env::current_exe().unwrap();
    program.pop();
    program.set_file_name("examples");
    let program = program.join(format!("store_lines{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "build it with `cargo build --examples`: {}",
        program.display()
    );
    Command::new(program)
        .args([text(&world.path()), text(&world.identity)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_in_threads_and_processes_lose_nothing() {
    const WRITERS: usize = 8;
    const EACH: usize = 6;
    // There is no store yet, so they also compete for making it.
    let world = World::new();
    let lines = |who: String| {
        (0..EACH).map(move |number| (format!("default/{who}_{number}"), format!("{who}{number}")))
    };
    let mut processes = Vec::new();
    for number in 0..WRITERS / 2 {
        let mut child = writer(&world);
        let mut stdin = child.stdin.take().unwrap();
        for (entry, value) in lines(format!("process{number}")) {
            writeln!(stdin, "{entry}={value}").unwrap();
        }
        processes.push(child);
    }
    let mut tasks = Vec::new();
    for number in 0..WRITERS {
        let (age, lines) = (world.age(), lines(format!("task{number}")));
        tasks.push(tokio::spawn(async move {
            for (entry, value) in lines {
                set(&age, &entry, value.as_bytes()).await.unwrap();
                assert_eq!(get(&age, &entry).await.unwrap(), value.as_bytes());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for child in processes {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let age = world.age();
    let who = (0..WRITERS).map(|n| format!("task{n}"));
    let who = who.chain((0..WRITERS / 2).map(|n| format!("process{n}")));
    for (entry, value) in who.flat_map(lines) {
        assert_eq!(
            get(&age, &entry).await.unwrap(),
            value.as_bytes(),
            "{entry}"
        );
    }
    assert_eq!(world.litter(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counting_by_compare_and_set_counts_every_step() {
    const TASKS: u64 = 8;
    const STEPS: u64 = 5;
    let world = World::with_value("0").await;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let age = world.age();
        tasks.push(tokio::spawn(async move {
            let (place, cx) = (at("default/api_key"), common::world(&[]));
            let mut steps = 0;
            while steps < STEPS {
                let secret = age.get(&place, &cx).await.unwrap();
                let count: u64 = secret.expose_text().unwrap().parse().unwrap();
                let version = secret.meta().version.clone().unwrap();
                let next = Secret::new((count + 1).to_string());
                let options = SetOptions::expecting(Expect::Version(version));
                match age.set(&place, &next, &options, &cx).await {
                    Ok(_) => steps += 1,
                    Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let total = TASKS * STEPS;
    let secret = world
        .age()
        .get(&at("default/api_key"), &common::world(&[]))
        .await
        .unwrap();
    assert_eq!(secret.expose(), total.to_string().as_bytes());
    assert_eq!(secret.meta().version, Some(Version::number(total + 1)));
}

#[tokio::test]
async fn a_writer_killed_at_any_moment_leaves_the_old_or_the_new_value() {
    const ROUNDS: usize = 20;
    let world = World::with_value("0").await;
    let mut last = 0_u64;
    for round in 0..ROUNDS {
        let mut child = writer(&world);
        let mut stdin = child.stdin.take().unwrap();
        for count in last + 1..last + 500 {
            writeln!(stdin, "default/api_key={count}").unwrap();
        }
        let mut done = BufReader::new(child.stdout.take().unwrap()).lines();
        // After a few writes that are known to be done, somewhere in a later one: each round
        // spends another time, so that all steps of a write are met.
        for _ in 0..=(round % 3) {
            done.next().unwrap().unwrap();
            last += 1;
        }
        let spin = (0..round * 40_000).fold(round, |sum, step| std::hint::black_box(sum ^ step));
        std::hint::black_box(spin);
        child.kill().unwrap();
        child.wait().unwrap();
        last += u64::try_from(done.map_while(Result::ok).count()).unwrap();

        let found = get(&world.age(), "default/api_key").await.unwrap();
        let found: u64 = String::from_utf8(found).unwrap().parse().unwrap();
        assert!(
            (last..=last + 1).contains(&found),
            "{found} after {last} was done"
        );
        last = found;
    }
    // The next writer is not held up by the dead one, and clears away what it left.
    set(&world.age(), "default/api_key", b"after")
        .await
        .unwrap();
    assert_eq!(
        get(&world.age(), "default/api_key").await.unwrap(),
        b"after"
    );
    assert_eq!(world.litter(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_meets_half_a_store() {
    let world = World::with_value("start").await;
    let writing = {
        let age = world.age();
        tokio::spawn(async move {
            for number in 0..40 {
                let value = format!("{number}").repeat(2000);
                set(&age, "default/api_key", value.as_bytes())
                    .await
                    .unwrap();
            }
        })
    };
    let mut reads = 0;
    while !writing.is_finished() {
        assert!(
            !get(&world.age(), "default/api_key")
                .await
                .unwrap()
                .is_empty()
        );
        reads += 1;
    }
    writing.await.unwrap();
    assert!(reads > 0);
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_at_the_next_read() {
    let world = World::with_value("old").await;
    let age = world.age();
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"old");
    let mut child = writer(&world);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"default/api_key=new\n")
        .unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"new");
}
