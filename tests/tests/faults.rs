//! The bad servers: bad as told, and only then.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use credchain_tests::faults::{Behaviour, FakeHttp, Proxy, Reply};

/// What `curl` says about a transfer that failed.
const REFUSED: i32 = 7;
const PARTIAL: i32 = 18;
const TIMEOUT: i32 = 28;
const RESET: i32 = 56;

fn curl(address: SocketAddr) -> Output {
    Command::new("curl")
        .args(["-sS", "--http1.1", "--max-time", "1"])
        .arg(format!("http://{address}/a"))
        .output()
        .expect("curl can be started")
}

fn code(address: SocketAddr) -> i32 {
    curl(address).status.code().expect("curl ends by itself")
}

#[test]
fn the_fake_server_records_requests_and_keeps_the_connection() {
    let server = FakeHttp::start(|request| Reply::json(200, &request.path));
    let proxy = Proxy::start(server.address());
    let output = Command::new("curl")
        .args(["-sS", "-d", "x=1"])
        .args([format!("http://{}/[a-c]", proxy.address())])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"/a/b/c");
    assert_eq!(server.requests()[2].body, b"x=1");
    assert_eq!(server.requests()[2].method, "POST");
    assert_eq!((proxy.connections(), proxy.requests()), (1, 3));
}

#[test]
fn the_fake_server_misbehaves_as_told() {
    let body = || b"\"0123456789\"".to_vec();
    let fails = |reply: Reply| code(FakeHttp::start(move |_| reply.clone()).address());
    assert_eq!(fails(Reply::Truncated(body(), 5)), PARTIAL);
    assert_eq!(fails(Reply::Reset(body(), 5)), RESET);
    assert_eq!(fails(Reply::Slow(body())), TIMEOUT);
    assert_eq!(fails(Reply::Hang), TIMEOUT);
    let garbage = FakeHttp::start(|_| Reply::Raw(b"garbage\n".to_vec()));
    assert!(!curl(garbage.address()).status.success());
    let large = FakeHttp::start(|_| Reply::Oversized(1 << 20));
    assert!(curl(large.address()).stdout.len() > 1 << 20);
}

#[test]
fn the_proxy_breaks_the_way_and_mends_it() {
    let server = FakeHttp::start(|_| Reply::json(200, &"x".repeat(1000)));
    let proxy = Proxy::start(server.address());
    let fails = |behaviour| {
        proxy.set(behaviour);
        code(proxy.address())
    };
    assert_eq!(fails(Behaviour::Pass), 0);
    assert_eq!(fails(Behaviour::Refuse), REFUSED);
    assert_eq!(fails(Behaviour::Reset(500)), RESET);
    assert_eq!(fails(Behaviour::Truncate(500)), PARTIAL);
    assert_eq!(fails(Behaviour::Stall), TIMEOUT);
    assert_eq!(fails(Behaviour::BlackHole), TIMEOUT);
    assert_eq!(fails(Behaviour::Pass), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn latency_is_paid_once_for_connecting_and_once_for_each_answer() {
    let server = FakeHttp::start(|_| Reply::json(200, &"x".repeat(100_000)));
    let proxy = Proxy::start(server.address());
    proxy.set(Behaviour::Latency(Duration::from_millis(200)));
    let start = Instant::now();
    assert_eq!(code(proxy.address()), 0);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(400), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(900), "{elapsed:?}");
}
