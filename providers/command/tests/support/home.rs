//! Homes of their own for tools, so that nothing of the developer's is read or changed.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use credchain_core::{Context, Environment, Provider};
use credchain_provider_command::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{cx, setup};

/// A home of its own for a tool, so that nothing of the developer's is read or changed.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        // Short, because the sockets of GnuPG live in it.
        let directory = tempfile::Builder::new()
            .prefix("cc")
            .tempdir_in("/tmp")
            .unwrap();
        let mut home = Self {
            directory,
            variables: Vec::new(),
        };
        home.set("PATH", cx().env().get("PATH").unwrap());
        home.set("HOME", home.path().to_owned());
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.into(), value.into()));
    }

    /// Runs a tool to prepare the home; it has to succeed.
    pub(crate) fn run(&self, program: &str, args: &[&str]) {
        let output = Process::new(program)
            .args(args)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("`{program}` is needed, see tests/PACKAGES: {error}"));
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
    }

    pub(crate) fn provider(&self, settings: Value) -> Arc<dyn Provider> {
        let env = Environment::fixed(self.variables.clone());
        let setup = setup(settings).with_context(Context::system().with_env(env));
        Command::new(setup).build().unwrap()
    }
}

/// A password store with a throwaway key.
pub(crate) struct PasswordStore(pub(crate) Home);

impl PasswordStore {
    pub(crate) fn new() -> Self {
        let mut home = Home::new();
        let keys = home.path().join("gnupg");
        std::fs::DirBuilder::new().create(&keys).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&keys, private).unwrap();
        home.set("GNUPGHOME", keys);
        home.set("PASSWORD_STORE_DIR", home.path().join("store"));
        let user = "test@example.invalid";
        let key = [
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            user,
        ];
        home.run(
            "gpg",
            &[&key[..], &["default", "default", "never"]].concat(),
        );
        home.run("pass", &["init", user]);
        Self(home)
    }

    pub(crate) fn provider(&self) -> Arc<dyn Provider> {
        self.0.provider(json!({"preset": "pass"}))
    }
}

impl Drop for PasswordStore {
    fn drop(&mut self) {
        // The agent would notice by itself that its home is gone, but later.
        self.0.run("gpgconf", &["--kill", "gpg-agent"]);
    }
}
