//! Versions, fields and metadata through the provider.

mod common;

use std::time::SystemTime;

use common::{World, at, get, set};
use credchain_core::{
    Kind, ManualClock, Naming, Provider as _, Secret, SetOptions, Version, Versioned as _,
};
use credchain_provider_age::{Age, StoreSettings};

#[tokio::test]
async fn older_versions_are_read_by_number_and_as_previous() {
    let world = World::with_value("one").await;
    let age = world.age();
    set(&age, "default/api_key", b"two").await.unwrap();
    set(&age, "default/api_key", b"three").await.unwrap();
    for (version, value) in [
        ("1", "one"),
        ("previous", "two"),
        ("3", "three"),
        ("current", "three"),
    ] {
        let reference = format!("default/api_key?version={version}");
        assert_eq!(get(&age, &reference).await.unwrap(), value.as_bytes());
    }
    for missing in ["0", "4", "03", "latest"] {
        let error = get(&age, &format!("default/api_key?version={missing}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
    let error = set(&age, "default/api_key?version=1", b"x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn the_history_is_listed_and_old_versions_can_be_destroyed() {
    let world = World::with_value("one").await;
    let (age, place, cx) = (world.age(), at("default/api_key"), common::world(&[]));
    set(&age, "default/api_key", b"two").await.unwrap();
    set(&age, "default/api_key", b"three").await.unwrap();
    let states = age.versions(&place, &cx).await.unwrap();
    let shown: Vec<_> = states
        .iter()
        .map(|one| (one.version.as_str(), one.labels.join(",")))
        .collect();
    let expected = [
        ("3", "current".into()),
        ("2", "previous".into()),
        ("1", String::new()),
    ];
    assert_eq!(shown, expected);
    age.destroy(&place, &Version::number(2), &cx).await.unwrap();
    assert_eq!(
        get(&world.age(), "default/api_key?version=previous")
            .await
            .unwrap(),
        b"one"
    );
    let error = age
        .destroy(&place, &Version::number(3), &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    for refused in [
        age.stage(&place, &Version::number(1), "pending", &cx).await,
        age.disable(&place, &Version::number(1), &cx).await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), Kind::Unsupported);
    }
}

#[tokio::test]
async fn only_as_many_versions_are_kept_as_the_settings_say() {
    let world = World::new();
    let settings = StoreSettings::new(world.path()).with_identity(&world.identity);
    let age = Age::new(settings.with_versions(2));
    for value in ["one", "two", "three"] {
        set(&age, "default/k", value.as_bytes()).await.unwrap();
    }
    assert_eq!(get(&age, "default/k?version=2").await.unwrap(), b"two");
    assert_eq!(
        get(&age, "default/k?version=1").await.unwrap_err().kind(),
        Kind::NotFound
    );
}

#[tokio::test]
async fn fields_of_a_json_value_are_read_and_set_one_by_one() {
    let world = World::with_value("plain").await;
    let age = world.age();
    set(&age, "default/db#user", b"ann").await.unwrap();
    set(&age, "default/db#password", b"p\"w\n").await.unwrap();
    assert_eq!(get(&age, "default/db#password").await.unwrap(), b"p\"w\n");
    let whole = get(&age, "default/db").await.unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(
        whole,
        serde_json::json!({"user": "ann", "password": "p\"w
"})
    );
    assert_eq!(
        get(&age, "default/db#host").await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        get(&age, "default/api_key#user").await.unwrap_err().kind(),
        Kind::Invalid
    );
    assert_eq!(
        set(&age, "default/api_key#user", b"x")
            .await
            .unwrap_err()
            .kind(),
        Kind::Invalid
    );
    let error = age
        .delete(&at("default/db#user"), &common::world(&[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"plain");
}

#[tokio::test]
async fn time_and_metadata_are_kept_to_the_millisecond() {
    let world = World::with_store().await;
    let clock = ManualClock::new().clock();
    let cx = common::world(&[]).with_clock(clock.clone());
    let mut options = SetOptions::default();
    options.metadata.insert("owner".into(), "billing".into());
    let place = at("default/k");
    world
        .age()
        .set(&place, &Secret::new("v"), &options, &cx)
        .await
        .unwrap();
    let description = world.age().describe(&place, &cx).await.unwrap();
    assert_eq!(description.created, Some(clock.now()));
    assert_eq!(description.metadata["owner"], "billing");
    let secret = world.age().get(&place, &cx).await.unwrap();
    assert_eq!(secret.meta().created, Some(clock.now()));
    let listed = world.age().list(Some("default/"), &cx).await.unwrap();
    assert_eq!((listed.len(), listed[0].created), (1, Some(clock.now())));
    assert!(clock.now() > SystemTime::UNIX_EPOCH);
    assert!(
        world
            .age()
            .list(Some("prod/"), &cx)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_conventional_place_is_the_profile_and_the_name() {
    let naming = Naming::new("api_key".parse().unwrap()).in_project("pipeline", "prod");
    assert_eq!(World::new().age().locate(&naming), [at("prod/api_key")]);
}

#[tokio::test]
async fn a_store_in_a_new_directory_brings_the_directory_along() {
    let world = World::new();
    let path = world.project().join("secrets/prod.age");
    let age = Age::new(StoreSettings::new(&path).with_identity(&world.identity));
    set(&age, "prod/api_key", b"v").await.unwrap();
    assert_eq!(get(&age, "prod/api_key").await.unwrap(), b"v");
}

#[tokio::test]
async fn what_is_beside_a_value_is_no_version_of_it_and_not_listed() {
    let world = World::with_value("live").await;
    let (age, cx) = (world.age(), common::world(&[]));
    let beside = age.beside(&at("default/api_key")).unwrap();
    set(&age, &beside.to_string(), b"state").await.unwrap();
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"live");
    assert_eq!(get(&age, &beside.to_string()).await.unwrap(), b"state");
    let versions = age.versions(&at("default/api_key"), &cx).await.unwrap();
    assert_eq!(versions.len(), 1);
    for prefix in [None, Some("default/")] {
        let listed = age.list(prefix, &cx).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|one| one.reference.path()).collect();
        assert_eq!(listed, ["default/api_key"]);
    }
    let named = age.list(Some(beside.path()), &cx).await.unwrap();
    assert_eq!(named.len(), 1);
}
