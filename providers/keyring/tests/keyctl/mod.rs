//! `keyctl`, and worlds in which the kernel's keyrings look different.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use credchain_tests::servers::python;

/// Keeps the system calls about keys from a program, as containers do, and runs it.
const FILTER: &str = r"
import ctypes, errno, os, platform, struct, sys
first, last = {'x86_64': (248, 250), 'aarch64': (217, 219)}[platform.machine()]
answer = 0x00050000 | getattr(errno, sys.argv[1])
rules = [
    (0x20, 0, 0, 0),            # load the number of the call
    (0x35, 0, 2, first),        # below the first: allow
    (0x25, 1, 0, last),         # above the last: allow
    (0x06, 0, 0, answer),
    (0x06, 0, 0, 0x7fff0000),
]
code = b''.join(struct.pack('HBBI', *rule) for rule in rules)
buffer = ctypes.create_string_buffer(code, len(code))
program = struct.pack('HxxxxxxP', len(rules), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, MODE_FILTER = 38, 22, 2
assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(SECCOMP, MODE_FILTER, program) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[2], sys.argv[2:])
";

/// Runs `keyctl`.
pub(crate) fn keyctl<const N: usize>(args: [&str; N]) -> Output {
    let output = Command::new("keyctl").args(args).output();
    output.expect("the package `keyutils` is installed")
}

/// The number of a keyring. By its name, `keyctl` would add to a keyring of its own where there
/// is no login session.
pub(crate) fn number_of(ring: &str) -> String {
    number(keyctl(["id", ring]))
}

/// The number of the key with this description.
pub(crate) fn finds(ring: &str, description: &str) -> String {
    number(keyctl(["search", ring, "user", description]))
}

fn number(output: Output) -> String {
    assert!(output.status.success(), "there is no such key");
    let text = String::from_utf8(output.stdout).expect("a number");
    text.trim().to_owned()
}

/// The value of a key, byte for byte.
pub(crate) fn reads(id: &str) -> Vec<u8> {
    let output = keyctl(["pipe", id]);
    assert!(output.status.success(), "`{id}` cannot be read");
    output.stdout
}

/// Makes or changes a key.
pub(crate) fn adds(ring: &str, description: &str, value: &[u8]) {
    let mut child = Command::new("keyctl")
        .args(["padd", "user", description, ring])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the package `keyutils` is installed");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(value).expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

/// The output of a command in a session that has a keyring of its own, to which nothing is linked.
pub(crate) fn in_own_session(command: &[&str]) -> Vec<u8> {
    let mut session = Command::new("keyctl");
    session.args(["session", "-"]).args(command);
    let output = session.output().expect("`keyctl` can be started");
    assert!(output.status.success(), "{command:?} failed");
    output.stdout
}

/// Another run of this program, with one ignored test, in such a session.
pub(crate) fn other_session(test: &str) -> Command {
    let mut session = Command::new("keyctl");
    session.args(["session", "-"]);
    this_program(&mut session, test);
    session
}

/// A filter of system calls.
pub(crate) struct Filter(&'static str);

impl Filter {
    /// One that answers calls about keys with this error.
    pub(crate) fn answering(error: &'static str) -> Self {
        Self(error)
    }

    /// Another run of this program, with one ignored test, behind the filter.
    pub(crate) fn run(&self, test: &str) -> Command {
        let mut filtered = Command::new(python());
        filtered.args(["-c", FILTER, self.0]);
        this_program(&mut filtered, test);
        filtered
    }
}

fn this_program(command: &mut Command, test: &str) {
    let program = std::env::current_exe().expect("this program has a path");
    command
        .arg(program)
        .args(["--exact", test, "--ignored"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}
