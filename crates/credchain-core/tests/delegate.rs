//! No wrapper forgets a method: what is asked of it arrives at the wrapped provider, and the
//! answer comes back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credchain_core::layers::{
    Cache, CacheSettings, Flight, Guard, LayerSettings, RateLimit, RateLimitSettings, Retry,
    RetrySettings, Timeout, wrap,
};
use credchain_core::{
    Capabilities, Context, Description, Error, Expect, Identity, Interactive, Kept, Kind, Lease,
    Leased, Listed, Login, Naming, Provider, Reference, Result, Rotatable, Secret, SetOptions,
    Settings, Target, Version, VersionState, Versioned, async_trait, delegate_provider,
};

/// The methods of the traits, in one place: the enum, its names, and the question that goes with
/// each, which the compiler asks for.
macro_rules! methods {
    ($($method:ident $name:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Method { $($method),* }

        impl Method {
            const ALL: &[Self] = &[$(Self::$method),*];

            fn name(self) -> &'static str {
                match self { $(Self::$method => $name),* }
            }
        }
    };
}

methods! {
    Capabilities "capabilities"
    Get "get"
    GetMany "get_many"
    Set "set"
    Delete "delete"
    List "list"
    Describe "describe"
    Identity "identity"
    Locate "locate"
    Beside "beside"
    AsLeased "as_leased"
    AsVersioned "as_versioned"
    AsInteractive "as_interactive"
    AsRotatable "as_rotatable"
    Renew "renew"
    Revoke "revoke"
    Resume "resume"
    Close "close"
    Versions "versions"
    Stage "stage"
    Disable "disable"
    Destroy "destroy"
}

/// Asks a provider one question; the answer as text.
async fn ask(method: Method, provider: &dyn Provider, cx: &Context) -> String {
    let (a, b) = (at("doc#a"), at("doc#b?version=2"));
    let (version, value) = (Version::number(7), Secret::new("written"));
    let leased = || provider.as_leased().unwrap();
    let versioned = || provider.as_versioned().unwrap();
    match method {
        Method::Capabilities => format!("{:?}", provider.capabilities()),
        Method::Get => shown(&provider.get(&a, cx).await),
        Method::GetMany => {
            let answers = provider.get_many(&[a, b], cx).await;
            answers.iter().map(shown).collect::<Vec<_>>().join(" ")
        }
        Method::Set => {
            let mut options = SetOptions::expecting(Expect::Version(Version::number(6)));
            options.idempotency_key = Some("key".into());
            format!("{:?}", provider.set(&a, &value, &options, cx).await)
        }
        Method::Delete => format!("{:?}", provider.delete(&a, cx).await),
        Method::List => format!("{:?}", provider.list(Some("do"), cx).await),
        Method::Describe => format!("{:?}", provider.describe(&b, cx).await),
        Method::Identity => format!("{:?}", provider.identity(cx).await),
        Method::Locate => {
            format!(
                "{:?}",
                provider.locate(&Naming::new("api_key".parse().unwrap()))
            )
        }
        Method::Beside => format!("{:?}", provider.beside(&a)),
        Method::AsRotatable => provider.as_rotatable().is_some().to_string(),
        Method::AsLeased => provider.as_leased().is_some().to_string(),
        Method::AsVersioned => provider.as_versioned().is_some().to_string(),
        Method::AsInteractive => provider
            .as_interactive()
            .map_or_else(String::new, Interactive::question),
        Method::Renew => format!(
            "{:?}",
            leased().renew("l1", Duration::from_secs(5), cx).await
        ),
        Method::Revoke => format!("{:?}", leased().revoke("l1", cx).await),
        Method::Resume => {
            leased().resume(cx);
            String::new()
        }
        Method::Close => format!("{:?}", leased().close(cx).await),
        Method::Versions => format!("{:?}", versioned().versions(&a, cx).await),
        Method::Stage => format!("{:?}", versioned().stage(&a, &version, "current", cx).await),
        Method::Disable => format!("{:?}", versioned().disable(&a, &version, cx).await),
        Method::Destroy => format!("{:?}", versioned().destroy(&a, &version, cx).await),
    }
}

fn shown(answer: &Result<Secret>) -> String {
    answer.as_ref().map_or_else(ToString::to_string, |secret| {
        format!("{} {:?}", secret.expose_text().unwrap(), secret.meta())
    })
}

fn at(reference: &str) -> Reference {
    reference.parse().unwrap()
}

/// Answers every question with something no default would give, and writes down what was asked.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(Method, String)>>);

impl Recorder {
    fn note(&self, method: Method, arguments: String) {
        self.0.lock().unwrap().push((method, arguments));
    }

    /// What was asked, without what a layer may look up in passing.
    fn asked(&self, looked_up: &[Method]) -> Vec<(Method, String)> {
        let mut asked = self.0.lock().unwrap().clone();
        asked.retain(|(method, _)| !looked_up.contains(method));
        asked
    }
}

#[async_trait]
impl Provider for Recorder {
    fn capabilities(&self) -> Capabilities {
        self.note(Method::Capabilities, String::new());
        Capabilities::read_only()
            .writable()
            .batched()
            .encrypted()
            .max_value(77)
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        self.note(Method::Get, format!("{reference}"));
        Ok(Secret::new("one").with_meta(|meta| meta.lease = Some("l1".into())))
    }

    async fn get_many(&self, references: &[Reference], _: &Context) -> Vec<Result<Secret>> {
        self.note(Method::GetMany, format!("{references:?}"));
        references
            .iter()
            .map(|reference| Ok(Secret::new(format!("many {reference}"))))
            .collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        _: &Context,
    ) -> Result<Version> {
        let value = value.expose_text().unwrap();
        self.note(Method::Set, format!("{reference} {value} {options:?}"));
        Ok(Version::number(41))
    }

    async fn delete(&self, reference: &Reference, _: &Context) -> Result<()> {
        self.note(Method::Delete, format!("{reference}"));
        Ok(())
    }

    async fn list(&self, prefix: Option<&str>, _: &Context) -> Result<Vec<Listed>> {
        self.note(Method::List, format!("{prefix:?}"));
        Ok(vec![Listed::new(at("listed"))])
    }

    async fn describe(&self, reference: &Reference, _: &Context) -> Result<Description> {
        self.note(Method::Describe, format!("{reference}"));
        let mut description = Description::default();
        description
            .metadata
            .insert("described".into(), "yes".into());
        Ok(description)
    }

    async fn identity(&self, _: &Context) -> Result<Identity> {
        self.note(Method::Identity, String::new());
        Ok(Identity::new("somebody"))
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        self.note(Method::Locate, format!("{naming:?}"));
        vec![at("located")]
    }

    fn beside(&self, reference: &Reference) -> Option<Reference> {
        self.note(Method::Beside, format!("{reference}"));
        Some(at("beside"))
    }

    fn as_rotatable(&self) -> Option<&dyn Rotatable> {
        self.note(Method::AsRotatable, String::new());
        Some(self)
    }

    fn as_leased(&self) -> Option<&dyn Leased> {
        self.note(Method::AsLeased, String::new());
        Some(self)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        self.note(Method::AsVersioned, String::new());
        Some(self)
    }

    fn as_interactive(&self) -> Option<&dyn Interactive> {
        self.note(Method::AsInteractive, String::new());
        Some(self)
    }
}

impl Rotatable for Recorder {
    fn target(&self, _: &str, _: &Settings) -> Result<Arc<dyn Target>> {
        Err(Error::unsupported("rotating"))
    }
}

#[async_trait]
impl Interactive for Recorder {
    fn question(&self) -> String {
        "who are you".into()
    }

    async fn log_in(&self, _: &Secret, _: &Context) -> Result<Login> {
        Err(Error::unsupported("logging in"))
    }

    async fn log_out(&self, _: &Context) -> Result<Kept> {
        Err(Error::unsupported("logging out"))
    }
}

#[async_trait]
impl Leased for Recorder {
    async fn renew(&self, lease: &str, increment: Duration, _: &Context) -> Result<Lease> {
        self.note(Method::Renew, format!("{lease} {increment:?}"));
        Ok(Lease::new("renewed", increment, true))
    }

    async fn revoke(&self, lease: &str, _: &Context) -> Result<()> {
        self.note(Method::Revoke, lease.to_owned());
        Ok(())
    }

    fn resume(&self, _: &Context) {
        self.note(Method::Resume, String::new());
    }

    async fn close(&self, _: &Context) -> Result<()> {
        self.note(Method::Close, String::new());
        Err(Error::new(Kind::Denied, "nothing can be closed"))
    }
}

#[async_trait]
impl Versioned for Recorder {
    async fn versions(&self, reference: &Reference, _: &Context) -> Result<Vec<VersionState>> {
        self.note(Method::Versions, format!("{reference}"));
        Ok(vec![VersionState::new(Version::number(40))])
    }

    async fn stage(
        &self,
        reference: &Reference,
        version: &Version,
        label: &str,
        _: &Context,
    ) -> Result<()> {
        self.note(Method::Stage, format!("{reference} {version} {label}"));
        Ok(())
    }

    async fn disable(&self, reference: &Reference, version: &Version, _: &Context) -> Result<()> {
        self.note(Method::Disable, format!("{reference} {version}"));
        Ok(())
    }

    async fn destroy(&self, reference: &Reference, version: &Version, _: &Context) -> Result<()> {
        self.note(Method::Destroy, format!("{reference} {version}"));
        Ok(())
    }
}

/// A wrapper that only says what it wraps.
#[derive(Debug)]
struct Plain(Arc<dyn Provider>);

delegate_provider! {
    impl Provider for Plain, through |this| this.0, overrides [] {}
}

type Wrap = fn(Arc<dyn Provider>) -> Arc<dyn Provider>;

/// Every wrapper of the crate, alone and together.
const WRAPPERS: &[(&str, Wrap)] = &[
    ("Plain", |inner| Arc::new(Plain(inner))),
    ("Guard", |inner| Arc::new(Guard::new(inner))),
    ("Timeout", |inner| {
        Arc::new(Timeout::new(inner, Duration::from_mins(1)))
    }),
    ("RateLimit", |inner| Arc::new(RateLimit::new(inner, rate()))),
    ("Retry", |inner| {
        Arc::new(Retry::new(inner, RetrySettings::default()))
    }),
    ("Flight", |inner| Arc::new(Flight::new(inner))),
    // With the part that fills the store, `Fill`.
    ("Cache", |inner| {
        Arc::new(Cache::new(
            inner,
            CacheSettings::new(Duration::from_mins(1)),
        ))
    }),
    ("the whole stack", |inner| wrap(inner, &everything())),
    ("the default stack", |inner| {
        wrap(inner, &LayerSettings::default())
    }),
];

fn rate() -> RateLimitSettings {
    RateLimitSettings::new(NonZeroU32::new(1_000).unwrap())
}

fn everything() -> LayerSettings {
    LayerSettings::default()
        .with_cache(CacheSettings::new(Duration::from_mins(1)))
        .with_rate_limit(rate())
}

#[tokio::test]
async fn every_method_arrives_through_every_wrapper_and_its_answer_comes_back() {
    const PASSING: &[Method] = &[Method::Capabilities, Method::AsLeased, Method::AsVersioned];
    let cx = Context::system();
    for method in Method::ALL.iter().copied() {
        let looked_up: Vec<_> = PASSING.iter().copied().filter(|m| *m != method).collect();
        let bare = Recorder::default();
        let answer = ask(method, &bare, &cx).await;
        for (name, wrap) in WRAPPERS {
            let recorder = Arc::new(Recorder::default());
            let wrapper = wrap(recorder.clone());
            assert_eq!(
                ask(method, &*wrapper, &cx).await,
                answer,
                "{method:?} through {name}"
            );
            let mut asked = recorder.asked(&looked_up);
            asked.dedup();
            assert_eq!(asked, bare.asked(&looked_up), "{method:?} through {name}");
        }
    }
}

/// A provider without facets.
#[derive(Debug)]
struct Simple;

#[async_trait]
impl Provider for Simple {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        Ok(Secret::new("v"))
    }
}

#[test]
fn a_wrapper_offers_no_facet_that_the_provider_lacks() {
    for (name, wrap) in WRAPPERS {
        let wrapper = wrap(Arc::new(Simple));
        assert!(
            wrapper.as_leased().is_none() && wrapper.as_versioned().is_none(),
            "{name}"
        );
    }
}

#[test]
fn the_list_of_methods_is_the_traits() {
    let source = include_str!("../src/provider.rs");
    let mut declared = Vec::new();
    for name in ["Provider", "Leased", "Versioned"] {
        let (_, rest) = source.split_once(&format!("\npub trait {name}: ")).unwrap();
        let (body, _) = rest.split_once("\n}\n").unwrap();
        // Indented once: a declaration, and not something inside a default body.
        declared.extend(body.lines().filter_map(|line| {
            let line = line.strip_prefix("    ")?;
            let line = line
                .strip_prefix("async ")
                .unwrap_or(line)
                .strip_prefix("fn ")?;
            line.split_once('(').map(|(name, _)| name)
        }));
    }
    let listed: Vec<_> = Method::ALL.iter().map(|method| method.name()).collect();
    assert_eq!(
        listed, declared,
        "a method of the traits is not in this file's list"
    );
}

#[test]
fn the_list_of_wrappers_is_complete() {
    let mut source = String::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut source,
    );
    let mut found = 0;
    for line in source.lines().map(str::trim) {
        let wrapper = line.strip_prefix("layer! { ").or_else(|| {
            line.strip_prefix("impl Provider for ")?
                .split_once(", through")
                .map(|w| w.0)
        });
        let Some(wrapper) = wrapper.and_then(|rest| rest.split([',', ' ']).next()) else {
            continue;
        };
        if wrapper.starts_with(|first: char| first.is_ascii_uppercase()) && wrapper != "Fill" {
            found += 1;
            let listed = WRAPPERS.iter().any(|(name, _)| *name == wrapper);
            assert!(
                listed,
                "`{wrapper}` is a wrapper and not in this file's list"
            );
        }
    }
    assert!(found >= 6, "the search finds nothing any more: {found}");
}

/// The sources of the crate without comments, where examples have wrappers of their own.
fn collect(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, source);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                writeln!(source, "{line}").unwrap();
            }
        }
    }
}
