//! The connection to the session bus, and the session with the service on it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use credchain_core::Context;
use secret_service::{EncryptionType, SecretService};
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;

use crate::error::Failure;

/// The one session that is kept open.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Option<Arc<Session>>>);

/// A session, opened on first use.
pub(crate) struct Session {
    /// The tasks that serve a connection belong to a runtime and end with it.
    runtime: Id,
    address: String,
    service: OnceCell<SecretService<'static>>,
}

impl Sessions {
    /// The session of this runtime with the service on this bus.
    pub(crate) fn at(&self, address: String) -> Arc<Session> {
        let runtime = Handle::current().id();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*kept
            && session.runtime == runtime
            && session.address == address
        {
            return session.clone();
        }
        let session = Arc::new(Session {
            runtime,
            address,
            service: OnceCell::new(),
        });
        *kept = Some(session.clone());
        session
    }

    /// Opens another one next time.
    pub(crate) fn forget(&self, session: &Arc<Session>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, session)) {
            *kept = None;
        }
    }
}

impl Session {
    /// The service. Many who ask at once share one attempt to reach it.
    pub(crate) async fn service(&self) -> Result<&SecretService<'static>, Failure> {
        let connect = || connect(&self.address);
        self.service.get_or_try_init(connect).await
    }
}

/// Where the session bus is, by the environment that was handed in.
pub(crate) fn address(cx: &Context) -> Result<String, Failure> {
    const VARIABLE: &str = "DBUS_SESSION_BUS_ADDRESS";
    if cx
        .env()
        .get(VARIABLE)
        .is_some_and(|value| !value.is_empty())
    {
        let address = cx.env().text(VARIABLE).ok_or(Failure::BadAddress)?;
        // What people write to keep programs off the bus, and what asks for a bus to be started
        // for this program alone.
        let is_none = ["disabled:", "autolaunch:"]
            .iter()
            .any(|none| address.starts_with(none));
        return if is_none {
            Err(Failure::NoBus)
        } else {
            Ok(address)
        };
    }
    // Where systemd puts it, also for sessions that lost the variable, such as `cron` and `ssh`.
    let directory = cx.env().text("XDG_RUNTIME_DIR").ok_or(Failure::NoBus)?;
    Ok(format!("unix:path={}/bus", escaped(&directory)))
}

async fn connect(address: &str) -> Result<SecretService<'static>, Failure> {
    let builder = zbus::connection::Builder::address(address);
    let builder = builder.map_err(|error| Failure::connecting(&error))?;
    let connection = builder.build().await;
    let connection = connection.map_err(|error| Failure::connecting(&error))?;
    // SECURITY: with a key of its own for each session, so that a value does not cross the bus in
    // clear, where `dbus-monitor` would show it.
    Ok(SecretService::connect_with_existing(EncryptionType::Dh, connection).await?)
}

/// A path as D-Bus writes it in an address.
fn escaped(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_/\\*.".contains(byte);
    let escape = |byte: u8| {
        if plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02x}")
        }
    };
    path.bytes().map(escape).collect()
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::Environment;

    use super::*;

    fn address_in<const N: usize>(variables: [(&str, &str); N]) -> Result<String, Failure> {
        address(&Context::system().with_env(Environment::fixed(variables)))
    }

    #[test]
    fn the_bus_is_where_the_given_environment_says() {
        let set = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/a");
        let unset = ("DBUS_SESSION_BUS_ADDRESS", "");
        let directory = ("XDG_RUNTIME_DIR", "/run/user/10 0");
        assert_eq!(address_in([set, directory]).unwrap(), "unix:path=/a");
        let derived = "unix:path=/run/user/10%200/bus";
        assert_eq!(address_in([unset, directory]).unwrap(), derived);
        assert_eq!(address_in([("A", "b")]), Err(Failure::NoBus));
        let disabled = ("DBUS_SESSION_BUS_ADDRESS", "disabled:");
        assert_eq!(address_in([disabled, directory]), Err(Failure::NoBus));
    }
}
