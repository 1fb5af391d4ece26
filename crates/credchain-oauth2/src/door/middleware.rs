//! The door of `reqwest`.

use credchain_core::{Context, async_trait};
use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::{AuthorizationHeader, Authorized};

/// Puts the token into requests to the API; others pass as they are, and so does one that has an
/// `Authorization` of its own. A request that is answered with 401 is sent once more, with another
/// token, unless its body is a stream, which cannot be sent twice.
///
/// Redirections are followed below this, by `reqwest`, which takes the token out of what goes to
/// another host or port.
///
/// ```
/// use credchain_oauth2::{AuthorizationHeader, TokenSource};
///
/// # async fn example(source: TokenSource) -> Result<(), Box<dyn std::error::Error>> {
/// let header = AuthorizationHeader::new(source, "https://api.example.com")?;
/// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(header).build();
/// let items = client.get("https://api.example.com/items").send().await?;
/// # Ok(()) }
/// ```
#[async_trait]
impl Middleware for AuthorizationHeader {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if !self.takes(request.url()) || request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        let cx = Context::system();
        let again = request.try_clone();
        let authorized = self.put_into(&mut request, &cx).await?;
        let response = next.clone().run(request, extensions).await?;
        let challenges = response.headers().get_all(WWW_AUTHENTICATE);
        let challenges = challenges.iter().map(http::HeaderValue::as_bytes);
        // A redirection may have ended elsewhere, which did not get the token.
        if self.takes(response.url())
            && self.is_refused(&authorized, response.status().as_u16(), challenges, &cx)
            && let Some(mut again) = again
        {
            drop(response);
            self.put_into(&mut again, &cx).await?;
            return next.run(again, extensions).await;
        }
        Ok(response)
    }
}

impl AuthorizationHeader {
    async fn put_into(&self, request: &mut Request, cx: &Context) -> Result<Authorized> {
        let authorized = self.value(cx).await.map_err(Error::middleware)?;
        request
            .headers_mut()
            .insert(AUTHORIZATION, authorized.value().clone());
        Ok(authorized)
    }
}
