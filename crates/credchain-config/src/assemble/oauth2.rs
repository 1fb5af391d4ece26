//! `[oauth2.NAME]`.

use std::collections::BTreeMap;

use credchain_core::{LinkName, parse_duration};
use figment::value::{Dict, Value};

use super::{Assembly, Fields, credentials};
use crate::diagnostic::Diagnostic;
use crate::model::{AssertionSpec, OAuth2Spec, ReuseSpec, TokenPlace, TokenStoreSpec};
use crate::suggest::suggestion;

pub(super) fn read(cx: &mut Assembly<'_>) {
    let Some(table) = cx.table(&["oauth2"]) else {
        return;
    };
    for (key, value) in table {
        let Value::Dict(_, dict) = value else {
            continue;
        };
        let Some(name) = credentials::declared_name(cx, "oauth2", key) else {
            continue;
        };
        let fields = Fields(dict);
        let credential = |key: &str| fields.credential(key);
        let list = |key: &str| {
            let texts = fields.texts(key).unwrap_or_default().into_iter();
            texts.map(str::to_owned).collect()
        };
        let spec = OAuth2Spec {
            description: fields.owned("description"),
            grant: fields.text("grant").unwrap_or("client_credentials").into(),
            token_url: fields.owned("token_url"),
            issuer: fields.owned("issuer"),
            device_url: fields.owned("device_url"),
            authorization_url: fields.owned("authorization_url"),
            revocation_url: fields.owned("revocation_url"),
            client_id: fields.owned("client_id").unwrap_or_default(),
            client_secret: credential("client_secret"),
            authentication: authentication(dict).into(),
            assertion: AssertionSpec {
                key: credential("private_key"),
                key_id: fields.owned("key_id"),
                audience: fields.owned("assertion_audience"),
                issuer: fields.owned("assertion_issuer"),
                subject: fields.owned("subject"),
            },
            refresh_token: credential("refresh_token"),
            scopes: list("scopes"),
            require_scopes: fields.bool("require_scopes").unwrap_or(false),
            audience: fields.owned("audience"),
            resources: list("resources"),
            parameters: parameters(dict),
            reuse: match fields.text("reuse") {
                Some("accept") => ReuseSpec::Accept,
                Some(text) => parse_duration(text).map_or(ReuseSpec::Observed, ReuseSpec::Within),
                None => ReuseSpec::Observed,
            },
            advisory: fields.text("advisory").and_then(parse_duration),
            redirect_port: fields.integer("redirect_port"),
            store: store(cx, key, dict),
            ca: fields.text("ca").map(|path| cx.project.base().join(path)),
            allow_http: fields.bool("allow_http").unwrap_or(false),
            inject: fields.bool("inject").unwrap_or(false),
            place: cx.merged.key_place(&["oauth2", key]),
            name: name.clone(),
        };
        check(cx, &spec, dict);
        cx.project.oauth2.insert(name, spec);
    }
}

/// How a client says who it is, if nothing says how: by what it has.
fn authentication(dict: &Dict) -> &str {
    let signs_for_itself = Fields(dict).text("grant") != Some("jwt_bearer");
    let by_what_it_has = if dict.contains_key("client_secret") {
        "basic"
    } else if dict.contains_key("private_key") && signs_for_itself {
        "private_key_jwt"
    } else {
        "none"
    };
    let said = Fields(dict).text("authentication");
    said.unwrap_or(by_what_it_has)
}

fn store(cx: &mut Assembly<'_>, token: &str, dict: &Dict) -> TokenStoreSpec {
    let mut spec = TokenStoreSpec::default();
    let table = match dict.get("store") {
        Some(Value::String(_, word)) if word == "memory" => {
            spec.place = TokenPlace::Memory;
            return spec;
        }
        Some(Value::Dict(_, table)) => table,
        _ => return spec,
    };
    spec.key = Fields(table).credential("key");
    let Some(written) = Fields(table).text("provider") else {
        return spec;
    };
    let link = written.parse::<LinkName>().ok();
    let provider = link.and_then(|link| cx.project.providers.get(&link));
    let Some(provider) = provider else {
        let place = cx
            .merged
            .value_place(&["oauth2", token, "store", "provider"]);
        let links = cx.project.providers.keys().map(LinkName::as_str);
        let help = suggestion(written, links)
            .unwrap_or_else(|| format!("`[providers.{written}]` sets one up"));
        cx.report(
            Diagnostic::error(
                "config::unknown-link",
                format!("there is no link `{written}`"),
            )
            .at(&place, "tokens cannot be kept there")
            .help(help),
        );
        return spec;
    };
    let path = Fields(table).text("path").unwrap_or("credchain-oauth2");
    let of_one_user = provider.type_name == "keyring";
    spec.place = TokenPlace::Link {
        link: provider.name.clone(),
        path: path.to_owned(),
        of_one_user,
    };
    spec.needs.clone_from(&provider.needs);
    if !of_one_user && !table.contains_key("key") {
        let place = cx.merged.key_place(&["oauth2", token, "store"]);
        cx.report(
            Diagnostic::error(
                "config::missing-key",
                format!("`oauth2.{token}.store` needs `key`"),
            )
            .at(&place, "`key` is missing here")
            .help("key: What tokens are encrypted with; all machines need the same.")
            .help("`key = { credential = \"NAME\" }`, and `resolve generate --set NAME` once"),
        );
    }
    spec
}

fn parameters(dict: &Dict) -> BTreeMap<String, String> {
    let Some(Value::Dict(_, parameters)) = dict.get("parameters") else {
        return BTreeMap::new();
    };
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    parameters.iter().filter_map(text).collect()
}

/// What no single key tells: whether somebody can be asked, and has a right to an answer.
fn check(cx: &mut Assembly<'_>, spec: &OAuth2Spec, written: &Dict) {
    let name = &spec.name;
    let mut missing = |key: &str, help: &str| {
        cx.report(
            Diagnostic::error(
                "config::missing-key",
                format!("`oauth2.{name}` needs `{key}`"),
            )
            .at(&spec.place, format!("`{key}` is missing here"))
            .help(help),
        );
    };
    if spec.token_url.is_none() && spec.issuer.is_none() {
        missing("token_url", "token_url: Where tokens are requested.");
    }
    let by_refresh_token = spec.grant == "refresh_token";
    if by_refresh_token && !written.contains_key("refresh_token") {
        let help = "`refresh_token = { credential = \"NAME\" }`, or `grant = \"device_code\"` and `resolve login`";
        missing("refresh_token", help);
    }
    let signs = spec.grant == "jwt_bearer" || spec.authentication == "private_key_jwt";
    if signs && !written.contains_key("private_key") {
        missing("private_key", KEY);
    }
    match &*spec.authentication {
        "basic" | "basic_raw" | "post" if !written.contains_key("client_secret") => {
            missing("client_secret", SECRET);
        }
        "none" if spec.grant == "client_credentials" => missing("client_secret", SECRET),
        _ => {}
    }
}

const KEY: &str = "`private_key = { credential = \"NAME\" }`";
const SECRET: &str = "`client_secret = { credential = \"NAME\" }`";
