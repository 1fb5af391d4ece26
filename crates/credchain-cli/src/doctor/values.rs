//! `short-values`: values that are not masked in output.

use credchain::{Credchain, Name};

use super::{Report, Site, words};
use crate::failure::Failure;

/// Whether every secret that can be read here is long and rare enough to be masked. Servers are
/// asked with `--online` only.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let Ok(project) = site.project() else {
        return Report::skipped("the configuration has mistakes");
    };
    if !project.loaded().configured {
        // Half of a `.env` file is ports, levels and switches.
        return Report::skipped(
            "nothing says what is secret; `resolve init` makes a configuration",
        );
    }
    match short(site, project) {
        Ok(report) => report,
        Err(failure) => Report::skipped(words(&failure)),
    }
}

fn short(site: &Site<'_>, project: &Credchain) -> Result<Report, Failure> {
    // Every value that is resolved from here on is looked at by the redactor.
    project.redactor()?;
    let secrets = project.declared()?.into_iter();
    let secrets = secrets.filter(|name| project.is_secret(name));
    let (names, left): (Vec<Name>, Vec<Name>) =
        secrets.partition(|name| site.online() || project.is_at_hand(name));
    let resolutions = site.app().resolve(project, &names)?;
    let mut report = Report::default();
    let unread = resolutions.iter().filter(|one| one.result.is_err()).count();
    for (name, reason) in project.unmasked() {
        report.problem(
            format!("`{name}` is not masked in output: {reason}"),
            format!("a longer value, or `mask = true` in `[credentials.{name}]`"),
        );
    }
    if unread > 0 {
        report.note(format!(
            "{unread} could not be read; `resolve check` says why"
        ));
    }
    if !left.is_empty() {
        report.note(format!(
            "{} not read; `--online` asks their stores",
            left.len()
        ));
    }
    Ok(report)
}
