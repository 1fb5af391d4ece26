//! `[oauth2.NAME]`.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::{Assembly, Fields, credentials};
use crate::diagnostic::Diagnostic;
use crate::model::OAuth2Spec;

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
        let credential = |key: &str| match dict.get(key) {
            Some(Value::Dict(_, secret)) => Fields(secret)
                .text("credential")
                .and_then(|name| name.parse().ok()),
            _ => None,
        };
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
            authentication: fields.text("authentication").unwrap_or("basic").into(),
            refresh_token: credential("refresh_token"),
            scopes: list("scopes"),
            audience: fields.owned("audience"),
            resources: list("resources"),
            parameters: parameters(dict),
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
    if spec.grant == "client_credentials" && !written.contains_key("client_secret") {
        let help = "`client_secret = { credential = \"NAME\" }`";
        missing("client_secret", help);
    }
}
