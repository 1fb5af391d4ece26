//! `[rotation]`: the zone, the policies, and what accepts which credential.

use std::time::Duration;

use credchain_core::{LinkName, Name, Settings, format_duration, parse_duration};
use figment::value::{Dict, Value};

use super::{Assembly, Fields, providers};
use crate::diagnostic::Diagnostic;
use crate::model::{PolicySpec, TargetSpec};
use crate::suggest::suggestion;
use crate::tables::TARGETS;

/// The overlap of a target that says nothing else.
const OVERLAP: Duration = Duration::from_hours(24);

pub(super) fn read(cx: &mut Assembly<'_>) {
    timezone(cx);
    let tables = |key: &str| cx.table(&["rotation", key]);
    let (policies, targets) = (tables("policies"), tables("targets"));
    for (name, value) in policies.into_iter().flatten() {
        if let Value::Dict(_, dict) = value {
            policy(cx, name, Fields(dict));
        }
    }
    for (name, value) in targets.into_iter().flatten() {
        if let Value::Dict(_, dict) = value {
            target(cx, name, dict);
        }
    }
}

fn timezone(cx: &mut Assembly<'_>) {
    let Some(zone) = cx
        .table(&["rotation"])
        .and_then(|table| Fields(table).text("timezone"))
    else {
        return;
    };
    if is_timezone(zone) {
        zone.clone_into(&mut cx.project.rotation.timezone);
        return;
    }
    let place = cx.merged.value_place(&["rotation", "timezone"]);
    cx.report(
        Diagnostic::error(
            "config::bad-timezone",
            "`rotation.timezone` is no time zone",
        )
        .at(&place, "not the form of a time zone's name")
        .help("an IANA name such as `UTC` or `Europe/Berlin`"),
    );
}

fn policy(cx: &mut Assembly<'_>, name: &str, fields: Fields<'_>) {
    let spec = PolicySpec {
        matches: {
            let texts = fields.texts("match").unwrap_or_default().into_iter();
            texts.map(str::to_owned).collect()
        },
        every: fields.text("every").and_then(parse_duration),
        schedule: fields.owned("schedule"),
        jitter: fields.text("jitter").and_then(parse_duration),
    };
    if spec.every.is_some() == spec.schedule.is_some() && cx.shapes_fit {
        let place = cx.merged.key_place(&["rotation", "policies", name]);
        let problem = if spec.every.is_some() {
            "has both `every` and `schedule`"
        } else {
            "has neither `every` nor `schedule`"
        };
        cx.report(
            Diagnostic::error(
                "config::contradiction",
                format!("`rotation.policies.{name}` {problem}"),
            )
            .at(&place, "one of them says when")
            .help("`every = \"90d\"` is an age, `schedule = \"0 3 1 */3 *\"` is a calendar"),
        );
        return;
    }
    cx.project.rotation.policies.insert(name.to_owned(), spec);
}

fn target(cx: &mut Assembly<'_>, key: &str, dict: &Dict) {
    let path = ["rotation", "targets", key];
    let place = cx.merged.key_place(&path);
    let declared = key.parse::<Name>().ok();
    let declared = declared.filter(|name| cx.project.credentials.contains_key(name));
    let Some(name) = declared else {
        let names = cx.project.credentials.keys().map(Name::as_str);
        let help =
            suggestion(key, names).unwrap_or_else(|| format!("`[credentials.{key}]` declares it"));
        cx.report(
            Diagnostic::error(
                "config::unknown-credential",
                format!("no credential `{key}` is declared"),
            )
            .at(&place, "nothing to rotate")
            .help(help),
        );
        return;
    };
    let Some(type_name) = Fields(dict).text("type") else {
        return;
    };
    let Some((type_name, known)) = TARGETS.iter().find(|(one, _)| *one == type_name) else {
        return;
    };
    let own = providers::settings(dict, known);
    let mut needs = Vec::new();
    own.values()
        .for_each(|value| providers::needed(value, &mut needs));
    needs.sort();
    needs.dedup();
    links(cx, key, Fields(dict));
    overlap(cx, &name, Fields(dict));
    let spec = TargetSpec {
        name: name.clone(),
        type_name: (*type_name).to_owned(),
        settings: Settings::new(own),
        needs,
        place,
    };
    if cx.project.credentials[&name].template.is_some() {
        cx.report(
            Diagnostic::error(
                "config::contradiction",
                format!("`{key}` is made from other credentials, so nothing stores it"),
            )
            .at(&spec.place, "its parts can be rotated, each by itself"),
        );
        return;
    }
    cx.project.rotation.targets.insert(name, spec);
}

/// The links that a target names exist.
fn links(cx: &mut Assembly<'_>, key: &str, fields: Fields<'_>) {
    let stores = fields.texts("stores").unwrap_or_default().into_iter();
    let named = stores.map(|link| (link, "stores"));
    let provider = fields.text("provider").map(|link| (link, "provider"));
    let named: Vec<_> = named.chain(provider).collect();
    for (link, of) in named {
        let known = link.parse::<LinkName>().ok();
        if known.is_some_and(|link| cx.project.providers.contains_key(&link)) {
            continue;
        }
        let links = cx.project.providers.keys().map(LinkName::as_str);
        let help =
            suggestion(link, links).unwrap_or_else(|| format!("`[providers.{link}]` sets one up"));
        let place = cx.merged.value_place(&["rotation", "targets", key, of]);
        cx.report(
            Diagnostic::error("config::unknown-link", format!("there is no link `{link}`"))
                .at(&place, "no such link")
                .help(help),
        );
    }
}

/// An old value is gone before the next rotation begins.
fn overlap(cx: &mut Assembly<'_>, name: &Name, fields: Fields<'_>) {
    let Some(age) = cx.project.credentials[name].rotate else {
        return;
    };
    let overlap = fields
        .text("overlap")
        .and_then(parse_duration)
        .unwrap_or(OVERLAP);
    if overlap < age || age.is_zero() {
        return;
    }
    let written = ["rotation", "targets", name.as_str(), "overlap"];
    let place = match cx.merged.find(&written) {
        Some(_) => cx.merged.value_place(&written),
        None => cx.merged.key_place(&written[..3]),
    };
    cx.report(
        Diagnostic::error(
            "config::contradiction",
            format!("`{name}` would be rotated again while the value before still overlaps"),
        )
        .at(
            &place,
            format!("an overlap of {}", format_duration(overlap)),
        )
        .at(
            &cx.merged
                .value_place(&["credentials", name.as_str(), "rotate"]),
            format!("rotated every {}", format_duration(age)),
        ),
    );
}

/// Whether a text has the form of an IANA name; whether the zone exists is the calendar's to say.
fn is_timezone(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    parts.len() <= 3
        && parts.iter().all(|part| {
            part.starts_with(|c: char| c.is_ascii_uppercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_have_a_form() {
        for good in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
        ] {
            assert!(is_timezone(good), "{good}");
        }
        for bad in ["", "utc", "Europe/", "+02:00", "Europe Berlin"] {
            assert!(!is_timezone(bad), "{bad}");
        }
    }
}
