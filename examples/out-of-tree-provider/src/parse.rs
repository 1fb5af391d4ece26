//! The netrc format: words, where a word may be in quotes.
//!
//! It is read as `curl` reads it. A `#` starts a comment where a keyword is expected; after
//! `password` it is part of the password.

use zeroize::Zeroizing;

use crate::error::Failure;

/// One entry: a machine, or `default`, which has no name.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) machine: Option<String>,
    pub(crate) login: Option<Zeroizing<String>>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) account: Option<Zeroizing<String>>,
}

/// The fields that an entry can have.
pub(crate) const FIELDS: [&str; 3] = ["password", "login", "account"];

impl Entry {
    /// The value of one field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let value = match name {
            "password" => &self.password,
            "login" => &self.login,
            "account" => &self.account,
            _ => return None,
        };
        value.as_ref().map(|value| value.as_str())
    }
}

/// Reads all entries, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, Failure> {
    let mut words = Words {
        rest: text,
        line: 1,
    };
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(keyword) = words.keyword()? {
        match keyword.as_str() {
            "machine" => {
                let machine = Some(words.value()?.to_string());
                entries.push(Entry {
                    machine,
                    ..Entry::default()
                });
            }
            "default" => entries.push(Entry::default()),
            "macdef" => words.skip_macro(),
            field => {
                let slot = entries.last_mut().and_then(|entry| match field {
                    "login" => Some(&mut entry.login),
                    "password" => Some(&mut entry.password),
                    "account" => Some(&mut entry.account),
                    _ => None,
                });
                match slot {
                    Some(slot) => *slot = Some(words.value()?),
                    None => return Err(Failure::Malformed(words.line)),
                }
            }
        }
    }
    Ok(entries)
}

struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next keyword; `None` at the end.
    fn keyword(&mut self) -> Result<Option<Zeroizing<String>>, Failure> {
        loop {
            self.skip_space();
            if !self.rest.starts_with('#') {
                return self.word();
            }
            self.skip_line();
        }
    }

    /// The word after a keyword, which has to be there.
    fn value(&mut self) -> Result<Zeroizing<String>, Failure> {
        self.skip_space();
        self.word()?.ok_or(Failure::Malformed(self.line))
    }

    fn word(&mut self) -> Result<Option<Zeroizing<String>>, Failure> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return self.quoted(quoted).map(Some);
        }
        let end = self
            .rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(Zeroizing::new(word.to_owned())))
    }

    fn quoted(&mut self, body: &str) -> Result<Zeroizing<String>, Failure> {
        // As long as it can get, so that growing leaves no copy behind.
        let longest = body.find('\n').unwrap_or(body.len());
        let mut word = Zeroizing::new(String::with_capacity(longest));
        let mut characters = body.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    let used = self.rest.len() - body.len() + at + 1;
                    self.rest = &self.rest[used..];
                    return Ok(word);
                }
                '\n' => break,
                '\\' => match characters.next() {
                    Some((_, 'n')) => word.push('\n'),
                    Some((_, 'r')) => word.push('\r'),
                    Some((_, 't')) => word.push('\t'),
                    Some((_, other)) => word.push(other),
                    None => break,
                },
                other => word.push(other),
            }
        }
        Err(Failure::Malformed(self.line))
    }

    /// A macro goes on to the next empty line.
    fn skip_macro(&mut self) {
        self.skip_line();
        while !self.rest.is_empty()
            && !self.rest.starts_with('\n')
            && !self.rest.starts_with("\r\n")
        {
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        match self.rest.split_once('\n') {
            Some((_, rest)) => {
                self.line += 1;
                self.rest = rest;
            }
            None => self.rest = "",
        }
    }

    fn skip_space(&mut self) {
        let trimmed = self.rest.trim_ascii_start();
        let skipped = &self.rest[..self.rest.len() - trimmed.len()];
        self.line += skipped.matches('\n').count();
        self.rest = trimmed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password<'a>(entries: &'a [Entry], machine: &str) -> Option<&'a str> {
        let found = entries
            .iter()
            .find(|entry| entry.machine.as_deref() == Some(machine));
        found.and_then(|entry| entry.field("password"))
    }

    #[test]
    fn entries_may_be_on_one_line_or_on_many() {
        let text = "machine a login me password one\nmachine b\n  login you\r\n\tpassword two\r\n";
        let entries = parse(text).unwrap();
        assert_eq!(password(&entries, "a"), Some("one"));
        assert_eq!(password(&entries, "b"), Some("two"));
        assert_eq!(entries[1].field("login"), Some("you"));
        assert_eq!(entries[1].field("account"), None);
    }

    #[test]
    fn quotes_hold_what_words_cannot() {
        let text = r#"machine "a b" password "x \"y\" \\ \n #z""#;
        let entries = parse(text).unwrap();
        assert_eq!(password(&entries, "a b"), Some("x \"y\" \\ \n #z"));
        assert_eq!(
            parse(r#"machine a password """#).unwrap()[0].field("password"),
            Some("")
        );
    }

    #[test]
    fn comments_and_macros_are_passed_over() {
        let text = "# machine x\nmachine a password #1 # that is one\nmacdef init\nmachine no\n\n\
                    default password d\n";
        let entries = parse(text).unwrap();
        assert_eq!(password(&entries, "a"), Some("#1"));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].machine, None);
        assert_eq!(entries[1].field("password"), Some("d"));
    }

    #[test]
    fn a_mistake_is_told_by_its_line() {
        let mistakes = [
            ("password early", 1),
            ("machine a\nfrobnicate x", 2),
            ("machine a\n\npassword", 3),
            ("machine a\npassword \"open\nmachine b", 2),
            ("machine a password \"open\\", 1),
        ];
        for (text, line) in mistakes {
            match parse(text) {
                Err(Failure::Malformed(told)) => assert_eq!(told, line, "{text:?}"),
                _ => panic!("{text:?} was accepted"),
            }
        }
    }
}
