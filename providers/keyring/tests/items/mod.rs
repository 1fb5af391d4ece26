//! Items in a keyring that other programs use too, removed with the test.

use std::sync::{Arc, Mutex};

use credchain_core::{
    Context, Provider, Reference, Result, Secret, SetOptions, Version, delegate_provider,
};
use credchain_provider_keyring::Keyring;

/// Removes, when it is dropped, what was written through its link.
#[derive(Debug)]
pub(crate) struct Items(Arc<Link>);

/// A link that remembers what was written.
#[derive(Debug)]
pub(crate) struct Link {
    keyring: Arc<Keyring>,
    written: Mutex<Vec<Reference>>,
}

impl Items {
    pub(crate) fn of(keyring: Keyring) -> Self {
        let (keyring, written) = (Arc::new(keyring), Mutex::default());
        Self(Arc::new(Link { keyring, written }))
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        self.0.clone()
    }
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

impl Drop for Items {
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
