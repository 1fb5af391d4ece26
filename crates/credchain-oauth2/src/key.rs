//! What makes two requests ask for the same token.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use credchain_core::Name;

use crate::config::{Authentication, Grant, Settings};

/// Names one token: whoever asks for the same has the same key, in whichever process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// Nothing secret is in it: not even the hash of a secret could be guessed from.
    pub(crate) fn new(settings: &Settings) -> Self {
        let addresses = &settings.addresses;
        let mut scopes = settings.scopes.clone();
        scopes.sort_unstable();
        let mut resources = settings.resources.clone();
        resources.sort_unstable();
        let mut parameters = settings.parameters.clone();
        parameters.sort_unstable();
        let (key, subject, issuer) = match &settings.grant {
            Grant::RefreshToken(name) => (Some(name.as_str()), None, None),
            Grant::JwtBearer {
                key,
                issuer,
                subject,
            } => (Some(key.key.as_str()), Some(&**subject), issuer.as_deref()),
            _ => (None, None, None),
        };
        let mut parts = Parts::default();
        parts.add([settings.issuer.as_deref()]);
        parts.add([addresses.token.as_ref().map(reqwest::Url::as_str)]);
        parts.add([Some(&*settings.id), Some(settings.grant.as_str())]);
        parts.add([key, subject, issuer]);
        let secret = secret_of(&settings.authentication).map(Name::as_str);
        parts.add([Some(settings.authentication.as_str()), secret]);
        parts.add([settings.audience.as_deref()]);
        parts.add(scopes.iter().map(|scope| Some(&**scope)));
        parts.add(resources.iter().map(|resource| Some(&**resource)));
        let parameters = parameters.iter().flat_map(|(name, value)| [name, value]);
        parts.add(parameters.map(|part| Some(&**part)));
        Self(hex(digest(&SHA256, &parts.0).as_ref()))
    }

    /// The key under which logins wait for each other.
    pub(crate) fn of_logins(&self) -> Self {
        Self(format!("{}-login", self.0))
    }

    /// 64 hexadecimal digits, perhaps with a word behind them.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..8])
    }
}

/// Parts of which no two lists look the same: each has its length before it.
#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn add<'a>(&mut self, list: impl IntoIterator<Item = Option<&'a str>>) {
        for part in list {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            self.0.extend_from_slice(&length.to_be_bytes());
            self.0
                .extend_from_slice(part.unwrap_or_default().as_bytes());
        }
        self.0.extend_from_slice(&(u64::MAX - 1).to_be_bytes());
    }
}

fn secret_of(authentication: &Authentication) -> Option<&Name> {
    match authentication {
        Authentication::None => None,
        Authentication::Basic(name)
        | Authentication::BasicRaw(name)
        | Authentication::Post(name) => Some(name),
        Authentication::PrivateKey(signing) => Some(&signing.key),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A short mark by which a secret is known again, and which says nothing about it.
pub(crate) fn fingerprint(secret: &[u8]) -> String {
    hex(&digest(&SHA256, secret).as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Endpoints};

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn client() -> Client {
        Client::new(name("crm"), Endpoints::token("https://as/token"), "etl")
            .authentication(Authentication::Post(name("secret")))
            .scopes(["a", "b"])
    }

    fn key(client: Client) -> Key {
        Key::new(&client.into_settings().unwrap())
    }

    #[test]
    fn the_order_of_scopes_and_what_the_token_is_called_make_no_difference() {
        let other = Client::new(name("other"), Endpoints::token("https://as/token"), "etl")
            .authentication(Authentication::Post(name("secret")))
            .scopes(["b", "a", "b"]);
        assert_eq!(key(client()), key(other));
    }

    #[test]
    fn whatever_changes_the_token_changes_the_key() {
        let clients = [
            client(),
            client().scopes(["a"]),
            client().scopes(["ab"]),
            client().audience("a"),
            client().resource("https://a"),
            client().parameter("a", "b"),
            client().parameter("ab", ""),
            client().authentication(Authentication::Post(name("secret_2"))),
            client().authentication(Authentication::Basic(name("secret"))),
            client().grant(Grant::DeviceCode),
            client().grant(Grant::RefreshToken(name("login"))),
            Client::new(name("crm"), Endpoints::token("https://as/token2"), "etl")
                .authentication(Authentication::Post(name("secret"))),
            Client::new(name("crm"), Endpoints::token("https://as/token"), "etl2")
                .authentication(Authentication::Post(name("secret"))),
        ];
        let mut keys: Vec<_> = clients.map(key).iter().map(|k| k.0.clone()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
