//! `literals`: secrets that are written where a reference to the environment belongs.

use std::path::Path;

use credchain::Credchain;
use credchain::redact::Rules;

use super::literal::Judge;
use super::yaml::{self, Assignment};
use super::{Report, Site, dockerfile, tree};
use crate::output::printable_line;

/// Larger files are not written by hand.
pub(super) const LIMIT: u64 = 4 << 20;

/// The keys of compose files that have variables below them.
const COMPOSE_KEYS: [&str; 2] = ["environment", "args"];

/// Looks into the configuration, compose files and Dockerfiles.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    match site.project() {
        Ok(project) => configuration(site, project, &mut report),
        Err(_) => report.note("the configuration has mistakes and was left out"),
    }
    let judge = Judge::new();
    for path in site.tree().files() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let (is_compose, is_dockerfile) = (is_compose(name), is_dockerfile(name));
        if !is_compose && !is_dockerfile {
            continue;
        }
        let Some(text) = tree::text(path, LIMIT) else {
            continue;
        };
        let assigned = if is_compose {
            yaml::assignments(&text, &COMPOSE_KEYS).unwrap_or_default()
        } else {
            dockerfile::assignments(&text)
        };
        for one in literals(&judge, &assigned) {
            report.problem(
                evidence(site, path, one),
                if is_compose {
                    format!(
                        "`{0}: ${{{0}}}`, and `resolve exec -- docker compose up`",
                        safe(one)
                    )
                } else {
                    format!("RUN --mount=type=secret,id={}  # and rotate it", safe(one))
                },
            );
        }
    }
    report.notes.extend(site.tree().caveat());
    report
}

/// Which of some variables are secrets that somebody wrote down.
pub(super) fn literals<'a>(
    judge: &Judge,
    all: &'a [Assignment],
) -> impl Iterator<Item = &'a Assignment> {
    let secret = |one: &&Assignment| judge.is_secret(&one.name, &one.value);
    all.iter().filter(secret)
}

/// Where a literal is, and under which name.
pub(super) fn evidence(site: &Site<'_>, path: &Path, one: &Assignment) -> String {
    format!(
        "`{}`:{}: `{}` is a literal",
        site.shown(path),
        one.line,
        safe(one)
    )
}

/// A variable's name on one line.
pub(super) fn safe(one: &Assignment) -> String {
    printable_line(&one.name)
}

/// A default of a secret, and whatever the rules find in the files of the configuration.
fn configuration(site: &Site<'_>, project: &Credchain, report: &mut Report) {
    for spec in project.project().credentials.values() {
        let is_set = spec.default.as_ref().is_some_and(|value| !value.is_empty());
        if spec.secret && is_set {
            let place = project
                .loaded()
                .origin(&["credentials", spec.name.as_str(), "default"]);
            report.problem(
                printable_line(&format!(
                    "`{}` has a literal `default` ({place})",
                    spec.name
                )),
                format!(
                    "resolve set {}  # and no `default`; or `secret = false`",
                    spec.name
                ),
            );
        }
    }
    let rules = Rules::builtin();
    for file in &project.loaded().files {
        let text = file.text();
        for found in rules.find(text.as_bytes()) {
            report.problem(
                format!(
                    "`{}`:{}: what looks like a secret (`{}`)",
                    site.shown(file.path()),
                    line_at(text, found.secret.start),
                    found.rule
                ),
                "`{ credential = \"NAME\" }` in its place, and `resolve set NAME`",
            );
        }
    }
}

/// The number of the line that a byte is in.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

fn is_compose(name: &str) -> bool {
    let stem = name
        .strip_suffix(".yml")
        .or_else(|| name.strip_suffix(".yaml"));
    stem.is_some_and(|stem| {
        let stem = stem.strip_prefix("docker-").unwrap_or(stem);
        stem == "compose" || stem.starts_with("compose.") || stem.starts_with("compose-")
    })
}

fn is_dockerfile(name: &str) -> bool {
    ["Dockerfile", "Containerfile"].iter().any(|usual| {
        let rest = name.strip_prefix(usual);
        let is_suffixed = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        is_suffixed
            || name
                .strip_suffix(usual)
                .is_some_and(|stem| stem.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for (name, compose, docker) in [
            ("docker-compose.yml", true, false),
            ("docker-compose.prod.yaml", true, false),
            ("compose.yaml", true, false),
            ("composer.yml", false, false),
            ("Dockerfile", false, true),
            ("Dockerfile.dev", false, true),
            ("api.Dockerfile", false, true),
            ("Containerfile", false, true),
            ("Dockerfiles", false, false),
        ] {
            assert_eq!(
                (is_compose(name), is_dockerfile(name)),
                (compose, docker),
                "{name}"
            );
        }
    }
}
