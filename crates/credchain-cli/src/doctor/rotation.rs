//! `rotation-due`

use credchain::rotate::Status;
use credchain::{Age, Credchain, Name};

use super::{Report, Site, words};

/// Values that are too old, or of which nobody knows how old they are.
pub(super) fn look(site: &Site<'_>) -> Report {
    let Ok(project) = site.project() else {
        return Report::skipped("the configuration has mistakes");
    };
    let now = project.resolver().context().clock().now();
    let online = site.online();
    let near = |name: &Name| online || project.is_at_hand(name);
    let ages = match site.app().wait(project.ages_asking(now, near)) {
        Ok(Ok(ages)) => ages,
        Ok(Err(error)) => return Report::skipped(error.message().to_owned()),
        Err(failure) => return Report::skipped(words(&failure)),
    };
    let mut report = Report::default();
    if ages.is_empty() {
        report.note("nothing says how old anything may become: `rotate`, or `[rotation.policies]`");
    }
    for age in &ages {
        if let Some(evidence) = evidence(age) {
            report.problem(evidence, fix(project, &age.row.name));
        }
    }
    report
}

fn evidence(age: &Age) -> Option<String> {
    let name = &age.row.name;
    let days = age.row.days_left.unwrap_or_default();
    match age.row.status {
        Status::Expired => Some(format!(
            "`{name}` should have been replaced {} days ago",
            -days
        )),
        Status::Urgent => Some(format!(
            "`{name}` has to be replaced within {} days",
            days + 1
        )),
        Status::Unknown => Some(format!("nobody knows how old `{name}` is")),
        Status::ClockSuspect => Some(format!("`{name}` was made in the future")),
        _ => None,
    }
}

fn fix(project: &Credchain, name: &str) -> String {
    if project.rotatable().any(|one| one.as_str() == name) {
        return format!("resolve rotation run {name}");
    }
    if name.parse::<Name>().is_ok() {
        return format!(
            "resolve rotation register {name}  # when it was made, or now that you have replaced it"
        );
    }
    format!("resolve rotation register \"{name}\"  # now that you have replaced it")
}
