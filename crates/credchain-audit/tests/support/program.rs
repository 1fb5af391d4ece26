//! Copies of a test program that run as processes of their own.

#![allow(dead_code, reason = "no test needs all of it")]
#![allow(clippy::print_stdout, reason = "how a copy speaks to its test")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use credchain_core::Environment;

const HOME: &str = "TEST_AUDIT_HOME";
const WHAT: &str = "TEST_AUDIT_WHAT";

/// What a copy was told to do, and where; nothing in the test itself.
pub(crate) fn told() -> Option<(PathBuf, String)> {
    let env = Environment::process();
    Some((env.text(HOME)?.into(), env.text(WHAT)?))
}

/// Says that the copy is at the start line, and waits for the start.
pub(crate) fn ready() {
    println!("\nREADY");
    let stdin = std::io::stdin();
    stdin.lock().read_line(&mut String::new()).unwrap();
}

/// A copy of this program that does what one of its tests does.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts a copy and waits until it is at the start line.
    pub(crate) fn start(test: &str, home: &Path, what: &str) -> Self {
        Self::spawn(
            Command::new(std::env::current_exe().unwrap()),
            test,
            home,
            what,
        )
    }

    /// The same, where files may become no larger than some blocks of 512 or 1024 bytes.
    pub(crate) fn start_confined(test: &str, home: &Path, what: &str, blocks: u32) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script);
        shell.arg(std::env::current_exe().unwrap());
        Self::spawn(shell, test, home, what)
    }

    fn spawn(mut command: Command, test: &str, home: &Path, what: &str) -> Self {
        let mut child = command
            .args(["--exact", test, "--nocapture"])
            .env(HOME, home)
            .env(WHAT, what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut program = Self {
            child,
            input,
            output: BufReader::new(output.unwrap()),
        };
        assert_eq!(program.line("READY").as_deref(), Some(""));
        program
    }

    pub(crate) fn go(&mut self) {
        self.input.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// What comes after the next line that begins with a word, if another one comes.
    pub(crate) fn line(&mut self, word: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, rest)) = line.split_once(word) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    /// All such lines, until it ends; whether it ended by itself, and well.
    pub(crate) fn lines(mut self, word: &str) -> (Vec<String>, bool) {
        let lines = std::iter::from_fn(|| self.line(word)).collect();
        (lines, self.child.wait().unwrap().success())
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
