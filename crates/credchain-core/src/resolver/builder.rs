//! Puts a resolver together and refuses what could never work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::bootstrap::{Late, Source, blocked};
use super::snapshot::{DEFAULT_TTL, Snapshots};
use super::{Credential, Declared, Inner, Recorder, Resolver, Value, Witness};
use crate::{
    Context, CredentialSource, Error, Kind, Link, LinkName, Name, Naming, Resolution, Result,
    Secret,
};

/// Puts together a [`Resolver`].
#[derive(Debug)]
pub struct ResolverBuilder {
    project: String,
    profile: String,
    context: Context,
    timeout: Option<Duration>,
    snapshot_ttl: Duration,
    links: Vec<Link>,
    needs: BTreeMap<LinkName, Vec<Name>>,
    default_chain: Vec<LinkName>,
    credentials: Vec<Credential>,
    witness: Option<Witness>,
    recorder: Option<Recorder>,
    late: LateDebug,
}

/// The hand-over to providers that were built first.
#[derive(Clone, Default)]
struct LateDebug(Late);

impl std::fmt::Debug for LateDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl ResolverBuilder {
    pub(super) fn new(project: &str, profile: &str) -> Self {
        Self {
            project: project.to_owned(),
            profile: profile.to_owned(),
            context: Context::system(),
            timeout: None,
            snapshot_ttl: DEFAULT_TTL,
            links: Vec::new(),
            needs: BTreeMap::new(),
            default_chain: Vec::new(),
            credentials: Vec::new(),
            witness: None,
            recorder: None,
            late: LateDebug(Arc::new(OnceLock::new())),
        }
    }

    /// The outside world that links are asked in; the system's unless set.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// How long one resolution may take in all; no limit unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long [`Resolver::cached`] serves a value; a minute unless set, zero turns it off.
    pub fn snapshot_ttl(mut self, ttl: Duration) -> Self {
        self.snapshot_ttl = ttl;
        self
    }

    /// Adds a link that chains can name.
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Says which credentials a link's provider needs to log in.
    pub fn needs(mut self, link: LinkName, credentials: Vec<Name>) -> Self {
        self.needs.insert(link, credentials);
        self
    }

    /// The source to build a link's provider with, so that it finds the credentials it needs.
    pub fn source_for(&self, link: LinkName) -> Arc<dyn CredentialSource> {
        Arc::new(Source {
            link,
            resolver: self.late.0.clone(),
        })
    }

    /// The links to ask for undeclared names, and for credentials without a chain of their own.
    pub fn default_chain(mut self, links: impl IntoIterator<Item = LinkName>) -> Self {
        self.default_chain = links.into_iter().collect();
        self
    }

    /// Declares a credential.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Is told every value that is resolved, before whoever asked for it: the parts of templates
    /// and what links log in with as well. Redaction listens here.
    pub fn on_resolved(mut self, told: impl Fn(&Name, &Secret) + Send + Sync + 'static) -> Self {
        self.witness = Some(Witness(Box::new(told)));
        self
    }

    /// Is told how every question for a stored value ended, before whoever asked: the parts of
    /// templates and what links log in with as well. With an error, that is the answer instead. The
    /// access log listens here.
    pub fn on_resolution(
        mut self,
        noted: impl Fn(&Name, &Resolution) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.recorder = Some(Recorder(Box::new(noted)));
        self
    }

    /// The finished resolver.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for a chain that names an unknown link, a template or a login that
    /// names an undeclared credential, a template that needs itself, or a login that no link is
    /// left for.
    pub fn build(self) -> Result<Resolver> {
        let links: BTreeMap<LinkName, Link> = self
            .links
            .into_iter()
            .map(|link| (link.name().clone(), link))
            .collect();
        let mut chains = Chains {
            links: &links,
            known: HashMap::new(),
        };
        let default_chain = chains.look_up(&self.default_chain)?;
        let mut credentials = HashMap::with_capacity(self.credentials.len());
        for spec in self.credentials {
            let chain = match &spec.value {
                Value::Stored {
                    links: Some(names), ..
                } => chains.look_up(names)?,
                Value::Stored { links: None, .. } => default_chain.clone(),
                Value::Template(_) => Arc::from([]),
            };
            let mut naming =
                Naming::new(spec.name.clone()).in_project(&self.project, &self.profile);
            if let Some(env) = &spec.env {
                naming = naming.with_env(env);
            }
            credentials.insert(
                spec.name.clone(),
                Declared {
                    naming,
                    spec,
                    chain,
                },
            );
        }
        check_templates(&credentials)?;
        let uses = uses(&self.needs, &credentials)?;
        let blocked = blocked(&uses);
        for (link, names) in &self.needs {
            check_reachable(link, names, &credentials, &blocked)?;
        }
        let inner = Arc::new(Inner {
            project: self.project.into(),
            profile: self.profile.into(),
            context: self.context,
            timeout: self.timeout,
            links,
            default_chain,
            credentials,
            blocked,
            snapshot: Snapshots::new(self.snapshot_ttl),
            witness: self.witness,
            recorder: self.recorder,
        });
        // Set once, by the only build of this builder.
        let _ = self.late.0.set(Arc::downgrade(&inner));
        Ok(Resolver(inner))
    }
}

/// Looks chains up once each: thousands of credentials share a few.
struct Chains<'a> {
    links: &'a BTreeMap<LinkName, Link>,
    known: HashMap<Vec<LinkName>, Arc<[Link]>>,
}

impl Chains<'_> {
    fn look_up(&mut self, names: &[LinkName]) -> Result<Arc<[Link]>> {
        if let Some(chain) = self.known.get(names) {
            return Ok(chain.clone());
        }
        let chain: Arc<[Link]> = names
            .iter()
            .map(|name| {
                self.links.get(name).cloned().ok_or_else(|| {
                    let message = format!("a chain names `{name}`, which is no provider");
                    Error::new(Kind::Misconfigured, message)
                })
            })
            .collect::<Result<_>>()?;
        self.known.insert(names.to_vec(), chain.clone());
        Ok(chain)
    }
}

type Credentials = HashMap<Name, Declared>;

/// Makes sure that templates need only what is declared, and not each other in a circle.
// Without recursion: whoever wrote the configuration chose how deep its templates go.
fn check_templates(credentials: &Credentials) -> Result<()> {
    let mut done: HashSet<&Name> = HashSet::new();
    for start in credentials.keys() {
        let mut way = vec![(start, needed_parts(start, credentials)?)];
        let mut on_way = HashSet::from([start]);
        while let Some((name, rest)) = way.last_mut() {
            let name = *name;
            let Some(part) = rest.pop() else {
                on_way.remove(name);
                done.insert(name);
                way.pop();
                continue;
            };
            if on_way.contains(part) {
                let circle: Vec<_> = way
                    .iter()
                    .map(|(name, _)| *name)
                    .skip_while(|earlier| *earlier != part)
                    .chain([part])
                    .map(Name::as_str)
                    .collect();
                let message = format!("templates need each other: {}", circle.join(" → "));
                return Err(Error::new(Kind::Misconfigured, message).for_credential(part));
            }
            if !done.contains(part) {
                on_way.insert(part);
                way.push((part, needed_parts(part, credentials)?));
            }
        }
    }
    Ok(())
}

/// The names in a credential's template.
fn needed_parts<'a>(name: &Name, credentials: &'a Credentials) -> Result<Vec<&'a Name>> {
    let Some(declared) = credentials.get(name) else {
        let message = format!("`{name}` is needed but not declared");
        return Err(Error::new(Kind::Misconfigured, message));
    };
    Ok(match &declared.spec.value {
        Value::Template(template) => template.names().collect(),
        Value::Stored { .. } => Vec::new(),
    })
}

/// For each link that logs in, the links that may be asked for what it needs.
fn uses(
    needs: &BTreeMap<LinkName, Vec<Name>>,
    credentials: &Credentials,
) -> Result<BTreeMap<LinkName, BTreeSet<LinkName>>> {
    let mut uses = BTreeMap::new();
    for (link, names) in needs {
        let mut asked = BTreeSet::new();
        for name in names {
            for part in parts(name, credentials, link)? {
                asked.extend(part.chain.iter().map(|link| link.name().clone()));
            }
        }
        uses.insert(link.clone(), asked);
    }
    Ok(uses)
}

/// The stored credentials behind a name.
fn parts<'a>(
    name: &Name,
    credentials: &'a Credentials,
    link: &LinkName,
) -> Result<Vec<&'a Declared>> {
    let find = |name: &Name| {
        credentials.get_key_value(name).ok_or_else(|| {
            let message = format!("needs the credential `{name}`, which is not declared");
            Error::new(Kind::Misconfigured, message).at(link.clone())
        })
    };
    let mut stored = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut open = vec![find(name)?];
    while let Some((name, declared)) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        match &declared.spec.value {
            Value::Template(template) => {
                for part in template.names() {
                    open.push(find(part)?);
                }
            }
            Value::Stored { .. } => drop(stored.insert(name, declared)),
        }
    }
    Ok(stored.into_values().collect())
}

fn check_reachable(
    link: &LinkName,
    names: &[Name],
    credentials: &Credentials,
    blocked: &BTreeMap<LinkName, BTreeSet<LinkName>>,
) -> Result<()> {
    for name in names {
        for part in parts(name, credentials, link)? {
            let left = part.chain.iter().any(|other| {
                blocked
                    .get(link)
                    .is_none_or(|blocked| !blocked.contains(other.name()))
            });
            if !left && part.spec.default.is_none() {
                let part = &part.naming.name;
                let message = format!(
                    "needs `{part}` to log in, and every link of `{part}` needs `{link}` first"
                );
                return Err(Error::new(Kind::Misconfigured, message)
                    .at(link.clone())
                    .with_hint("put a link that needs no login, such as `env`, into its chain"));
            }
        }
    }
    Ok(())
}
