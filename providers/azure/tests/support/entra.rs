//! A fake of the token endpoint of Microsoft Entra.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::fresh_secret;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The one tenant that there is.
pub(crate) const TENANT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// What tokens of Key Vault are asked for.
const SCOPE: &str = "https://vault.azure.net/.default";

/// Gives tokens to whoever has the right secret. It is not Entra.
#[derive(Debug)]
pub(crate) struct FakeEntra {
    http: FakeHttp,
    secret: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    good: Mutex<HashSet<String>>,
    /// What to answer instead.
    trouble: Mutex<Option<Reply>>,
    life: Mutex<u64>,
}

impl FakeEntra {
    pub(crate) fn start() -> Self {
        let secret = fresh_secret("client");
        let shared = Arc::new(Shared {
            good: Mutex::default(),
            trouble: Mutex::default(),
            life: Mutex::new(3599),
        });
        let (inside, expected) = (shared.clone(), secret.clone());
        let http = FakeHttp::start(move |request| inside.answer(request, &expected));
        Self {
            http,
            secret,
            shared,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.http.url()
    }

    /// The right client secret, which is also taken as the assertion of a federated identity.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// How often somebody logged in, or tried to.
    pub(crate) fn logins(&self) -> usize {
        self.http.count()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    /// Answers so from now on, or rightly again.
    pub(crate) fn set_trouble(&self, trouble: Option<Reply>) {
        *lock(&self.shared.trouble) = trouble;
    }

    /// How long tokens are good for from now on, by what Entra says about them.
    pub(crate) fn set_life(&self, seconds: u64) {
        *lock(&self.shared.life) = seconds;
    }

    /// Takes no token any more that was given so far.
    pub(crate) fn revoke(&self) {
        lock(&self.shared.good).clear();
    }

    /// A token that is good, given by somebody else than this endpoint.
    pub(crate) fn token(&self) -> String {
        self.shared.token()
    }

    /// Knows the tokens that are good, for a vault.
    pub(crate) fn judge(&self) -> impl Fn(&Request) -> bool + Send + Sync + use<> {
        let shared = self.shared.clone();
        move |request| {
            let header = request.header("authorization").unwrap_or_default();
            let token = header.strip_prefix("Bearer ").unwrap_or_default();
            lock(&shared.good).contains(token)
        }
    }
}

impl Shared {
    fn answer(&self, request: &Request, secret: &str) -> Reply {
        if let Some(trouble) = lock(&self.trouble).clone() {
            return trouble;
        }
        if request.path != format!("/{TENANT}/oauth2/v2.0/token") {
            return refused(400, "invalid_request", 90_002);
        }
        let form = form(request);
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        if field("grant_type") != Some("client_credentials") || field("scope") != Some(SCOPE) {
            return refused(400, "invalid_request", 900_144);
        }
        if field("client_id") != Some(super::CLIENT) {
            return refused(400, "unauthorized_client", 700_016);
        }
        let proof = field("client_secret").or_else(|| field("client_assertion"));
        if proof != Some(secret) {
            return refused(401, "invalid_client", 7_000_215);
        }
        let life = *lock(&self.life);
        let token = self.token();
        Reply::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": life, "access_token": token}),
        )
    }

    fn token(&self) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"tid": TENANT, "appid": super::CLIENT, "oid": "object-of-the-app"});
        let token = format!(
            "{}.{}.{}",
            part(json!({"alg": "none"})),
            part(claims),
            fresh_secret("signature")
        );
        lock(&self.good).insert(token.clone());
        token
    }
}

fn refused(status: u16, error: &str, number: u32) -> Reply {
    Reply::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{number}: canary"),
            "error_codes": [number],
        }),
    )
}

/// The fields of a form.
pub(crate) fn form(request: &Request) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
