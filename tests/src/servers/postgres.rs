//! Postgres, as Debian packages it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::daemon::Daemon;
use super::{free_port, fresh_secret};

/// Starts the server and stops it, cleanly, at the end of standard input: Postgres does not
/// watch that itself.
const SUPERVISE: &str = r#""$@" & child=$!; cat >/dev/null; kill -INT "$child"; wait "$child""#;

/// How often another port is tried when somebody else took the one that was free.
const ATTEMPTS: usize = 3;

/// A throw-away Postgres cluster in which every connection needs its password.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    // Dropped after the server that uses it.
    _dir: TempDir,
    bin: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Starts a cluster.
    ///
    /// # Panics
    /// If Postgres is not installed or does not start, with its log.
    pub fn start() -> Self {
        let bin = bin_dir();
        let dir = tempfile::Builder::new()
            .prefix("credchain-postgres-")
            .tempdir()
            .expect("the temporary folder is writable");
        let user = server_user();
        if let Some((uid, gid)) = user {
            #[cfg(unix)]
            std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).expect("root may do this");
        }
        let password = fresh_secret("postgres");
        initialize(&bin, dir.path(), user, &password);
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            match serve(&bin, dir.path(), user, port) {
                Ok(daemon) => {
                    return Self {
                        daemon,
                        _dir: dir,
                        bin,
                        port,
                        password,
                    };
                }
                Err(log) => failure = log,
            }
        }
        panic!("{failure}")
    }

    /// Where it listens, on the loopback interface.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser.
    pub fn user(&self) -> &'static str {
        "postgres"
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The number of the server's supervising process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Runs SQL as the superuser and tells the rows, unaligned and without headings.
    ///
    /// # Panics
    /// If the SQL fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// Runs SQL as the superuser in a transaction that stays open.
    ///
    /// # Panics
    /// If the SQL fails.
    #[track_caller]
    pub fn hold(&self, sql: &str) -> Held {
        let mut psql = self.psql("postgres");
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().expect("psql can be started");
        let script = format!("BEGIN;\n{sql};\nSELECT 'held';\n");
        let stdin = psql.stdin.as_mut().expect("it was asked for");
        stdin.write_all(script.as_bytes()).expect("psql listens");
        let output = psql.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "held"), "SQL failed: {sql}");
        Held(psql)
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.host(),
            "-U",
            self.user(),
        ])
        .args(["-p", &self.port.to_string(), "-d", database])
        .env("PGPASSWORD", &self.password);
        psql
    }

    /// Like [`Postgres::sql`] in another database.
    #[track_caller]
    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        let output = self
            .psql(database)
            .args(["-c", sql])
            .output()
            .expect("psql can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "SQL failed: {sql}\n{stderr}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

/// A transaction that is left open: what it has locked stays locked until it is dropped, and then
/// nothing of it has happened.
#[derive(Debug)]
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Debian keeps the server's programs off the `PATH`, one folder for each release.
fn bin_dir() -> PathBuf {
    let releases = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = releases
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|release| {
            Path::new("/usr/lib/postgresql")
                .join(release.to_string())
                .join("bin")
        });
    let elsewhere = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    newest
        .or_else(elsewhere)
        .filter(|dir| dir.join("postgres").exists())
        .expect("PostgreSQL is not installed: `cargo xtask test` tells what is needed")
}

/// Postgres refuses to run as root: then it runs as the user that its package made.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("the system has users");
    let line = passwd.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .expect("the package `postgresql` makes a user")
        .split(':')
        .skip(2);
    let mut number = || {
        fields
            .next()
            .and_then(|field| field.parse().ok())
            .expect("user numbers")
    };
    Some((number(), number()))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    #[cfg(unix)]
    if let Some((uid, gid)) = user {
        use std::os::unix::process::CommandExt as _;
        command.uid(uid).gid(gid);
    }
    command
}

fn initialize(bin: &Path, dir: &Path, user: Option<(u32, u32)>, password: &str) {
    let password_file = dir.join("password");
    fs::write(&password_file, password).expect("the temporary folder is writable");
    if let Some((uid, gid)) = user {
        #[cfg(unix)]
        std::os::unix::fs::chown(&password_file, Some(uid), Some(gid)).expect("root may do this");
    }
    let mut command = Command::new(bin.join("initdb"));
    // SCRAM for every connection: a wrong password fails here as it does in production.
    command
        .args([
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
        ])
        .args(["--no-sync", "--no-instructions", "-D"])
        .arg(dir.join("data"))
        .arg("--pwfile")
        .arg(&password_file)
        .current_dir(dir);
    let output = as_user(&mut command, user)
        .output()
        .expect("initdb can be started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "PostgreSQL cannot be set up:\n{log}"
    );
}

fn serve(bin: &Path, dir: &Path, user: Option<(u32, u32)>, port: u16) -> Result<Daemon, String> {
    let mut command = Command::new("sh");
    command
        .args(["-c", SUPERVISE, "postgres"])
        .arg(bin.join("postgres"));
    command
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-p", &port.to_string()]);
    command
        .arg("-c")
        .arg(format!("unix_socket_directories={}", dir.display()));
    // Nothing here has to survive a power failure.
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "shared_buffers=16MB",
        "max_connections=50",
        "autovacuum=off",
        "logging_collector=off",
    ] {
        command.args(["-c", setting]);
    }
    command.current_dir(dir);
    let (daemon, ()) = Daemon::start(
        as_user(&mut command, user),
        |line| line.contains("ready to accept connections").then_some(()),
        |line| line.contains("FATAL:"),
    )?;
    Ok(daemon)
}
