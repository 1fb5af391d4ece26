//! Keys in the real kernel, removed with the test.

use std::sync::{Arc, Mutex};

use credchain_core::{
    Context, LinkName, Provider, Reference, Result, Secret, SetOptions, Settings, Setup, Version,
    delegate_provider,
};
use credchain_provider_keyring::Keyring;
use credchain_tests::servers::fresh_secret;
use serde_json::json;

/// A link to one of the kernel's keyrings. What was written through it is removed when it is
/// dropped, so that the machine has no more keys than before.
#[derive(Debug)]
pub(crate) struct Keys(Arc<Link>);

/// The link, which remembers what was written.
#[derive(Debug)]
pub(crate) struct Link {
    keyring: Arc<Keyring>,
    written: Mutex<Vec<Reference>>,
}

impl Keys {
    /// A service that nobody else has, in this keyring.
    pub(crate) fn of(ring: &str) -> Self {
        Self::of_service(ring, &fresh_secret("service"))
    }

    /// This service.
    pub(crate) fn of_service(ring: &str, service: &str) -> Self {
        let keyring = Keyring::from_setup(&setup(ring, service)).expect("right settings");
        let keyring = Arc::new(keyring);
        let written = Mutex::default();
        Self(Arc::new(Link { keyring, written }))
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        self.0.clone()
    }
}

/// A link as a configuration describes it.
pub(crate) fn setup(ring: &str, service: &str) -> Setup {
    let table = json!({"store": "keyutils", "keyring": ring, "service": service});
    Setup::new(LinkName::literal("keyring")).with_settings(Settings::from_json(table))
}

delegate_provider! {
    impl Provider for Link, through |this| this.keyring, overrides [set] {
        async fn set(
            &self,
            reference: &Reference,
            value: &Secret,
            options: &SetOptions,
            cx: &Context,
        ) -> Result<Version> {
            self.written.lock().expect("nobody panics with it").push(reference.clone());
            self.keyring.set(reference, value, options, cx).await
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let link = self.0.clone();
        // On a thread of its own: this one may be a runtime's.
        let cleaned = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let written = link.written.lock().expect("nobody panics with it").clone();
            runtime.block_on(async {
                for reference in written {
                    // It may be gone already, or never have been accepted.
                    let _ = link.keyring.delete(&reference, &Context::system()).await;
                }
            });
        });
        let _ = cleaned.join();
    }
}
