//! Writing `[credentials.NAME]` tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use credchain::{Address, Name};

use crate::failure::Failure;
use crate::files::{self, Mode};

/// One table of `[credentials]`, as it is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// The environment variable, where it is not the conventional one.
    pub(crate) env: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) template: Option<String>,
    /// Where one link keeps it, if not at the conventional place.
    pub(crate) at: Option<Address>,
    pub(crate) as_file: bool,
    /// `secret = false`.
    pub(crate) public: bool,
    /// The profile that alone has it.
    pub(crate) profile: Option<String>,
}

impl Declaration {
    /// The declaration of what was stored at a place under a name, which may be none that can be
    /// declared.
    pub(crate) fn for_stored(name: &Name, at: &Address) -> Self {
        if name.is_declarable() {
            return Self {
                name: name.to_string(),
                ..Self::default()
            };
        }
        Self {
            at: Some(at.clone()),
            ..Self::for_variable(name.as_str())
        }
    }

    /// The declaration of an environment variable.
    pub(crate) fn for_variable(variable: &str) -> Self {
        let name = declarable(variable);
        let differs = name.to_ascii_uppercase() != variable && is_variable(variable);
        let env = differs.then(|| variable.to_owned());
        Self {
            name,
            env,
            ..Self::default()
        }
    }

    /// The table's text.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = match &self.profile {
            Some(profile) => format!("[profiles.{}.credentials.{}]\n", key(profile), self.name),
            None => format!("[credentials.{}]\n", self.name),
        };
        let mut line = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        };
        line("description", &self.description);
        line("env", &self.env);
        line("template", &self.template);
        line("default", &self.default);
        if let Some(at) = &self.at {
            let place = quoted(&at.reference.to_string());
            let _ = writeln!(text, "at = {{ {} = {place} }}", at.link);
        }
        for (key, value, wanted) in [
            ("secret", "false", self.public),
            ("as_file", "true", self.as_file),
        ] {
            if wanted {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}

/// Gives every name to one declaration only: `api_key_2` where `api_key` is taken.
pub(crate) fn make_unique(declarations: &mut [Declaration], taken: impl Fn(&str) -> bool) {
    let mut seen: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for declaration in declarations {
        let base = declaration.name.clone();
        let mut number = 1;
        let slot = |name: &str| (declaration.profile.clone(), name.to_owned());
        while (declaration.profile.is_none() && taken(&declaration.name))
            || seen.contains(&slot(&declaration.name))
        {
            number += 1;
            let suffix = format!("_{number}");
            let kept = base.len().min(63 - suffix.len());
            let renamed = format!("{}{suffix}", &base[..kept]);
            declaration.name = renamed;
        }
        seen.insert(slot(&declaration.name));
    }
}

/// Whether [`append`] would succeed; to be asked before anything else is changed.
pub(crate) fn check(file: &Path, declarations: &[Declaration]) -> Result<(), Failure> {
    if !declarations.is_empty() {
        files::replaceable(file)?;
        with_tables(file, declarations)?;
    }
    Ok(())
}

/// Adds tables to the end of a configuration, which stays as it is up to there.
pub(crate) fn append(file: &Path, declarations: &[Declaration]) -> Result<(), Failure> {
    if declarations.is_empty() {
        return Ok(());
    }
    let text = with_tables(file, declarations)?;
    files::replace(file, text.as_bytes(), Mode::Shared)
}

fn with_tables(file: &Path, declarations: &[Declaration]) -> Result<String, Failure> {
    let before = files::read(file, 64 << 20)?;
    let before = std::str::from_utf8(&before).map_err(|_| {
        Failure::usage(format!(
            "`{}` is not UTF-8, so nothing can be added to it",
            file.display()
        ))
    })?;
    let added: Vec<String> = declarations.iter().map(Declaration::to_toml).collect();
    let added = added.join("\n");
    let line_ending = if before.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut text = before.to_owned();
    if !text.is_empty() {
        if !text.ends_with('\n') {
            text.push_str(line_ending);
        }
        text.push_str(line_ending);
    }
    text.push_str(&added.replace('\n', line_ending));
    // `credentials = { … }` on one line takes no table after it.
    if toml::from_str::<toml::Table>(&text).is_ok() {
        return Ok(text);
    }
    Err(Failure::usage_with(
        format!(
            "`{}` cannot be added to without changing what is there",
            file.display()
        ),
        format!("add these lines yourself:\n\n{added}"),
    ))
}

/// Whether programs can have a variable of this name: shells take no other.
pub(crate) fn is_variable(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The nearest name that can be declared.
fn declarable(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    let name = name.trim_start_matches('_');
    let name = match name.chars().next() {
        None => "credential".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("n{name}"),
        Some(_) => name.to_owned(),
    };
    name.chars().take(63).collect()
}

fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { text.to_owned() } else { quoted(text) }
}

/// A basic TOML string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_becomes_the_nearest_name_and_keeps_its_own() {
        for (variable, name, env) in [
            ("API_KEY", "api_key", None),
            ("ApiKey", "apikey", Some("ApiKey")),
            ("my-key.x", "my_key_x", None),
            ("_TOKEN", "token", Some("_TOKEN")),
            ("2FA", "n2fa", None),
            ("___", "credential", Some("___")),
            ("ÄÖ", "credential", None),
        ] {
            let declaration = Declaration::for_variable(variable);
            assert_eq!(declaration.name, name, "{variable}");
            assert_eq!(declaration.env.as_deref(), env, "{variable}");
            assert!(declaration.name.parse::<Name>().unwrap().is_declarable());
        }
    }

    #[test]
    fn no_two_declarations_share_a_name() {
        let mut all: Vec<_> = ["API_KEY", "Api_Key", "api.key"]
            .map(Declaration::for_variable)
            .into();
        make_unique(&mut all, |name| name == "api_key_2");
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["api_key", "api_key_3", "api_key_4"]);
        assert_eq!(all[1].env.as_deref(), Some("Api_Key"));
    }

    #[test]
    fn tables_are_added_after_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credchain.toml");
        std::fs::write(&file, "# mine\n[chain]\ndefault = [\"env\"] # so").unwrap();
        let new = Declaration {
            name: "api_key".into(),
            description: Some("the \"key\"\nof it".into()),
            ..Declaration::default()
        };
        append(&file, &[new]).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "# mine\n[chain]\ndefault = [\"env\"] # so\n\n[credentials.api_key]\n\
             description = \"the \\\"key\\\"\\nof it\"\n"
        );
    }

    #[test]
    fn a_file_that_takes_no_table_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credchain.toml");
        let text = "credentials = { a = {} }\n";
        std::fs::write(&file, text).unwrap();
        let new = Declaration {
            name: "b".into(),
            ..Declaration::default()
        };
        assert!(append(&file, &[new]).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}
