//! A Secret Service: gnome-keyring on a session bus of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::daemon::Daemon;
use super::{fresh_secret, python};
use crate::binary::repository;

const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
const SERVICE: &str = "/org/freedesktop/secrets";

/// gnome-keyring's own way to unlock without a prompt. The session that carries the password
/// belongs to one connection, which neither `dbus-send` nor `busctl` can keep open.
const UNLOCK: &str = r"
import os
from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

SERVICE, NAME = '/org/freedesktop/secrets', 'org.freedesktop.secrets'
service = DBusAddress(SERVICE, NAME, 'org.freedesktop.Secret.Service')
internal = DBusAddress(SERVICE, NAME, 'org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface')
bus = open_dbus_connection('SESSION')

def call(*args):
    reply = bus.send_and_get_reply(new_method_call(*args))
    assert reply.header.message_type is not MessageType.error, 'the keyring refused'
    return reply.body

_, session = call(service, 'OpenSession', 'sv', ('plain', ('s', '')))
secret = (session, b'', os.environ['PASSWORD'].encode(), 'text/plain')
call(internal, 'UnlockWithMasterPassword', 'o(oayays)', (os.environ['COLLECTION'], secret))
";

/// A private session bus with a gnome-keyring whose default collection is unlocked.
///
/// There is no display and no prompter: whoever asks for a prompt sees it dismissed at once.
#[derive(Debug)]
pub struct SecretService {
    daemon: Daemon,
    // Dropped after the daemons that use it.
    dir: TempDir,
    password: String,
}

impl SecretService {
    /// Starts the bus and the keyring.
    ///
    /// # Panics
    /// If they are not installed or do not start, with their log.
    pub fn start() -> Self {
        // A short prefix: the path of a socket has at most 107 bytes.
        let dir = tempfile::Builder::new()
            .prefix("cc-keyring-")
            .tempdir()
            .expect("the temporary folder is writable");
        let password = fresh_secret("keyring");
        let run = dir.path().join("run");
        for folder in [&run, &dir.path().join("home")] {
            fs::create_dir(folder).expect("the temporary folder is writable");
        }
        let files = [
            ("bus.conf", bus_configuration(&run.join("bus"))),
            ("password", password.clone()),
        ];
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("the temporary folder is writable");
        }
        let mut command = Command::new("sh");
        command
            .arg(repository().join("tests/servers/secret-service.sh"))
            .arg(dir.path())
            .envs(variables(&dir))
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        let started = Daemon::start(
            &mut command,
            |line| (line == "READY").then_some(()),
            |line| line.starts_with("FAILED"),
        );
        let (daemon, ()) = started.unwrap_or_else(|log| {
            panic!("{log}\n`cargo xtask test` tells what is needed for gnome-keyring")
        });
        Self {
            daemon,
            dir,
            password,
        }
    }

    /// The bus, as `DBUS_SESSION_BUS_ADDRESS` tells it.
    pub fn bus_address(&self) -> String {
        bus_address(&self.dir)
    }

    /// The environment of a client: the bus, and a home of its own.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        variables(&self.dir)
    }

    /// A command in that environment.
    pub fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        command
            .envs(self.variables())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    /// The number of the supervising process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Locks the default collection.
    ///
    /// # Panics
    /// If it stays unlocked.
    pub fn lock(&self) {
        // Not `secret-tool lock`, which crashes.
        let collection = format!("array:objpath:{COLLECTION}");
        let call = "org.freedesktop.Secret.Service.Lock";
        self.dbus_send(&[SERVICE, call, &collection]);
        assert!(self.is_locked(), "the collection stays unlocked");
    }

    /// Unlocks the default collection, as its owner would at a prompt.
    ///
    /// # Panics
    /// If it stays locked.
    pub fn unlock(&self) {
        let output = self
            .command(python())
            .args(["-c", UNLOCK])
            .env("PASSWORD", &self.password)
            .env("COLLECTION", COLLECTION)
            .output()
            .expect("Python can be started");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "it cannot be unlocked:\n{log}");
        assert!(!self.is_locked(), "the collection stays locked");
    }

    /// Whether the default collection is locked.
    pub fn is_locked(&self) -> bool {
        let reply = self.dbus_send(&[
            COLLECTION,
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        ]);
        reply.contains("boolean true")
    }

    fn dbus_send(&self, args: &[&str]) -> String {
        let output = self
            .command("dbus-send")
            .args(["--session", "--print-reply"])
            .arg("--dest=org.freedesktop.secrets")
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("dbus-send can be started");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the keyring does not answer:\n{log}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn bus_address(dir: &TempDir) -> String {
    format!("unix:path={}", dir.path().join("run/bus").display())
}

fn variables(dir: &TempDir) -> [(&'static str, String); 4] {
    let below = |name: &str| dir.path().join(name).display().to_string();
    [
        ("DBUS_SESSION_BUS_ADDRESS", bus_address(dir)),
        ("HOME", below("home")),
        ("XDG_DATA_HOME", below("home/.local/share")),
        ("XDG_RUNTIME_DIR", below("run")),
    ]
}

/// A bus without service files. The usual one would start a daemon by itself for any client, in
/// a process group and perhaps a home that are not ours.
fn bus_configuration(socket: &std::path::Path) -> String {
    format!(
        r#"<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}
