//! `ci-literals`: secrets that are written into the files of CI.

use std::path::Path;

use credchain::redact::Rules;

use super::literal::Judge;
use super::literals::{LIMIT, evidence, line_at, literals, safe};
use super::{Report, Site, tree, yaml};

/// The keys that have variables below them, in all of them.
const KEYS: [&str; 5] = ["env", "with", "secrets", "variables", "environment"];

/// A system that reads such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    GitHub,
    GitLab,
}

/// Looks into the workflows of GitHub and the jobs of GitLab.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let (judge, rules) = (Judge::new(), Rules::builtin());
    let mut report = Report::default();
    let mut looked = false;
    for path in site.tree().files() {
        let below = path.strip_prefix(site.root()).unwrap_or(path);
        let Some(system) = System::of(below) else {
            continue;
        };
        let Some(text) = tree::text(path, LIMIT) else {
            continue;
        };
        looked = true;
        let Some(assigned) = yaml::assignments(&text, &KEYS) else {
            report.note(format!("`{}` is no YAML", site.shown(path)));
            continue;
        };
        let mut lines = Vec::new();
        for one in literals(&judge, &assigned) {
            lines.push(one.line);
            report.problem(evidence(site, path, one), system.fix(&safe(one)));
        }
        // Scripts and arguments: whatever has the form of a secret.
        for found in rules.find(text.as_bytes()) {
            let line = line_at(&text, found.secret.start);
            if !lines.contains(&line) {
                lines.push(line);
                let what = format!("what looks like a secret (`{}`)", found.rule);
                report.problem(
                    format!("`{}`:{line}: {what}", site.shown(path)),
                    system.fix("NAME"),
                );
            }
        }
    }
    if !looked {
        return Report::skipped("there are no workflows of GitHub or GitLab");
    }
    report
}

impl System {
    /// Who reads the file at a path below the root.
    fn of(below: &Path) -> Option<Self> {
        let extension = below.extension()?.to_str()?;
        let name = below.file_name()?.to_str()?;
        match () {
            () if !matches!(extension, "yml" | "yaml") => None,
            () if below.starts_with(".github/workflows") => Some(Self::GitHub),
            () if matches!(name, "action.yml" | "action.yaml") => Some(Self::GitHub),
            () if below.starts_with(".gitlab") => Some(Self::GitLab),
            () if name.ends_with(".gitlab-ci.yml") => Some(Self::GitLab),
            () => None,
        }
    }

    fn fix(self, name: &str) -> String {
        match self {
            Self::GitHub => {
                format!("gh secret set {name}  # then `{name}: ${{{{ secrets.{name} }}}}`")
            }
            Self::GitLab => format!("glab variable set {name} --masked  # then `${name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_files() {
        for (path, system) in [
            (".github/workflows/ci.yml", Some(System::GitHub)),
            (".github/actions/x/action.yaml", Some(System::GitHub)),
            (".github/dependabot.yml", None),
            (".gitlab-ci.yml", Some(System::GitLab)),
            ("ci/deploy.gitlab-ci.yml", Some(System::GitLab)),
            (".gitlab/ci/x.yml", Some(System::GitLab)),
            ("config.yml", None),
        ] {
            assert_eq!(System::of(Path::new(path)), system, "{path}");
        }
    }
}
