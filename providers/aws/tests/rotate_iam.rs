//! Access keys of an IAM user, made and ended at the emulator; and what only AWS itself says.

#![cfg(unix)]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use credchain_core::{Account, Context, Kind, Provider as _, Secret, Target, Verdict};
use credchain_tests::faults::{FakeHttp, Reply as Wire, Request};
use credchain_tests::servers::fresh_secret;
use serde_json::json;

use crate::support::{Moto, Reply, aws, cx, cx_as, forward, target};

const ALL: &str = "iam:*";

type Keys = BTreeMap<String, (String, String)>;

/// The world of whoever has this user's key.
fn world(keys: &Keys, user: &str) -> Context {
    let (id, secret) = &keys[user];
    cx_as(id, secret)
}

fn account(keys: &Keys, user: &str) -> Account {
    let (id, secret) = &keys[user];
    Account::new(id, Secret::new(secret.as_str()))
}

fn etl(url: &str) -> Arc<dyn Target> {
    target(&aws(url, json!({})), "aws_iam", json!({"user": "etl"}))
}

/// What a request for IAM or STS asks for.
fn action(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let action = pairs.find(|(key, _)| *key == "Action");
    action.map_or(String::new(), |(_, action)| action.to_owned())
}

fn xml(status: u16, body: &str) -> Wire {
    Reply::raw(status, body)
        .with("content-type", "text/xml")
        .into()
}

fn error(status: u16, code: &str) -> Wire {
    xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>canary</Message>\
             </Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

/// The emulator with what AWS does and it does not: `said` answers in its place, and its own
/// refusals of a key or a right get the form that AWS documents.
fn like_aws(
    moto: &Moto,
    said: impl Fn(&Request) -> Option<Wire> + Send + Sync + 'static,
) -> FakeHttp {
    let upstream = format!("127.0.0.1:{}", moto.port());
    FakeHttp::start(move |request| {
        if let Some(said) = said(request) {
            return said;
        }
        let mut answer = forward(&upstream, request).expect("the emulator answers");
        let body = String::from_utf8_lossy(&answer.body);
        let body = body.replace("<Errors>", "").replace("</Errors>", "");
        answer.body = body.into_bytes();
        answer.with("date", &now()).into()
    })
}

fn now() -> String {
    let now = DateTime::from(cx().clock().now());
    now.fmt(Format::HttpDate).expect("a date")
}

#[tokio::test]
async fn a_key_is_made_tried_listed_and_deleted_twice() {
    let (moto, keys) = Moto::with_users(&[("admin", ALL), ("etl", "sts:*")]);
    let way = like_aws(&moto, |_| None);
    let (cx, etl, old) = (
        world(&keys, "admin"),
        etl(&way.url()),
        account(&keys, "etl"),
    );
    let abilities = etl.abilities();
    assert_eq!((abilities.limit, abilities.disable), (Some(2), true));
    assert_eq!(abilities.settling, Duration::from_mins(1));
    etl.preflight(&old, None, &cx).await.unwrap();
    // The emulator tells whole seconds.
    let start = cx.clock().now() - Duration::from_secs(1);
    let new = etl.issue("tag", &cx).await.unwrap();
    assert_eq!(etl.probe(&new, &cx).await.unwrap(), Verdict::Accepted);
    assert_eq!(etl.probe(&old, &cx).await.unwrap(), Verdict::Accepted);
    let issued = etl.issued(&cx).await.unwrap();
    assert_eq!(issued.len(), 2);
    let listed = issued.iter().find(|key| key.id == new.id).unwrap();
    assert!(listed.enabled && listed.tag.is_none());
    assert!(listed.created.unwrap() >= start && listed.used.unwrap() >= start);
    for _ in 0..2 {
        etl.revoke(&old.id, &cx).await.unwrap();
    }
    assert_eq!(etl.probe(&old, &cx).await.unwrap(), Verdict::Refused);
    assert_eq!(etl.issued(&cx).await.unwrap().len(), 1);
    let shown = format!("{etl:?}{new:?}{issued:?}");
    assert!(!shown.contains(new.secret.expose_text().unwrap()));
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_refused() {
    let (moto, keys) = Moto::with_users(&[("etl", ALL)]);
    let way = like_aws(&moto, |_| None);
    let (cx, etl) = (world(&keys, "etl"), etl(&way.url()));
    let wrong = Account::new(&keys["etl"].0, Secret::from(fresh_secret("wrong")));
    assert_eq!(etl.probe(&wrong, &cx).await.unwrap(), Verdict::Refused);
    let unknown = Account::new(
        concat!("AKIA", "IOSFODNN7EXAMPLE"),
        Secret::from(fresh_secret("wrong")),
    );
    assert_eq!(etl.probe(&unknown, &cx).await.unwrap(), Verdict::Refused);
    for half in [
        Account::new("", Secret::new("x")),
        Account::new("AKIA", Secret::new("")),
    ] {
        assert_eq!(
            etl.probe(&half, &cx).await.unwrap_err().kind(),
            Kind::Invalid
        );
    }
}

#[tokio::test]
async fn a_disabled_key_is_refused_and_accepted_again_when_it_is_enabled() {
    let (moto, keys) = Moto::with_users(&[("admin", ALL), ("etl", "sts:*")]);
    let own = keys["etl"].0.clone();
    let off = AtomicBool::new(false);
    let way = like_aws(&moto, move |request| {
        let body = String::from_utf8_lossy(&request.body);
        if action(request) == "UpdateAccessKey" && body.contains(&own) {
            off.store(body.contains("Status=Inactive"), Ordering::SeqCst);
        }
        let signed = request.header("authorization").unwrap_or_default();
        let refused = off.load(Ordering::SeqCst) && signed.contains(&own);
        refused.then(|| error(403, "InvalidClientTokenId"))
    });
    let (cx, etl, key) = (
        world(&keys, "admin"),
        etl(&way.url()),
        account(&keys, "etl"),
    );
    for (enabled, verdict) in [(false, Verdict::Refused), (true, Verdict::Accepted)] {
        for _ in 0..2 {
            if enabled {
                etl.enable(&key.id, &cx).await.unwrap();
            } else {
                etl.disable(&key.id, &cx).await.unwrap();
            }
        }
        assert_eq!(etl.issued(&cx).await.unwrap()[0].enabled, enabled);
        assert_eq!(etl.probe(&key, &cx).await.unwrap(), verdict);
    }
    let gone = etl
        .disable(concat!("AKIA", "0000000000000001"), &cx)
        .await
        .unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_third_key_is_a_conflict_beforehand_that_names_the_disabled_one() {
    let (moto, keys) = Moto::with_users(&[("admin", ALL), ("etl", "sts:*")]);
    let (cx, etl, current) = (
        world(&keys, "admin"),
        etl(&moto.url()),
        account(&keys, "etl"),
    );
    let second = etl.issue("tag", &cx).await.unwrap();
    let full = etl.preflight(&current, None, &cx).await.unwrap_err();
    assert_eq!(full.kind(), Kind::Conflict);
    assert!(
        full.hint()
            .unwrap()
            .contains("none of them is proven unused")
    );
    etl.disable(&second.id, &cx).await.unwrap();
    let full = etl.preflight(&current, None, &cx).await.unwrap_err();
    let hint = full.hint().unwrap();
    let command = format!(
        "delete-access-key --user-name etl --access-key-id {}",
        second.id
    );
    assert!(
        hint.contains(&command) && !hint.contains(&current.id),
        "{hint}"
    );
    let third = etl.issue("tag", &cx).await.unwrap_err();
    assert_eq!(third.kind(), Kind::Conflict);
    etl.revoke(&second.id, &cx).await.unwrap();
    etl.preflight(&current, None, &cx).await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_never_used_is_proven_unused_once_it_is_old_enough() {
    let key = |id: &str, made: &str| {
        format!(
            "<member><UserName>etl</UserName><AccessKeyId>{id}</AccessKeyId>\
             <Status>Active</Status><CreateDate>{made}</CreateDate></member>"
        )
    };
    let cx = cx();
    let fresh = DateTime::from(cx.clock().now());
    let fresh = fresh.fmt(Format::DateTime).unwrap();
    let keys = key("AKIAOLD", "2020-01-01T00:00:00Z") + &key("AKIANEW", &fresh);
    let may_see = Arc::new(AtomicBool::new(true));
    let seen = may_see.clone();
    let fake = FakeHttp::start(move |request| match action(request).as_str() {
        "ListAccessKeys" => xml(
            200,
            &format!(
                "<ListAccessKeysResponse><ListAccessKeysResult><IsTruncated>false</IsTruncated>\
                 <AccessKeyMetadata>{keys}</AccessKeyMetadata></ListAccessKeysResult>\
                 </ListAccessKeysResponse>"
            ),
        ),
        _ if !seen.load(Ordering::SeqCst) => error(403, "AccessDenied"),
        _ => xml(
            200,
            "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><AccessKeyLastUsed>\
             <ServiceName>N/A</ServiceName><Region>N/A</Region></AccessKeyLastUsed>\
             </GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>",
        ),
    });
    let (etl, other) = (etl(&fake.url()), Account::new("AKIAOTHER", Secret::new("")));
    let hint = async || {
        let full = etl.preflight(&other, None, &cx).await.unwrap_err();
        full.hint().unwrap().to_owned()
    };
    let told = hint().await;
    assert!(
        told.contains("AKIAOLD was never used") && !told.contains("AKIANEW"),
        "{told}"
    );
    let issued = etl.issued(&cx).await.unwrap();
    assert!(issued.iter().all(|key| key.used.is_none() && key.enabled));
    may_see.store(false, Ordering::SeqCst);
    let untold = hint().await;
    assert!(!untold.contains("AKIAOLD"), "{untold}");
}

#[tokio::test]
async fn a_key_whose_secret_was_lost_on_the_way_is_found_by_its_time() {
    let (moto, keys) = Moto::with_users(&[("admin", ALL), ("etl", "sts:*")]);
    let upstream = format!("127.0.0.1:{}", moto.port());
    let lossy = FakeHttp::start(move |request| {
        let answer = forward(&upstream, request).expect("the emulator answers");
        if action(request) == "CreateAccessKey" {
            return Wire::Raw(Vec::new());
        }
        answer.into()
    });
    let (cx, etl, current) = (
        world(&keys, "admin"),
        etl(&lossy.url()),
        account(&keys, "etl"),
    );
    let before = cx.clock().now() - Duration::from_secs(1);
    let lost = etl.issue("tag", &cx).await.unwrap_err();
    assert_eq!(lost.kind(), Kind::Unavailable);
    let issued = etl.issued(&cx).await.unwrap();
    let orphan = issued.iter().find(|key| key.id != current.id).unwrap();
    assert!(orphan.created.unwrap() >= before && orphan.used.is_none());
    etl.revoke(&orphan.id, &cx).await.unwrap();
    assert_eq!(etl.issued(&cx).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_right_it_is_denied_beforehand_and_the_right_is_named() {
    let reading = "iam:ListAccessKeys iam:GetAccessKeyLastUsed";
    let updating = format!("{reading} iam:UpdateAccessKey");
    let users = [
        ("etl", "sts:*"),
        ("reader", reading),
        ("updater", &updating),
    ];
    let (moto, keys) = Moto::with_users(&users);
    let way = like_aws(&moto, |_| None);
    let (url, current) = (way.url(), account(&keys, "etl"));
    for (user, right) in [
        ("etl", "`iam:ListAccessKeys`"),
        ("reader", "`iam:UpdateAccessKey`"),
        ("updater", "`iam:DeleteAccessKey`"),
    ] {
        let (etl, cx) = (etl(&url), world(&keys, user));
        let denied = etl.preflight(&current, None, &cx).await.unwrap_err();
        assert_eq!(denied.kind(), Kind::Denied, "{user}");
        assert!(denied.hint().unwrap().contains(right), "{user} {denied:?}");
        let denied = etl.issue("tag", &cx).await.unwrap_err();
        assert_eq!(denied.kind(), Kind::Denied, "{user}");
    }
    let (etl, cx) = (etl(&url), world(&keys, "reader"));
    assert_eq!(etl.issued(&cx).await.unwrap().len(), 1, "nothing was made");
}

#[tokio::test]
async fn without_a_name_it_is_the_user_who_is_logged_in() {
    let (moto, keys) = Moto::with_users(&[("etl", ALL)]);
    let cx = world(&keys, "etl");
    let way = like_aws(&moto, |_| None);
    let own = target(&aws(&way.url(), json!({})), "aws_iam", json!({}));
    own.preflight(&account(&keys, "etl"), None, &cx)
        .await
        .unwrap();
    let new = own.issue("tag", &cx).await.unwrap();
    assert_eq!(own.issued(&cx).await.unwrap().len(), 2);
    own.revoke(&keys["etl"].0, &cx).await.unwrap();
    // The login was that key: it is not known any more, and the next one is found anew.
    let gone = own.issued(&cx).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::Unauthenticated);
    let cx = cx_as(&new.id, new.secret.expose_text().unwrap());
    assert_eq!(own.issued(&cx).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_says_nothing_about_the_key_is_no_refusal() {
    let secret = fresh_secret("key");
    let answer = Arc::new(Mutex::new(Wire::Hang));
    let said = answer.clone();
    let fake = FakeHttp::start(move |_| said.lock().unwrap().clone());
    let (etl, key) = (
        etl(&fake.url()),
        Account::new("AKIAX", Secret::new(secret.as_str())),
    );
    let cx = cx().with_timeout(Duration::from_secs(10));
    let skewed =
        error(403, "SignatureDoesNotMatch").header("date", "Mon, 01 Jan 2024 00:00:00 GMT");
    for (reply, kind) in [
        (skewed, Kind::Unauthenticated),
        (error(403, "SignatureDoesNotMatch"), Kind::Unauthenticated),
        (error(403, "ExpiredToken"), Kind::Unauthenticated),
        (error(403, "AccessDenied"), Kind::Denied),
        (error(400, "Throttling"), Kind::Throttled),
        (error(500, "InternalFailure"), Kind::Unavailable),
        (xml(403, "<html>canary</html>"), Kind::Denied),
        (xml(200, "<html>canary</html>"), Kind::Unavailable),
        (Wire::Raw(Vec::new()), Kind::Unavailable),
    ] {
        let case = format!("{reply:?}");
        *answer.lock().unwrap() = reply;
        let error = etl.probe(&key, &cx).await.expect_err(&case);
        assert_eq!(error.kind(), kind, "{case}");
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(
            !shown.contains("canary") && !shown.contains(&secret),
            "{shown}"
        );
    }
    let nobody = target(&aws("http://127.0.0.1:9", json!({})), "aws_iam", json!({}));
    for error in [
        nobody.probe(&key, &cx).await.unwrap_err(),
        nobody.issue("tag", &cx).await.unwrap_err(),
        nobody.preflight(&key, None, &cx).await.unwrap_err(),
        nobody.disable("AKIAX", &cx).await.unwrap_err(),
        nobody.revoke("AKIAX", &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn wrong_settings_are_misconfigured_and_other_types_unsupported() {
    let aws = aws("http://127.0.0.1:9", json!({}));
    let rotatable = aws.as_rotatable().unwrap();
    let kind = |kind, table| {
        let settings = credchain_core::Settings::from_json(table);
        rotatable.target(kind, &settings).unwrap_err().kind()
    };
    for user in ["", "a b", "arn:aws:iam::123456789012:user/etl"] {
        assert_eq!(kind("aws_iam", json!({"user": user})), Kind::Misconfigured);
    }
    for table in [json!({}), json!({"secret": "a b"})] {
        assert_eq!(kind("aws_secretsmanager", table), Kind::Misconfigured);
    }
    assert_eq!(kind("aws_rds", json!({})), Kind::Unsupported);
}
