//! Asking a person, without echo, on the terminal itself.

#[cfg(not(unix))]
mod console;
#[cfg(unix)]
mod unix;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use credchain::{Error, Kind, Secret};

#[cfg(not(unix))]
use self::console as system;
#[cfg(unix)]
use self::unix as system;
use crate::failure::Failure;
use crate::progress::Progress;

/// Asks for a secret: nothing of what is typed is shown.
pub(crate) fn ask_secret(question: &str) -> Result<Secret, Failure> {
    let line = system::hidden_line(question)?;
    Ok(Secret::new(line.to_vec()))
}

/// Asks a yes-or-no question; anything but yes is no.
pub(crate) fn ask_yes(question: &str) -> Result<bool, Failure> {
    let answer = system::shown_line(&format!("{question} [y/N] "))?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

fn nobody(error: &std::io::Error) -> Failure {
    Failure::usage_with(
        format!("there is no terminal to ask on ({error})"),
        "pass the value on standard input",
    )
}

fn reading(error: std::io::Error) -> Failure {
    Failure::io("reading from the terminal", error)
}

/// The prompt handed to providers, for passphrases.
#[derive(Debug)]
pub(crate) struct TerminalPrompt {
    progress: Progress,
    interrupted: Arc<AtomicBool>,
}

impl TerminalPrompt {
    /// Asks on the terminal, after clearing what is shown there while waiting; remembers a Ctrl-C.
    pub(crate) fn new(progress: Progress, interrupted: Arc<AtomicBool>) -> Self {
        Self {
            progress,
            interrupted,
        }
    }
}

impl credchain::Prompt for TerminalPrompt {
    fn secret(&self, question: &str) -> credchain::Result<Option<Secret>> {
        self.progress.pause();
        match ask_secret(&format!("{question}: ")) {
            Ok(secret) => Ok(Some(secret)),
            Err(Failure::Interrupted) => {
                self.interrupted.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(_) => Err(Error::new(
                Kind::Unauthenticated,
                "there is no terminal to ask on",
            )),
        }
    }
}
