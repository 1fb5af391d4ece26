//! Other programs that use the same keyring, and the daemon that serves it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use credchain_tests::servers::{SecretService, python};

/// Runs a command with this input, and tells its output.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input)
        .expect("it reads");
    let output = child.wait_with_output().expect("the command ends");
    assert!(output.status.success(), "{command:?} failed");
    output.stdout
}

/// Python's `keyring`, by its own command's function.
pub(crate) fn python_keyring(
    server: &SecretService,
    code: &str,
    place: [&str; 2],
    input: &[u8],
) -> Vec<u8> {
    let code = format!("import keyring, sys\nservice, user = sys.argv[1:]\n{code}");
    let mut command = server.command(python());
    command
        .env(
            "PYTHON_KEYRING_BACKEND",
            "keyring.backends.SecretService.Keyring",
        )
        .args(["-c", &code])
        .args(place);
    run(&mut command, input)
}

pub(crate) fn python_sets(server: &SecretService, place: [&str; 2], value: &[u8]) {
    let code = "keyring.set_password(service, user, sys.stdin.buffer.read().decode())";
    python_keyring(server, code, place, value);
}

pub(crate) fn python_gets(server: &SecretService, place: [&str; 2]) -> Vec<u8> {
    let code = "sys.stdout.buffer.write(keyring.get_password(service, user).encode())";
    python_keyring(server, code, place, b"")
}

pub(crate) fn secret_tool(server: &SecretService, args: &[&str], input: &[u8]) -> Vec<u8> {
    run(server.command("secret-tool").args(args), input)
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).expect("it is text")
}

/// How many items have these attributes, whatever others they have.
pub(crate) fn items(server: &SecretService, [service, user]: [&str; 2]) -> usize {
    let code = "import secretstorage\n\
        attributes = {'service': service, 'username': user}\n\
        found = secretstorage.search_items(secretstorage.dbus_init(), attributes)\n\
        print(len(list(found)))";
    let count = python_keyring(server, code, [service, user], b"");
    text(count).trim().parse().expect("a number")
}

/// The process that serves `org.freedesktop.secrets`.
pub(crate) fn daemon_id(server: &SecretService) -> String {
    let mut command = server.command("dbus-send");
    command.args([
        "--session",
        "--print-reply=literal",
        "--dest=org.freedesktop.DBus",
        "/",
    ]);
    command.arg("org.freedesktop.DBus.GetConnectionUnixProcessID");
    let reply = run(command.arg("string:org.freedesktop.secrets"), b"");
    let reply = text(reply);
    reply
        .split_whitespace()
        .last()
        .expect("a number")
        .to_owned()
}

pub(crate) fn signal(name: &str, process: &str) {
    run(Command::new("kill").args([name, process]), b"");
}

/// Ends the daemon, and waits until the bus has noticed.
pub(crate) fn kill_daemon(server: &SecretService) {
    signal("-KILL", &daemon_id(server));
    let owned = || {
        let mut command = server.command("dbus-send");
        command.args([
            "--session",
            "--print-reply=literal",
            "--dest=org.freedesktop.DBus",
            "/",
        ]);
        command.arg("org.freedesktop.DBus.NameHasOwner");
        let reply = run(command.arg("string:org.freedesktop.secrets"), b"");
        text(reply).contains("true")
    };
    while owned() {}
}

/// A daemon that is ended with its value.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn start(server: &SecretService) -> Self {
        let variables = server.variables();
        let home = variables
            .iter()
            .find(|(name, _)| *name == "HOME")
            .expect("it has a home");
        let password = Path::new(&home.1).with_file_name("password");
        let child = server
            .command("gnome-keyring-daemon")
            .args(["--unlock", "--foreground", "--components=secrets"])
            .stdin(File::open(password).expect("the harness keeps it"))
            .spawn()
            .expect("the daemon can be started");
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
