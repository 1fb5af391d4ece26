//! An emulator of AWS: Secrets Manager, Parameter Store, STS, IAM.

use std::process::{Command, Stdio};

use super::daemon::Daemon;
use super::{free_port, python};

/// Starts the server and ends it at the end of standard input, which it does not watch itself.
const SUPERVISE: &str = r#""$@" & child=$!; cat >/dev/null; kill -TERM "$child"; wait "$child""#;

/// How often another port is tried when somebody else took the one that was free.
const ATTEMPTS: usize = 3;

/// An AWS emulator (`moto`) on loopback. It is not AWS: it enforces neither policies nor
/// signatures nor limits, its default read ignores a moved `AWSCURRENT`, and a disabled access key
/// goes on working.
#[derive(Debug)]
pub struct Moto {
    daemon: Daemon,
    port: u16,
}

impl Moto {
    /// Starts an emulator that accepts any access key.
    ///
    /// # Panics
    /// If it is not installed or does not start, with its log.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts an emulator that refuses every access key that its IAM did not make.
    ///
    /// It says so in XML, whatever the service; AWS answers in the service's own format.
    ///
    /// # Panics
    /// If it is not installed or does not start, with its log.
    pub fn with_auth_required() -> Self {
        Self::with_auth_after(0)
    }

    /// The same after so many requests, which make the users, keys and policies that there are to
    /// be. From then on signatures and policies count.
    ///
    /// # Panics
    /// If it is not installed or does not start, with its log.
    pub fn with_auth_after(requests: u32) -> Self {
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", &requests.to_string())])
    }

    fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            match serve(port, settings) {
                Ok(daemon) => return Self { daemon, port },
                Err(log) => failure = log,
            }
        }
        panic!("{failure}\n`cargo xtask test` tells what is needed for moto")
    }

    /// What to give a client as its endpoint, for every service.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of the supervising process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Forgets all that it was told.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn reset(&self) {
        let status = Command::new("curl")
            .args(["-sSf", "-X", "POST"])
            .arg(format!("{}/moto-api/reset", self.endpoint()))
            .stdout(Stdio::null())
            .status()
            .expect("curl can be started");
        assert!(status.success(), "the emulator cannot be reset");
    }
}

fn serve(port: u16, settings: &[(&str, &str)]) -> Result<Daemon, String> {
    let mut command = Command::new("sh");
    command
        .args(["-c", SUPERVISE, "moto"])
        .arg(python())
        .args([
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ])
        .envs(settings.iter().copied())
        .env("PYTHONUNBUFFERED", "1");
    let (daemon, ()) = Daemon::start(
        &mut command,
        |line| line.contains("Running on http").then_some(()),
        |line| {
            line.contains("in use") || line.contains("No module") || line.starts_with("Traceback")
        },
    )?;
    Ok(daemon)
}
