//! A workload that another identity provider vouches for: workload identity federation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use credchain_core::{Context, Error, Kind};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::grant::{EXCHANGE, fetch};
use crate::error::{Failed, Failure};
use crate::http::{Http, read_file};

/// The largest token that another provider gives.
const MAX_TOKEN: u64 = 64 << 10;

pub(super) struct Workload {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) subject: Subject,
    /// Where the token is, if what is there is JSON.
    pub(super) field: Option<String>,
    /// A client of OAuth, for providers of people and not of programs.
    pub(super) client: Option<(String, Zeroizing<String>)>,
    pub(super) user_project: Option<String>,
}

/// Where the other provider's token is.
pub(super) enum Subject {
    File(PathBuf),
    Url(String, HeaderMap),
}

impl Workload {
    /// The other provider's token, as it is now: it is renewed by somebody else.
    pub(super) async fn subject_token(
        &self,
        http: &Http,
        cx: &Context,
    ) -> Result<Zeroizing<String>, Failed> {
        let content = match &self.subject {
            Subject::File(file) => {
                let content = read_file(file, MAX_TOKEN).await.map_err(login)?;
                content.map_err(|refused| {
                    let message = format!(
                        "the token to log in to Google with, `{}`: {refused}",
                        file.display()
                    );
                    login(Error::new(Kind::Unauthenticated, message))
                })?
            }
            Subject::Url(url, headers) => {
                let request = http.request(Method::GET, url).headers(headers.clone());
                fetch(EXCHANGE, request, cx).await?.body
            }
        };
        let token = match &self.field {
            None => text(&content),
            Some(field) => field_of(&content, field),
        };
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Failed::new(EXCHANGE, Failure::Unreadable))
    }
}

/// The headers of a request for a token; they hold secrets.
pub(super) fn headers(table: &BTreeMap<String, Zeroizing<String>>) -> Option<HeaderMap> {
    let pair = |(name, value): (&String, &Zeroizing<String>)| {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    table.iter().map(pair).collect()
}

fn text(content: &[u8]) -> Option<Zeroizing<String>> {
    let text = std::str::from_utf8(content).ok()?;
    Some(Zeroizing::new(text.trim().to_owned()))
}

fn field_of(content: &[u8], name: &str) -> Option<Zeroizing<String>> {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(content).ok()?;
    serde_json::from_str(fields.get(name)?.get()).ok()
}

fn login(error: Error) -> Failed {
    Failed::new(EXCHANGE, Failure::Login(error))
}
