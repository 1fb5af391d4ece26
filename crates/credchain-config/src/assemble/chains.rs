//! `[chain]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use credchain_core::LinkName;
use figment::value::Value;

use super::Assembly;
use crate::diagnostic::Diagnostic;
use crate::model::DEFAULT_CHAIN;
use crate::source::Place;
use crate::suggest::suggestion;
use crate::tables::{CHAIN_WRITE, all_types};

pub(super) fn read(cx: &mut Assembly<'_>) {
    if let Some(table) = cx.table(&["chain"]) {
        for (name, value) in table {
            match value {
                Value::String(_, link) if name == CHAIN_WRITE.key => {
                    cx.project.write = cx.link(link, |merged| merged.value_place(&["chain", name]));
                }
                Value::Array(_, items) if name != CHAIN_WRITE.key => {
                    let links = list(cx, items, &["chain", name]);
                    cx.project.chains.insert(name.clone(), links);
                }
                _ => {}
            }
        }
    }
    if !cx.project.chains.contains_key(DEFAULT_CHAIN) {
        let links = fallback(cx);
        cx.project.chains.insert(DEFAULT_CHAIN.into(), links);
    }
}

/// The links of a written list; each mistake in it is reported where it stands.
pub(super) fn list(cx: &mut Assembly<'_>, items: &[Value], path: &[&str]) -> Arc<[LinkName]> {
    if items.is_empty() {
        let place = cx.merged.value_place(path);
        cx.report(
            Diagnostic::error("config::empty-chain", "a chain has at least one link")
                .at(&place, "no link in here")
                .help("leave the key out to use the default, or name a link such as `env`"),
        );
    }
    let mut links: Vec<LinkName> = Vec::with_capacity(items.len());
    let mut repeated = BTreeSet::new();
    for (number, item) in items.iter().enumerate() {
        let Value::String(_, text) = item else {
            continue;
        };
        let number = number.to_string();
        let mut path = path.to_vec();
        path.push(&number);
        let Some(link) = cx.link(text, |merged| merged.value_place(&path)) else {
            continue;
        };
        if links.contains(&link) {
            // Said once for each link: a stranger's chain may repeat one thousands of times.
            if !repeated.insert(link.clone()) {
                continue;
            }
            let place = cx.merged.value_place(&path);
            cx.report(
                Diagnostic::warning(
                    "config::repeated-link",
                    format!("`{link}` is in this chain twice"),
                )
                .at(&place, "asked already"),
            );
            continue;
        }
        links.push(link);
    }
    links.into()
}

/// Without `chain.default`: the environment, then `.env`, then the age store if one is set up.
fn fallback(cx: &mut Assembly<'_>) -> Arc<[LinkName]> {
    let mut links = Vec::new();
    for name in ["env", "dotenv"] {
        let link = LinkName::literal(name);
        if cx.project.providers.contains_key(&link) {
            links.push(link);
        } else if let Some(spec) =
            crate::ProviderSpec::implicit(&link, cx.registry).filter(|spec| spec.built)
        {
            cx.project.providers.insert(link.clone(), spec);
            links.push(link);
        }
    }
    let stores = cx
        .project
        .providers
        .values()
        .filter(|spec| spec.type_name == "age" && spec.built);
    links.extend(stores.map(|spec| spec.name.clone()));
    links.into()
}

pub(super) fn unknown_link(cx: &Assembly<'_>, text: &str, place: &Place) -> Diagnostic {
    let mut known: Vec<&str> = cx.project.providers.keys().map(LinkName::as_str).collect();
    let types = all_types(cx.registry);
    known.extend(types.into_iter().filter(|one| {
        cx.project
            .providers
            .keys()
            .all(|link| link.as_str() != *one)
    }));
    Diagnostic::error(
        "config::unknown-link",
        "a chain names a link that does not exist",
    )
    .at(place, "neither a provider's name nor a type")
    .maybe_help(suggestion(text, known))
}
