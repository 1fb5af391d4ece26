//! The values and rules of this project.

use std::collections::BTreeMap;

use credchain::redact::{Redactor, Rules};
use credchain::{Credchain, Kind};

use crate::app::App;
use crate::commands::redact::warn_of_unmasked;
use crate::failure::Failure;

/// What to look for.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) redactor: Redactor,
    pub(super) rules: Rules,
    /// The credentials whose values could not be read, so that they are not looked for.
    pub(super) unread: Vec<String>,
}

impl Known {
    /// Reads every declared credential, unless only patterns are wanted. What cannot be read is a
    /// warning: a scan for the rest is worth more than none.
    pub(super) fn read(patterns_only: bool, app: &App) -> Result<Self, Failure> {
        let credchain = match app.open() {
            Ok(credchain) => credchain,
            Err(failure) if patterns_only => {
                app.output().warn(
                    "the configuration cannot be read, so its own rules are not looked for; \
                     `resolve config check` says why",
                );
                // It is told there, and rules that come with the program need none.
                drop(failure);
                return Ok(Self::patterns(Rules::builtin()));
            }
            Err(failure) => return Err(failure),
        };
        let rules = match credchain.scan_rules() {
            Ok(rules) => rules,
            Err(error) if error.kind() == Kind::Untrusted => {
                app.output().warn(
                    "`[redaction]` is not trusted, so its rules are not looked for; \
                     `resolve trust` shows what it wants",
                );
                Rules::builtin()
            }
            Err(error) => return Err(error.into()),
        };
        if patterns_only || !credchain.loaded().configured {
            // Without a configuration nothing says which lines of `.env` are secret.
            return Ok(Self::patterns(rules));
        }
        Self::values(&credchain, rules, app)
    }

    fn patterns(rules: Rules) -> Self {
        Self {
            redactor: Redactor::new(),
            rules,
            unread: Vec::new(),
        }
    }

    fn values(credchain: &Credchain, rules: Rules, app: &App) -> Result<Self, Failure> {
        // Every value that is resolved from here on is known to it.
        let redactor = match credchain.redactor() {
            Ok(redactor) => redactor,
            Err(error) if error.kind() == Kind::Untrusted => return Ok(Self::patterns(rules)),
            Err(error) => return Err(error.into()),
        };
        let mut names = credchain.declared()?;
        names.retain(|name| credchain.is_secret(name));
        let mut unread: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, resolution) in names.iter().zip(app.resolve(credchain, &names)?) {
            // What is not there is in no file.
            if let Err(error) = resolution.result
                && !error.kind().is_miss()
            {
                unread
                    .entry(error.kind().as_str())
                    .or_default()
                    .push(name.to_string());
            }
        }
        for (kind, names) in &unread {
            app.output().warn(&format!(
                "not looked for, since the value is {kind}: {}; `resolve check` says why",
                names
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        warn_of_unmasked(credchain, app);
        let mut unread: Vec<String> = unread.into_values().flatten().collect();
        unread.sort();
        Ok(Self {
            redactor,
            rules,
            unread,
        })
    }
}
