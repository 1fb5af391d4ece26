//! Who is logged in, by what the token says of itself.

use credchain_core::{Identity, Result};

use crate::client::Ask;
use crate::failed::Problem;

pub(crate) async fn identity(ask: Ask<'_>) -> Result<Identity, Problem> {
    let (token, _) = ask.token().await?;
    let claims = token.claims();
    let (client, object) = (claims.client(), claims.object());
    let name = claims
        .person()
        .or_else(|| client.clone())
        .or_else(|| object.clone());
    let mut identity = Identity::new(name.unwrap_or_else(|| "somebody without a name".into()));
    identity.expires = Some(token.expires);
    let told = [
        ("tenant", claims.tenant()),
        ("client_id", client),
        ("object_id", object),
        ("vault", Some(ask.session.target.name().to_owned())),
    ];
    for (key, value) in told {
        if let Some(value) = value {
            identity.details.insert(key.to_owned(), value);
        }
    }
    Ok(identity)
}
