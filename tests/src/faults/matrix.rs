//! The faults that every provider with a network is tested against.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Authority, Behaviour, Certificate, FakeHttp, Proxy, Reply, Request};

/// How long a provider may take for one request.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// What answers in time for the deadline, on a busy machine too.
const PUNCTUAL: Duration = Duration::from_millis(1800);

/// What every wrong answer holds, and no error may show.
pub const CANARY: &str = "canary";

/// More than any provider reads.
const ENDLESS: u64 = 1 << 30;

/// How much comes of an answer that is cut off.
const PART: usize = 20;

/// The variable with which a test writes its table instead of comparing with it.
const UPDATE: &str = "CREDCHAIN_UPDATE_FAULTS";

#[derive(Clone, Copy)]
enum Fault {
    Link(Behaviour),
    /// The service itself says so, in its own form.
    Status(u16),
    Later,
    /// Something between says so, in HTML.
    Page(u16),
    Cut,
    Reset,
    Slow,
    Silent,
    Endless,
    NoHttp,
    NoJson,
    OtherJson,
    UnknownAuthority,
    Certificate(Certificate),
    NoSuchHost,
}

const FAULTS: &[(&str, Fault)] = &[
    (
        "50 ms of latency",
        Fault::Link(Behaviour::Latency(Duration::from_millis(50))),
    ),
    (
        "3 s of latency, 1 s allowed",
        Fault::Link(Behaviour::Latency(Duration::from_secs(3))),
    ),
    ("connection refused", Fault::Link(Behaviour::Refuse)),
    ("a host that does not exist", Fault::NoSuchHost),
    ("connected, and nothing comes", Fault::Silent),
    ("the answer comes byte by byte", Fault::Slow),
    ("a reset in the middle of the body", Fault::Reset),
    ("the body is cut off", Fault::Cut),
    ("a body without end", Fault::Endless),
    ("no HTTP", Fault::NoHttp),
    ("200 and no JSON", Fault::NoJson),
    ("200 and other JSON", Fault::OtherJson),
    ("200 and a page of HTML", Fault::Page(200)),
    ("404 and a page of HTML", Fault::Page(404)),
    ("502 and a page of HTML", Fault::Page(502)),
    ("400", Fault::Status(400)),
    ("401", Fault::Status(401)),
    ("403", Fault::Status(403)),
    ("404", Fault::Status(404)),
    ("429", Fault::Status(429)),
    ("429 with `Retry-After`", Fault::Later),
    ("500", Fault::Status(500)),
    ("502", Fault::Status(502)),
    ("503", Fault::Status(503)),
    (
        "a certificate of an unknown authority",
        Fault::UnknownAuthority,
    ),
    (
        "an expired certificate",
        Fault::Certificate(Certificate::Expired),
    ),
    (
        "a certificate for another host",
        Fault::Certificate(Certificate::OtherHost),
    ),
];

/// What a service would answer.
pub trait Service: Clone + Send + Sync + 'static {
    /// To a request that it fulfils.
    fn fulfilled(&self, request: &Request) -> Reply;

    /// To a request that it answers with this status, in the service's own form. Its text holds
    /// [`CANARY`].
    fn failed(&self, status: u16, request: &Request) -> Reply;
}

/// A server that has one of the faults, or the way to it has.
#[derive(Debug)]
pub struct Stage {
    /// Where the provider has to ask.
    pub url: String,
    /// The authority that the provider has to be told to trust.
    pub ca: Option<PathBuf>,
    server: FakeHttp,
    _proxy: Option<Proxy>,
    _authority: Option<Authority>,
}

/// What came of asking.
#[derive(Debug)]
pub struct Outcome {
    /// `value`, or the kind of the error.
    pub kind: String,
    /// Everything that a person could see of it.
    pub shown: String,
    /// The wait that the error asks for.
    pub retry_after: Option<Duration>,
}

impl Outcome {
    /// A value came.
    pub fn value() -> Self {
        Self {
            kind: "value".to_owned(),
            shown: String::new(),
            retry_after: None,
        }
    }
}

/// Asks a service with every fault in turn, and compares what comes of it with the table in
/// `table`, a file of the provider's tests. With the variable `CREDCHAIN_UPDATE_FAULTS` it writes
/// that file.
///
/// `ask` allows [`DEADLINE`] and repeats nothing. It never takes longer, shows nothing that a
/// wrong answer holds, and asks a server that answered wrongly no second time unless `twice` names
/// the fault.
///
/// # Panics
/// If any of that is not so.
pub async fn matrix(
    service: &impl Service,
    table: &Path,
    twice: &[&str],
    mut ask: impl AsyncFnMut(&Stage) -> Outcome,
) {
    let mut rows = String::new();
    for (name, fault) in FAULTS {
        let stage = stage(service, *fault);
        let start = now();
        let outcome = ask(&stage).await;
        let elapsed = now().saturating_duration_since(start);
        assert!(elapsed < PUNCTUAL, "{name}: it took {elapsed:?}");
        let shown = &outcome.shown;
        assert!(!shown.contains(CANARY), "{name}: {shown}");
        if outcome.kind != "value" && !twice.contains(name) {
            let asked = stage.server.count();
            assert!(asked <= 1, "{name}: it was asked {asked} times");
        }
        let wait = matches!(fault, Fault::Later).then_some(Duration::from_secs(7));
        assert_eq!(outcome.retry_after, wait, "{name}");
        writeln!(rows, "{name}\t{}", outcome.kind).expect("memory can be written");
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the test"
    )]
    let update = std::env::var_os(UPDATE).is_some();
    if update {
        std::fs::write(table, &rows).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(table).unwrap_or_default();
    assert_eq!(rows, kept, "{UPDATE}=1 renews {}", table.display());
}

/// A table of tables in Markdown: one column for each provider, one row for each fault.
pub fn render(tables: &[(String, String)]) -> String {
    let mut text = String::from("| fault |");
    for (provider, _) in tables {
        write!(text, " {provider} |").expect("memory can be written");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(tables.len()));
    text.push('\n');
    for (name, _) in FAULTS {
        write!(text, "| {name} |").expect("memory can be written");
        for (_, table) in tables {
            let mut cells = table.lines().filter_map(|line| line.split_once('\t'));
            let cell = cells.find(|(fault, _)| fault == name).map(|(_, cell)| cell);
            write!(text, " {} |", cell.unwrap_or("–")).expect("memory can be written");
        }
        text.push('\n');
    }
    text
}

fn stage(service: &impl Service, fault: Fault) -> Stage {
    let script = script(service.clone(), fault);
    let certificate = match fault {
        Fault::UnknownAuthority => Some(Certificate::Right),
        Fault::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let authority = certificate.map(|_| Authority::new());
    let server = match (&authority, certificate) {
        (Some(authority), Some(certificate)) => FakeHttp::start_tls(authority, certificate, script),
        _ => FakeHttp::start(script),
    };
    let proxy = match fault {
        Fault::Link(behaviour) => {
            let proxy = Proxy::start(server.address());
            proxy.set(behaviour);
            Some(proxy)
        }
        _ => None,
    };
    let url = match (&proxy, fault) {
        (Some(proxy), _) => format!("http://{}", proxy.address()),
        (None, Fault::NoSuchHost) => "https://credchain.invalid".to_owned(),
        (None, _) => server.url(),
    };
    let trusted = matches!(fault, Fault::Certificate(_));
    Stage {
        url,
        ca: authority.as_ref().filter(|_| trusted).map(Authority::pem),
        server,
        _proxy: proxy,
        _authority: authority,
    }
}

fn script(
    service: impl Service,
    fault: Fault,
) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let json = || br#"{"canary":"canary"}"#.to_vec();
    move |request| match fault {
        Fault::Status(status) => service.failed(status, request),
        Fault::Later => service.failed(429, request).header("retry-after", "7"),
        Fault::Page(status) => {
            let html = ("content-type".to_owned(), "text/html".to_owned());
            let page = format!("<html><body>{CANARY}</body></html>");
            Reply::Answer(status, vec![html], page.into_bytes())
        }
        Fault::Cut => Reply::Truncated(body(service.fulfilled(request)), PART),
        Fault::Reset => Reply::Reset(body(service.fulfilled(request)), PART),
        Fault::Slow => Reply::Slow(body(service.fulfilled(request))),
        Fault::Silent => Reply::Hang,
        Fault::Endless => Reply::Oversized(ENDLESS),
        Fault::NoHttp => Reply::Raw(b"canary canary\r\n\r\n".to_vec()),
        Fault::NoJson => Reply::json(200, CANARY),
        Fault::OtherJson => Reply::Answer(200, Vec::new(), json()),
        Fault::Link(_) | Fault::UnknownAuthority | Fault::Certificate(_) | Fault::NoSuchHost => {
            service.fulfilled(request)
        }
    }
}

fn body(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Answer(_, _, body) => body,
        _ => Vec::new(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "deadlines are about the real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// Every fault has a name of its own: the tables are joined by it.
#[test]
fn no_two_faults_have_one_name() {
    let names: std::collections::BTreeSet<_> = FAULTS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), FAULTS.len());
}
