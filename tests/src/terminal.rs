//! A person at a terminal: a run of `resolve` on a pseudo-terminal of its own.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Project, Resolve, repository};

/// How long a run on a terminal may take.
const SECONDS: u32 = 60;

/// A run of the binary whose standard input and output are a terminal.
///
/// ```no_run
/// use credchain_tests::{Project, Terminal};
///
/// let project = Project::new();
/// Terminal::new(project.resolve(["set", "api_key"]))
///     .expect("Value of `api_key`")
///     .types("s3cret\n")
///     .run()
///     .hides("s3cret");
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `run`"]
pub struct Terminal {
    resolve: Resolve,
    steps: Vec<Value>,
}

/// What a run on a terminal left behind.
#[derive(Clone, Debug, Deserialize)]
pub struct Screen {
    #[serde(rename = "screen")]
    text: String,
    code: i32,
    signal: i32,
    echo: bool,
    missed: Option<String>,
}

impl Terminal {
    /// A run that has not begun.
    pub fn new(resolve: Resolve) -> Self {
        Self {
            resolve,
            steps: Vec::new(),
        }
    }

    /// Waits for a text to appear, after whatever was waited for before.
    pub fn expect(mut self, text: &str) -> Self {
        self.steps.push(json!({ "expect": text }));
        self
    }

    /// Types; `\x03` is Ctrl-C.
    pub fn types(mut self, keys: &str) -> Self {
        self.steps.push(json!({ "type": keys }));
        self
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// If it cannot be started, or if a text that is waited for does not appear.
    #[track_caller]
    #[must_use = "a run without a claim proves nothing"]
    pub fn run(self) -> Screen {
        let command = self.resolve.command();
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let argv: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(text)
            .collect();
        let mut env: serde_json::Map<String, Value> = command
            .get_envs()
            .filter_map(|(name, value)| Some((text(name), Value::String(text(value?)))))
            .collect();
        env.entry("TERM").or_insert_with(|| "xterm".into());
        let task = json!({
            "argv": argv,
            "cwd": command.get_current_dir(),
            "env": env,
            "seconds": SECONDS,
            "steps": self.steps,
        });
        let script = repository().join("tests/support/terminal.py");
        let output = Project::new()
            .command("python3")
            .arg(script)
            .stdin(task.to_string())
            .timeout(std::time::Duration::from_secs(u64::from(SECONDS) * 2))
            .run()
            .success();
        let screen: Screen =
            serde_json::from_slice(output.stdout_bytes()).expect("the script tells what happened");
        if let Some(missed) = &screen.missed {
            panic!("{missed:?} did not appear\n{}", screen.text);
        }
        screen
    }
}

impl Screen {
    /// It ended with this exit code, and left the terminal as it was.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert!(
            self.code == code && self.signal == 0,
            "expected exit code {code}, got {} (signal {})\n{}",
            self.code,
            self.signal,
            self.text
        );
        assert!(self.echo, "the terminal's echo is off\n{}", self.text);
        self
    }

    /// This text was shown.
    #[track_caller]
    pub fn shows(self, text: &str) -> Self {
        assert!(
            self.text.contains(text),
            "{text:?} was not shown\n{}",
            self.text
        );
        self
    }

    /// This text was not shown, whoever would have shown it.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(
            !self.text.contains(text),
            "{text:?} was shown\n{}",
            self.text
        );
        self
    }
}
