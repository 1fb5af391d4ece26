//! What needs what: names that nothing declares, templates that need themselves, logins that no
//! link is left for.

use std::collections::{BTreeMap, BTreeSet};

use credchain_core::{LinkName, Name};
use figment::value::Value;

use super::Assembly;
use super::credentials::{inside, name_in};
use crate::diagnostic::Diagnostic;
use crate::model::{OAuth2Spec, Project};
use crate::source::Place;
use crate::suggest::suggestion;

pub(super) fn check(cx: &mut Assembly<'_>) {
    undeclared_parts(cx);
    undeclared_logins(cx);
    if let Some(cycle) = cycle(&cx.project) {
        report_cycle(cx, &cycle);
    }
    stuck_logins(cx);
}

/// Names in templates.
fn undeclared_parts(cx: &mut Assembly<'_>) {
    let mut found = Vec::new();
    for spec in cx.project.credentials.values() {
        let Some(template) = &spec.template else {
            continue;
        };
        for (part, _, span) in template
            .values()
            .filter(|(part, ..)| !cx.project.declares(part))
        {
            let path = ["credentials", spec.name.as_str(), "template"];
            let text = cx
                .merged
                .find(&path)
                .and_then(Value::as_str)
                .unwrap_or_default();
            let span = name_in(text, span, part);
            let place = inside(cx.merged.value_place(&path), text, span);
            found.push(undeclared(cx, part.as_str(), &place));
        }
    }
    cx.problems.extend(found);
}

/// Names in `{ credential = "NAME" }`, in providers and tokens.
fn undeclared_logins(cx: &mut Assembly<'_>) {
    let mut found = Vec::new();
    for table in ["providers", "oauth2"] {
        let Some(Value::Dict(_, links)) = cx.merged.find(&[table]) else {
            continue;
        };
        for (link, value) in links {
            walk(value, &mut vec![table, link], &mut |path, name| {
                let declared = name
                    .parse::<Name>()
                    .is_ok_and(|name| cx.project.declares(&name));
                if !declared {
                    found.push(undeclared(cx, name, &cx.merged.value_place(path)));
                }
            });
        }
    }
    cx.problems.extend(found);
}

fn walk<'v>(value: &'v Value, path: &mut Vec<&'v str>, visit: &mut impl FnMut(&[&str], &'v str)) {
    let Value::Dict(_, dict) = value else { return };
    if let (1, Some(Value::String(_, name))) = (dict.len(), dict.get("credential")) {
        path.push("credential");
        visit(path, name);
        path.pop();
        return;
    }
    for (key, value) in dict {
        path.push(key);
        walk(value, path, visit);
        path.pop();
    }
}

fn undeclared(cx: &Assembly<'_>, name: &str, place: &Place) -> Diagnostic {
    let declared: Vec<&str> = cx.project.declared().map(Name::as_str).collect();
    let near = crate::suggest::nearest(name, declared.iter().copied());
    Diagnostic::error(
        "config::undeclared",
        format!("the credential `{name}` is not declared"),
    )
    .at(place, "no such credential")
    .maybe_help(match near {
        Some(_) => suggestion(name, declared),
        None => Some(format!("add `[credentials.{name}]`")),
    })
}

/// The first credential that is made with itself, as the way round: `a`, `b`, `a`.
fn cycle(project: &Project) -> Option<Vec<Name>> {
    let mut done: BTreeSet<&Name> = BTreeSet::new();
    for start in project.credentials.keys().chain(project.oauth2.keys()) {
        // Depth first without recursion: a chain of 100,000 templates must not end the program.
        let mut way: Vec<(&Name, Vec<&Name>)> = vec![(start, parts(project, start))];
        let mut on_way: BTreeSet<&Name> = BTreeSet::from([start]);
        while let Some((name, rest)) = way.last_mut() {
            let Some(next) = rest.pop() else {
                done.insert(name);
                on_way.remove(*name);
                way.pop();
                continue;
            };
            if on_way.contains(next) {
                let from = way.iter().position(|(name, _)| *name == next).unwrap_or(0);
                let mut cycle: Vec<Name> = way[from..]
                    .iter()
                    .map(|(name, _)| (*name).clone())
                    .collect();
                cycle.push(next.clone());
                return Some(cycle);
            }
            if !done.contains(next) {
                on_way.insert(next);
                way.push((next, parts(project, next)));
            }
        }
    }
    None
}

/// What a credential is made with: the parts of its template, or its client's secret.
fn parts<'a>(project: &'a Project, name: &Name) -> Vec<&'a Name> {
    let template = project
        .credentials
        .get(name)
        .and_then(|spec| spec.template.as_ref());
    let token = project.oauth2.get(name);
    template
        .iter()
        .flat_map(|template| template.names())
        .chain(token.into_iter().flat_map(OAuth2Spec::needs))
        .collect()
}

/// The keys of a token, one in the other, that lead to this credential.
fn login_keys(cx: &Assembly<'_>, token: &Name, needed: &Name) -> &'static [&'static str] {
    let token = cx.project.oauth2.get(token);
    let is = |named: fn(&OAuth2Spec) -> &Option<Name>| {
        token.is_some_and(|token| named(token).as_ref() == Some(needed))
    };
    if is(|token| &token.refresh_token) {
        &["refresh_token"]
    } else if is(|token| &token.client_secret) {
        &["client_secret"]
    } else if is(|token| &token.assertion.key) {
        &["private_key"]
    } else if is(|token| &token.store.key) {
        &["store", "key"]
    } else {
        &["store", "provider"]
    }
}

fn report_cycle(cx: &mut Assembly<'_>, cycle: &[Name]) {
    let first = cycle[0].as_str();
    let (table, keys): (_, &[&str]) = if cx.project.oauth2.contains_key(&cycle[0]) {
        ("oauth2", login_keys(cx, &cycle[0], &cycle[1]))
    } else {
        ("credentials", &["template"])
    };
    let place = cx.merged.value_place(&[&[table, first], keys].concat());
    cx.report(
        Diagnostic::error(
            "config::cycle",
            format!("`{first}` needs itself: {}", arrows(cycle)),
        )
        .at(&place, "begins here")
        .help("one of them has to come from a link instead"),
    );
}

fn arrows<T: std::fmt::Display>(way: &[T]) -> String {
    way.iter()
        .map(|step| format!("`{step}`"))
        .collect::<Vec<_>>()
        .join(" → ")
}

/// Links and credentials that can be had at all: a link when each credential it needs can be, a
/// credential when one of its links can be asked. What is left over waits for itself.
struct Reachable<'a> {
    project: &'a Project,
    links: BTreeSet<&'a LinkName>,
    names: BTreeSet<&'a Name>,
}

impl<'a> Reachable<'a> {
    fn new(project: &'a Project) -> Self {
        let mut reachable = Self {
            project,
            links: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        // Only the names that logins lead to matter, and there are few of them.
        let involved = involved(project);
        loop {
            let before = reachable.links.len() + reachable.names.len();
            for provider in project.providers.values() {
                if provider.needs.iter().all(|name| reachable.has(name)) {
                    reachable.links.insert(&provider.name);
                }
            }
            for name in &involved {
                if reachable.can(name) {
                    reachable.names.insert(name);
                }
            }
            if reachable.links.len() + reachable.names.len() == before {
                return reachable;
            }
        }
    }

    /// Undeclared names are reported elsewhere and hold nothing up here.
    fn has(&self, name: &Name) -> bool {
        self.names.contains(name) || !self.project.declares(name)
    }

    fn can(&self, name: &Name) -> bool {
        if let Some(token) = self.project.oauth2.get(name) {
            return token.needs().all(|secret| self.has(secret));
        }
        let Some(spec) = self.project.credentials.get(name) else {
            return true;
        };
        match &spec.template {
            Some(template) => template.names().all(|part| self.has(part)),
            None => {
                spec.default.is_some()
                    || spec.links.is_empty()
                    || spec.links.iter().any(|link| self.links.contains(link))
            }
        }
    }
}

/// Every credential that some login needs, directly or through templates and tokens.
fn involved(project: &Project) -> BTreeSet<&Name> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Name> = project
        .providers
        .values()
        .flat_map(|one| &one.needs)
        .collect();
    open.extend(project.oauth2.values().flat_map(OAuth2Spec::needs));
    while let Some(name) = open.pop() {
        if project.declares(name) && found.insert(name) {
            open.extend(parts(project, name));
        }
    }
    found
}

fn stuck_logins(cx: &mut Assembly<'_>) {
    let reachable = Reachable::new(&cx.project);
    let mut found: BTreeMap<Vec<String>, Diagnostic> = BTreeMap::new();
    for provider in cx.project.providers.values() {
        let Some(need) = provider.needs.iter().find(|name| !reachable.has(name)) else {
            continue;
        };
        let Some(way) = way_round(&reachable, &provider.name, need) else {
            continue;
        };
        let mut members = way.clone();
        members.sort();
        members.dedup();
        found.entry(members).or_insert_with(|| {
            Diagnostic::error(
                "config::cycle",
                format!("a login needs itself: {}", arrows(&way)),
            )
            .at(&provider.place, format!("needs `{need}` to log in"))
            .at(
                &cx.merged.key_place(&["credentials", need.as_str()]),
                "no link is left for it while that login is under way",
            )
            .help(format!(
                "give `{need}` a chain with another link, such as `chain = [\"env\"]`"
            ))
        });
    }
    cx.problems.extend(found.into_values());
}

/// Follows what cannot be had until something comes again. Templates that need themselves are
/// reported elsewhere.
fn way_round(reachable: &Reachable<'_>, link: &LinkName, need: &Name) -> Option<Vec<String>> {
    let project = reachable.project;
    let mut way = vec![link.to_string()];
    let mut need = need.clone();
    loop {
        if let Some(from) = way.iter().position(|step| *step == need.as_str()) {
            way.push(need.to_string());
            return way[from..]
                .iter()
                .any(|step| is_link(project, step))
                .then(|| way[from..].to_vec());
        }
        way.push(need.to_string());
        let through = parts(project, &need)
            .into_iter()
            .find(|part| !reachable.has(part))
            .cloned();
        if let Some(part) = through {
            need = part;
            continue;
        }
        let next = project.credentials.get(&need)?.links.first()?;
        if let Some(from) = way.iter().position(|step| step == next.as_str()) {
            way.push(next.to_string());
            return Some(way[from..].to_vec());
        }
        way.push(next.to_string());
        let next = project.providers.get(next)?;
        need = next.needs.iter().find(|name| !reachable.has(name))?.clone();
    }
}

fn is_link(project: &Project, text: &str) -> bool {
    text.parse()
        .is_ok_and(|link: LinkName| project.providers.contains_key(&link))
}
