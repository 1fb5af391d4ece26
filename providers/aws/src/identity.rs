//! Who is logged in, by the word of STS.

use credchain_core::{Context, Identity, Result};

use crate::error::{Failed, Failure};
use crate::session::{Session, call};

/// The only action of all that no policy can take away.
const ACTION: &str = "sts:GetCallerIdentity";

pub(crate) async fn identity(session: &Session, cx: &Context) -> Result<Identity, Failed> {
    let answer = call(cx, ACTION, session.sts.get_caller_identity().send()).await?;
    let Some(arn) = answer.arn() else {
        return Err(Failed::new(ACTION, Failure::Unreadable));
    };
    let mut identity = Identity::new(arn);
    let mut tell = |key: &str, value: &str| {
        identity.details.insert(key.to_owned(), value.to_owned());
    };
    tell("region", &session.region);
    if let Some(account) = answer.account() {
        tell("account", account);
    }
    Ok(identity)
}
