//! Trust: what a configuration that came with a project may do before the user has said yes.

mod facts;
mod needs;
mod store;
mod variables;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use credchain_core::{Clock, Error, Kind, LinkName, Name, Registry, Result};
use sha2::{Digest as _, Sha256};

use self::facts::{Extract, hex};
use self::needs::Root;
use self::store::{Directory, Record};
pub use self::variables::{LOADER_VARIABLES, is_loader_variable};
use crate::diagnostic::{Diagnostics, printable};
use crate::loaded::{Loaded, Role};
use crate::loader::in_profile;
use crate::source::Origin;

/// What the user trusts, remembered in a private directory.
///
/// ```
/// use credchain_config::{Discovery, TrustStore, load};
/// use credchain_core::{Environment, Registry};
///
/// let home = tempfile::tempdir()?;
/// std::fs::write(home.path().join("credchain.toml"), "[chain]\ndefault = ['keyring']\n")?;
/// let discovery = Discovery::new(home.path(), Environment::fixed::<&str, &str>([]));
/// let loaded = load(&discovery, &Registry::collect(&[])?)?;
///
/// let trust = TrustStore::open(home.path().join("state"));
/// assert!(!trust.check(&loaded).is_trusted());
/// trust.record(&loaded)?;
/// assert!(trust.check(&loaded).is_trusted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrustStore {
    directory: Directory,
    clock: Clock,
}

/// One project that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedProject {
    /// Its directory.
    pub root: PathBuf,
    /// When trust was given.
    pub recorded: SystemTime,
}

/// What a configuration may do.
#[derive(Clone, Debug)]
pub struct TrustVerdict {
    status: TrustStatus,
    refused: Vec<Untrusted>,
    /// Where in `refused` something is: there may be as many as there are credentials.
    index: HashMap<Key, usize>,
    added: Vec<String>,
    problem: Option<Error>,
}

/// Why a configuration is trusted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustStatus {
    /// There is no project file, or the user named it: it is the user's own word.
    Own,
    /// It uses nothing that needs trust.
    Harmless,
    /// The user trusted it, and it has added nothing since.
    Recorded,
    /// The user has not said anything about it.
    Unknown,
    /// The user trusted it, and it changed in a way that needs a new look.
    Changed,
}

/// One thing that needs trust.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Untrusted {
    /// What it is.
    pub what: What,
    /// Where the configuration asks for it.
    pub origin: Origin,
    /// Why it needs trust, to follow "because".
    pub why: String,
    /// What the project has added since the user trusted it, if that is why.
    pub since: Option<String>,
}

/// A use that needs trust.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A link, for any credential.
    Link(LinkName),
    /// A link, for one credential.
    #[non_exhaustive]
    Read {
        /// The link.
        link: LinkName,
        /// The credential.
        credential: Name,
    },
    /// A value for a variable that programs obey.
    #[non_exhaustive]
    Injected {
        /// The credential.
        credential: Name,
        /// The variable.
        variable: String,
    },
    /// A token of `[oauth2]`.
    OAuth2(Name),
    /// `[audit]`.
    Audit,
    /// `[redaction]`.
    Redaction,
    /// `[rotation.targets]`.
    Rotation,
}

impl TrustStore {
    /// The records below a directory of credchain's own, `$XDG_STATE_HOME/credchain`. Nothing is
    /// read before something needs trust. Without an absolute path nothing is remembered.
    pub fn open(home: impl AsRef<Path>) -> Self {
        Self {
            directory: Directory::new(home.as_ref()),
            clock: Clock::system(),
        }
    }

    /// The same, with another clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What the configuration may do. A record that cannot be used counts as none; the verdict
    /// says so in [`TrustVerdict::problem`].
    pub fn check(&self, loaded: &Loaded) -> TrustVerdict {
        let verdict = TrustVerdict::new;
        if is_own(loaded) {
            return verdict(TrustStatus::Own, Vec::new());
        }
        let refused = needs::all(loaded);
        if refused.is_empty() {
            return verdict(TrustStatus::Harmless, refused);
        }
        self.compare(loaded, refused, false)
    }

    /// What the configuration may do in any of its profiles: what a person is to see before
    /// [`record`](Self::record), which trusts all of them.
    ///
    /// # Errors
    /// The mistakes in a profile: what it wants cannot be told before they are corrected.
    pub fn review(
        &self,
        loaded: &Loaded,
        registry: &Registry,
    ) -> std::result::Result<TrustVerdict, Diagnostics> {
        if is_own(loaded) {
            return Ok(TrustVerdict::new(TrustStatus::Own, Vec::new()));
        }
        let mut refused = needs::all(loaded);
        let others = loaded.project.profiles.iter();
        for profile in others.filter(|profile| **profile != loaded.project.profile) {
            for one in needs::all(&in_profile(loaded, profile, registry)?) {
                if !refused.contains(&one) {
                    refused.push(one);
                }
            }
        }
        if refused.is_empty() {
            return Ok(TrustVerdict::new(TrustStatus::Harmless, refused));
        }
        Ok(self.compare(loaded, refused, true))
    }

    /// Holds what needs trust against what was recorded, for the profile in use or for all.
    fn compare(&self, loaded: &Loaded, refused: Vec<Untrusted>, all: bool) -> TrustVerdict {
        let verdict = TrustVerdict::new;
        let record = canonical_root(loaded).and_then(|root| self.directory.read(&root));
        match record {
            Ok(Some(record)) => {
                let added = additions(loaded, &record, all);
                if added.is_empty() {
                    verdict(TrustStatus::Recorded, Vec::new())
                } else {
                    let since = summary(&added);
                    let refused = refused
                        .into_iter()
                        .map(|one| Untrusted {
                            since: Some(since.clone()),
                            ..one
                        })
                        .collect();
                    TrustVerdict {
                        added,
                        ..verdict(TrustStatus::Changed, refused)
                    }
                }
            }
            Ok(None) => verdict(TrustStatus::Unknown, refused),
            Err(problem) => TrustVerdict {
                problem: Some(problem),
                ..verdict(TrustStatus::Unknown, refused)
            },
        }
    }

    /// Trusts a configuration as it was loaded, in all of its profiles: what is recorded is what
    /// was parsed, whatever the files hold by now. [`review`](Self::review) tells what that is.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the record cannot be written.
    pub fn record(&self, loaded: &Loaded) -> Result<()> {
        let root = canonical_root(loaded)?;
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        self.directory.write(&Record {
            version: store::VERSION,
            root,
            recorded: now.unwrap_or(Duration::ZERO).as_secs(),
            files: files(loaded),
            programs: programs(loaded, true)?,
            facts: Extract::new(loaded).all().into_keys().collect(),
        })
    }

    /// Takes trust back; tells whether there was any.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the record cannot be removed.
    pub fn revoke(&self, root: &Path) -> Result<bool> {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        self.directory.remove(&root)
    }

    /// Every trusted project, by directory.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if a record cannot be read.
    pub fn list(&self) -> Result<Vec<TrustedProject>> {
        let records = self.directory.all()?;
        let project = |record: Record| TrustedProject {
            recorded: SystemTime::UNIX_EPOCH + Duration::from_secs(record.recorded),
            root: record.root,
        };
        Ok(records.into_iter().map(project).collect())
    }
}

/// What a refusal is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Link(LinkName),
    Read(LinkName, Name),
    Injected(Name),
    OAuth2(Name),
    Audit,
    Redaction,
    Rotation,
}

impl TrustVerdict {
    fn new(status: TrustStatus, refused: Vec<Untrusted>) -> Self {
        let index = refused
            .iter()
            .enumerate()
            .map(|(at, one)| (one.what.key(), at))
            .collect();
        Self {
            status,
            refused,
            index,
            added: Vec::new(),
            problem: None,
        }
    }

    fn find(&self, key: &Key) -> Option<&Untrusted> {
        self.index.get(key).and_then(|at| self.refused.get(*at))
    }

    /// Whether everything may be used.
    pub fn is_trusted(&self) -> bool {
        self.refused.is_empty()
    }

    /// Why.
    pub fn status(&self) -> TrustStatus {
        self.status
    }

    /// What may not be used.
    pub fn refused(&self) -> &[Untrusted] {
        &self.refused
    }

    /// What is new since trust was given, in words.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// Why an existing record was not used, to be shown as a warning.
    pub fn problem(&self) -> Option<&Error> {
        self.problem.as_ref()
    }

    /// Why a link may not be asked for a credential.
    pub fn read(&self, link: &LinkName, credential: &Name) -> Option<&Untrusted> {
        if self.refused.is_empty() {
            return None;
        }
        let read = || self.find(&Key::Read(link.clone(), credential.clone()));
        self.find(&Key::Link(link.clone())).or_else(read)
    }

    /// Why a link may not be asked at all.
    pub fn link(&self, link: &LinkName) -> Option<&Untrusted> {
        self.find(&Key::Link(link.clone()))
    }

    /// Why a credential may not be injected.
    pub fn injected(&self, credential: &Name) -> Option<&Untrusted> {
        self.find(&Key::Injected(credential.clone()))
    }

    /// Why a token may not be fetched.
    pub fn oauth2(&self, name: &Name) -> Option<&Untrusted> {
        self.find(&Key::OAuth2(name.clone()))
    }

    /// Why `[audit]` may not be followed.
    pub fn audit(&self) -> Option<&Untrusted> {
        self.find(&Key::Audit)
    }

    /// Why no value may be rotated.
    pub fn rotation(&self) -> Option<&Untrusted> {
        self.find(&Key::Rotation)
    }

    /// Why `[redaction]` may not be followed.
    pub fn redaction(&self) -> Option<&Untrusted> {
        self.find(&Key::Redaction)
    }
}

impl What {
    fn key(&self) -> Key {
        match self {
            Self::Link(link) => Key::Link(link.clone()),
            Self::Read { link, credential } => Key::Read(link.clone(), credential.clone()),
            Self::Injected { credential, .. } => Key::Injected(credential.clone()),
            Self::OAuth2(name) => Key::OAuth2(name.clone()),
            Self::Audit => Key::Audit,
            Self::Redaction => Key::Redaction,
            Self::Rotation => Key::Rotation,
        }
    }

    /// The link concerned, if it is a link's use that is refused.
    pub fn link(&self) -> Option<&LinkName> {
        match self {
            Self::Link(link) | Self::Read { link, .. } => Some(link),
            _ => None,
        }
    }
}

impl Untrusted {
    /// The failure that stops a chain here, with the way out.
    pub fn error(&self) -> Error {
        let what = match &self.what {
            What::Link(_) => "this link needs your trust".to_owned(),
            What::Read { .. } => "this read needs your trust".to_owned(),
            What::Injected { variable, .. } => format!("setting `{variable}` needs your trust"),
            What::OAuth2(_) => "fetching this token needs your trust".to_owned(),
            What::Audit => "`[audit]` needs your trust".to_owned(),
            What::Redaction => "`[redaction]` needs your trust".to_owned(),
            What::Rotation => "`[rotation.targets]` needs your trust".to_owned(),
        };
        let error = Error::new(
            Kind::Untrusted,
            format!("{what}, because {} ({})", self.why, self.origin),
        )
        .with_hint(match &self.since {
            None => format!("read the configuration, then {WAY_OUT}"),
            Some(added) => {
                format!(
                    "since you trusted this project it has added {added}; read it, then {WAY_OUT}"
                )
            }
        });
        let error = match &self.what {
            What::Read { credential, .. } | What::Injected { credential, .. } => {
                error.for_credential(credential)
            }
            What::OAuth2(name) => error.for_credential(name),
            _ => error,
        };
        match self.what.link() {
            Some(link) => error.at(link.clone()),
            None => error,
        }
    }
}

/// The end of every hint about trust.
const WAY_OUT: &str = "`resolve trust`; in CI name the file with `--config` or CREDCHAIN_CONFIG";

/// The first of several additions, and how many there are.
fn summary(added: &[String]) -> String {
    let first = added
        .first()
        .map_or_else(String::new, |first| printable(first));
    match added.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more - 1),
    }
}

/// Whether everything in it is the user's own word.
fn is_own(loaded: &Loaded) -> bool {
    loaded.explicit || !loaded.files.iter().any(|file| file.role != Role::User)
}

fn canonical_root(loaded: &Loaded) -> Result<PathBuf> {
    let base = loaded.project.base();
    base.canonicalize().map_err(|error| {
        let message = format!("cannot look at `{}`: {}", base.display(), error.kind());
        Error::new(Kind::Misconfigured, message)
    })
}

fn files(loaded: &Loaded) -> BTreeMap<String, String> {
    let shared = loaded.files.iter().filter(|file| file.role != Role::User);
    shared
        .filter_map(|file| {
            let name = file.path().file_name()?.to_string_lossy().into_owned();
            Some((name, hex(&file.digest())))
        })
        .collect()
}

/// What is there now and was not when trust was given, in words; nothing keeps trust.
fn additions(loaded: &Loaded, record: &Record, all: bool) -> Vec<String> {
    let mut added = Vec::new();
    match programs(loaded, all) {
        Ok(programs) => {
            let changed =
                |(path, digest): &(String, String)| record.programs.get(path) != Some(digest);
            added.extend(
                programs
                    .into_iter()
                    .filter(changed)
                    .map(|(path, _)| format!("the program {path}")),
            );
        }
        Err(_) => added.push("a program that cannot be read".into()),
    }
    if files(loaded) != record.files {
        let known: BTreeSet<&str> = record.facts.iter().map(String::as_str).collect();
        let extract = Extract::new(loaded);
        let facts = if all {
            extract.all()
        } else {
            extract.current()
        };
        added.extend(
            facts
                .into_iter()
                .filter(|(digest, _)| !known.contains(digest.as_str()))
                .map(|(_, words)| words),
        );
    }
    let mut added: Vec<String> = added.iter().map(|words| printable(words)).collect();
    added.sort();
    added.dedup();
    added
}

/// The programs, and scripts given to programs, that lie in the project, with their digests.
fn programs(loaded: &Loaded, all_profiles: bool) -> Result<BTreeMap<String, String>> {
    let root = Root::new(loaded.project.base());
    let mut found = BTreeMap::new();
    for word in Extract::new(loaded).program_words(all_profiles) {
        let path = root.join(Path::new(&word));
        let lexical = Path::new(&word).is_relative() || root.inside(&path).is_some();
        let Some(canonical) = path
            .canonicalize()
            .ok()
            .filter(|path| lexical && path.is_file())
        else {
            continue;
        };
        let name = root.relative(&canonical).display().to_string();
        let digest = digest(&canonical).map_err(|error| {
            let message = format!("cannot read `{name}`: {}", error.kind());
            Error::new(Kind::Misconfigured, message)
        })?;
        // A link in the project may lead to another program tomorrow, so its target counts too.
        found.insert(format!("{word} ({name})"), digest);
    }
    Ok(found)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}
