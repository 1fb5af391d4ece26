//! What no emulator does: denials, throttling, wrong clocks, answers that are none.

#![cfg(unix)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::{
    Context, CredentialSource, Environment, Error, Expect, Kind, Name, Provider as _, Result,
    Secret, SetOptions, async_trait,
};
use credchain_provider_aws::Aws;
use credchain_tests::faults::{
    Behaviour, DEADLINE, Outcome, Proxy, Reply as Wire, Request, Service, matrix,
};
use serde_json::json;

use crate::support::{Asked, Fake, Moto, REGION, Reply, aws, cx, get, reference, set, setup};

fn secret(name: &str, value: &str) -> serde_json::Value {
    json!({"Name": name, "ARN": format!("arn:aws:x:{name}"), "VersionId": "v", "SecretString": value})
}

/// The names that a batch asks for.
fn ids(asked: &Asked) -> Vec<String> {
    serde_json::from_value(asked.body["SecretIdList"].clone()).unwrap_or_default()
}

fn id(asked: &Asked) -> String {
    asked.body["SecretId"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn failure(reply: Reply) -> (Error, usize) {
    let fake = Fake::start(move |_| reply.clone());
    let read = get(&aws(&fake.url(), json!({})), "db").await;
    let error = read.expect_err("a failure");
    (error, fake.asked().len())
}

#[tokio::test]
async fn an_error_of_aws_is_what_its_code_says_and_shows_nothing_else() {
    for (code, kind) in [
        ("ResourceNotFoundException", Kind::NotFound),
        ("AccessDeniedException", Kind::Denied),
        ("DecryptionFailure", Kind::Denied),
        ("UnrecognizedClientException", Kind::Unauthenticated),
        ("ExpiredTokenException", Kind::Unauthenticated),
        ("InvalidSignatureException", Kind::Unauthenticated),
        ("ThrottlingException", Kind::Throttled),
        ("InternalServiceError", Kind::Unavailable),
        ("ValidationException", Kind::Invalid),
        (
            "com.amazonaws.secretsmanager#AccessDeniedException",
            Kind::Denied,
        ),
        (
            "AccessDeniedException:http://internal.amazon.com/",
            Kind::Denied,
        ),
    ] {
        let (error, asked) = failure(Reply::error(code)).await;
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(asked, 1, "the SDK does not repeat {code}");
        assert!(
            !format!("{error:?} {error}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_aws_is_judged_by_its_status_and_is_never_a_miss() {
    for (status, kind) in [
        (400, Kind::Unavailable),
        (401, Kind::Unauthenticated),
        (403, Kind::Denied),
        (404, Kind::Unavailable),
        (429, Kind::Throttled),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
        (200, Kind::Unavailable),
    ] {
        for body in ["<html>canary</html>", "", "{}", "[]", "\u{0}\u{1}"] {
            let (error, asked) = failure(Reply::raw(status, body)).await;
            assert_eq!(error.kind(), kind, "{status} {body:?} {error:?}");
            assert_eq!(asked, 1);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}

/// The service that `GetSecretValue` asks.
#[derive(Clone)]
struct SecretsManager;

impl Service for SecretsManager {
    fn fulfilled(&self, _: &Request) -> Wire {
        Reply::ok(&secret("db", "v")).into()
    }

    fn failed(&self, status: u16, _: &Request) -> Wire {
        let mut reply = Reply::error(match status {
            400 => "ValidationException",
            401 => "UnrecognizedClientException",
            403 => "AccessDeniedException",
            404 => "ResourceNotFoundException",
            429 => "ThrottlingException",
            503 => "ServiceUnavailableException",
            _ => "InternalServiceError",
        });
        reply.status = status;
        reply.into()
    }
}

#[tokio::test]
async fn every_fault_is_what_it_is_in_time_and_shows_nothing() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults.tsv");
    matrix(&SecretsManager, &table, &[], async |stage| {
        let ca = stage.ca.as_ref().map(|ca| json!({"ca": ca.to_str()}));
        let aws = aws(&stage.url, ca.unwrap_or_else(|| json!({})));
        let short = cx().with_timeout(DEADLINE);
        outcome(aws.get(&reference("db"), &short).await, &aws)
    })
    .await;
}

fn outcome(read: Result<Secret>, aws: &Aws) -> Outcome {
    match read {
        Ok(_) => Outcome::value(),
        Err(error) => Outcome {
            kind: error.kind().to_string(),
            shown: format!("{error} {error:?} {:?} {aws:?}", error.hint()),
            retry_after: error.retry_after(),
        },
    }
}

#[tokio::test]
async fn a_broken_way_to_the_server_is_unavailable_until_it_is_mended() {
    let moto = Moto::start();
    let proxy = Proxy::start(([127, 0, 0, 1], moto.port()).into());
    let through = aws(&format!("http://{}", proxy.address()), json!({}));
    set(&through, "db", &"v".repeat(1000)).await.unwrap();
    for behaviour in [
        Behaviour::Latency(Duration::from_secs(3)),
        Behaviour::Refuse,
        Behaviour::Reset(100),
        Behaviour::Truncate(100),
        Behaviour::Stall,
        Behaviour::BlackHole,
    ] {
        proxy.set(behaviour);
        let (place, short) = (reference("db"), cx().with_timeout(Duration::from_secs(1)));
        let read = tokio::time::timeout(Duration::from_secs(10), through.get(&place, &short));
        let error = read.await.expect("an end").expect_err("a failure");
        assert_eq!(error.kind(), Kind::Unavailable, "{behaviour:?} {error:?}");
        proxy.set(Behaviour::Pass);
        assert!(get(&through, "db").await.is_ok(), "after {behaviour:?}");
    }
}

#[tokio::test]
async fn a_throttled_request_is_not_repeated_and_says_how_long_to_wait() {
    let reply = Reply::error("ThrottlingException").with("retry-after", "7");
    let (error, asked) = failure(reply).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_wrong_clock_is_told_as_one() {
    let tomorrow = "Tue, 19 Jan 2038 03:14:07 GMT";
    for code in [
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "RequestExpired",
    ] {
        let (error, _) = failure(Reply::error(code).with("date", tomorrow)).await;
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.message().contains("clock is wrong"), "{error:?}");
        assert!(error.hint().unwrap().contains("behind"), "{error:?}");
    }
    let role = Fake::start(move |_| {
        let code = "<Code>SignatureDoesNotMatch</Code>";
        let body = format!("<ErrorResponse><Error>{code}</Error></ErrorResponse>");
        Reply::raw(403, body).with("date", tomorrow)
    });
    let table = json!({"assume_role": {"role_arn": "arn:aws:iam::123456789012:role/reader"}});
    let error = get(&aws(&role.url(), table), "db").await.unwrap_err();
    assert!(error.message().contains("clock is wrong"), "{error:?}");
    let (error, _) = failure(Reply::error("ExpiredTokenException").with("date", tomorrow)).await;
    assert!(!error.message().contains("clock"), "{error:?}");
}

#[tokio::test]
async fn a_policy_without_batches_costs_one_request_once() {
    let fake = Fake::start(|asked| match asked.action.as_str() {
        "BatchGetSecretValue" => Reply::error("AccessDeniedException"),
        _ => Reply::ok(&secret(&id(asked), &format!("value of {}", id(asked)))),
    });
    let aws = aws(&fake.url(), json!({}));
    let references = ["a", "b", "c"].map(reference);
    for _ in 0..2 {
        for (answer, name) in aws
            .get_many(&references, &cx())
            .await
            .iter()
            .zip(["a", "b", "c"])
        {
            let value = format!("value of {name}");
            assert_eq!(answer.as_ref().unwrap().expose(), value.as_bytes());
        }
    }
    let actions = fake.actions();
    let batches = actions
        .iter()
        .filter(|action| *action == "BatchGetSecretValue");
    assert_eq!((batches.count(), actions.len()), (1, 7));
}

#[tokio::test]
async fn one_denied_secret_of_a_batch_is_denied_alone() {
    let fake = Fake::start(|asked| {
        assert_eq!(asked.action, "BatchGetSecretValue");
        Reply::ok(&json!({
            "SecretValues": [secret("a", "1"), secret("c", "3")],
            "Errors": [
                {"SecretId": "b", "ErrorCode": "AccessDeniedException", "Message": "canary"},
                {"SecretId": "d", "ErrorCode": "ResourceNotFoundException", "Message": "canary"},
                {"SecretId": "e", "ErrorCode": "DecryptionFailure", "Message": "canary"},
            ],
        }))
    });
    let aws = aws(&fake.url(), json!({}));
    let answers = aws
        .get_many(&["a", "b", "c", "d", "e"].map(reference), &cx())
        .await;
    let kinds: Vec<_> = answers
        .iter()
        .map(|one| one.as_ref().err().map(Error::kind))
        .collect();
    let (denied, missing) = (Some(Kind::Denied), Some(Kind::NotFound));
    assert_eq!(kinds, [None, denied, None, missing, denied]);
    let hint = answers[1].as_ref().unwrap_err().hint().unwrap();
    assert!(hint.contains("`secretsmanager:GetSecretValue`"), "{hint}");
    assert!(!format!("{answers:?}").contains("canary"));
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_asked_one_by_one() {
    let fake = Fake::start(|asked| match (asked.action.as_str(), id(asked).as_str()) {
        ("BatchGetSecretValue", _) | (_, "b") => Reply::error("ResourceNotFoundException"),
        (_, name) => Reply::ok(&secret(name, "v")),
    });
    let aws = aws(&fake.url(), json!({}));
    let answers = aws.get_many(&["a", "b", "c"].map(reference), &cx()).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_throttled_batch_is_not_made_worse_by_single_reads() {
    let fake = Fake::start(|_| Reply::error("ThrottlingException"));
    let throttled = aws(&fake.url(), json!({}));
    for answer in throttled
        .get_many(&["a", "b", "c"].map(reference), &cx())
        .await
    {
        assert_eq!(answer.unwrap_err().kind(), Kind::Throttled);
    }
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_batch_in_pages_is_read_to_its_end() {
    let fake = Fake::start(|asked| {
        let page = asked.body["NextToken"].as_str();
        let names = ids(asked);
        Reply::ok(&match page {
            None => json!({"SecretValues": [], "NextToken": "2"}),
            Some("2") => json!({"SecretValues": [secret(&names[0], "v")], "NextToken": "3"}),
            Some(_) => json!({"SecretValues": [secret(&names[1], "v")]}),
        })
    });
    let aws = aws(&fake.url(), json!({}));
    let answers = aws.get_many(&["a", "b"].map(reference), &cx()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.actions(), ["BatchGetSecretValue"; 3]);
}

#[tokio::test]
async fn what_is_written_again_is_restored_first() {
    let deleted = Arc::new(AtomicBool::new(true));
    let state = deleted.clone();
    let fake = Fake::start(move |asked| {
        let gone = state.load(Ordering::SeqCst);
        match asked.action.as_str() {
            "DescribeSecret" if gone => Reply::ok(&json!({"Name": "db", "DeletedDate": 1.0})),
            "RestoreSecret" => {
                state.store(false, Ordering::SeqCst);
                Reply::ok(&json!({"Name": "db"}))
            }
            _ if gone => Reply::error("InvalidRequestException"),
            _ => Reply::ok(&json!({"Name": "db", "VersionId": "0123456789abcdef0123456789abcdef"})),
        }
    });
    let aws = aws(&fake.url(), json!({}));
    let absent = SetOptions::expecting(Expect::Absent);
    let created = aws
        .set(&reference("db"), &Secret::new("v"), &absent, &cx())
        .await;
    assert_eq!(created.unwrap_err().kind(), Kind::Conflict);
    assert!(deleted.load(Ordering::SeqCst));
    set(&aws, "db", "v").await.unwrap();
    assert!(!deleted.load(Ordering::SeqCst));
    assert_eq!(fake.actions().last().unwrap(), "PutSecretValue");
}

#[tokio::test]
async fn a_secret_that_may_not_be_described_is_not_taken_for_missing() {
    let fake = Fake::start(|asked| match asked.action.as_str() {
        "DescribeSecret" => Reply::error("AccessDeniedException"),
        _ => Reply::error("InvalidRequestException"),
    });
    let error = get(&aws(&fake.url(), json!({})), "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("secretsmanager:DescribeSecret")
    );
}

#[derive(Debug, Default)]
struct Counted(AtomicUsize);

#[async_trait]
impl CredentialSource for Counted {
    async fn credential(&self, _: &Name, _: &Context) -> Result<Secret> {
        Ok(Secret::new(format!(
            "canary{}",
            self.0.fetch_add(1, Ordering::SeqCst)
        )))
    }
}

#[tokio::test]
async fn whoever_is_not_known_any_more_logs_in_anew() {
    let known = Arc::new(AtomicBool::new(true));
    let state = known.clone();
    let fake = Fake::start(move |_| {
        if state.load(Ordering::SeqCst) {
            Reply::ok(&secret("db", "v"))
        } else {
            Reply::error("ExpiredTokenException")
        }
    });
    let source = Arc::new(Counted::default());
    let table = json!({
        "endpoint": fake.url(), "region": REGION,
        "access_key_id": {"credential": "id"}, "secret_access_key": {"credential": "key"},
    });
    let setup = setup(table).with_credentials(source.clone());
    let aws = Aws::from_setup(&setup).unwrap();
    let read = || source.0.load(Ordering::SeqCst);
    assert_eq!(read(), 0, "nothing is read before the first use");
    get(&aws, "db").await.unwrap();
    get(&aws, "db").await.unwrap();
    assert_eq!(read(), 2);
    known.store(false, Ordering::SeqCst);
    let error = get(&aws, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    known.store(true, Ordering::SeqCst);
    get(&aws, "db").await.unwrap();
    assert_eq!(read(), 4);
    assert!(!format!("{aws:?} {error:?}").contains("canary"));
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_no_login() {
    let fake = Fake::start(|_| Reply::ok(&secret("db", "v")));
    let profile = aws(
        &fake.url(),
        json!({"profile": "credchain-test-no-such-profile"}),
    );
    let error = get(&profile, "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
    assert!(error.hint().is_some());
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_denied_by_its_own_action() {
    for (code, kind) in [
        ("AccessDenied", Kind::Denied),
        ("ExpiredToken", Kind::Unauthenticated),
        ("Throttling", Kind::Throttled),
    ] {
        let fake = Fake::start(move |_| {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                 <Message>canary</Message></Error></ErrorResponse>"
            );
            Reply::raw(403, body)
        });
        let role = json!({"role_arn": "arn:aws:iam::123456789012:role/reader"});
        let aws = aws(&fake.url(), json!({"assume_role": role}));
        let error = get(&aws, "db").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains("`sts:AssumeRole`"), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_judged_by_its_status() {
    for (status, kind) in [
        (400, Kind::Invalid),
        (403, Kind::Denied),
        (429, Kind::Throttled),
        (500, Kind::Unavailable),
    ] {
        let mut reply = Reply::error("SomethingNew");
        reply.status = status;
        assert_eq!(failure(reply).await.0.kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn fips_and_an_endpoint_of_the_environment_exclude_each_other() {
    let table = json!({"fips": true, "region": REGION});
    let fips = Aws::from_setup(&setup(table)).unwrap();
    let world = Environment::fixed([
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ]);
    let world = Context::system().with_env(world);
    let error = fips.get(&reference("db"), &world).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error:?}");
}

#[tokio::test]
async fn what_is_no_region_is_misconfigured() {
    for region in ["eu central 1", "example.com/", "EU"] {
        let odd = aws("http://127.0.0.1:9", json!({"region": region}));
        assert_eq!(
            get(&odd, "db").await.unwrap_err().kind(),
            Kind::Misconfigured,
            "{region}"
        );
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_again() {
    let up = Arc::new(AtomicBool::new(false));
    let state = up.clone();
    let fake = Fake::start(move |_| {
        if state.load(Ordering::SeqCst) {
            Reply::ok(&secret("db", "v"))
        } else {
            Reply::raw(503, "")
        }
    });
    let aws = aws(&fake.url(), json!({}));
    assert_eq!(get(&aws, "db").await.unwrap_err().kind(), Kind::Unavailable);
    up.store(true, Ordering::SeqCst);
    assert_eq!(get(&aws, "db").await.unwrap(), "v");
}

#[tokio::test]
async fn a_missing_access_key_is_no_missing_secret() {
    let table =
        json!({"access_key_id": {"credential": "id"}, "secret_access_key": {"credential": "key"}});
    let error = get(&aws("http://127.0.0.1:9", table), "db")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("`id`"), "{error:?}");
}
