//! Named credentials: declared ones with their own chains and templates, and any other name by
//! convention.

mod bootstrap;
mod builder;
mod rendering;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Address, At, Context, Error, Item, Kind, Link, LinkName, Name, Naming, Reference, Resolution,
    Result, Secret, Template, Trace, Version, resolve_batch,
};

pub use builder::ResolverBuilder;
pub use snapshot::CachedSecret;

/// A credential that a configuration declares.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// Its name.
    pub name: Name,
    /// Its environment variable, if not the conventional one.
    pub env: Option<String>,
    /// Where its value comes from.
    pub value: Value,
    /// The value when every link missed. Never used after a link failed.
    pub default: Option<Secret>,
    /// Whether an empty value is a value.
    pub allow_empty: bool,
    /// Links that must not be asked for it, with the failure they stand for.
    pub refused: BTreeMap<LinkName, Error>,
}

/// Where a declared credential's value comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// From the first of these links that has it.
    Stored {
        /// The links in order; without them, the default chain.
        links: Option<Vec<LinkName>>,
        /// Places that differ from the convention.
        at: BTreeMap<LinkName, At>,
    },
    /// From other credentials.
    Template(Template),
}

impl Credential {
    /// A secret found by convention along the default chain; change what differs.
    pub fn new(name: Name) -> Self {
        let value = Value::Stored {
            links: None,
            at: BTreeMap::new(),
        };
        Self {
            name,
            env: None,
            value,
            default: None,
            allow_empty: false,
            refused: BTreeMap::new(),
        }
    }

    /// A credential made from others.
    pub fn from_template(name: Name, template: Template) -> Self {
        Self {
            value: Value::Template(template),
            ..Self::new(name)
        }
    }
}

/// Resolves credentials by name, many at once, and remembers what it resolved. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use credchain_core::{Credential, Link, Memory, Name, Resolver};
///
/// # credchain_core::doctest(async {
/// let vault = Memory::new().with("api_key", b"s3cret");
/// let name: Name = "api_key".parse()?;
/// let resolver = Resolver::builder("pipeline", "default")
///     .link(Link::new("vault", Arc::new(vault)))
///     .default_chain(["vault".parse()?])
///     .credential(Credential::new(name.clone()))
///     .build()?;
/// let secret = resolver.resolve(&name).await.result?;
/// assert_eq!(secret.expose(), b"s3cret");
/// assert_eq!(resolver.cached(&name).unwrap().expose(), b"s3cret");
/// # Ok(()) });
/// ```
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    project: Arc<str>,
    profile: Arc<str>,
    context: Context,
    timeout: Option<Duration>,
    links: BTreeMap<LinkName, Link>,
    default_chain: Arc<[Link]>,
    credentials: HashMap<Name, Declared>,
    /// For each link, the links that cannot help to resolve its own secrets.
    blocked: BTreeMap<LinkName, BTreeSet<LinkName>>,
    snapshot: snapshot::Snapshots,
    witness: Option<Witness>,
    recorder: Option<Recorder>,
}

/// Whoever notes every answer, and may keep it from being given.
struct Recorder(Box<Noted>);

type Noted = dyn Fn(&Name, &Resolution) -> Result<()> + Send + Sync;

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// Whoever is told every value.
struct Witness(Box<Told>);

type Told = dyn Fn(&Name, &Secret) + Send + Sync;

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// A declared credential, with its chain looked up.
struct Declared {
    naming: Naming,
    spec: Credential,
    chain: Arc<[Link]>,
}

static NOWHERE_ELSE: BTreeMap<LinkName, At> = BTreeMap::new();

impl Resolver {
    /// Starts a resolver for a project and profile, which conventional places are made of.
    pub fn builder(project: &str, profile: &str) -> ResolverBuilder {
        ResolverBuilder::new(project, profile)
    }

    /// Resolves one credential, declared or not.
    pub async fn resolve(&self, name: &Name) -> Resolution {
        let mut all = self.resolve_many(std::slice::from_ref(name)).await;
        all.swap_remove(0)
    }

    /// Resolves several credentials in as few questions as possible; answers in the same order.
    /// One that fails leaves the others alone.
    pub async fn resolve_many(&self, names: &[Name]) -> Vec<Resolution> {
        let resolutions = self.0.resolve(names, None, &self.0.context()).await;
        self.0.snapshot.learn(&self.0, names, &resolutions);
        resolutions
    }

    /// Resolves a place at one link, with that link's settings.
    pub async fn resolve_address(&self, address: &Address) -> Resolution {
        let Some(link) = self.0.links.get(&address.link) else {
            let message = format!("no provider is named `{}`", address.link);
            let result = Err(Error::new(Kind::Misconfigured, message));
            return Resolution {
                result,
                trace: Trace::default(),
            };
        };
        let at = BTreeMap::from([(address.link.clone(), At::Here(address.reference.clone()))]);
        let name = address_name(address);
        let item = Item::new(Naming::new(name.clone()), std::slice::from_ref(link))
            .at(&at)
            .allow_empty(true);
        let mut all = resolve_batch(&[item], &self.0.context()).await;
        let mut resolution = all.swap_remove(0);
        self.0.note(&name, &mut resolution);
        self.0.tell(&name, &resolution.result);
        resolution
    }

    /// Resolves one version of a credential, from the links of its chain that keep versions.
    pub async fn resolve_version(&self, name: &Name, version: &Version) -> Resolution {
        let links = self.chain(name);
        let at: BTreeMap<LinkName, At> = links
            .iter()
            .map(|link| {
                let place = self.place(name, link).ok();
                let keeps = link.provider().capabilities().versions;
                let at = place.filter(|_| keeps).map_or(At::Skip, |place| {
                    At::Here(place.with_version(version.clone()))
                });
                (link.name().clone(), at)
            })
            .collect();
        let item = Item::new(self.naming(name), links).at(&at);
        let item = match self.0.credentials.get(name) {
            Some(declared) => item
                .refusing(&declared.spec.refused)
                .allow_empty(declared.spec.allow_empty),
            None => item.allow_empty(true),
        };
        let mut all = resolve_batch(&[item], &self.0.context()).await;
        let mut resolution = all.swap_remove(0);
        self.0.note(name, &mut resolution);
        self.0.tell(name, &resolution.result);
        resolution
    }

    /// The value that was resolved last, if it is still fresh: a look-up in memory, without
    /// locks, allocations or questions to any link.
    ///
    /// Nothing is cached before the first [`resolve`](Self::resolve); a later failure other than
    /// an outage removes the value.
    pub fn cached(&self, name: &Name) -> Option<CachedSecret> {
        self.0.snapshot.get(name, self.0.context.clock())
    }

    /// Drops what [`cached`](Self::cached) serves for this name: it was changed or removed.
    pub fn forget(&self, name: &Name) {
        self.0.snapshot.forget(name);
    }

    /// The names that are declared, in alphabetical order.
    pub fn names(&self) -> Vec<Name> {
        let mut names: Vec<_> = self.0.credentials.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The declared credential of this name.
    pub fn credential(&self, name: &Name) -> Option<&Credential> {
        self.0.credentials.get(name).map(|declared| &declared.spec)
    }

    /// The link of this name.
    pub fn link(&self, name: &LinkName) -> Option<&Link> {
        self.0.links.get(name)
    }

    /// The links that are asked for this credential, in order.
    pub fn chain(&self, name: &Name) -> &[Link] {
        self.0
            .credentials
            .get(name)
            .map_or(&self.0.default_chain, |declared| &declared.chain)
    }

    /// How providers are to look for this credential.
    pub fn naming(&self, name: &Name) -> Naming {
        self.0.naming(name)
    }

    /// The place where `link` keeps this credential and where it would be written.
    ///
    /// # Errors
    /// [`Kind::NotApplicable`] if the link has no place for it.
    pub fn place(&self, name: &Name, link: &Link) -> Result<Reference> {
        let declared = self.0.credentials.get(name);
        let at = declared.and_then(|declared| match &declared.spec.value {
            Value::Stored { at, .. } => at.get(link.name()),
            Value::Template(_) => Some(&At::Skip),
        });
        let place = match at {
            Some(At::Here(reference)) => Some(reference.clone()),
            Some(At::Skip) => None,
            None => {
                let provider = link.provider();
                let mut places = provider.locate(&self.0.naming(name));
                if provider.capabilities().write {
                    // The best one: others are there to be read.
                    places.into_iter().next()
                } else {
                    // The plain one: earlier ones are detours such as `NAME_FILE`.
                    places.pop()
                }
            }
        };
        place.ok_or_else(|| {
            Error::new(Kind::NotApplicable, "no place for this name")
                .for_credential(name)
                .at(link.name().clone())
        })
    }

    /// The outside world that links are asked in.
    pub fn context(&self) -> Context {
        self.0.context()
    }
}

impl Inner {
    fn context(&self) -> Context {
        match self.timeout {
            Some(timeout) => self.context.clone().with_timeout(timeout),
            None => self.context.clone(),
        }
    }

    fn naming(&self, name: &Name) -> Naming {
        match self.credentials.get(name) {
            Some(declared) => declared.naming.clone(),
            None => Naming::new(name.clone())
                .in_project(&self.project, &self.profile)
                .undeclared(),
        }
    }

    /// Resolves names; with `asking`, on behalf of that link's own login.
    async fn resolve(
        &self,
        names: &[Name],
        asking: Option<&LinkName>,
        cx: &Context,
    ) -> Vec<Resolution> {
        let without = asking.and_then(|link| self.blocked.get(link));
        let stored = self.stored_names(names);
        let items: Vec<Item<'_>> = stored
            .iter()
            .map(|name| {
                let item = match self.credentials.get(*name) {
                    None => Item::new(self.naming(name), &self.default_chain).allow_empty(true),
                    Some(declared) => {
                        let at = match &declared.spec.value {
                            Value::Stored { at, .. } => at,
                            Value::Template(_) => &NOWHERE_ELSE,
                        };
                        Item::new(&declared.naming, &declared.chain)
                            .at(at)
                            .or(declared.spec.default.as_ref())
                            .allow_empty(declared.spec.allow_empty)
                            .refusing(&declared.spec.refused)
                    }
                };
                match without {
                    Some(links) => item.without(links),
                    None => item,
                }
            })
            .collect();
        let mut resolutions = resolve_batch(&items, cx).await;
        for (name, resolution) in stored.iter().zip(&mut resolutions) {
            self.note(name, resolution);
            self.tell(name, &resolution.result);
        }
        let found = stored.into_iter().zip(resolutions).collect();
        let mut rendering = rendering::Rendering::new(self, found);
        let answers = names.iter().map(|name| rendering.answer(name)).collect();
        for (name, value) in rendering.made() {
            self.tell(name, value);
        }
        answers
    }

    /// Tells the witness what was resolved, before whoever asked can do anything with it.
    fn tell(&self, name: &Name, result: &Result<Secret>) {
        if let (Some(witness), Ok(secret)) = (&self.witness, result) {
            witness.0(name, secret);
        }
    }

    /// Has an answer noted; one that cannot be is not given.
    fn note(&self, name: &Name, resolution: &mut Resolution) {
        if let Some(recorder) = &self.recorder
            && let Err(error) = recorder.0(name, resolution)
        {
            resolution.result = Err(error.for_credential(name));
        }
    }

    /// Every name that has to be asked for, once: templates stand for what they need.
    fn stored_names<'a>(&'a self, names: &'a [Name]) -> Vec<&'a Name> {
        let mut seen = BTreeSet::new();
        let mut stored = Vec::with_capacity(names.len());
        let mut open: Vec<&Name> = names.iter().rev().collect();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            match self.template(name) {
                Some(template) => open.extend(template.names()),
                None => stored.push(name),
            }
        }
        stored
    }

    fn template(&self, name: &Name) -> Option<&Template> {
        match &self.credentials.get(name)?.spec.value {
            Value::Template(template) => Some(template),
            Value::Stored { .. } => None,
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("project", &self.0.project)
            .field("profile", &self.0.profile)
            .field("links", &self.0.links.keys().collect::<Vec<_>>())
            .field("credentials", &self.0.credentials.len())
            .finish_non_exhaustive()
    }
}

/// A printable name for a credential that has only an address.
fn address_name(address: &Address) -> Name {
    let tail = address
        .reference
        .field()
        .unwrap_or_else(|| address.reference.path());
    let tail = tail.rsplit('/').next().unwrap_or(tail);
    tail.parse()
        .or_else(|_| address.link.as_str().parse())
        .unwrap_or_else(|_| {
            // A link's name is always a credential's name as well.
            unreachable!("link names are narrower than names")
        })
}
