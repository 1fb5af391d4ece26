//! `ignored-files` and `tracked-files`: nothing that usually holds a secret is committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use credchain::files::Links;

use super::tree::{self, Tree};
use super::{Mend, Problem, Report, Site};
use crate::ignore::USUAL;

/// Ends of the names of files that show which variables there are, without a value.
const TEMPLATES: [&str; 4] = [".example", ".sample", ".template", ".dist"];

/// Larger than any key or certificate.
const LARGEST_KEY: u64 = 1 << 20;

/// A path that git should ignore.
struct Wanted {
    /// Below the root.
    path: PathBuf,
    /// The line of `.gitignore` that makes it so, if one can.
    line: Option<String>,
    /// How it is called.
    shown: String,
}

/// Whether git ignores what usually holds a secret, and what here does.
pub(crate) fn ignored(site: &Site<'_>) -> Report {
    let git = match site.git() {
        Ok(git) => git,
        Err(why) => return Report::skipped(why),
    };
    let wanted = wanted(site);
    let paths: Vec<PathBuf> = wanted.iter().map(|one| one.path.clone()).collect();
    let Ok(ignored) = git.ignored(&paths) else {
        return Report::skipped(
            "git does not say what it ignores; `git check-ignore .env` says why",
        );
    };
    let open: Vec<Wanted> = wanted
        .into_iter()
        .filter(|one| !ignored.contains(&one.path))
        .collect();
    let lines: BTreeSet<&str> = open.iter().filter_map(|one| one.line.as_deref()).collect();
    let words: Vec<String> = lines
        .iter()
        .map(|line| site.word(Path::new(line)))
        .collect();
    let file = site.word(&site.root().join(".gitignore"));
    // The first line ends what may be an unfinished one.
    let append = format!("printf '%s\\n' '' {} >>{file}", words.join(" "));
    let mut report = Report::default();
    report.extend(open.iter().map(|one| Problem {
        evidence: format!("{} is not ignored by git", one.shown),
        fix: match &one.line {
            Some(_) => append.clone(),
            None => format!("a line for it in {file}"),
        },
        mend: one.line.clone().map(Mend::Ignore),
    }));
    report.notes.extend(site.tree().caveat());
    report
}

/// Whether any such file is committed already. Not mended: to take a file out of the index says
/// nothing about the history, which is where the secret is, and looks as if it did.
pub(crate) fn tracked(site: &Site<'_>) -> Report {
    let git = match site.git() {
        Ok(git) => git,
        Err(why) => return Report::skipped(why),
    };
    let Ok(tracked) = git.tracked() else {
        return Report::skipped("git does not say what it tracks; `git ls-files` says why");
    };
    let identities = identities(site);
    let mut report = Report::default();
    for below in tracked {
        let path = site.root().join(&below);
        let secret = identities.contains(&below) || holds_secrets(&path);
        if secret {
            report.problem(
                format!("`{}` is tracked by git", site.shown(&path)),
                format!(
                    "git rm --cached {}  # then commit, and rotate what is in it: history keeps it",
                    site.word(&path)
                ),
            );
        }
    }
    report
}

/// What is usual, and what is there.
fn wanted(site: &Site<'_>) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = USUAL
        .iter()
        .map(|line| Wanted {
            // A pattern is asked for by a name that it stands for.
            path: PathBuf::from(line.replace('*', "credchain-doctor")),
            line: Some((*line).to_owned()),
            shown: format!("`{line}`"),
        })
        .collect();
    let mut known: BTreeSet<PathBuf> = wanted.iter().map(|one| one.path.clone()).collect();
    let mut add = |below: &Path, line: Option<String>| {
        if known.insert(below.to_owned()) {
            wanted.push(Wanted {
                path: below.to_owned(),
                line,
                shown: format!(
                    "`{}`, which is there,",
                    site.shown(&site.root().join(below))
                ),
            });
        }
    };
    for below in identities(site) {
        add(&below, line_of(&below));
    }
    for path in present(site.tree()) {
        if let Ok(below) = path.strip_prefix(site.root()) {
            add(below, pattern(path));
        }
    }
    wanted
}

/// The files here that hold secrets by their name.
fn present(tree: &Tree) -> impl Iterator<Item = &Path> {
    tree.files().filter(|path| holds_secrets(path))
}

/// Whether a file usually holds a secret, and is no certificate or public key.
fn holds_secrets(path: &Path) -> bool {
    is_dotenv(path) || (usual(path).is_some() && !is_public(path))
}

/// The line of `.gitignore` for a file that usually holds secrets, if a line can name it.
fn pattern(path: &Path) -> Option<String> {
    if !is_dotenv(path) {
        return usual(path).map(str::to_owned);
    }
    let line = line_of(Path::new(path.file_name()?))?;
    Some(line.trim_start_matches('/').to_owned())
}

/// The usual line for a file of keys or logins.
fn usual(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "pem" => Some("*.pem"),
        "key" => Some("*.key"),
        "json" if path.ends_with("credentials.json") => Some("credentials.json"),
        _ => None,
    }
}

/// Whether this is a file with variables by its name, and no template of one.
pub(crate) fn is_dotenv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let of_variables = name == b".env" || name.starts_with(b".env.");
    let mut templates = TEMPLATES.iter();
    of_variables && !templates.any(|end| name.ends_with(end.as_bytes()))
}

/// Whether a file in PEM has nothing in it but what may be shown.
fn is_public(path: &Path) -> bool {
    let is_key = |name: &str| matches!(name, "pem" | "key");
    let extension = path.extension().and_then(|name| name.to_str());
    if !extension.is_some_and(is_key) {
        return false;
    }
    let Some(bytes) = tree::read(path, Links::Refuse, LARGEST_KEY) else {
        return false;
    };
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    has(b"-----BEGIN ") && !has(b"PRIVATE KEY")
}

/// The private keys of stores that lie in the project, below its root.
fn identities(site: &Site<'_>) -> Vec<PathBuf> {
    let Ok(project) = site.project() else {
        return Vec::new();
    };
    let all = project.identity_files().into_iter();
    all.filter_map(|path| path.strip_prefix(site.root()).map(Path::to_owned).ok())
        .collect()
}

/// The line of `.gitignore` that means this one path below the root, if a line can.
fn line_of(below: &Path) -> Option<String> {
    let text = below.to_str()?;
    if text.contains(['\n', '\r']) {
        return None;
    }
    let mut line = String::from("/");
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '?' | '[' | ']' | ' ' | '#' | '!') {
            line.push('\\');
        }
        line.push(if c == std::path::MAIN_SEPARATOR {
            '/'
        } else {
            c
        });
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_of_variables_holds_no_secrets() {
        for (name, is) in [
            (".env", true),
            (".env.production", true),
            ("a/.env.local.bak", true),
            (".env.example", false),
            (".env.local.sample", false),
            (".env.template", false),
            (".environment", false),
            ("x.env", false),
        ] {
            assert_eq!(is_dotenv(Path::new(name)), is, "{name}");
        }
    }

    #[test]
    fn each_file_has_its_line() {
        for (path, line) in [
            ("a/.env.staging", Some(".env.staging")),
            ("a/.env.[x] y", Some(".env.\\[x\\]\\ y")),
            ("a/.env.a\nb", None),
            ("tls/server.pem", Some("*.pem")),
            ("credentials.json", Some("credentials.json")),
            ("package.json", None),
            ("pem", None),
        ] {
            assert_eq!(pattern(Path::new(path)).as_deref(), line, "{path}");
        }
        assert_eq!(line_of(Path::new("keys/#1")).as_deref(), Some("/keys/\\#1"));
    }

    #[test]
    fn certificates_and_public_keys_are_no_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pem");
        let block = |what: &str| format!("-----BEGIN {what}-----\nAA==\n-----END {what}-----\n");
        for (content, public) in [
            (block("CERTIFICATE"), true),
            (block("PUBLIC KEY"), true),
            (block("CERTIFICATE") + &block("EC PRIVATE KEY"), false),
            ("\u{30}\u{82}".to_owned(), false),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(is_public(&path), public, "{content}");
        }
        assert!(!is_public(&directory.path().join("absent.pem")));
    }
}
