//! What is Secret Manager's own, with a fake of it. It is not Google's.

mod support;

use std::time::Duration;

use credchain_core::{
    Error, Expect, Kind, Provider as _, Secret, SetOptions, Version, Versioned as _,
};
use serde_json::json;

use crate::support::{FakeSecretManager, PROJECT, cx, gcp_with, get, reference, set};

fn start() -> (FakeSecretManager, credchain_provider_gcp::Gcp) {
    let fake = FakeSecretManager::start();
    let gcp = gcp_with(&fake.url(), json!({}), &fake.token);
    (fake, gcp)
}

fn version(number: u64) -> Version {
    Version::number(number)
}

#[tokio::test]
async fn fields_of_one_secret_are_one_request() {
    let (fake, gcp) = start();
    let document = r#"{"user": "app", "password": "p\u00e4\n", "port": 5432}"#;
    set(&gcp, "db", document).await.unwrap();
    set(&gcp, "other", "o").await.unwrap();
    let asked = [
        "db#user",
        "db#password",
        "db",
        "db#port",
        "other",
        "db#nothing",
        "db?version=1",
        "missing",
    ];
    let answers = gcp.get_many(&asked.map(reference), &cx()).await;
    let values: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(secret) => secret.expose_text().unwrap().to_owned(),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    let missing = Kind::NotFound.to_string();
    assert_eq!(
        values,
        [
            "app", "pä\n", document, "5432", "o", &missing, document, &missing
        ]
    );
    // The newest version, a numbered one, and two other secrets.
    assert_eq!(fake.reads(), 4);
    let meta = answers[0].as_ref().unwrap().meta();
    assert_eq!(meta.version, Some(version(1)));
    assert_eq!(meta.reference, Some(reference("db#user")));
}

#[tokio::test]
async fn nothing_is_asked_about_what_cannot_be_there() {
    let (fake, gcp) = start();
    let answers = gcp.get_many(&["a/b", "c.d"].map(reference), &cx()).await;
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind(), Kind::Invalid);
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn another_projects_secret_is_named_as_a_whole() {
    let (fake, gcp) = start();
    let there = "/projects/other-project/secrets/db";
    set(&gcp, there, "theirs").await.unwrap();
    set(&gcp, "db", "ours").await.unwrap();
    assert_eq!(get(&gcp, there).await.unwrap(), "theirs");
    assert_eq!(get(&gcp, "db").await.unwrap(), "ours");
    let asked = fake.asked();
    assert!(
        asked.contains(
            &"GET /v1/projects/other-project/secrets/db/versions/latest:access".to_owned()
        )
    );
}

#[tokio::test]
async fn a_secret_is_created_with_its_first_version_only() {
    let (fake, gcp) = start();
    assert_eq!(set(&gcp, "db", "1").await.unwrap(), version(1));
    assert_eq!(set(&gcp, "db", "2").await.unwrap(), version(2));
    let base = format!("POST /v1/projects/{PROJECT}/secrets");
    let add = format!("{base}/db:addVersion");
    let create = format!("{base}?secretId=db");
    assert_eq!(fake.asked(), [add.clone(), create, add.clone(), add]);
}

#[tokio::test]
async fn who_may_only_add_versions_can_write_what_is_there() {
    let (fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    fake.state().denied.insert("secrets.create");
    set(&gcp, "db", "2").await.unwrap();
    let error = set(&gcp, "new", "1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    let hint = error.hint().unwrap();
    assert!(hint.contains("`secretmanager.secrets.create`"), "{hint}");
}

#[tokio::test]
async fn a_condition_on_what_is_there_is_not_offered() {
    let (fake, gcp) = start();
    for expect in [Expect::Absent, Expect::Version(version(1))] {
        let options = SetOptions::expecting(expect);
        let written = gcp
            .set(&reference("db"), &Secret::new("v"), &options, &cx())
            .await;
        assert_eq!(written.unwrap_err().kind(), Kind::Unsupported);
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_value_has_one_byte_to_64_kib() {
    let (fake, gcp) = start();
    for value in [String::new(), "v".repeat(65_537)] {
        let error = set(&gcp, "db", &value).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }
    assert!(fake.asked().is_empty());
    set(&gcp, "db", &"v".repeat(65_536)).await.unwrap();
    assert_eq!(get(&gcp, "db").await.unwrap().len(), 65_536);
}

#[tokio::test]
async fn a_value_that_does_not_match_its_checksum_is_asked_for_again_later() {
    let (fake, gcp) = start();
    set(&gcp, "db", "v").await.unwrap();
    fake.state().corrupt = true;
    let error = get(&gcp, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("checksum"), "{error:?}");
    fake.state().corrupt = false;
    assert_eq!(get(&gcp, "db").await.unwrap(), "v");
}

#[tokio::test]
async fn a_disabled_version_is_a_miss_with_the_command_that_enables_it() {
    let (fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    set(&gcp, "db", "2").await.unwrap();
    gcp.disable(&reference("db"), &version(2), &cx())
        .await
        .unwrap();
    let enable = format!("`gcloud secrets versions enable 2 --secret=db --project={PROJECT}`");
    let error = get(&gcp, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.hint().unwrap().contains(&enable), "{error:?}");
    assert_eq!(get(&gcp, "db?version=1").await.unwrap(), "1");
    // Who may not see the state is told what both have in common.
    fake.state().denied.insert("versions.get");
    let error = get(&gcp, "db?version=2").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.hint().unwrap().contains(&enable), "{error:?}");
}

#[tokio::test]
async fn a_destroyed_version_is_a_miss_for_good() {
    let (_fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    let destroy = || async { gcp.destroy(&reference("db"), &version(1), &cx()).await };
    destroy().await.unwrap();
    let error = get(&gcp, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(!error.hint().unwrap().contains("gcloud"), "{error:?}");
    assert_eq!(destroy().await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_key_that_may_not_be_used_is_no_miss() {
    let (fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    fake.change("db", |stored| stored.versions[0].decrypts = false);
    let error = get(&gcp, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.hint().unwrap().contains("KMS"), "{error:?}");
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let (fake, gcp) = start();
    for index in 0..7 {
        set(&gcp, &format!("a{index}"), "v").await.unwrap();
    }
    set(&gcp, "b", "v").await.unwrap();
    for _ in 0..4 {
        set(&gcp, "b", "w").await.unwrap();
    }
    fake.state().page = 3;
    let listed = gcp.list(None, &cx()).await.unwrap();
    assert_eq!(listed.len(), 8);
    let listed = gcp.list(Some("a"), &cx()).await.unwrap();
    assert_eq!(listed.len(), 7);
    let versions = gcp.versions(&reference("b"), &cx()).await.unwrap();
    let numbers: Vec<_> = versions
        .iter()
        .map(|state| state.version.as_str())
        .collect();
    assert_eq!(numbers, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn a_prefix_is_before_every_name_and_in_no_reference() {
    let fake = FakeSecretManager::start();
    let all = gcp_with(&fake.url(), json!({}), &fake.token);
    let ours = gcp_with(&fake.url(), json!({"prefix": "ci_"}), &fake.token);
    set(&ours, "db", "ours").await.unwrap();
    set(&all, "db", "all's").await.unwrap();
    assert_eq!(get(&all, "ci_db").await.unwrap(), "ours");
    assert_eq!(get(&ours, "/db").await.unwrap(), "all's");
    let listed = ours.list(None, &cx()).await.unwrap();
    let paths: Vec<_> = listed.iter().map(|one| one.reference.path()).collect();
    assert_eq!(paths, ["db"]);
}

#[tokio::test]
async fn a_label_is_an_alias_that_moves_and_leaves_the_others() {
    let (_fake, gcp) = start();
    for value in ["1", "2", "3"] {
        set(&gcp, "db", value).await.unwrap();
    }
    let place = reference("db");
    let stage = async |number, label| gcp.stage(&place, &version(number), label, &cx()).await;
    stage(1, "previous").await.unwrap();
    stage(2, "stable").await.unwrap();
    stage(2, "previous").await.unwrap();
    stage(2, "previous").await.unwrap();
    assert_eq!(get(&gcp, "db?version=previous").await.unwrap(), "2");
    assert_eq!(get(&gcp, "db?version=current").await.unwrap(), "3");
    let versions = gcp.versions(&place, &cx()).await.unwrap();
    let labels: Vec<_> = versions.iter().map(|state| state.labels.clone()).collect();
    assert_eq!(labels[0], ["latest"]);
    assert_eq!(labels[1], ["previous", "stable"]);
    assert!(labels[2].is_empty());
    for (number, label, kind) in [
        (1, "current", Kind::Unsupported),
        (1, "1st", Kind::Invalid),
        (9, "next", Kind::NotFound),
    ] {
        let error = stage(number, label).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{label}");
    }
}

#[tokio::test]
async fn versions_that_cannot_be_read_are_listed_as_such() {
    let (_fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    set(&gcp, "db", "2").await.unwrap();
    let place = reference("db");
    gcp.disable(&place, &version(1), &cx()).await.unwrap();
    let versions = gcp.versions(&place, &cx()).await.unwrap();
    let enabled: Vec<_> = versions.iter().map(|state| state.enabled).collect();
    assert_eq!(enabled, [true, false]);
    assert!(versions[0].created > versions[1].created);
}

#[tokio::test]
async fn what_may_not_be_seen_is_left_out_of_a_description() {
    let (fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    let place = reference("db");
    let all = gcp.describe(&place, &cx()).await.unwrap();
    assert_eq!(all.version, Some(version(1)));
    assert!(all.created.is_some());
    assert_eq!(all.metadata["team"], "billing");
    fake.state().denied.extend(["versions.get", "secrets.get"]);
    let less = gcp.describe(&place, &cx()).await.unwrap();
    assert_eq!(less.version, Some(version(1)));
    assert!(less.created.is_none() && less.metadata.is_empty());
}

#[tokio::test]
async fn a_deadline_that_is_near_is_kept() {
    let (_fake, gcp) = start();
    set(&gcp, "db", "1").await.unwrap();
    let late = cx().with_timeout(Duration::ZERO);
    let error: Error = gcp.get(&reference("db"), &late).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn what_is_beside_a_value_is_no_version_of_it_and_not_listed() {
    let (_fake, gcp) = start();
    set(&gcp, "db", "live").await.unwrap();
    let beside = gcp.beside(&reference("db")).unwrap();
    set(&gcp, beside.path(), "state").await.unwrap();
    assert_eq!(get(&gcp, "db").await.unwrap(), "live");
    assert_eq!(get(&gcp, beside.path()).await.unwrap(), "state");
    let versions = gcp.versions(&reference("db"), &cx()).await.unwrap();
    assert_eq!(versions.len(), 1);
    let listed = gcp.list(None, &cx()).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| one.reference.path()).collect();
    assert_eq!(listed, ["db"]);
    let named = gcp.list(Some(beside.path()), &cx()).await.unwrap();
    assert_eq!(named.len(), 1);
}
