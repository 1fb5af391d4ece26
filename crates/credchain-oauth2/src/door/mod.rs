//! Tokens on their way to an API, and what the API says of them.

mod challenge;
#[cfg(feature = "middleware")]
mod middleware;

use credchain_core::{Context, Error, Kind, Result};
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::endpoint;
use crate::source::TokenSource;

/// The header `Authorization` for the requests of one API. Cheap to clone.
///
/// - The token goes to the API's own origin (scheme, host and port), and to those that were added
///   with [`also_for`](Self::also_for). `http://` is for this machine only.
/// - An answer of 401 that is about the token replaces it once, for all who had the same one.
///
/// With the feature `middleware` it is a middleware of `reqwest-middleware`: requests get the header,
/// and one that was answered with 401 is sent once more with another token.
///
/// ```
/// use credchain_core::Context;
/// use credchain_oauth2::{AuthorizationHeader, TokenSource};
///
/// # async fn example(source: TokenSource) -> Result<(), Box<dyn std::error::Error>> {
/// let cx = Context::system();
/// let header = AuthorizationHeader::new(source, "https://api.example.com/v1/")?;
/// let mut authorized = header.value(&cx).await?;
/// let answered = 401; // what the API answered to a request with `authorized.value()`
/// if header.is_refused(&authorized, answered, [], &cx) {
///     authorized = header.value(&cx).await?; // and send it once more
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizationHeader {
    source: TokenSource,
    origins: Vec<Origin>,
}

/// Who gets a token: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin(String, String, Option<u16>);

/// The value of a header `Authorization`, and which token is in it.
#[derive(Clone, Debug)]
pub struct Authorized {
    value: HeaderValue,
    generation: u64,
}

impl Authorized {
    /// The value, marked as sensitive: nobody shows it.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }
}

impl AuthorizationHeader {
    /// For an API at this address; of it only scheme, host and port count.
    ///
    /// # Errors
    /// `Misconfigured` if it is no address, or one at `http://` that is not on this machine.
    pub fn new(source: TokenSource, api: &str) -> Result<Self> {
        let header = Self {
            source,
            origins: Vec::new(),
        };
        header.also_for(api)
    }

    /// The same, for an API that answers at this address as well.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn also_for(mut self, api: &str) -> Result<Self> {
        let url = endpoint::parse("the API's address", api, false)?;
        self.origins.push(Origin::of(&url));
        Ok(self)
    }

    /// Whether requests to this address get a token.
    pub fn is_for(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.takes(&url))
    }

    /// The header with a token that is good for a while.
    pub async fn value(&self, cx: &Context) -> Result<Authorized> {
        let token = self.source.token(cx).await?;
        let mut value = HeaderValue::from_bytes(token.authorization().expose())
            .map_err(|_| Error::new(Kind::Invalid, "the token cannot be put into a header"))?;
        value.set_sensitive(true);
        Ok(Authorized {
            value,
            generation: token.generation(),
        })
    }

    /// Whether this answer means that the token is not good any more, and there is another one to
    /// be had. `challenges` are the answer's headers `WWW-Authenticate`.
    ///
    /// That is so for 401 with the error `invalid_token` (RFC 6750 §3.1) or none; never for
    /// another status or error, and not if the token had been replaced less than half a minute ago.
    pub fn is_refused<'a>(
        &self,
        authorized: &Authorized,
        status: u16,
        challenges: impl IntoIterator<Item = &'a [u8]>,
        cx: &Context,
    ) -> bool {
        status == 401
            && challenge::is_about_the_token(challenges)
            && self.source.invalidate(authorized.generation, cx)
    }

    fn takes(&self, url: &Url) -> bool {
        self.origins.contains(&Origin::of(url))
    }
}

impl Origin {
    fn of(url: &Url) -> Self {
        Self(
            url.scheme().to_owned(),
            url.host_str().unwrap_or_default().to_owned(),
            url.port_or_known_default(),
        )
    }
}
