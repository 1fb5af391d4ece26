//! A server that writes every statement into a file.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Started for one test and killed with it. Its superuser is `postgres`.
pub(crate) struct Logged {
    server: Child,
    directory: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Logged {
    pub(crate) fn start(password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let user = user();
        let file = directory.path().join("password");
        fs::write(&file, password).unwrap();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
            chown(&file, Some(uid), Some(gid)).unwrap();
        }
        let data = directory.path().join("data");
        let made = program("initdb", user)
            .args([
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--no-instructions", "--pwfile"])
            .arg(&file)
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .current_dir(directory.path())
            .status();
        assert!(made.unwrap().success());
        let port = free_port();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut server = program("postgres", user);
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .current_dir(directory.path());
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "shared_buffers=16MB",
            "log_statement=all",
            "log_min_messages=debug1",
            "log_connections=on",
            "log_min_duration_statement=0",
        ] {
            server.args(["-c", setting]);
        }
        let server = server.spawn().unwrap();
        let mut logged = Self {
            server,
            directory,
            port,
        };
        while !logged.log().contains("ready to accept connections") {
            let ended = logged.server.try_wait().unwrap();
            assert!(ended.is_none(), "{}", logged.log());
            std::thread::yield_now();
        }
        logged
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // At SIGINT it ends its own children; a killed one would leave them behind.
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        drop(self.server.wait());
    }
}

/// A port that was free a moment ago: Postgres cannot choose one itself.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn program(name: &str, user: Option<(u32, u32)>) -> Command {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = releases
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let path = newest.map_or_else(
        || PathBuf::from(name),
        |release| {
            Path::new("/usr/lib/postgresql")
                .join(release.to_string())
                .join("bin")
                .join(name)
        },
    );
    let mut command = Command::new(path);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Postgres refuses to run as root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.unwrap().split(':').skip(2);
    let mut number = || fields.next().unwrap().parse().unwrap();
    Some((number(), number()))
}
