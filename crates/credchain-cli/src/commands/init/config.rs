//! The `credchain.toml` that a new project starts with.

use std::collections::BTreeSet;
use std::path::Path;

use credchain::{Address, LinkName, Reference, config, dotenv};

use super::CONFIG;
use crate::declare::{self, Declaration};
use crate::failure::Failure;
use crate::files;

/// Where the names of a project's credentials are found.
const SOURCES: &[&str] = &[".env", ".env.example", ".env.sample", ".env.template"];

/// The longest of those that is read.
const MAX_SOURCE: u64 = 16 << 20;

/// Writes the file if there is none, and tells which credentials it declares.
pub(super) fn write(root: &Path, name: Option<&str>) -> Result<Option<Vec<String>>, Failure> {
    let path = root.join(CONFIG);
    if path.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let name = name.map_or_else(|| directory_name(root), str::to_owned);
    let declarations = found(root)?;
    files::create(&path, text(&name, &declarations).as_bytes())?;
    Ok(Some(declarations.into_iter().map(|one| one.name).collect()))
}

/// Whether a name can be a project's, before anything is made for it.
pub(super) fn check_name(name: Option<&str>) -> Result<(), Failure> {
    if name.is_none_or(is_name) {
        return Ok(());
    }
    Err(Failure::usage_with(
        "this cannot be a project's name",
        "up to 63 letters, digits, `_`, `-` and `.`, beginning with a letter or digit",
    ))
}

/// The keys of the `.env` files, without their values.
fn found(root: &Path) -> Result<Vec<Declaration>, Failure> {
    let mut seen = BTreeSet::new();
    let mut declarations = Vec::new();
    for source in SOURCES {
        let path = root.join(source);
        if !path.is_file() {
            continue;
        }
        let bytes = files::read(&path, MAX_SOURCE)?;
        // One that cannot be read is no reason to stop: it is only looked at for names.
        let Ok(parsed) = dotenv::parse(&bytes, &|_| None) else {
            continue;
        };
        for entry in parsed.entries {
            // SECURITY: the file may have come with the project. What `init` writes is trusted,
            // so it must not hand programs a variable that makes them run something.
            if !config::is_loader_variable(&entry.key) && seen.insert(entry.key.clone()) {
                declarations.push(Declaration {
                    at: unusual_place(&entry.key),
                    ..Declaration::for_variable(&entry.key)
                });
            }
        }
    }
    declare::make_unique(&mut declarations, |_| false);
    Ok(declarations)
}

/// Where a key is found that is no variable's name, and so follows from no declaration.
fn unusual_place(key: &str) -> Option<Address> {
    if declare::is_variable(key) {
        return None;
    }
    let reference = Reference::new(key).ok()?;
    Some(Address {
        link: LinkName::literal("dotenv"),
        reference,
    })
}

fn text(name: &str, declarations: &[Declaration]) -> String {
    let declared = if declarations.is_empty() {
        "# [credentials.api_key]\n# description = \"billing API\"\n".to_owned()
    } else {
        let tables: Vec<String> = declarations.iter().map(Declaration::to_toml).collect();
        tables.join("\n")
    };
    format!(
        "\
# The credentials of this project and where they come from. It holds no secret: commit it.
# `resolve config check` finds mistakes, `resolve config show` tells where each setting is made.

[project]
name = {}

# The providers that are asked, in this order; the first that has a value wins. One that fails
# ends the search, so that an outage is never mistaken for \"not there\".
#   env     the environment variable, API_KEY for `api_key`
#   dotenv  the file `.env` beside this one
#   age     the file `credchain.age` beside this one: encrypted, so commit it, too
[chain]
default = [\"env\", \"dotenv\", \"age\"]
write = \"age\"    # where `resolve set` stores

# [providers.dotenv]
# files = [\".env.local\", \".env\"]

# What programs get: `resolve check` tells what is missing, `resolve exec -- PROGRAM` hands it
# over. More keys: env, default, secret = false, as_file, template, chain, at.
{declared}
# [credentials.db_url]
# template = \"postgres://app:{{{{ db_password | url }}}}@localhost/app\"

# Who used which credential: `resolve audit show`. Without this table there is no log.
[audit]

# How old the values may become: `resolve rotation status`.
# [rotation.policies.quarterly]
# match = [\"*\"]
# every = \"90d\"

# What is different in production, with `--profile production`:
# [profiles.production]
# chain.default = [\"env\"]
",
        declare::quoted(name)
    )
}

/// As the configuration takes it: it is part of paths at every backend.
fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn directory_name(root: &Path) -> String {
    let name = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name
        .trim_start_matches(['_', '-', '.'])
        .chars()
        .take(63)
        .collect::<String>();
    if is_name(&name) {
        name
    } else {
        "project".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_toml_and_every_comment_is_a_comment() {
        let declarations = [
            Declaration::for_variable("API_KEY"),
            Declaration::for_variable("x-y"),
        ];
        for declarations in [&[][..], &declarations[..]] {
            let text = text("pipeline", declarations);
            let table: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(table["project"]["name"].as_str(), Some("pipeline"));
            assert_eq!(table["chain"]["write"].as_str(), Some("age"));
            assert_eq!(table.contains_key("credentials"), !declarations.is_empty());
        }
    }

    #[test]
    fn a_directory_gives_a_name_that_is_one() {
        for (directory, name) in [
            ("/x/my project", "my-project"),
            ("/x/.hidden", "hidden"),
            ("/", "project"),
            ("/ü", "project"),
        ] {
            assert_eq!(directory_name(Path::new(directory)), name);
        }
    }
}
