//! The terminal of a Unix process, whatever its standard streams are.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::{nobody, reading};
use crate::failure::Failure;

/// Longest line taken at a prompt, in bytes. Longer values come from a file or standard input.
const MAX_LINE: usize = 64 * 1024;

/// What a terminal sends for Ctrl-C while it makes no signal of it.
const CTRL_C: u8 = 0x03;

/// Asks, and reads a line that is not shown.
pub(super) fn hidden_line(question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    Terminal::open()?.hidden_line(question)
}

/// Asks, and reads a line.
pub(super) fn shown_line(question: &str) -> Result<String, Failure> {
    Terminal::open()?.shown_line(question)
}

struct Terminal(File);

impl Terminal {
    fn open() -> Result<Self, Failure> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map(Self)
            .map_err(|error| nobody(&error))
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.0
            .write_all(text.as_bytes())
            .map_err(|error| Failure::io("writing to the terminal", error))
    }

    /// Reads a line as the terminal edits and shows it. Ctrl-C ends the line instead of this
    /// process, which may have something to clean up.
    fn shown_line(&mut self, question: &str) -> Result<String, Failure> {
        let changed = Changed::start(&self.0, |modes| {
            modes.local_modes -= LocalModes::ISIG;
            modes.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        })?;
        self.say(question)?;
        let mut line = [0_u8; 256];
        let length = self.0.read(&mut line).map_err(reading)?;
        drop(changed);
        if line[..length].contains(&CTRL_C) {
            self.say("\n")?;
            return Err(Failure::Interrupted);
        }
        Ok(String::from_utf8_lossy(&line[..length]).into_owned())
    }

    /// Reads a line byte by byte with echo, line editing and signals off, so that Ctrl-C arrives
    /// here as a byte and the terminal is restored before anything else happens.
    fn hidden_line(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let hidden = Changed::start(&self.0, |modes| {
            modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        })?;
        // Asked only now: nothing that is typed after the question is shown.
        self.say(question)?;
        let mut line = Zeroizing::new(Vec::with_capacity(256));
        let mut byte = [0_u8];
        let outcome = loop {
            if self.0.read(&mut byte).map_err(reading)? == 0 {
                break Ok(());
            }
            match byte[0] {
                b'\n' | b'\r' => break Ok(()),
                CTRL_C => break Err(Failure::Interrupted),
                0x04 if line.is_empty() => break Err(Failure::Interrupted),
                0x04 => break Ok(()),
                0x15 => line.clear(),
                0x7f | 0x08 => remove_character(&mut line),
                other if line.len() < MAX_LINE => line.push(other),
                _ => break Err(Failure::usage("the value is too long for a prompt")),
            }
        };
        drop(hidden);
        self.say("\n")?;
        outcome.map(|()| line)
    }
}

/// Removes the last UTF-8 character, or the last byte if it is none.
fn remove_character(line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
}

/// A terminal in another mode; back to what it was when dropped.
struct Changed {
    terminal: File,
    before: Termios,
}

impl Changed {
    fn start(terminal: &File, change: impl FnOnce(&mut Termios)) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("switching the terminal's mode", error);
        let before = tcgetattr(terminal).map_err(|error| failed(error.into()))?;
        let mut modes = before.clone();
        change(&mut modes);
        let terminal = terminal.try_clone().map_err(failed)?;
        tcsetattr(&terminal, OptionalActions::Flush, &modes)
            .map_err(|error| failed(error.into()))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // Nothing better can be done if the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backspace_removes_whole_characters() {
        let mut line = "aé🔑".as_bytes().to_vec();
        remove_character(&mut line);
        assert_eq!(line, "aé".as_bytes());
        remove_character(&mut line);
        assert_eq!(line, b"a");
        remove_character(&mut line);
        remove_character(&mut line);
        assert!(line.is_empty());
    }
}
