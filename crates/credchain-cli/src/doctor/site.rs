//! The place that is looked at: a project, its repository, and the user's home.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use credchain::config::{Discovery, FILE_NAME};
use credchain::{Credchain, Environment};

use super::git::Git;
use super::tree::Tree;
use super::values::Values;
use crate::app::App;
use crate::export::quote;
use crate::failure::Failure;
use crate::output::printable_line;

/// How deep a directory is searched that is neither a project nor a repository: somebody's home,
/// perhaps.
const UNMARKED_DEPTH: usize = 3;

/// Deeper than any project.
const DEPTH: usize = 64;

/// Everything that checks ask about.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    app: &'a App,
    online: bool,
    discovery: Discovery,
    root: PathBuf,
    marked: bool,
    git: Result<Git, &'static str>,
    tree: Tree,
    opened: OnceCell<Result<Credchain, Failure>>,
    values: OnceCell<Result<Values, String>>,
}

impl<'a> Site<'a> {
    /// The project of the working directory, else its repository, else the directory itself. Of
    /// a project and a repository, the inner one counts.
    pub(crate) fn new(app: &'a App, online: bool) -> Result<Self, Failure> {
        let here = App::working_directory()?;
        let mut discovery = Discovery::new(&here, app.env());
        if let Some(config) = &app.global().config {
            discovery = discovery.with_config(config);
        }
        let repository = Git::around(&here, &app.env());
        let project = match &discovery.explicit {
            // The user's own word may lie anywhere, such as below `/etc`.
            Some(_) => None,
            None => here
                .ancestors()
                .find(|above| above.join(FILE_NAME).is_file())
                .map(Path::to_owned),
        };
        let (root, marked) = match (project, repository.as_ref().ok()) {
            (Some(project), Some(git)) if !project.starts_with(git.root()) => {
                (git.root().to_owned(), true)
            }
            (Some(project), _) => (project, true),
            (None, Some(git)) => (git.root().to_owned(), true),
            (None, None) => (here, false),
        };
        let depth = if marked { DEPTH } else { UNMARKED_DEPTH };
        Ok(Self {
            app,
            online,
            discovery,
            git: repository.map(|git| git.at(&root)),
            tree: Tree::below(&root, depth),
            root,
            marked,
            opened: OnceCell::new(),
            values: OnceCell::new(),
        })
    }

    /// The run of the command.
    pub(crate) fn app(&self) -> &App {
        self.app
    }

    /// Whether servers may be asked.
    pub(crate) fn online(&self) -> bool {
        self.online
    }

    /// The directory that is looked at.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether that is a project or a repository, all of which counts.
    pub(crate) fn is_marked(&self) -> bool {
        self.marked
    }

    /// The repository, or why there is none to be asked.
    pub(crate) fn git(&self) -> Result<&Git, &'static str> {
        self.git.as_ref().map_err(|why| *why)
    }

    /// The files below the root.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where configurations are.
    pub(crate) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// The caller's environment.
    pub(crate) fn env(&self) -> &Environment {
        &self.discovery.environment
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let home = self
            .env()
            .get("HOME")
            .or_else(|| self.env().get("USERPROFILE"))?;
        Some(PathBuf::from(home)).filter(|home| home.is_absolute())
    }

    /// The project, opened when it is first asked for.
    pub(crate) fn project(&self) -> Result<&Credchain, &Failure> {
        self.opened.get_or_init(|| self.app.open()).as_ref()
    }

    /// The project's own secrets, read when they are first asked for; else why there are none.
    pub(crate) fn values(&self) -> Result<&Values, &str> {
        let values = self.values.get_or_init(|| Values::read(self));
        values.as_ref().map_err(String::as_str)
    }

    /// A path as messages show it: short, on one line, and harmless.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let here = &self.discovery.working_directory;
        let short = match (path.strip_prefix(here), self.home()) {
            (Ok(below), _) if below.as_os_str().is_empty() => PathBuf::from("."),
            (Ok(below), _) => below.to_owned(),
            (Err(_), Some(home)) => match path.strip_prefix(home) {
                Ok(below) => Path::new("~").join(below),
                Err(_) => path.to_owned(),
            },
            (Err(_), None) => path.to_owned(),
        };
        printable_line(&short.display().to_string())
    }

    /// A path as one word of a command that is typed here.
    pub(crate) fn word(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.discovery.working_directory);
        let below = below.ok().filter(|below| !below.as_os_str().is_empty());
        // No option begins like an absolute path.
        let short = match below {
            Some(below) if below.as_os_str().as_encoded_bytes().starts_with(b"-") => path,
            Some(below) => below,
            None => path,
        };
        let bytes = short.as_os_str().as_encoded_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(byte);
        if !bytes.is_empty() && bytes.iter().all(plain) {
            return short.display().to_string();
        }
        printable_line(&String::from_utf8_lossy(&quote::sh(bytes)))
    }
}
