//! A mail server that takes mail only from those who log in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::daemon::Daemon;
use super::fresh_secret;
use crate::binary::{repository, variable};

/// An SMTP server (`aiosmtpd`) that requires AUTH and keeps what it received.
#[derive(Debug)]
pub struct Smtp {
    daemon: Daemon,
    dir: TempDir,
    port: u16,
    password: String,
}

impl Smtp {
    /// Starts the server.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("credchain-smtp-")
            .tempdir()
            .expect("the temporary folder is writable");
        let password = fresh_secret("mail");
        let mut command = Command::new(python());
        command
            .arg(repository().join("tests/servers/smtp.py"))
            .arg(dir.path())
            .env("SMTP_USER", "reports")
            .env("SMTP_PASSWORD", &password);
        let started = Daemon::start(
            &mut command,
            |line| line.strip_prefix("READY ")?.parse().ok(),
            |line| line.starts_with("Traceback") || line.contains("Error:"),
        );
        let (daemon, port) = started.unwrap_or_else(|log| panic!("{log}"));
        Self {
            daemon,
            dir,
            port,
            password,
        }
    }

    /// Where it listens, on the loopback interface.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The one user who may send.
    pub fn user(&self) -> &'static str {
        "reports"
    }

    /// That user's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The number of the server's process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// The messages it has accepted, oldest first. A message is here before its sender is told
    /// that it was accepted.
    pub fn messages(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.path())
            .expect("the mail folder is ours")
            .map(|entry| entry.expect("the mail folder is ours").path())
            .collect();
        files.sort_unstable();
        let read = |file| String::from_utf8_lossy(&fs::read(file).expect("a message")).into_owned();
        files.into_iter().map(read).collect()
    }
}

/// The Python of the tests, which has the packages of `xtask/requirements.txt`.
pub fn python() -> PathBuf {
    let ready_made = repository().join("target/test-tools/venv/bin/python");
    variable("CREDCHAIN_TEST_PYTHON")
        .map(PathBuf::from)
        .or_else(|| ready_made.exists().then_some(ready_made))
        .expect("no Python for the tests: `cargo xtask test` makes it")
}
