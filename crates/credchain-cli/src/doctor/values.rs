//! `short-values`, and the project's own values for the checks that look for them.

use credchain::redact::Redactor;
use credchain::{Credchain, Name};

use super::refresh::Ending;
use super::{Report, Site, words};
use crate::failure::Failure;

/// What is known of the project's secrets; where they are sought, `known` has their values.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) known: Redactor,
    ending: Vec<Ending>,
    /// How many could not be read.
    unread: usize,
    /// How many would have had to be asked of a server.
    left: usize,
}

impl Values {
    /// Reads every secret that this process, files and local stores have; servers are asked with
    /// `--online` only. Else why there is nothing to be known.
    pub(crate) fn read(site: &Site<'_>) -> Result<Self, String> {
        let Ok(project) = site.project() else {
            return Err("the configuration has mistakes".to_owned());
        };
        if !project.loaded().configured {
            // Half of a `.env` file is ports, levels and switches.
            let why = "nothing says what is secret; `resolve init` makes a configuration";
            return Err(why.to_owned());
        }
        Self::of(site, project).map_err(|failure| words(&failure))
    }

    fn of(site: &Site<'_>, project: &Credchain) -> Result<Self, Failure> {
        // Every value that is resolved from here on is looked at by the redactor.
        let known = project.redactor()?;
        let secrets = project.declared()?.into_iter();
        let secrets = secrets.filter(|name| project.is_secret(name));
        let (names, left): (Vec<Name>, Vec<Name>) =
            secrets.partition(|name| site.online() || project.is_at_hand(name));
        let resolutions = site.app().resolve(project, &names)?;
        let failed = resolutions.iter().filter(|one| one.result.is_err());
        let cx = project.resolver().context();
        let ending = names.iter().zip(&resolutions).filter_map(|(name, one)| {
            // Such a one is renewed already.
            let stored = !project.project().oauth2.contains_key(name);
            let value = one.result.as_ref().ok().filter(|_| stored)?;
            Ending::of(name, value.expose(), &cx)
        });
        Ok(Self {
            known,
            ending: ending.collect(),
            unread: failed.count(),
            left: left.len(),
        })
    }

    /// Access tokens that nothing renews.
    pub(crate) fn ending(&self) -> &[Ending] {
        &self.ending
    }
}

/// Whether every secret that can be read here is long and rare enough to be masked.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let (values, project) = match (site.values(), site.project()) {
        (Ok(values), Ok(project)) => (values, project),
        (Err(why), _) => return Report::skipped(why),
        (_, Err(failure)) => return Report::skipped(words(failure)),
    };
    let mut report = Report::default();
    for (name, reason) in project.unmasked() {
        report.problem(
            format!("`{name}` is not masked in output: {reason}"),
            format!("a longer value, or `mask = true` in `[credentials.{name}]`"),
        );
    }
    if values.unread > 0 {
        let count = values.unread;
        report.note(format!(
            "{count} could not be read; `resolve check` says why"
        ));
    }
    if values.left > 0 {
        let count = values.left;
        report.note(format!("{count} not read; `--online` asks their stores"));
    }
    report
}
