//! What people know about the age of credentials, in a file of the project.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_core::files::{Draft, directory_of, sync_directory};
use credchain_core::{Error, Kind, Result, format_duration, parse_duration};
use serde::Deserialize;

use crate::{Zone, rfc3339};

/// The name of the file, beside `credchain.toml`.
pub const REGISTER: &str = "credchain.rotation.toml";

const HEAD: &str = "# When credentials were made, as `resolve rotation register` was told. It holds no value: commit it.\n";

/// Longest accepted name, in bytes.
const MAX_NAME: usize = 128;

/// Larger files are no registers: this is more than 100,000 credentials of each of ten profiles.
const MAX_FILE: u64 = 256 << 20;

/// When credentials were made, for those whose backend does not say it, by profile.
///
/// A name is that of a credential, or any text: what nobody resolves, such as the token of a person,
/// becomes old as well.
///
/// ```
/// use credchain_rotation::{Entry, Register, Zone};
///
/// # let directory = tempfile::tempdir()?;
/// let file = directory.path().join(credchain_rotation::REGISTER);
/// let utc = Zone::utc();
/// let made = utc.parse("2026-01-15")?;
/// Register::change(&file, &utc, |all| all.set("default", "API Key (prod)", Entry::new(made)))?;
/// let register = Register::load(&file, &utc)?;
/// assert_eq!(register.get("default", "API Key (prod)").map(|entry| entry.created), Some(made));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    zone: Zone,
    profiles: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// What is known about one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When its value was made.
    pub created: SystemTime,
    /// How old it may become, for what no configuration declares.
    pub every: Option<Duration>,
}

impl Entry {
    /// Made at this moment.
    pub fn new(created: SystemTime) -> Self {
        Self {
            created,
            every: None,
        }
    }

    /// The same, with an age limit of its own.
    pub fn every(mut self, age: Duration) -> Self {
        self.every = Some(age);
        self
    }
}

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    created: toml::value::Datetime,
    every: Option<String>,
}

impl Register {
    /// A register that knows nothing.
    pub fn empty(zone: &Zone) -> Self {
        Self {
            zone: zone.clone(),
            profiles: BTreeMap::new(),
        }
    }

    /// Reads a register; an empty one if there is no file. A date in it is the first moment of that
    /// day in `zone`.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the file cannot be read, or says something else.
    pub fn load(path: &Path, zone: &Zone) -> Result<Self> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::empty(zone)),
            Err(error) => return Err(failed("read", path, &error)),
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let bytes = credchain_core::files::read_to_limit(&mut file, length, MAX_FILE);
        let bytes = bytes.map_err(|refused| {
            Error::new(
                Kind::Misconfigured,
                format!("`{}` {refused}", path.display()),
            )
        })?;
        Self::parse(&bytes, zone).map_err(|place| {
            let message = format!("`{}`{place} is no register of ages", path.display());
            Error::new(Kind::Misconfigured, message).with_hint(
                "a line is `NAME = { created = 2026-01-15 }` below the profile's name in brackets",
            )
        })
    }

    /// Reads the text of a register, or says where it stops being one.
    fn parse(bytes: &[u8], zone: &Zone) -> std::result::Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| String::new())?;
        let line = |at: usize| format!(":{}", text[..at.min(text.len())].lines().count().max(1));
        let read: BTreeMap<String, BTreeMap<String, toml::Spanned<Written>>> = toml::from_str(text)
            .map_err(|error| {
                error
                    .span()
                    .map_or_else(String::new, |span| line(span.start))
            })?;
        let entries = |(name, written): (String, toml::Spanned<Written>)| {
            let place = line(written.span().start);
            let entry = entry(written.into_inner(), zone).ok_or(place)?;
            Ok((name, entry))
        };
        let profiles = read.into_iter().map(|(profile, names)| {
            let names = names
                .into_iter()
                .map(entries)
                .collect::<std::result::Result<_, String>>()?;
            Ok((profile, names))
        });
        Ok(Self {
            zone: zone.clone(),
            profiles: profiles.collect::<std::result::Result<_, String>>()?,
        })
    }

    /// Changes the register in a file as a whole: whoever reads it meanwhile sees the old one, and
    /// of two changes at once none is lost.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the file cannot be read or written, or says something else.
    pub fn change<T>(path: &Path, zone: &Zone, change: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let lock = lock(path).map_err(|error| failed("write", path, &error))?;
        let mut register = Self::load(path, zone)?;
        let done = change(&mut register);
        let written = Draft::shared(path, ".rotation-").and_then(|mut draft| {
            draft.write_all(register.to_string().as_bytes())?;
            draft.replace()?;
            sync_directory(directory_of(path))
        });
        drop(lock);
        written.map_err(|error| failed("write", path, &error))?;
        Ok(done)
    }

    /// What is known about one credential.
    pub fn get(&self, profile: &str, name: &str) -> Option<&Entry> {
        self.profiles.get(profile)?.get(name)
    }

    /// Notes what is known about one credential.
    pub fn set(&mut self, profile: &str, name: &str, entry: Entry) {
        let names = self.profiles.entry(profile.to_owned()).or_default();
        names.insert(name.to_owned(), entry);
    }

    /// Forgets a credential; tells whether it was known.
    pub fn remove(&mut self, profile: &str, name: &str) -> bool {
        self.profiles
            .get_mut(profile)
            .is_some_and(|names| names.remove(name).is_some())
    }

    /// Every entry of a profile, by name.
    pub fn entries(&self, profile: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let names = self.profiles.get(profile).into_iter().flatten();
        names.map(|(name, entry)| (name.as_str(), entry))
    }

    /// Whether a text can be a name in here.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an empty or over-long one, or one with characters that cannot be
    /// shown.
    pub fn check_name(name: &str) -> Result<()> {
        let fits = (1..=MAX_NAME).contains(&name.len())
            && name.trim() == name
            && credchain_core::printable(name) == name;
        if fits {
            return Ok(());
        }
        let message = format!("a name has 1 to {MAX_NAME} bytes, all of which can be shown");
        Err(Error::new(Kind::Invalid, message))
    }
}

fn entry(written: Written, zone: &Zone) -> Option<Entry> {
    let created = zone.parse(&written.created.to_string()).ok()?;
    let every = match written.every {
        Some(text) => Some(parse_duration(&text)?),
        None => None,
    };
    Some(Entry { created, every })
}

/// A date where a date says it all: that is what people compare.
fn written(moment: SystemTime, zone: &Zone) -> String {
    let date = zone.date(moment);
    match zone.parse(&date) {
        Ok(start) if start == moment => date,
        _ => rfc3339(moment),
    }
}

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HEAD)?;
        for (profile, names) in &self.profiles {
            write!(f, "\n[{}]\n", key(profile))?;
            for (name, entry) in names {
                let created = written(entry.created, &self.zone);
                write!(f, "{} = {{ created = {created}", key(name))?;
                if let Some(every) = entry.every {
                    write!(f, ", every = \"{}\"", format_duration(every))?;
                }
                f.write_str(" }\n")?;
            }
        }
        Ok(())
    }
}

/// A key of TOML: bare where it can be, else a basic string.
fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.is_empty() && text.chars().all(bare) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Held while the file is replaced. Not on the file itself, which is another one afterwards.
#[cfg(unix)]
fn lock(path: &Path) -> io::Result<File> {
    let directory = File::open(directory_of(path))?;
    directory.lock()?;
    Ok(directory)
}

/// Held while the file is replaced. A directory cannot be locked here.
#[cfg(not(unix))]
fn lock(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {what} `{}`: {}", path.display(), error.kind());
    Error::new(Kind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Register, String> {
        Register::parse(text.as_bytes(), &Zone::utc())
    }

    #[test]
    fn any_name_survives_the_file() {
        let utc = Zone::utc();
        let mut register = Register::empty(&utc);
        let made = utc.parse("2026-01-15T09:30:00Z").unwrap();
        for name in ["api_key", "API Key (prod)", "a\"b\\c", "é 🔑", "x.y", "#"] {
            register.set(
                "default",
                name,
                Entry::new(made).every(Duration::from_hours(24)),
            );
        }
        register.set(
            "pro.duction",
            "api_key",
            Entry::new(utc.parse("2026-01-15").unwrap()),
        );
        let text = register.to_string();
        assert!(
            text.contains("api_key = { created = 2026-01-15 }"),
            "{text}"
        );
        assert_eq!(parse(&text).unwrap(), register);
    }

    #[test]
    fn a_register_that_says_something_else_is_refused_with_its_line() {
        for (text, line) in [
            ("[default]\nkey = 5", ":2"),
            (
                "[default]\n\nkey = { created = 2026-01-15, owner = \"me\" }",
                ":3",
            ),
            ("[default]\nkey = { created = 07:32:00 }", ":2"),
            ("[default]\nkey = { created = 1901-01-01 }", ":2"),
            (
                "[default]\nkey = { created = 2026-01-15, every = \"ninety\" }",
                ":2",
            ),
            ("[default]\nkey = { created = 2026-01-1", ":2"),
        ] {
            assert_eq!(parse(text).unwrap_err(), line, "{text}");
        }
    }

    #[test]
    fn names_that_cannot_be_shown_are_refused() {
        for name in ["", " a", "a\nb", "a\u{202e}b", &"x".repeat(129)] {
            assert!(Register::check_name(name).is_err(), "{name:?}");
        }
        assert!(Register::check_name("API Key (prod)").is_ok());
    }

    #[test]
    fn of_two_changes_at_once_none_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(REGISTER);
        let made = Zone::utc().parse("2026-01-15").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        let name = format!("key_{writer}_{number}");
                        Register::change(path, &Zone::utc(), |all| {
                            all.set("default", &name, Entry::new(made));
                        })
                        .unwrap();
                    }
                });
            }
        });
        let register = Register::load(&path, &Zone::utc()).unwrap();
        assert_eq!(register.entries("default").count(), 80);
    }

    #[test]
    fn a_change_that_cannot_be_written_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(REGISTER);
        std::fs::write(&path, "[default]\nkey = 5\n").unwrap();
        let error = Register::change(&path, &Zone::utc(), |_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "[default]\nkey = 5\n"
        );
    }
}
