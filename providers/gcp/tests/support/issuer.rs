//! A fake of what gives out tokens: OAuth's endpoint, STS, IAM and the metadata server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::fresh_secret;
use serde_json::json;

use super::FakeSecretManager;

/// A server that gives out tokens which a fake of Secret Manager accepts.
#[derive(Debug)]
pub(crate) struct FakeIssuer {
    server: FakeHttp,
    given: Arc<Mutex<Vec<String>>>,
}

impl FakeIssuer {
    /// Gives a token, good for so many seconds, to whoever asks.
    pub(crate) fn start(accepting: &FakeSecretManager, seconds: u32) -> Self {
        let state = accepting.shared();
        let given = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&given);
        let server = FakeHttp::start(move |request| {
            let token = fresh_secret("given");
            // Only the last of a chain of tokens is one for Secret Manager.
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.tokens.insert(token.clone());
            list.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(token.clone());
            if request.path.ends_with(":generateAccessToken") {
                let until = "2100-01-01T00:00:00Z";
                return Reply::json(200, &json!({"accessToken": token, "expireTime": until}));
            }
            Reply::json(
                200,
                &json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}),
            )
        });
        Self { server, given }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn host(&self) -> String {
        self.server.address().to_string()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    pub(crate) fn count(&self) -> usize {
        self.server.count()
    }

    /// The tokens that it gave, in order.
    pub(crate) fn given(&self) -> Vec<String> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.clone()
    }
}

/// The fields of a form.
pub(crate) fn form(request: &Request) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let fields = text.split('&').filter_map(|pair| pair.split_once('='));
    fields
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let text = percent_encoding::percent_decode_str(text).decode_utf8();
    text.expect("a form is text").into_owned()
}
