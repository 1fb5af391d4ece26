//! No value comes out by any way but `expose`: canaries go in everywhere, and everything that is
//! shown, logged or returned as a failure is searched for them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::{self, Debug, Write as _};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use credchain_core::layers::{
    Cache, CacheSettings, Flight, Guard, LayerSettings, RateLimit, RateLimitSettings, Retry,
    RetrySettings, Timeout, reactions, wrap,
};
use credchain_core::{
    Address, Capabilities, Chain, Context, Credential, Environment, Error, Kind, Link, LinkName,
    ManualClock, Memory, Name, Provider, Reference, Refusing, Resolver, Result, Secret, SetOptions,
    Settings, Setup, Template, async_trait,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

const SECOND: Duration = Duration::from_secs(1);

/// A value that nothing else resembles, made at run time.
fn canary() -> String {
    format!("{}-{}", ["Kanar", "ienvogel"].concat(), "7f3Zq".repeat(4))
}

/// Every shape in which a value could get out.
fn shapes(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let list = format!("{bytes:?}");
    vec![
        value.to_owned(),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        hex.to_ascii_uppercase(),
        hex,
        list.trim_matches(['[', ']']).to_owned(),
        list.trim_matches(['[', ']']).replace(", ", ","),
        // As `{:#?}` writes a list inside something else; the first bytes are enough.
        format!("{},\n", bytes[0]) + &format!("    {},\n", bytes[1]),
    ]
}

/// Fails if the text shows the canary, by the name of what was searched only.
#[track_caller]
fn search(what: &str, text: &str) {
    let stripped: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (at, shape) in shapes(&canary()).iter().enumerate() {
        assert!(
            !text.contains(shape.as_str()),
            "{what} shows the canary in shape {at}"
        );
        let shape = shape.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            !stripped.contains(&shape),
            "{what} shows the canary in shape {at}"
        );
    }
}

#[track_caller]
fn search_debug(what: &str, value: &dyn Debug) {
    search(what, &format!("{value:?}"));
    search(what, &format!("{value:#?}"));
}

#[track_caller]
fn search_error(what: &str, error: &Error) {
    search_debug(what, error);
    search(what, &error.to_string());
    search(what, error.message());
    search(what, error.hint().unwrap_or_default());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        search(what, &format!("{cause} {cause:?}"));
        source = cause.source();
    }
}

#[test]
fn the_search_finds_each_shape() {
    let bytes = canary().into_bytes();
    for text in [
        format!("x{}x", canary()),
        format!("{bytes:?}"),
        format!("{bytes:#?}"),
        format!("{:?}", Some(&bytes)),
        STANDARD_NO_PAD.encode(&bytes),
        shapes(&canary())[3].clone(),
    ] {
        let found = std::panic::catch_unwind(|| search("a test", &text));
        assert!(found.is_err());
    }
    search("a test", "nothing here");
}

fn secret() -> Secret {
    Secret::new(canary())
}

fn at(reference: &str) -> Reference {
    reference.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Does what the reference's path says, with a canary in hand.
#[derive(Debug)]
struct Hostile;

#[async_trait]
impl Provider for Hostile {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only().writable().batched()
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        let kind = match reference.path() {
            "panic" => panic!("{}", canary()),
            "hang" => std::future::pending().await,
            "denied" => Kind::Denied,
            "missing" => Kind::NotFound,
            "down" => Kind::Unavailable,
            "throttled" => Kind::Throttled,
            _ => return Ok(secret()),
        };
        let error = Error::new(kind, "as the path says");
        Err(error.with_retry_after(Duration::from_millis(1)))
    }

    async fn set(
        &self,
        r: &Reference,
        _: &Secret,
        _: &SetOptions,
        cx: &Context,
    ) -> Result<credchain_core::Version> {
        self.get(r, cx)
            .await
            .map(|_| credchain_core::Version::number(1))
    }
}

const PATHS: [&str; 7] = [
    "value",
    "panic",
    "hang",
    "denied",
    "missing",
    "down",
    "throttled",
];

fn everything() -> LayerSettings {
    let rate = RateLimitSettings::new(NonZeroU32::new(1_000).unwrap());
    let cache = CacheSettings::new(SECOND)
        .with_negative_ttl(SECOND)
        .with_max_stale(SECOND * 60);
    LayerSettings::default()
        .with_timeout(SECOND)
        .with_retry(RetrySettings::attempts(2))
        .with_rate_limit(rate)
        .with_cache(cache)
}

/// A world whose clock somebody else keeps moving, so that every wait ends.
fn world() -> (Context, tokio::task::JoinHandle<()>) {
    let manual = ManualClock::new();
    let cx = Context::system()
        .with_clock(manual.clock())
        .with_env(Environment::fixed([("TOKEN", canary())]))
        .with_jitter(1.0);
    let moving = tokio::spawn(async move {
        for _ in 0..1_000_000 {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            manual.advance(Duration::from_millis(100));
        }
    });
    (cx, moving)
}

#[test]
fn types_that_hold_a_value_do_not_show_it() {
    let cx = Context::system().with_env(Environment::fixed([("TOKEN", canary())]));
    search_debug("Context", &cx);
    search_debug("Environment", cx.env());
    search_debug("Secret", &secret());
    search_debug("a result", &Ok::<_, Error>(vec![Some(secret())]));
    search_debug(
        "SecretMeta",
        secret().with_meta(|meta| meta.renewable = true).meta(),
    );
    search_debug("Memory", &Memory::new().with("a", canary().as_bytes()));
    let settings = Settings::from_json(json!({
        "password": canary(), "deep": {"token": canary(), "list": [canary()]},
    }));
    search_debug("Settings", &settings);
    search_debug(
        "Setup",
        &Setup::new(LinkName::literal("x")).with_settings(settings),
    );
    let mut credential = Credential::new(name("api_key"));
    credential.default = Some(secret());
    search_debug("Credential", &credential);
}

#[tokio::test]
async fn layers_that_hold_a_value_do_not_show_it() {
    let cx = Context::system();
    let inner =
        || -> Arc<dyn Provider> { Arc::new(Memory::new().with("value", canary().as_bytes())) };
    let rate = RateLimitSettings::new(NonZeroU32::MIN);
    let layers: [Arc<dyn Provider>; 7] = [
        Arc::new(Guard::new(inner())),
        Arc::new(Timeout::new(inner(), SECOND)),
        Arc::new(RateLimit::new(inner(), rate)),
        Arc::new(Retry::new(inner(), RetrySettings::default())),
        Arc::new(Flight::new(inner())),
        Arc::new(Cache::new(inner(), CacheSettings::new(SECOND))),
        wrap(inner(), &everything()),
    ];
    for layer in layers {
        assert_eq!(
            layer.get(&at("value"), &cx).await.unwrap().expose(),
            canary().as_bytes()
        );
        layer.get_many(&[at("value"), at("none")], &cx).await;
        layer
            .set(&at("value"), &secret(), &SetOptions::default(), &cx)
            .await
            .unwrap();
        search_debug("a layer", &layer);
    }
}

#[tokio::test]
async fn resolutions_and_chains_do_not_show_a_value() {
    let memory = Arc::new(Memory::new().with("api_key", canary().as_bytes()));
    let chain = Chain::new(vec![Link::new("memory", memory.clone())]);
    let resolution = chain.resolve(&name("api_key"), &Context::system()).await;
    assert_eq!(
        resolution.result.as_ref().unwrap().expose(),
        canary().as_bytes()
    );
    search_debug("Resolution", &resolution);
    search_debug("Trace", &resolution.trace);
    search_debug("Chain", &chain);

    let mut declared = Credential::new(name("spare"));
    declared.default = Some(secret());
    let builder = Resolver::builder("project", "default")
        .link(Link::new("memory", memory))
        .default_chain([LinkName::literal("memory")])
        .credential(declared);
    search_debug("ResolverBuilder", &builder);
    let resolver = builder.build().unwrap();
    for resolution in resolver
        .resolve_many(&[name("api_key"), name("spare")])
        .await
    {
        assert_eq!(
            resolution.result.as_ref().unwrap().expose(),
            canary().as_bytes()
        );
        search_debug("Resolution", &resolution);
    }
    search_debug("Resolver", &resolver);
    search_debug("CachedSecret", &resolver.cached(&name("api_key")));
}

#[test]
fn a_value_where_a_name_or_a_setting_belongs_is_not_repeated() {
    let misplaced = format!("{} {}", canary(), "/../\n#a#b?x");
    let errors = [
        misplaced.parse::<Reference>().unwrap_err(),
        Reference::new(&misplaced).unwrap_err(),
        at("a").with_field(&misplaced).unwrap_err(),
        misplaced.parse::<Address>().unwrap_err(),
        format!("{misplaced}://x").parse::<Address>().unwrap_err(),
    ];
    for error in &errors {
        search_error("a reference's error", error);
    }
    search(
        "a name's error",
        &format!("{:?}", misplaced.parse::<Name>()),
    );
    search(
        "a link's error",
        &misplaced.parse::<LinkName>().unwrap_err().to_string(),
    );

    let settings = Settings::from_json(json!({
        "timeout": canary(), "cache": {"ttl": canary()}, "on_unavailable": canary(), "n": canary(),
    }));
    let errors = [
        settings.duration("timeout").map(drop).unwrap_err(),
        settings.bool("n").map(drop).unwrap_err(),
        settings.integer("n").map(drop).unwrap_err(),
        settings.size("n").map(drop).unwrap_err(),
        settings.table("n").map(drop).unwrap_err(),
        settings.credential("n").map(drop).unwrap_err(),
        settings
            .deserialize::<std::collections::BTreeMap<String, u8>>()
            .map(drop)
            .unwrap_err(),
        LayerSettings::from_settings(&settings)
            .map(drop)
            .unwrap_err(),
        reactions(&settings).map(drop).unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), Kind::Misconfigured);
        search_error("a setting's error", error);
    }
}

#[test]
fn a_template_that_cannot_carry_a_value_does_not_show_it() {
    for (filter, spoiled) in [("json", b"\xff"), ("sh", b"\0")] {
        let template: Template = format!("{{{{ key | {filter} }}}}").parse().unwrap();
        let value = [canary().as_bytes(), spoiled].concat();
        let error = template
            .render(|_| Ok(Secret::new(value.clone())))
            .unwrap_err();
        search_error("a template's error", &error);
    }
}

#[tokio::test]
async fn failures_of_every_sort_do_not_show_a_value() {
    let (cx, moving) = world();
    let provider = wrap(Arc::new(Hostile), &everything());
    let references: Vec<_> = PATHS.iter().map(|path| at(path)).collect();
    for answer in provider.get_many(&references, &cx).await {
        search_debug("a batch's answer", &answer);
        if let Err(error) = answer {
            search_error("a batch's error", &error);
        }
    }
    for reference in &references {
        let read = provider.get(reference, &cx).await;
        assert_eq!(read.is_ok(), reference.path() == "value");
        search_debug("an answer", &read);
        if let Err(error) = read {
            search_error("a read's error", &error);
        }
        let written = provider
            .set(reference, &secret(), &SetOptions::default(), &cx)
            .await;
        if let Err(error) = written {
            search_error("a write's error", &error);
        }
    }
    moving.abort();
}

#[tokio::test]
async fn the_log_of_a_batch_with_hits_failures_timeouts_and_panics_shows_no_value() {
    let log = Log::start();
    let (cx, moving) = world();
    let provider = wrap(Arc::new(Hostile), &everything());
    let refusing = Refusing::new(Error::new(Kind::NotFound, "not here"));
    let chain = Chain::new(vec![
        Link::new("first", Arc::new(refusing)),
        Link::new("second", provider.clone()),
    ]);
    let names: Vec<_> = PATHS.iter().map(|path| name(path)).collect();
    for resolution in chain.resolve_many(&names, &cx).await {
        search_debug("Resolution", &resolution);
    }
    // Twice each, and old enough in between to be refreshed or waited for.
    for path in PATHS.iter().flat_map(|path| [path, path]) {
        let single = chain.resolve(&name(path), &cx).await;
        assert_eq!(single.result.is_ok(), *path == "value");
        cx.clock().sleep(SECOND).await;
    }
    provider
        .set(&at("value"), &secret(), &SetOptions::default(), &cx)
        .await
        .unwrap();
    moving.abort();
    let text = log.text();
    for expected in [
        "trying again",
        "panicked",
        "timed out",
        "purged",
        "in the background",
    ] {
        assert!(
            text.contains(expected),
            "the log is not complete: no `{expected}`"
        );
    }
    search("the log", &text);
}

/// Everything that this process logs, at every level.
struct Log(Mutex<String>);

static LOG: LazyLock<Log> = LazyLock::new(|| Log(Mutex::default()));

impl Log {
    fn start() -> &'static Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Tap).unwrap());
        &LOG
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

struct Tap;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Tap {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut Line(&mut LOG.0.lock().unwrap()));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Line(&mut LOG.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut log = LOG.0.lock().unwrap();
        event.record(&mut Line(&mut log));
        log.push('\n');
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
