//! One run of the binary, told as a sentence.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Output, Project, process, resolve_binary};

/// How long a run may take before it is ended and the test fails.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// Values shorter than this are not searched for on standard error: they occur by chance.
const SHORTEST_CHECKED: usize = 6;

/// A run of `resolve` (or of another program beside it) in a [`Project`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `run`"]
pub struct Resolve {
    project: Project,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    subdir: Option<String>,
    stdin: Vec<u8>,
    secrets: Vec<Vec<u8>>,
    timeout: Duration,
}

impl Default for Resolve {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve {
    /// A run in a new, empty project.
    pub fn new() -> Self {
        Self::in_project(&Project::new())
    }

    /// A run in a project that other runs share.
    pub fn in_project(project: &Project) -> Self {
        Self {
            project: project.clone(),
            program: resolve_binary().into(),
            args: Vec::new(),
            env: Vec::new(),
            subdir: None,
            stdin: Vec::new(),
            secrets: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Writes `credchain.toml` into the project, where the command finds it by walking up: the
    /// rule of trust applies to it as to a cloned repository.
    pub fn config(self, toml: &str) -> Self {
        self.file("credchain.toml", toml)
    }

    /// Names the project's `credchain.toml` in `CREDCHAIN_CONFIG`: the user's own word, so that
    /// everything in it is trusted.
    pub fn trusted(self) -> Self {
        let path = self.project.dir().join("credchain.toml");
        self.plain_env("CREDCHAIN_CONFIG", path)
    }

    /// Writes a file below the project directory.
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.project.write(path, content);
        self
    }

    /// Sets an environment variable that holds a secret: the value must not show up on standard
    /// error.
    pub fn env(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        self.secret(value.as_encoded_bytes()).plain_env(name, value)
    }

    /// Sets an environment variable that may be shown.
    pub fn plain_env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable such as `HOME` away.
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// Adds arguments.
    pub fn args<I, A>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds one argument.
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Searches these folders for programs before all others.
    pub fn path_before(self, dirs: &[PathBuf]) -> Self {
        if dirs.is_empty() {
            return self;
        }
        let all = dirs.iter().cloned().chain(self.project.search_path());
        let joined = std::env::join_paths(all).expect("a folder's name has no separator in it");
        self.plain_env("PATH", joined)
    }

    /// Gives these bytes on standard input; without it, standard input is empty.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Vec::from(bytes.as_ref());
        self
    }

    /// Registers a value that must not show up on standard error.
    pub fn secret(mut self, value: impl AsRef<[u8]>) -> Self {
        self.secrets.push(value.as_ref().to_owned());
        self
    }

    /// Runs in a folder below the project directory, made if it is not there.
    pub fn in_dir(mut self, below: &str) -> Self {
        self.subdir = Some(below.to_owned());
        self
    }

    /// Allows more time than a minute, or less.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs another program instead of `resolve`, in the same surroundings.
    pub fn program(mut self, program: impl AsRef<OsStr>) -> Self {
        self.program = OsString::from(program.as_ref());
        self
    }

    /// The project of this run.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The prepared command with nothing started, for a test that drives the process itself.
    pub fn command(&self) -> Command {
        let dir = match &self.subdir {
            Some(below) => self.project.dir().join(below),
            None => self.project.dir(),
        };
        std::fs::create_dir_all(&dir).expect("the project is writable");
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(dir)
            .env_clear()
            .envs(self.project.environment());
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// If it cannot be started, takes too long, or shows a registered secret on standard error.
    #[track_caller]
    #[must_use = "a run without a claim proves nothing"]
    pub fn run(&self) -> Output {
        let (status, stdout, stderr) = process::run(self.command(), &self.stdin, self.timeout);
        let output = Output::new(self.words(), status, stdout, stderr);
        for secret in self
            .secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST_CHECKED)
        {
            output.assert_stderr_hides(secret);
        }
        output
    }

    fn words(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }
}
