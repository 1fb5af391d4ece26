//! Leases of what the server makes on demand: database users, keys, certificates.

use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Lease, Leased, Result, async_trait};
use serde_json::json;

use crate::client::Call;
use crate::error::{Ask, Said, refused};
use crate::login::Server;

/// Renews and revokes by the server's own interface.
pub(crate) struct LeaseApi(pub(crate) Arc<Server>);

#[async_trait]
impl Leased for LeaseApi {
    async fn renew(&self, lease: &str, increment: Duration, cx: &Context) -> Result<Lease> {
        let body = json!({"lease_id": lease, "increment": increment.as_secs()}).to_string();
        let call = Call::new("POST", "sys/leases/renew").body(&body);
        let reply = self.0.send(call, cx).await?;
        if reply.status == 400 && reply.said() != Said::Page {
            return Err(gone());
        }
        let envelope = reply.accepted(Ask::Write)?;
        let life = Duration::from_secs(envelope.lease_duration);
        Ok(Lease::new(lease, life, envelope.renewable))
    }

    async fn revoke(&self, lease: &str, cx: &Context) -> Result<()> {
        let body = json!({ "lease_id": lease }).to_string();
        let call = Call::new("POST", "sys/leases/revoke").body(&body);
        let reply = self.0.send(call, cx).await?;
        match reply.status {
            400 if reply.said() != Said::Page => Err(gone()),
            _ if reply.is_success() => Ok(()),
            _ => Err(refused(&reply, Ask::Write)),
        }
    }
}

/// The server answers 400 for a lease that ended, never was, or cannot be renewed.
fn gone() -> Error {
    Error::new(
        Kind::NotFound,
        "there is no such lease, or it cannot be renewed",
    )
}
