//! `[credentials.NAME]`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use credchain_core::{At, LinkName, Name, Reference, Secret, Template, parse_duration};
use figment::value::{Dict, Value};

use super::{Assembly, Fields, Places, chains};
use crate::diagnostic::Diagnostic;
use crate::model::{ChainChoice, CredentialSpec, DEFAULT_CHAIN};
use crate::source::Place;
use crate::suggest::suggestion;

pub(super) fn read(cx: &mut Assembly<'_>) {
    let Some(table) = cx.table(&["credentials"]) else {
        return;
    };
    for (key, value) in table {
        let Value::Dict(_, dict) = value else {
            continue;
        };
        let Some(name) = declared_name(cx, "credentials", key) else {
            continue;
        };
        let spec = spec(cx, name, dict);
        contradictions(cx, &spec, dict);
        cx.project.credentials.insert(spec.name.clone(), spec);
    }
}

/// A name that may be declared; anything else is a mistake.
pub(super) fn declared_name(cx: &mut Assembly<'_>, table: &str, key: &str) -> Option<Name> {
    let name = key.parse::<Name>().ok().filter(Name::is_declarable);
    if name.is_none() {
        let place = cx.merged.key_place(&[table, key]);
        let lower = key.to_ascii_lowercase().replace(['-', '.', ' '], "_");
        let better = lower.parse::<Name>().ok().filter(Name::is_declarable);
        cx.report(
            Diagnostic::error("config::bad-name", "this cannot be a credential's name")
                .at(&place, "not a credential's name")
                .help(match better {
                    Some(better) => {
                        format!("write `{better}`; programs see it as `{}`", better.to_env())
                    }
                    None => "a lower-case letter, then up to 62 lower-case letters, digits and `_`"
                        .to_owned(),
                }),
        );
    }
    name
}

fn spec(cx: &mut Assembly<'_>, name: Name, dict: &Dict) -> CredentialSpec {
    let fields = Fields(dict);
    let template = template(cx, &name, fields);
    let (chain, links) = chain(cx, &name, dict);
    CredentialSpec {
        description: fields.owned("description"),
        at: at(cx, &name, dict, &links),
        links: if template.is_some() {
            Arc::from([])
        } else {
            links
        },
        chain,
        env: variable(cx, &name, fields),
        template,
        default: fields.owned("default").map(Secret::from),
        secret: fields.bool("secret").unwrap_or(true),
        allow_empty: fields.bool("allow_empty").unwrap_or(false),
        as_file: fields.bool("as_file").unwrap_or(false),
        rotate: fields.text("rotate").and_then(parse_duration),
        mask: fields.bool("mask"),
        inject: fields.bool("inject").unwrap_or(true),
        place: cx.merged.key_place(&["credentials", name.as_str()]),
        name,
    }
}

fn chain(cx: &mut Assembly<'_>, name: &Name, dict: &Dict) -> (ChainChoice, Arc<[LinkName]>) {
    let path = ["credentials", name.as_str(), "chain"];
    match dict.get("chain") {
        Some(Value::Array(_, items)) => (ChainChoice::Inline, chains::list(cx, items, &path)),
        Some(Value::String(_, chain)) => {
            if !cx.project.chains.contains_key(chain) {
                let place = cx.merged.value_place(&path);
                let problem = unknown_chain(cx, chain, &place);
                cx.report(problem);
            }
            let choice = match chain.as_str() {
                DEFAULT_CHAIN => ChainChoice::Default,
                named => ChainChoice::Named(named.to_owned()),
            };
            let links = cx.links_of(&choice);
            (choice, links)
        }
        _ => (ChainChoice::Default, cx.links_of(&ChainChoice::Default)),
    }
}

fn unknown_chain(cx: &Assembly<'_>, written: &str, place: &Place) -> Diagnostic {
    let problem = Diagnostic::error("config::unknown-chain", "there is no chain of this name")
        .at(place, "not a chain of `[chain]`");
    let is_link = written.parse().is_ok_and(|link: LinkName| {
        cx.project.providers.contains_key(&link)
            || crate::ProviderSpec::implicit(&link, cx.registry).is_some()
    });
    if is_link {
        return problem.help(format!(
            "to ask only that link, write a list: `[\"{written}\"]`"
        ));
    }
    problem.maybe_help(suggestion(
        written,
        cx.project.chains.keys().map(String::as_str),
    ))
}

fn at(
    cx: &mut Assembly<'_>,
    name: &Name,
    dict: &Dict,
    links: &[LinkName],
) -> BTreeMap<LinkName, At> {
    let mut at = BTreeMap::new();
    let Some(Value::Dict(_, table)) = dict.get("at") else {
        return at;
    };
    for (key, value) in table {
        let path = ["credentials", name.as_str(), "at", key];
        let Some(link) = cx.link(key, |merged| merged.key_place(&path)) else {
            continue;
        };
        if !links.contains(&link) {
            let place = cx.merged.key_place(&path);
            let chain: Vec<_> = links.iter().map(|link| format!("`{link}`")).collect();
            cx.report(
                Diagnostic::warning(
                    "config::unused-at",
                    format!("`{link}` is not in the chain of `{name}`"),
                )
                .at(&place, "never asked for this credential")
                .help(format!("its chain is {}", chain.join(", "))),
            );
        }
        let place = || cx.merged.value_place(&path);
        match value {
            Value::Bool(_, false) => {
                at.insert(link, At::Skip);
            }
            Value::Bool(_, true) => {
                let problem = Diagnostic::error("config::bad-reference", "`true` says no place")
                    .at(&place(), "a reference, or `false`")
                    .help("leave the key out to use the convention, or write `\"PATH#FIELD\"`");
                cx.report(problem);
            }
            Value::String(_, text) => match text.parse::<Reference>() {
                Ok(reference) => {
                    at.insert(link, At::Here(reference));
                }
                Err(error) => {
                    let problem = Diagnostic::error("config::bad-reference", error.message())
                        .at(&place(), "not a reference")
                        .maybe_help(error.hint().map(str::to_owned))
                        .help("a reference is `PATH`, `PATH#FIELD` or `PATH#FIELD?version=V`");
                    cx.report(problem);
                }
            },
            _ => {}
        }
    }
    at
}

fn template(cx: &mut Assembly<'_>, name: &Name, fields: Fields<'_>) -> Option<Template> {
    let text = fields.text("template")?;
    match text.parse::<Template>() {
        Ok(template) => Some(template),
        Err(error) => {
            let place = cx
                .merged
                .value_place(&["credentials", name.as_str(), "template"]);
            let place = inside(place, text, error.span());
            cx.report(
                Diagnostic::error(
                    "config::bad-template",
                    format!("the template of `{name}` is not right"),
                )
                .at(&place, error.to_string())
                .help("a place for a value is `{{ NAME }}` or `{{ NAME | FILTER }}`"),
            );
            None
        }
    }
}

/// The part of a literal that holds these bytes of its text, if the literal is written plainly;
/// else the whole literal.
pub(super) fn inside(place: Place, text: &str, span: std::ops::Range<usize>) -> Place {
    let Place::File(file, literal) = &place else {
        return place;
    };
    let plain = file
        .text()
        .get(literal.clone())
        .and_then(|written| written.find(text).filter(|_| !text.is_empty()));
    match plain {
        Some(offset) => {
            let start = literal.start + offset;
            Place::File(
                file.clone(),
                start + span.start..start + span.end.max(span.start + 1),
            )
        }
        None => place,
    }
}

/// The bytes of a name inside the expression that holds it.
pub(super) fn name_in(
    text: &str,
    expression: std::ops::Range<usize>,
    name: &Name,
) -> std::ops::Range<usize> {
    match text
        .get(expression.clone())
        .and_then(|inside| inside.find(name.as_str()))
    {
        Some(offset) => {
            let start = expression.start + offset;
            start..start + name.as_str().len()
        }
        None => expression,
    }
}

fn variable(cx: &mut Assembly<'_>, name: &Name, fields: Fields<'_>) -> Option<String> {
    let text = fields.text("env")?;
    if is_variable(text) {
        return Some(text.to_owned());
    }
    let place = cx
        .merged
        .value_place(&["credentials", name.as_str(), "env"]);
    cx.report(
        Diagnostic::error(
            "config::bad-variable",
            "this cannot be an environment variable",
        )
        .at(&place, "not a variable's name")
        .help(format!(
            "letters, digits and `_`, not beginning with a digit; the convention is `{}`",
            name.to_env()
        )),
    );
    None
}

fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Keys that cannot both be meant.
fn contradictions(cx: &mut Assembly<'_>, spec: &CredentialSpec, dict: &Dict) {
    let name = spec.name.as_str();
    let merged = cx.merged;
    let key = |key: &str| merged.key_place(&["credentials", name, key]);
    let mut found = Vec::new();
    if dict.contains_key("template") {
        if dict.contains_key("default") {
            found.push(
                Diagnostic::error(
                    "config::template-and-default",
                    format!("`{name}` has a template and a default"),
                )
                .at(&key("default"), "never used")
                .at(&key("template"), "always has a value, or fails")
                .help("give the credentials inside the template their defaults"),
            );
        }
        for other in ["chain", "at", "rotate", "env"] {
            // The variable is still the one it is injected as.
            if other != "env" && dict.contains_key(other) {
                found.push(
                    Diagnostic::warning(
                        "config::unused-key",
                        format!("`{other}` has no effect on a template"),
                    )
                    .at(&key(other), "never used")
                    .help("a template is made from its parts; no link is asked for it"),
                );
            }
        }
    } else if dict.contains_key("default") && spec.secret {
        hide(&merged.value_place(&["credentials", name, "default"]));
        found.push(
            Diagnostic::warning(
                "config::literal-default",
                format!("the secret `{name}` has a default in clear"),
            )
            .at(
                &key("default"),
                "readable by everyone who can read this file",
            )
            .help("if it is no secret, add `secret = false`; else remove the default"),
        );
    }
    if !spec.secret {
        for (other, set) in [
            ("mask", spec.mask == Some(true)),
            ("rotate", spec.rotate.is_some()),
        ] {
            if set {
                found.push(
                    Diagnostic::warning(
                        "config::not-a-secret",
                        format!("`{other}` is for secrets, and `{name}` is none"),
                    )
                    .at(&key(other), "probably not meant")
                    .at(&key("secret"), "said here"),
                );
            }
        }
    }
    if spec.as_file && !spec.inject {
        found.push(
            Diagnostic::warning(
                "config::unused-key",
                format!("`{name}` is not injected, so there is no file"),
            )
            .at(&key("as_file"), "never used")
            .at(&key("inject"), "said here"),
        );
    }
    if spec.rotate.is_some_and(|age| age.is_zero()) {
        found.push(
            Diagnostic::error(
                "config::out-of-range",
                format!("`{name}` could never be young enough"),
            )
            .at(
                &merged.value_place(&["credentials", name, "rotate"]),
                "no time at all",
            ),
        );
    }
    cx.problems.extend(found);
}

pub(super) fn hide(place: &Place) {
    if let Place::File(file, span) = place {
        file.mask(span.clone());
    }
}

/// Two declared names, or two injected variables, that are the same; and names that are used
/// and not declared.
pub(super) fn check_names(cx: &mut Assembly<'_>) {
    same_name_twice(cx);
    same_variable_twice(cx);
    unfiltered_secrets(cx);
}

fn same_name_twice(cx: &mut Assembly<'_>) {
    let both: Vec<Name> = cx
        .project
        .oauth2
        .keys()
        .filter(|name| cx.project.credentials.contains_key(*name))
        .cloned()
        .collect();
    for name in both {
        let second = cx.merged.key_place(&["oauth2", name.as_str()]);
        let first = cx.merged.key_place(&["credentials", name.as_str()]);
        cx.report(
            Diagnostic::error("config::same-name", format!("`{name}` is declared twice"))
                .at(&second, "declares the credential of this name")
                .at(&first, "declared here as well")
                .help("`[oauth2.NAME]` needs no `[credentials.NAME]`: rename one of them"),
        );
    }
}

fn same_variable_twice(cx: &mut Assembly<'_>) {
    let mut seen: Places<String> = Places::new();
    let mut found = Vec::new();
    let injected: Vec<_> = cx
        .project
        .injected()
        .map(|(name, variable)| (name.clone(), variable))
        .collect();
    for (name, variable) in injected {
        let is_token = cx.project.oauth2.contains_key(&name);
        let table = if is_token { "oauth2" } else { "credentials" };
        let env = [table, name.as_str(), "env"];
        let place = match cx.merged.find(&env) {
            Some(_) => cx.merged.value_place(&env),
            None => cx.merged.key_place(&env[..2]),
        };
        match seen.entry(variable) {
            Entry::Occupied(first) => {
                let (other, other_place) = first.get();
                found.push(
                    Diagnostic::error(
                        "config::same-variable",
                        format!(
                            "`{other}` and `{name}` are both injected as `{}`",
                            first.key()
                        ),
                    )
                    .at(&place, format!("`{name}` is"))
                    .at(other_place, format!("`{other}` is"))
                    .help("give one of them another `env`, or `inject = false`"),
                );
            }
            Entry::Vacant(free) => {
                free.insert((name.to_string(), place));
            }
        }
    }
    cx.problems.extend(found);
}

/// A secret that stands in a URL as it is breaks the URL, or leaks into another part of it.
fn unfiltered_secrets(cx: &mut Assembly<'_>) {
    let mut found = Vec::new();
    for spec in cx.project.credentials.values() {
        let Some(template) = spec
            .template
            .as_ref()
            .filter(|one| one.prefix().contains("://"))
        else {
            continue;
        };
        for (part, filters, span) in template.values() {
            let part_is_secret = cx
                .project
                .credentials
                .get(part)
                .is_none_or(|credential| credential.secret);
            if !part_is_secret || filters.iter().any(|filter| filter.as_str() == "url") {
                continue;
            }
            let path = ["credentials", spec.name.as_str(), "template"];
            let text = cx
                .merged
                .find(&path)
                .and_then(|value| value.as_str())
                .unwrap_or_default();
            let span = name_in(text, span, part);
            let place = inside(cx.merged.value_place(&path), text, span);
            found.push(
                Diagnostic::warning(
                    "config::unfiltered-secret",
                    format!("`{part}` stands in a URL as it is"),
                )
                .at(&place, "`@`, `/` or `%` in the value would break the URL")
                .help(format!("write `{{{{ {part} | url }}}}`")),
            );
        }
    }
    cx.problems.extend(found);
}
