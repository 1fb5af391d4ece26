//! `[oauth2.NAME]`.

use figment::value::Value;

use super::{Assembly, Fields, credentials};
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
        let client_secret = match dict.get("client_secret") {
            Some(Value::Dict(_, secret)) => Fields(secret)
                .text("credential")
                .and_then(|name| name.parse().ok()),
            _ => None,
        };
        let spec = OAuth2Spec {
            description: fields.owned("description"),
            token_url: fields.owned("token_url").unwrap_or_default(),
            client_id: fields.owned("client_id").unwrap_or_default(),
            client_secret,
            scopes: fields
                .texts("scopes")
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            inject: fields.bool("inject").unwrap_or(false),
            place: cx.merged.key_place(&["oauth2", key]),
            name: name.clone(),
        };
        cx.project.oauth2.insert(name, spec);
    }
}
