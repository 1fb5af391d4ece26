//! Links to the real kernel's keyrings.

use credchain_core::{LinkName, Settings, Setup};
use credchain_provider_keyring::Keyring;
use credchain_tests::is_root;
use credchain_tests::servers::fresh_secret;
use serde_json::json;

use crate::items::Items;

/// A service that nobody else has, in this keyring.
pub(crate) fn of(ring: &str) -> Items {
    of_service(ring, &fresh_secret("service"))
}

/// This service.
pub(crate) fn of_service(ring: &str, service: &str) -> Items {
    check_quota();
    let keyring = Keyring::from_setup(&setup(ring, service));
    Items::of(keyring.expect("right settings"))
}

/// A link as a configuration describes it.
pub(crate) fn setup(ring: &str, service: &str) -> Setup {
    let table = json!({"store": "keyutils", "keyring": ring, "service": service});
    Setup::new(LinkName::literal("keyring")).with_settings(Settings::from_json(table))
}

/// A user has 20,000 bytes of keys, which these tests need many times over; root has enough.
fn check_quota() {
    const NEEDED: u64 = 1_000_000;
    let limit = if is_root() {
        "root_maxbytes"
    } else {
        "maxbytes"
    };
    let path = format!("/proc/sys/kernel/keys/{limit}");
    let bytes = std::fs::read_to_string(&path).expect("the kernel has keyrings");
    let bytes: u64 = bytes.trim().parse().expect("a number");
    assert!(
        bytes >= NEEDED,
        "this user may have too few keys: `sudo sysctl kernel.keys.maxbytes={NEEDED} \
         kernel.keys.maxkeys=2000`"
    );
}
