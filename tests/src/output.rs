//! What a run left behind, and what can be said about it.

use std::process::ExitStatus;

use serde_json::Value;

/// The end of a run. Each claim panics with the whole story when it is wrong.
#[derive(Clone, Debug)]
pub struct Output {
    words: String,
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn new(words: String, status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self {
            words,
            status,
            stdout,
            stderr,
        }
    }

    /// It ended with exit code 0.
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    /// It ended with this exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "expected exit code {code}\n{}",
            self.story()
        );
        self
    }

    /// Standard output is exactly this.
    #[track_caller]
    pub fn stdout_is(self, bytes: impl AsRef<[u8]>) -> Self {
        let expected = String::from_utf8_lossy(bytes.as_ref());
        assert!(
            self.stdout == bytes.as_ref(),
            "expected standard output {expected:?}\n{}",
            self.story()
        );
        self
    }

    /// Standard output has this text in it.
    #[track_caller]
    pub fn stdout_contains(self, text: &str) -> Self {
        assert!(
            self.stdout().contains(text),
            "no {text:?} on standard output\n{}",
            self.story()
        );
        self
    }

    /// Standard output does not have this text in it.
    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        assert!(
            !self.stdout().contains(text),
            "{text:?} on standard output\n{}",
            self.story()
        );
        self
    }

    /// Standard error is empty.
    #[track_caller]
    pub fn stderr_is_empty(self) -> Self {
        assert!(
            self.stderr.is_empty(),
            "expected nothing on standard error\n{}",
            self.story()
        );
        self
    }

    /// Standard error has this text in it.
    #[track_caller]
    pub fn stderr_contains(self, text: &str) -> Self {
        assert!(
            self.stderr().contains(text),
            "no {text:?} on standard error\n{}",
            self.story()
        );
        self
    }

    /// Standard error does not have this text in it.
    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Self {
        assert!(
            !self.stderr().contains(text),
            "{text:?} on standard error\n{}",
            self.story()
        );
        self
    }

    /// Standard output as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as it came.
    pub fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard error as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// How it ended: the exit code, or the signal on Unix.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.parse(&self.stdout, "standard output")
    }

    /// Standard error as JSON.
    #[track_caller]
    pub fn error_json(&self) -> Value {
        self.parse(&self.stderr, "standard error")
    }

    #[track_caller]
    pub(crate) fn assert_stderr_hides(&self, secret: &[u8]) {
        let shown = self
            .stderr
            .windows(secret.len())
            .any(|window| window == secret);
        assert!(!shown, "a secret on standard error\n{}", self.story());
    }

    #[track_caller]
    fn parse(&self, bytes: &[u8], place: &str) -> Value {
        match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(error) => panic!("{place} is no JSON: {error}\n{}", self.story()),
        }
    }

    fn story(&self) -> String {
        format!(
            "command: {}\nended with: {}\nstandard output:\n{}\nstandard error:\n{}",
            self.words,
            self.status,
            self.stdout(),
            self.stderr()
        )
    }
}
