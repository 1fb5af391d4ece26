//! Which files make a configuration, and whether they may be read at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_core::Environment;
use credchain_core::files::{self, Refused, foreign_owner};

use crate::diagnostic::{Diagnostic, printable};
use crate::source::{Place, SourceFile};

/// The file that marks a project.
pub const FILE_NAME: &str = "credchain.toml";

/// Larger files are refused: no configuration is, and reading must end.
const MAX_BYTES: u64 = 64 << 20;

/// Where to look for a configuration.
///
/// ```
/// use credchain_config::Discovery;
/// use credchain_core::Environment;
///
/// let environment = Environment::fixed([("HOME", "/home/ada"), ("CREDCHAIN_PROFILE", "ci")]);
/// let discovery = Discovery::new("/src/pipeline", environment);
/// assert_eq!(discovery.profile.as_deref(), Some("ci"));
/// assert!(discovery.config_home.unwrap().ends_with(".config/credchain"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovery {
    /// Where the program was started; the search goes up from here.
    pub working_directory: PathBuf,
    /// The file that the user named, by `--config` or `CREDCHAIN_CONFIG`: no search, no trust
    /// needed.
    pub explicit: Option<PathBuf>,
    /// The file that a `resolve` around this one had found, by `CREDCHAIN_FOUND_CONFIG`: no
    /// search, but the same question of trust as if it had been found here.
    pub found: Option<PathBuf>,
    /// The profile, by `--profile` or `CREDCHAIN_PROFILE`.
    pub profile: Option<String>,
    /// The environment, for `CREDCHAIN_…` settings.
    pub environment: Environment,
    /// The directory of the user's own files: `$XDG_CONFIG_HOME/credchain`.
    pub config_home: Option<PathBuf>,
    /// The directory of what credchain remembers: `$XDG_STATE_HOME/credchain`.
    pub state_home: Option<PathBuf>,
    /// Settings given on the command line: key path and value, as in the environment.
    pub overrides: Vec<(String, String)>,
}

impl Discovery {
    /// Looks up from a directory, in an environment.
    pub fn new(working_directory: impl Into<PathBuf>, environment: Environment) -> Self {
        let home = |variable: &str, below_home: &str| {
            let set = environment
                .get(variable)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            let base = set.or_else(|| {
                let home = environment
                    .get("HOME")
                    .or_else(|| environment.get("USERPROFILE"))?;
                Some(PathBuf::from(home).join(below_home)).filter(|path| path.is_absolute())
            });
            base.map(|base| base.join("credchain"))
        };
        Self {
            working_directory: absolute(working_directory.into()),
            explicit: environment
                .get("CREDCHAIN_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            found: environment
                .get("CREDCHAIN_FOUND_CONFIG")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            profile: environment.text("CREDCHAIN_PROFILE"),
            config_home: home("XDG_CONFIG_HOME", ".config"),
            state_home: home("XDG_STATE_HOME", ".local/state"),
            environment,
            overrides: Vec::new(),
        }
    }

    /// The same, with the file that the user named.
    pub fn with_config(mut self, file: impl Into<PathBuf>) -> Self {
        self.explicit = Some(file.into());
        self
    }

    /// The same, in a profile.
    pub fn with_profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// The same, with a setting from the command line, such as `("chain.default", "env,vault")`.
    pub fn with_override(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// Reads every file there is.
    pub(crate) fn files(&self) -> Result<Found, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut take = |read: Result<Option<Arc<SourceFile>>, Diagnostic>| match read {
            Ok(file) => file,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let user_path = self
            .config_home
            .as_ref()
            .map(|home| home.join("config.toml"));
        let user = user_path.and_then(|path| take(self.read(&path)));
        let main = take(match &self.explicit {
            Some(path) => self.read_explicit(path),
            None => self.found_before().unwrap_or_else(|| self.search()),
        });
        // The profile and the file that was used are handed on to nested commands, which must
        // see the same settings: so a file that was named has its local companion too.
        let local = main.as_ref().and_then(|main| {
            let path = main.path().with_extension("local.toml");
            take(self.read(&path))
        });
        let paths = [&main, &local].into_iter().flatten();
        let elsewhere = paths
            .filter(|_| self.explicit.is_none())
            .find(|file| leads_out(file.path()))
            .map(|file| file.shown().to_owned());
        if problems.is_empty() {
            Ok(Found {
                user,
                main,
                local,
                elsewhere,
            })
        } else {
            Err(problems)
        }
    }

    /// The file that was found around this run, if it is still there.
    fn found_before(&self) -> Option<Result<Option<Arc<SourceFile>>, Diagnostic>> {
        let read = self.read(self.found.as_ref()?);
        (!matches!(read, Ok(None))).then_some(read)
    }

    fn search(&self) -> Result<Option<Arc<SourceFile>>, Diagnostic> {
        for directory in self.working_directory.ancestors() {
            if let Some(file) = self.read(&directory.join(FILE_NAME))? {
                return Ok(Some(file));
            }
            // Beyond a directory of somebody else nothing of ours is to be expected.
            if std::fs::metadata(directory).is_ok_and(|meta| foreign_owner(&meta).is_some()) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn read_explicit(&self, path: &Path) -> Result<Option<Arc<SourceFile>>, Diagnostic> {
        let path = self.working_directory.join(path);
        match self.read(&path)? {
            Some(file) => Ok(Some(file)),
            None => Err(Diagnostic::error(
                "config::no-such-file",
                format!("there is no configuration at `{}`", self.shown(&path)),
            )
            .help("`--config` and CREDCHAIN_CONFIG name a file that exists")),
        }
    }

    /// Reads one file, if it is there and may be used. Owner and mode are those of the opened
    /// file, and its bytes are read once: nothing can be exchanged in between.
    fn read(&self, path: &Path) -> Result<Option<Arc<SourceFile>>, Diagnostic> {
        let shown = self.shown(path);
        let regular = match files::open(path) {
            Ok(regular) => regular,
            Err(Refused::Io(error)) if is_absent(&error) => return Ok(None),
            Err(reason) => return Err(refused("open", &shown, &reason)),
        };
        let directory = path.parent().map(std::fs::metadata).and_then(Result::ok);
        if let Some(owner) = directory.as_ref().and_then(foreign_owner) {
            return Err(foreign(&shown, owner));
        }
        let bytes = regular.read(MAX_BYTES);
        let bytes = bytes.map_err(|reason| refused("read", &shown, &reason))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            if self.explicit.is_none() && leads_out(path) {
                elsewhere(&shown)
            } else {
                not_utf8(path, &shown, &error)
            }
        })?;
        Ok(Some(SourceFile::new(path.to_owned(), shown, text)))
    }

    fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.working_directory).unwrap_or(path);
        // A directory of a cloned repository may have any name.
        printable(&path.display().to_string())
    }
}

/// Walking up needs a path that goes up.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The files of a configuration.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) user: Option<Arc<SourceFile>>,
    pub(crate) main: Option<Arc<SourceFile>>,
    pub(crate) local: Option<Arc<SourceFile>>,
    /// A file that was found, as messages show it, and that is a link out of its directory.
    pub(crate) elsewhere: Option<String>,
}

/// Whether a file is a link to one that is not in the same directory or below.
fn leads_out(path: &Path) -> bool {
    let inside = || {
        let directory = path.parent()?.canonicalize().ok()?;
        Some(path.canonicalize().ok()?.starts_with(directory))
    };
    path.is_symlink() && inside() != Some(true)
}

/// All that is said of the mistakes in a file that is not in the project.
// SECURITY: a repository may hold a link to `/proc/self/environ` or to a private key under the
// name of a configuration, and what is wrong with those is in the logs of whoever builds it.
pub(crate) fn elsewhere(shown: &str) -> Diagnostic {
    Diagnostic::error(
        "config::elsewhere",
        format!("`{shown}` is a link out of its directory, to a file that is no configuration"),
    )
    .help("if it is meant, `--config` names the file and says what is wrong with it")
}

/// Why a file is not used; `doing` is what the system did not let us do.
fn refused(doing: &str, shown: &str, reason: &Refused) -> Diagnostic {
    let unreadable = |message| Diagnostic::error("config::unreadable", message);
    match reason {
        Refused::Io(error) => unreadable(format!("cannot {doing} `{shown}`: {}", error.kind())),
        Refused::NotRegular(_) => unreadable(format!("`{shown}` is no regular file")),
        Refused::TooLarge => unreadable(format!("`{shown}` is larger than 64 MiB")),
        Refused::WorldWritable => Diagnostic::error(
            "config::world-writable",
            format!("`{shown}` can be written by everybody and is not used"),
        )
        .help(format!("`chmod o-w {shown}`, after a look at what it says")),
        Refused::ForeignOwner(owner) => foreign(shown, *owner),
    }
}

fn foreign(shown: &str, owner: u32) -> Diagnostic {
    Diagnostic::error(
        "config::foreign-owner",
        format!("`{shown}` or its directory belongs to another user and is never used"),
    )
    .note(format!("the owner is user id {owner}"))
    .help("copy what you need into a directory of your own")
}

fn not_utf8(path: &Path, shown: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let file = SourceFile::new(path.to_owned(), shown.to_owned(), text);
    Diagnostic::error("config::not-utf8", "a configuration is UTF-8 text")
        .at(&Place::File(file, at..at + 1), "this byte is not")
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
