//! An HTTP API as a target of rotation. There is none to install: a fake answers as they do, and
//! as they should not.

#![cfg(all(unix, feature = "http"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use credchain_core::{
    Account, Context, CredentialSource, Error, Issued, Kind, Name, Project, Result, Secret,
    Settings, Target, Verdict, async_trait,
};
use credchain_rotation::target::{self, Setup};
use credchain_tests::faults::{Authority, Certificate, FakeHttp, Reply, Request};
use credchain_tests::servers::fresh_secret;
use serde_json::{Value, json};

#[derive(Debug)]
struct Admin(String);

#[async_trait]
impl CredentialSource for Admin {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        match name.as_str() {
            "admin" => Ok(Secret::new(self.0.clone())),
            _ => Err(Error::not_found()),
        }
    }
}

fn cx() -> Context {
    Context::system()
}

/// An API of users with passwords.
fn accepting(base: &str) -> Value {
    let admin = json!({"authorization": "Bearer {admin}"});
    json!({
        "base": base,
        "admin": {"credential": "admin"},
        "verify": {"path": "/me", "headers": {"authorization": "Basic {basic}"}},
        "apply": {
            "method": "PUT", "path": "/users/{id}/password", "headers": admin,
            "body": "{\"password\": \"{secret}\", \"by\": \"credchain\"}",
        },
        "disable": {"path": "/users/{id}/disable", "headers": admin},
        "enable": {"path": "/users/{id}/enable", "headers": admin},
        "revoke": {"path": "/users/{id}?force=true", "headers": admin},
    })
}

/// An API that makes keys.
fn issuing(base: &str) -> Value {
    json!({
        "base": base,
        "verify": {"path": "/me", "headers": {"x-key": "{secret}"}},
        "issue": {
            "path": "/keys", "form": {"note": "by {tag}", "scope": "all"},
            "id": "/key/id", "secret": "/key/secret",
        },
        "issued": {
            "path": "/keys", "items": "/keys", "id": "/id", "created": "/created",
            "enabled": "/active", "tag": "/note",
        },
        "revoke": {"path": "/keys/{id}"},
        "limit": 3,
        "settling": "5s",
    })
}

fn build(settings: Value, admin: &str) -> Arc<dyn Target> {
    let setup =
        Setup::new(Project::new("p", "/")).with_credentials(Arc::new(Admin(admin.to_owned())));
    target::build("http", &Settings::from_json(settings), &setup).unwrap()
}

/// A server that gives one answer to everything, and a target before it.
fn answering(reply: Reply) -> (FakeHttp, Arc<dyn Target>) {
    let server = FakeHttp::start(move |_| reply.clone());
    let target = build(accepting(&server.url()), "root");
    (server, target)
}

fn account() -> Account {
    Account::new("app", Secret::new(fresh_secret("http")))
}

fn status(status: u16) -> Reply {
    Reply::Answer(status, Vec::new(), Vec::new())
}

#[tokio::test]
async fn requests_are_as_described() {
    let server = FakeHttp::start(|_| status(204));
    let admin = fresh_secret("admin");
    let target = build(accepting(&format!("{}/v1/", server.url())), &admin);
    let account = Account::new("a/b c", Secret::new("p\"w\\"));
    target.preflight(&account, None, &cx()).await.unwrap();
    assert_eq!(
        target.probe(&account, &cx()).await.unwrap(),
        Verdict::Accepted
    );
    target.apply(&account, &cx()).await.unwrap();
    target.disable("x", &cx()).await.unwrap();
    target.enable("x", &cx()).await.unwrap();
    target.revoke("x", &cx()).await.unwrap();
    let requests = server.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| (&*request.method, &*request.path))
        .collect();
    assert_eq!(
        lines,
        [
            ("GET", "/v1/me"),
            ("PUT", "/v1/users/a%2Fb%20c/password"),
            ("POST", "/v1/users/x/disable"),
            ("POST", "/v1/users/x/enable"),
            ("DELETE", "/v1/users/x?force=true"),
        ]
    );
    // The base64 of `a/b c:p"w\`, in two halves: whoever looks for logins in files finds none.
    let basic = ["Basic YS9iI", "GM6cCJ3XA=="].concat();
    assert_eq!(requests[0].header("authorization"), Some(&*basic));
    let bearer = format!("Bearer {admin}");
    assert_eq!(requests[1].header("authorization"), Some(&*bearer));
    assert_eq!(requests[1].header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert_eq!(body, json!({"password": "p\"w\\", "by": "credchain"}));
    assert!(target.abilities().disable);
}

#[tokio::test]
async fn a_login_is_judged_by_the_statuses_that_mean_yes_and_no_only() {
    for (code, verdict) in [
        (200, Ok(Verdict::Accepted)),
        (204, Ok(Verdict::Accepted)),
        (401, Ok(Verdict::Refused)),
        (403, Ok(Verdict::Refused)),
        (302, Err(Kind::Misconfigured)),
        (404, Err(Kind::Misconfigured)),
        (429, Err(Kind::Throttled)),
        (500, Err(Kind::Unavailable)),
        (503, Err(Kind::Unavailable)),
    ] {
        let (_server, target) = answering(status(code));
        let probed = target.probe(&account(), &cx()).await;
        assert_eq!(probed.map_err(|error| error.kind()), verdict, "{code}");
    }
    let server = FakeHttp::start(|_| status(400));
    let mut settings = accepting(&server.url());
    settings["verify"]["refuse"] = json!([400]);
    let target = build(settings, "root");
    assert_eq!(
        target.probe(&account(), &cx()).await.unwrap(),
        Verdict::Refused
    );
    let server = FakeHttp::start(|_| status(204));
    let mut settings = accepting(&server.url());
    settings["verify"]["accept"] = json!([200]);
    let error = build(settings, "root")
        .probe(&account(), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn what_refuses_a_change_is_told_apart() {
    for (code, applied, revoked) in [
        (200, Ok(()), Ok(())),
        (400, Err(Kind::Invalid), Err(Kind::Misconfigured)),
        (401, Err(Kind::Unauthenticated), Err(Kind::Unauthenticated)),
        (403, Err(Kind::Denied), Err(Kind::Denied)),
        (404, Err(Kind::Misconfigured), Ok(())),
        (410, Err(Kind::Misconfigured), Ok(())),
        (422, Err(Kind::Invalid), Err(Kind::Misconfigured)),
        (429, Err(Kind::Throttled), Err(Kind::Throttled)),
        (502, Err(Kind::Unavailable), Err(Kind::Unavailable)),
    ] {
        let (_server, target) = answering(status(code));
        let done = target.apply(&account(), &cx()).await;
        assert_eq!(done.map_err(|error| error.kind()), applied, "{code}");
        let done = target.revoke("app", &cx()).await;
        assert_eq!(done.map_err(|error| error.kind()), revoked, "{code}");
    }
    let (_server, target) = answering(status(429).header("retry-after", "7"));
    let error = target.apply(&account(), &cx()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_gets_no_secret() {
    let elsewhere = FakeHttp::start(|_| status(200));
    for code in [301, 302, 307, 308] {
        let (_server, target) = answering(status(code).header("location", &elsewhere.url()));
        let account = account();
        for error in [
            target.probe(&account, &cx()).await.unwrap_err(),
            target.apply(&account, &cx()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.hint().unwrap().contains("elsewhere"), "{error:?}");
        }
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn nothing_of_an_answer_or_of_a_value_is_in_a_message() {
    let leak = fresh_secret("leak");
    let account = account();
    let secret = account.secret.expose_text().unwrap();
    for code in [200, 302, 400, 401, 403, 500] {
        let body = json!({"error": leak, "keys": leak, "key": leak});
        let reply = Reply::json(code, &body)
            .header("location", &format!("http://127.0.0.1/{leak}"))
            .header("www-authenticate", &leak);
        let server = FakeHttp::start(move |_| reply.clone());
        let (one, other) = (
            build(accepting(&server.url()), "root"),
            build(issuing(&server.url()), "root"),
        );
        let errors = [
            one.probe(&account, &cx()).await.err(),
            one.apply(&account, &cx()).await.err(),
            one.revoke(&account.id, &cx()).await.err(),
            other.issue("t", &cx()).await.err(),
            other.issued(&cx()).await.err(),
        ];
        for error in errors.iter().flatten() {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&leak) && !shown.contains(secret), "{shown}");
        }
        assert!(!format!("{one:?} {other:?}").contains("Bearer"));
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_open_whether_it_is_done() {
    let body = br#"{"key": {"id": "k", "secret": "s"}}"#.to_vec();
    let hurried = || cx().with_timeout(Duration::from_secs(2));
    for reply in [
        Reply::Raw(Vec::new()),
        Reply::Raw(b"HTTP/1.1 garbage\r\n\r\n".to_vec()),
        Reply::Truncated(body.clone(), 7),
        Reply::Reset(body, 7),
        Reply::Hang,
    ] {
        let named = format!("{reply:?}");
        let server = FakeHttp::start(move |_| reply.clone());
        let target = build(issuing(&server.url()), "root");
        let error = target.issue("t", &hurried()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{named}");
        assert_eq!(server.count(), 1, "{named}");
    }
    let gone = FakeHttp::start(|_| status(200));
    let url = gone.url();
    drop(gone);
    let error = build(issuing(&url), "root")
        .issue("t", &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let slow = FakeHttp::start(|_| Reply::Hang);
    let mut settings = accepting(&slow.url());
    settings["timeout"] = json!("200ms");
    let error = build(settings, "root")
        .probe(&account(), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn answers_that_are_too_large_or_not_what_was_described_are_misconfigured() {
    for reply in [
        Reply::Oversized(8 << 20),
        Reply::Answer(200, Vec::new(), b"<html>".to_vec()),
        Reply::json(200, &json!({"key": {"id": "k"}})),
        Reply::json(200, &json!({"key": {"id": "k", "secret": ""}})),
        Reply::json(200, &json!({"key": {"id": "k", "secret": 5}})),
        Reply::json(200, &json!({"key": {"secret": "s"}})),
        Reply::json(200, &json!([])),
    ] {
        let server = FakeHttp::start(move |_| reply.clone());
        let target = build(issuing(&server.url()), "root");
        let error = target.issue("t", &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        let error = target.issued(&cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }
    // Where only the status counts, the body may be anything.
    let (_server, target) = answering(Reply::Oversized(8 << 20));
    assert_eq!(
        target.probe(&account(), &cx()).await.unwrap(),
        Verdict::Accepted
    );
}

#[tokio::test]
async fn keys_are_issued_listed_and_revoked() {
    let keys = Arc::new(Mutex::new(vec![json!({
        "id": 1, "created": 1_767_323_045, "active": false, "note": null, "scope": "old",
    })]));
    let kept = Arc::clone(&keys);
    let server = FakeHttp::start(move |request: &Request| {
        let mut keys = kept.lock().unwrap();
        match (&*request.method, &*request.path) {
            ("POST", "/keys") => {
                assert_eq!(request.body, b"note=by%20run-7&scope=all");
                keys.push(json!({"id": 2, "active": "Active", "note": "run-7"}));
                Reply::json(201, &json!({"key": {"id": 2, "secret": "s2"}}))
            }
            ("GET", "/keys") => Reply::json(200, &json!({"keys": *keys})),
            ("DELETE", path) => {
                let before = keys.len();
                keys.retain(|key| format!("/keys/{}", key["id"]) != path);
                status(if keys.len() < before { 204 } else { 404 })
            }
            _ => status(if request.header("x-key") == Some("s2") {
                200
            } else {
                401
            }),
        }
    });
    let target = build(issuing(&server.url()), "root");
    let abilities = target.abilities();
    assert_eq!(
        (abilities.limit, abilities.settling),
        (Some(3), Duration::from_secs(5))
    );
    assert_eq!(target.issued(&cx()).await.unwrap().len(), 1);
    let account = target.issue("run-7", &cx()).await.unwrap();
    assert_eq!((&*account.id, account.secret.expose()), ("2", &b"s2"[..]));
    assert_eq!(
        target.probe(&account, &cx()).await.unwrap(),
        Verdict::Accepted
    );
    let listed = target.issued(&cx()).await.unwrap();
    let mut new = Issued::new("2");
    new.tag = Some("run-7".into());
    assert_eq!(listed[1], new);
    assert!(!listed[0].enabled && listed[0].created.is_some());
    for _ in 0..2 {
        target.revoke("2", &cx()).await.unwrap();
    }
    assert_eq!(keys.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_that_goes_on_elsewhere_is_not_taken_for_a_whole_one() {
    let next = "<https://api.example.com/keys?page=2>; rel=\"next\"";
    let reply = Reply::json(200, &json!({"keys": []})).header("link", next);
    let server = FakeHttp::start(move |_| reply.clone());
    let error = build(issuing(&server.url()), "root")
        .issued(&cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn a_hostile_id_goes_nowhere_else() {
    let server = FakeHttp::start(|_| status(200));
    let target = build(accepting(&server.url()), "root");
    for (id, path) in [
        ("../../admin", "/users/..%2F..%2Fadmin/disable"),
        ("a?x=1#y", "/users/a%3Fx%3D1%23y/disable"),
        ("a\r\nx-evil: 1", "/users/a%0D%0Ax-evil%3A%201/disable"),
        ("{admin}", "/users/%7Badmin%7D/disable"),
        ("%2e%2e", "/users/%252e%252e/disable"),
    ] {
        target.disable(id, &cx()).await.unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(request.path, path);
        assert_eq!(request.header("x-evil"), None);
    }
    let before = server.count();
    for id in [".", ".."] {
        let error = target.disable(id, &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{id}");
    }
    let error = target.disable("", &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let hostile = Account::new("app", Secret::new("s\r\nx-evil: 1"));
    let issuer = build(issuing(&server.url()), "root");
    let error = issuer.probe(&hostile, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(server.count(), before);
}

#[tokio::test]
async fn a_missing_administrators_secret_is_found_before_anything_is_asked() {
    let server = FakeHttp::start(|_| status(200));
    let mut settings = accepting(&server.url());
    settings["admin"] = json!({"credential": "other"});
    let target = build(settings, "root");
    let error = target.preflight(&account(), None, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn over_tls_the_certificate_counts() {
    let authority = Authority::new();
    for (certificate, known, right) in [
        (Certificate::Right, true, true),
        (Certificate::Right, false, false),
        (Certificate::OtherHost, true, false),
        (Certificate::Expired, true, false),
    ] {
        let server = FakeHttp::start_tls(&authority, certificate, |_| status(200));
        let mut settings = accepting(&server.url());
        if known {
            settings["ca"] = json!(authority.pem());
        }
        let probed = build(settings, "root").probe(&account(), &cx()).await;
        match probed {
            Ok(_) => assert!(right, "{certificate:?}"),
            Err(error) => {
                assert!(!right, "{error}");
                assert_eq!(error.kind(), Kind::Unavailable);
                assert!(error.message().contains("certificate"), "{error}");
                assert_eq!(server.count(), 0);
            }
        }
    }
}
