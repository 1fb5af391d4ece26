//! A person at a terminal with a shell: what a whole screen shows, and job control.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Resolve;

/// How long a text may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shell with job control in a `tmux` window of its own, with the environment of a run.
///
/// ```no_run
/// use credchain_tests::{Project, Tmux};
///
/// let screen = Tmux::start(&Project::new().resolve([""; 0]));
/// screen.line("resolve exec -- stty size");
/// screen.waits_for("24 80");
/// ```
#[derive(Debug)]
pub struct Tmux {
    resolve: Resolve,
    socket: PathBuf,
}

impl Tmux {
    /// Starts a shell of 80 columns and 24 lines where `resolve` would have run.
    pub fn start(resolve: &Resolve) -> Self {
        let socket = resolve.project().tmp().join("tmux");
        let screen = Self {
            resolve: resolve.clone(),
            socket,
        };
        screen.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "bash --norc --noprofile -i",
        ]);
        screen.line("PS1='> '; clear; echo the shell is $((40 + 2))");
        screen.waits_for("the shell is 42");
        screen
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.key("Enter");
    }

    /// Presses a key, such as `C-c` or `Escape`.
    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Gives the window another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &lines]);
    }

    /// What the window shows.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the window shows a text.
    ///
    /// # Panics
    /// If it does not appear.
    #[track_caller]
    pub fn waits_for(&self, text: &str) -> String {
        self.waits_until(|screen| screen.contains(text), text)
    }

    /// Waits until a line of the window is exactly this.
    ///
    /// # Panics
    /// If none appears.
    #[track_caller]
    pub fn waits_for_line(&self, line: &str) -> String {
        self.waits_until(
            |screen| screen.lines().any(|one| one.trim_end() == line),
            line,
        )
    }

    #[track_caller]
    fn waits_until(&self, is_there: impl Fn(&str) -> bool, what: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "a test that waits for a screen")]
        let now = Instant::now;
        let start = now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(
                now() - start < PATIENCE,
                "{what:?} does not appear on\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("tmux is installed");
        assert!(
            output.status.success(),
            "tmux {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        let prepared = self.resolve.command();
        command.env_clear();
        for (name, value) in prepared.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(dir) = prepared.get_current_dir() {
            command.current_dir(dir);
        }
        command
            .env("TERM", "xterm")
            .arg("-S")
            .arg(&self.socket)
            .args(args);
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Ends everything that runs in it.
        drop(self.command(&["kill-server"]).output());
    }
}
