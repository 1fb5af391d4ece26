//! Secrets that Secrets Manager rotates by itself, and what is kept beside a value.

#![cfg(unix)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use credchain_core::{Account, Kind, Maker, Provider as _, Secret, SetOptions};
use serde_json::{Value, json};

use crate::support::{Asked, Fake, Moto, Reply, aws, cx, reference, set, target};

fn nobody() -> Account {
    Account::new("", Secret::new(""))
}

/// What AWS tells of a secret with these versions and stages.
fn described(stages: &Value) -> Reply {
    Reply::ok(&json!({
        "Name": "db",
        "RotationEnabled": true,
        "LastRotatedDate": 1_700_000_000,
        "VersionIdsToStages": stages,
    }))
}

fn versions() -> Reply {
    Reply::ok(&json!({"Versions": [
        {"VersionId": "begun", "VersionStages": ["AWSPENDING"], "CreatedDate": 1_700_000_000}
    ]}))
}

fn dangling() -> Value {
    json!({"used": ["AWSCURRENT"], "begun": ["AWSPENDING"]})
}

#[tokio::test]
async fn a_secret_is_rotated_once_although_asked_twice() {
    let moto = Moto::start();
    let direct = moto.aws(json!({}));
    set(&direct, "db", "one").await.unwrap();
    let counter = Fake::before(&moto);
    let db = target(
        &aws(&counter.url(), json!({})),
        "aws_secretsmanager",
        json!({"secret": "db"}),
    );
    assert_eq!(db.abilities().maker, Maker::Owner);
    let cx = cx();
    let made = db.rotated(&cx).await.unwrap().expect("as old as its value");
    let unready = db.preflight(&nobody(), None, &cx).await.unwrap_err();
    assert_eq!(unready.kind(), Kind::Misconfigured);
    moto.boto3(
        "secretsmanager",
        "client.rotate_secret(SecretId='db', RotationRules={'AutomaticallyAfterDays': 30})",
    );
    db.preflight(&nobody(), None, &cx).await.unwrap();
    let since = db.rotated(&cx).await.unwrap().unwrap() + Duration::from_millis(1);
    assert!(since > made);
    for _ in 0..2 {
        db.rotate(since, &cx).await.unwrap();
    }
    db.rotate(SystemTime::UNIX_EPOCH, &cx).await.unwrap();
    let rotations: Vec<_> = counter
        .asked()
        .into_iter()
        .filter(|asked| asked.action == "RotateSecret")
        .collect();
    assert_eq!(rotations.len(), 1);
    assert_eq!(rotations[0].body["RotateImmediately"], true);
    let unjudged = db.probe(&nobody(), &cx).await.unwrap_err();
    assert_eq!(unjudged.kind(), Kind::Unsupported);
}

#[tokio::test]
async fn the_token_of_a_rotation_depends_on_the_secret_and_the_moment() {
    let fake = Fake::start(|asked| match asked.action.as_str() {
        "DescribeSecret" => described(&json!({"used": ["AWSCURRENT"]})),
        _ => Reply::ok(&json!({})),
    });
    let (aws, cx) = (aws(&fake.url(), json!({})), cx());
    let now = cx.clock().now();
    for (secret, since) in [
        ("db", now),
        ("db", now),
        ("other", now),
        ("db", now + Duration::from_secs(1)),
    ] {
        let target = target(&aws, "aws_secretsmanager", json!({"secret": secret}));
        target.rotate(since, &cx).await.unwrap();
    }
    let tokens: Vec<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.action == "RotateSecret")
        .map(|asked| {
            asked.body["ClientRequestToken"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert!(tokens[0] != tokens[2] && tokens[0] != tokens[3]);
    assert!(tokens.iter().all(|token| (32..=64).contains(&token.len())));
}

#[tokio::test]
async fn another_rotation_that_is_not_finished_is_a_conflict_with_the_way_out() {
    let fake = Fake::start(|asked| match asked.action.as_str() {
        "DescribeSecret" => described(&dangling()),
        "ListSecretVersionIds" => versions(),
        _ => Reply::error("InternalServiceError"),
    });
    let db = target(
        &aws(&fake.url(), json!({})),
        "aws_secretsmanager",
        json!({"secret": "db"}),
    );
    let cx = cx();
    let now = cx.clock().now();
    for error in [
        db.rotate(now, &cx).await.unwrap_err(),
        db.preflight(&nobody(), None, &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.message().contains("begun"), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("--secret-id db") && hint.contains("--remove-from-version-id begun"));
    }
    assert!(!fake.actions().iter().any(|action| action == "RotateSecret"));
}

#[tokio::test]
async fn a_rotation_that_begins_in_between_is_a_conflict_and_our_own_is_none() {
    for (own, kind) in [(false, Some(Kind::Conflict)), (true, None)] {
        let asked_before = AtomicUsize::new(0);
        let token = std::sync::Mutex::new(String::from("begun"));
        let fake = Fake::start(move |asked: &Asked| match asked.action.as_str() {
            "DescribeSecret" if asked_before.fetch_add(1, Ordering::SeqCst) == 0 => {
                described(&json!({"used": ["AWSCURRENT"]}))
            }
            "DescribeSecret" => {
                let pending = token.lock().unwrap().clone();
                described(&json!({"used": ["AWSCURRENT"], pending: ["AWSPENDING"]}))
            }
            "RotateSecret" => {
                if own {
                    *token.lock().unwrap() = asked.body["ClientRequestToken"]
                        .as_str()
                        .unwrap()
                        .to_owned();
                }
                Reply::error("InvalidRequestException")
            }
            _ => versions(),
        });
        let db = target(
            &aws(&fake.url(), json!({})),
            "aws_secretsmanager",
            json!({"secret": "db"}),
        );
        let cx = cx();
        let rotated = db.rotate(cx.clock().now(), &cx).await;
        assert_eq!(rotated.err().map(|error| error.kind()), kind);
    }
}

#[tokio::test]
async fn a_failure_is_what_it_is_and_shows_nothing() {
    for (code, kind) in [
        ("AccessDeniedException", Kind::Denied),
        ("ThrottlingException", Kind::Throttled),
        ("InternalServiceError", Kind::Unavailable),
        ("InvalidRequestException", Kind::Invalid),
    ] {
        let fake = Fake::start(move |asked| match asked.action.as_str() {
            "DescribeSecret" => described(&json!({"used": ["AWSCURRENT"]})),
            _ => Reply::error(code),
        });
        let db = target(
            &aws(&fake.url(), json!({})),
            "aws_secretsmanager",
            json!({"secret": "db"}),
        );
        let cx = cx();
        let error = db.rotate(cx.clock().now(), &cx).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(!format!("{error:?}").contains("canary"));
        if kind == Kind::Denied {
            assert!(
                error
                    .hint()
                    .unwrap()
                    .contains("`secretsmanager:RotateSecret`")
            );
        }
    }
    let moto = Moto::start();
    let none = target(
        &moto.aws(json!({})),
        "aws_secretsmanager",
        json!({"secret": "none"}),
    );
    let missing = none.rotated(&cx()).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::Misconfigured);
    let parameters = moto.aws(json!({"service": "ssm"}));
    let settings = credchain_core::Settings::from_json(json!({"secret": "db"}));
    let rotatable = parameters.as_rotatable().unwrap();
    let other = rotatable
        .target("aws_secretsmanager", &settings)
        .unwrap_err();
    assert_eq!(other.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn what_is_beside_a_value_is_no_version_of_it_and_not_listed() {
    let moto = Moto::start();
    for service in ["secretsmanager", "ssm"] {
        let aws = moto.aws(json!({"service": service}));
        let (cx, options) = (cx(), SetOptions::default());
        set(&aws, "db", "live").await.unwrap();
        let beside = aws.beside(&reference("db")).unwrap();
        aws.set(&beside, &Secret::new("state"), &options, &cx)
            .await
            .unwrap();
        assert_eq!(support::get(&aws, "db").await.unwrap(), "live");
        assert_eq!(aws.get(&beside, &cx).await.unwrap().expose(), b"state");
        let history = aws.as_versioned().unwrap();
        let versions = history.versions(&reference("db"), &cx).await.unwrap();
        assert_eq!(versions.len(), 1);
        let listed = aws.list(None, &cx).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|one| one.reference.path()).collect();
        assert_eq!(listed, ["db"]);
        let named = aws.list(Some(beside.path()), &cx).await.unwrap();
        assert_eq!(named.len(), 1);
    }
}
