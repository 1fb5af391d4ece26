//! That a key does not last is said once.
#![cfg(target_os = "linux")]

mod items;
mod keys;

use credchain_conformance::Warnings;
use credchain_core::{Context, Provider as _, Secret, SetOptions};

#[tokio::test]
async fn that_keys_are_gone_with_the_machine_is_said_at_the_first_write() {
    let warnings = Warnings::watch();
    let items = keys::of("user");
    let (link, cx) = (items.link(), Context::system());
    let place = "key".parse().unwrap();
    assert!(link.get(&place, &cx).await.is_err());
    assert_eq!(warnings.given(), [""; 0]);
    for value in ["first", "second"] {
        let (value, options) = (Secret::new(value), SetOptions::default());
        link.set(&place, &value, &options, &cx).await.unwrap();
    }
    let given = warnings.given();
    assert_eq!(given.len(), 1, "{given:?}");
    assert!(given[0].contains("in memory only") && given[0].contains("the machine stops"));
}
