//! Declared credentials: templates, defaults, bootstrap, and the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    At, Capabilities, Context, Credential, CredentialSource, Error, Kind, Link, LinkName,
    ManualClock, Memory, Name, Provider, Reference, Resolver, ResolverBuilder, Result, Secret,
    Value, Version, async_trait,
};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn link(text: &'static str) -> LinkName {
    LinkName::literal(text)
}

fn template(own: &str, text: &str) -> Credential {
    Credential::from_template(name(own), text.parse().expect("a template"))
}

fn stored(own: &str, links: &[&'static str]) -> Credential {
    let mut credential = Credential::new(name(own));
    if let Value::Stored { links: own, .. } = &mut credential.value {
        *own = Some(links.iter().map(|text| link(text)).collect());
    }
    credential
}

#[tokio::test]
async fn templates_share_one_batch_with_everything_else() {
    let memory = Memory::new()
        .with("user", b"app")
        .with("pass", b"a/b")
        .with("key", b"k");
    let memory = Arc::new(memory);
    let resolver = Resolver::builder("p", "default")
        .link(Link::new("only", memory.clone()))
        .default_chain([link("only")])
        .credential(Credential::new(name("user")))
        .credential(Credential::new(name("pass")))
        .credential(Credential::new(name("key")))
        .credential(template("url", "https://{{ user }}:{{ pass | url }}@host"))
        .credential(template("line", "[{{ url }}]"))
        .build()
        .unwrap();
    let all = resolver
        .resolve_many(&["line", "key", "user"].map(name))
        .await;
    let values: Vec<_> = all
        .iter()
        .map(|r| r.result.as_ref().unwrap().expose_text())
        .collect();
    assert_eq!(
        values,
        [Some("[https://app:a%2Fb@host]"), Some("k"), Some("app")]
    );
    assert_eq!((memory.batches(), memory.reads()), (1, 3));
}

#[tokio::test]
async fn a_template_fails_with_the_part_that_failed() {
    let memory = Memory::new().failing("pass", Kind::Denied);
    let resolver = Resolver::builder("p", "default")
        .link(Link::new("only", Arc::new(memory)))
        .default_chain([link("only")])
        .credential(Credential::new(name("pass")))
        .credential(template("url", "x{{ pass }}"))
        .build()
        .unwrap();
    let resolution = resolver.resolve(&name("url")).await;
    let error = resolution.result.unwrap_err();
    assert_eq!(
        (error.kind(), error.credential().unwrap().as_str()),
        (Kind::Denied, "pass")
    );
    assert_eq!(
        resolution.trace.steps[0].note.as_deref(),
        Some("for `pass`")
    );
}

/// `t0` is stored; every other template repeats the one before it.
fn repeating(memory: Memory, depth: usize, times: usize) -> Resolver {
    let own = |number: usize| format!("t{number}");
    let repeated = |number| {
        let part = format!("{{{{ {} }}}}", own(number - 1));
        template(&own(number), &part.repeat(times))
    };
    let builder = Resolver::builder("p", "default")
        .link(Link::new("only", Arc::new(memory)))
        .default_chain([link("only")])
        .credential(Credential::new(name("t0")));
    (1..=depth)
        .map(repeated)
        .fold(builder, ResolverBuilder::credential)
        .build()
        .expect("templates without a circle")
}

#[tokio::test]
async fn templates_that_repeat_each_other_cost_no_more_than_they_may_make() {
    let resolver = repeating(Memory::new().with("t0", &[b'x'; 64]), 60, 2);
    let small = resolver.resolve(&name("t4")).await;
    assert_eq!(small.result.unwrap().expose().len(), 16 * 64);
    assert_eq!(small.trace.steps.len(), 1, "one question, one step");
    let error = resolver.resolve(&name("t60")).await.result.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.message().contains("64 MiB"), "{error}");
    // The same when nothing is there to repeat.
    let resolver = repeating(Memory::new(), 60, 2);
    let error = resolver.resolve(&name("t60")).await.result.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn templates_within_templates_may_go_as_deep_as_a_configuration_is_long() {
    let resolver = repeating(Memory::new().with("t0", b"v"), 50_000, 1);
    let deepest = resolver.resolve(&name("t50000")).await;
    assert_eq!(deepest.result.unwrap().expose(), b"v");
}

#[tokio::test]
async fn the_default_of_a_template_within_another_is_told() {
    let mut inner = template("inner", "{{ missing }}");
    inner.default = Some(Secret::new("d"));
    let resolver = Resolver::builder("p", "default")
        .link(Link::new("only", Arc::new(Memory::new())))
        .default_chain([link("only")])
        .credential(Credential::new(name("missing")))
        .credential(inner)
        .credential(template("outer", "[{{ inner }}]"))
        .build()
        .unwrap();
    let resolution = resolver.resolve(&name("outer")).await;
    assert_eq!(resolution.result.unwrap().expose(), b"[d]");
    let links: Vec<_> = resolution
        .trace
        .steps
        .iter()
        .map(|s| s.link.as_str())
        .collect();
    assert_eq!(links, ["only", "default"]);
}

#[test]
fn what_could_never_work_is_refused_and_names_the_circle() {
    let circle = Resolver::builder("p", "default")
        .credential(template("a", "{{ b }}"))
        .credential(template("b", "{{ a }}"))
        .build()
        .unwrap_err();
    assert_eq!(circle.kind(), Kind::Misconfigured);
    assert!(circle.message().contains("→"), "{circle}");
    let undeclared = Resolver::builder("p", "d")
        .credential(template("a", "{{ zz }}"))
        .build();
    assert!(undeclared.unwrap_err().message().contains("`zz`"));
    let unknown = Resolver::builder("p", "d")
        .default_chain([link("nowhere")])
        .build();
    assert!(unknown.unwrap_err().message().contains("`nowhere`"));
}

/// A backend that has to log in first.
#[derive(Debug)]
struct Guarded {
    login: Name,
    source: Arc<dyn CredentialSource>,
}

#[async_trait]
impl Provider for Guarded {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let login = self.source.credential(&self.login, cx).await?;
        Ok(Secret::new(
            [login.expose(), b":", reference.path().as_bytes()].concat(),
        ))
    }
}

#[tokio::test]
async fn a_login_is_resolved_from_the_links_that_do_not_need_it() {
    let builder = Resolver::builder("p", "default");
    let guarded = |own: &'static str, login: &str| {
        let source = builder.source_for(link(own));
        Link::new(
            own,
            Arc::new(Guarded {
                login: name(login),
                source,
            }),
        )
    };
    let (vault, aws) = (guarded("vault", "vault_id"), guarded("aws", "aws_id"));
    // Each login may come from the other backend, by its chain: neither waits for the other.
    let env = Memory::new().with("vault_id", b"v").with("aws_id", b"a");
    let resolver = builder
        .link(vault)
        .link(aws)
        .link(Link::new("env", Arc::new(env)))
        .needs(link("vault"), vec![name("vault_id")])
        .needs(link("aws"), vec![name("aws_id")])
        .default_chain([link("vault")])
        .credential(stored("vault_id", &["aws", "vault", "env"]))
        .credential(stored("aws_id", &["vault", "env"]))
        .credential(stored("both", &["aws"]))
        .build()
        .unwrap();
    let found = resolver.resolve(&name("other")).await.result.unwrap();
    assert_eq!(found.expose(), b"v:other");
    let found = resolver.resolve(&name("both")).await.result.unwrap();
    assert_eq!(found.expose(), b"a:both");
}

#[test]
fn a_login_that_no_link_is_left_for_is_refused() {
    let builder = Resolver::builder("p", "default");
    let source = builder.source_for(link("vault"));
    let vault = Link::new(
        "vault",
        Arc::new(Guarded {
            login: name("id"),
            source,
        }),
    );
    let error = builder
        .link(vault)
        .needs(link("vault"), vec![name("id")])
        .credential(stored("id", &["vault"]))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.message().contains("`id`") && error.hint().is_some(),
        "{error}"
    );
}

#[tokio::test]
async fn the_snapshot_serves_until_its_time_is_over_or_the_value_is_refused() {
    let manual = ManualClock::new();
    let memory = Arc::new(Memory::new().with("k", b"v"));
    let resolver = Resolver::builder("p", "default")
        .context(Context::system().with_clock(manual.clock()))
        .link(Link::new("only", memory.clone()))
        .default_chain([link("only")])
        .credential(Credential::new(name("k")))
        .snapshot_ttl(Duration::from_secs(10))
        .build()
        .unwrap();
    assert!(resolver.cached(&name("k")).is_none());
    resolver.resolve(&name("k")).await.result.unwrap();
    assert_eq!(resolver.cached(&name("k")).unwrap().expose(), b"v");

    manual.advance(Duration::from_secs(10));
    assert!(resolver.cached(&name("k")).is_none());

    resolver.resolve(&name("k")).await.result.unwrap();
    memory.fail("k", Some(Error::new(Kind::Unavailable, "down")));
    resolver.resolve(&name("k")).await.result.unwrap_err();
    assert!(
        resolver.cached(&name("k")).is_some(),
        "an outage takes nothing away"
    );
    memory.fail("k", Some(Error::new(Kind::Denied, "no")));
    resolver.resolve(&name("k")).await.result.unwrap_err();
    assert!(resolver.cached(&name("k")).is_none(), "a denial does");
}

#[tokio::test]
async fn an_address_uses_the_settings_of_its_link() {
    let memory = Memory::new().with("prod/db#password", b"v");
    let resolver = Resolver::builder("p", "d")
        .link(Link::new("vault", Arc::new(memory)))
        .build()
        .unwrap();
    let found = resolver
        .resolve_address(&"vault://prod/db#password".parse().unwrap())
        .await;
    assert_eq!(found.result.unwrap().expose(), b"v");
    let unknown = resolver
        .resolve_address(&"nowhere://x".parse().unwrap())
        .await;
    assert_eq!(unknown.result.unwrap_err().kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn a_refusal_takes_all_that_it_concerns_out_of_the_snapshot() {
    let place = |text: &str| At::Here(text.parse().unwrap());
    let at_vault = |credential: &str, reference: &str| {
        let mut credential = Credential::new(name(credential));
        credential.value = Value::Stored {
            links: None,
            at: BTreeMap::from([(link("vault"), place(reference))]),
        };
        credential
    };
    let vault = Memory::new()
        .with("doc#a", b"1")
        .with("doc#b", b"2")
        .with("other#c", b"3");
    let vault = Arc::new(vault);
    let resolver = Resolver::builder("p", "default")
        .link(Link::new("vault", vault.clone()))
        .default_chain([link("vault")])
        .credential(at_vault("a", "doc#a"))
        .credential(at_vault("b", "doc#b"))
        .credential(at_vault("c", "other#c"))
        .build()
        .unwrap();
    let all = [name("a"), name("b"), name("c")];
    let left = || all.each_ref().map(|name| resolver.cached(name).is_some());
    resolver.resolve_many(&all).await;
    assert_eq!(left(), [true; 3]);

    vault.fail("doc#a", Some(Error::new(Kind::Denied, "no")));
    resolver.resolve(&name("a")).await.result.unwrap_err();
    assert_eq!(left(), [false, false, true], "the document is denied");

    vault.fail("other#c", Some(Error::new(Kind::Unauthenticated, "who?")));
    vault.fail("doc#a", None);
    resolver.resolve_many(&all[..2]).await;
    assert_eq!(left(), [true, true, true]);
    resolver.resolve(&name("c")).await.result.unwrap_err();
    assert_eq!(left(), [false; 3], "the login is lost");
}

/// Has one earlier version, which is empty.
#[derive(Debug)]
struct Emptied;

#[async_trait]
impl Provider for Emptied {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only().versioned()
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        let value = if reference.version().is_some() {
            ""
        } else {
            "v"
        };
        Ok(Secret::new(value))
    }
}

#[tokio::test]
async fn an_earlier_version_may_be_empty_where_an_empty_value_is_one() {
    let mut allowing = Credential::new(name("allowing"));
    allowing.allow_empty = true;
    let resolver = Resolver::builder("p", "default")
        .link(Link::new("only", Arc::new(Emptied)))
        .default_chain([link("only")])
        .credential(allowing)
        .credential(Credential::new(name("strict")))
        .build()
        .unwrap();
    let version = Version::number(1);
    for lenient in ["allowing", "undeclared"] {
        let answer = resolver.resolve_version(&name(lenient), &version).await;
        assert!(answer.result.unwrap().is_empty(), "{lenient}");
    }
    let strict = resolver.resolve_version(&name("strict"), &version).await;
    assert_eq!(strict.result.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_resolution_ends_at_its_limit_whatever_the_provider_does() {
    #[derive(Debug)]
    struct Hanging;

    #[async_trait]
    impl Provider for Hanging {
        fn capabilities(&self) -> Capabilities {
            Capabilities::read_only()
        }

        async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
            std::future::pending().await
        }
    }

    let manual = ManualClock::new();
    let resolver = Resolver::builder("p", "default")
        .context(Context::system().with_clock(manual.clock()))
        .timeout(Duration::from_secs(1))
        .link(Link::new("only", Arc::new(Hanging)))
        .default_chain([link("only")])
        .build()
        .unwrap();
    let asking = tokio::spawn(async move { resolver.resolve(&name("k")).await.result });
    while manual.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    manual.advance(Duration::from_secs(2));
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.link().unwrap().as_str(), "only");
}
