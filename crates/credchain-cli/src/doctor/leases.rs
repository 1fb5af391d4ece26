//! `leases`: logins that were handed in and are about to end.

use std::time::Duration;

use credchain::config::ProviderSpec;
use credchain::{Credchain, Kind, format_duration};

use super::{Report, Site, words};
use crate::output::printable_line;

/// What ends within this time is worth a word.
const SOON: Duration = Duration::from_hours(24);

/// Asks each store how long its login lasts. A provider that logs in by itself does so again; a
/// token that somebody handed in just ends.
pub(crate) fn look(site: &Site<'_>) -> Report {
    if !site.online() {
        return Report::skipped("asks servers: `resolve doctor --online`");
    }
    let Ok(project) = site.project() else {
        return Report::skipped("the configuration has mistakes");
    };
    let mut report = Report::default();
    for spec in project.project().providers.values() {
        if spec.built && is_handed_in(spec) && project.verdict().link(&spec.name).is_none() {
            ask(site, project, spec, &mut report);
        }
    }
    report
}

/// Whether the provider uses a token as it is.
fn is_handed_in(spec: &ProviderSpec) -> bool {
    let auth = spec.settings.table("auth").ok().flatten();
    let method = auth.as_ref().and_then(|auth| auth.text("method").ok()?);
    spec.type_name == "vault" && method.is_none_or(|method| method == "token")
}

fn ask(site: &Site<'_>, project: &Credchain, spec: &ProviderSpec, report: &mut Report) {
    let Some(link) = project.resolver().link(&spec.name) else {
        return;
    };
    let cx = project.resolver().context();
    let identity = match site.app().wait(link.provider().identity(&cx)) {
        Ok(Ok(identity)) => identity,
        Ok(Err(error)) if error.kind() == Kind::Absent => return,
        Ok(Err(error)) => {
            let why = format!("`{}` was not asked: {error}", spec.name);
            report.skipped = Some(printable_line(&why));
            return;
        }
        Err(failure) => {
            report.skipped = Some(words(&failure));
            return;
        }
    };
    let now = cx.clock().now();
    let left = identity
        .expires
        .map(|at| at.duration_since(now).unwrap_or_default());
    if let Some(left) = left.filter(|left| *left < SOON) {
        report.problem(
            format!(
                "the token of `{}` ends in {}",
                spec.name,
                format_duration(Duration::from_secs(left.as_secs()))
            ),
            "vault token renew  # or `vault login`, or a login in the provider's `auth`",
        );
    }
}
