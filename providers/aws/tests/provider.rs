//! What both services promise, asked of the emulator.

#![cfg(unix)]

mod support;

use std::time::Duration;

use credchain_core::{
    Context, CredentialSource, Environment, Expect, Kind, Name, Provider as _, Registry, Result,
    Secret, SetOptions, Setup, Version, async_trait,
};
use credchain_provider_aws::Aws;
use serde_json::json;

use crate::support::{Fake, Moto, aws, cx, get, reference, set, setup};

#[tokio::test]
async fn forty_five_secrets_are_three_requests() {
    let moto = Moto::start();
    let direct = moto.aws(json!({}));
    for index in 0..45 {
        set(&direct, &format!("many/{index}"), &format!("value {index}"))
            .await
            .unwrap();
    }
    let counter = Fake::before(&moto);
    let through = aws(&counter.url(), json!({}));
    let references: Vec<_> = (0..45)
        .map(|index| reference(&format!("many/{index}")))
        .collect();
    let answers = through.get_many(&references, &cx()).await;
    for (index, answer) in answers.iter().enumerate() {
        let value = format!("value {index}");
        assert_eq!(answer.as_ref().unwrap().expose(), value.as_bytes());
    }
    assert_eq!(counter.actions(), ["BatchGetSecretValue"; 3]);
}

#[tokio::test]
async fn fields_and_duplicates_of_one_secret_are_one_id() {
    let moto = Moto::start();
    let direct = moto.aws(json!({}));
    set(&direct, "db", r#"{"user": "app", "password": "s3cret"}"#)
        .await
        .unwrap();
    set(&direct, "other", "value").await.unwrap();
    let counter = Fake::before(&moto);
    let through = aws(&counter.url(), json!({}));
    let texts = [
        "db#user",
        "db#password",
        "other",
        "db#user",
        "/db",
        "db#none",
    ];
    let answers = through.get_many(&texts.map(reference), &cx()).await;
    let told: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or(&b"missing"[..], Secret::expose))
        .collect();
    let document = br#"{"user": "app", "password": "s3cret"}"#;
    assert_eq!(
        told,
        [
            &b"app"[..],
            b"s3cret",
            b"value",
            b"app",
            document,
            b"missing"
        ]
    );
    assert_eq!(answers[5].as_ref().unwrap_err().kind(), Kind::NotFound);
    let asked = counter.asked();
    assert_eq!(asked.len(), 1);
    let mut ids: Vec<_> = asked[0].body["SecretIdList"].as_array().unwrap().clone();
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["db", "other"]);
}

#[tokio::test]
async fn what_a_batch_lacks_is_missing_and_the_rest_is_there() {
    let moto = Moto::start();
    for service in ["secretsmanager", "ssm"] {
        let direct = moto.aws(json!({"service": service}));
        set(&direct, "one", "1").await.unwrap();
        set(&direct, "two", "2").await.unwrap();
        let counter = Fake::before(&moto);
        let through = aws(&counter.url(), json!({"service": service}));
        let texts = ["one", "none", "a b", "two"];
        let answers = through.get_many(&texts.map(reference), &cx()).await;
        assert_eq!(answers[0].as_ref().unwrap().expose(), b"1");
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), Kind::NotFound);
        assert_eq!(answers[2].as_ref().unwrap_err().kind(), Kind::Invalid);
        assert_eq!(answers[3].as_ref().unwrap().expose(), b"2");
        assert_eq!(counter.actions().len(), 1, "{:?}", counter.actions());
    }
}

#[tokio::test]
async fn ten_parameters_are_one_request_and_versions_are_asked_one_by_one() {
    let moto = Moto::start();
    let direct = moto.aws(json!({"service": "ssm"}));
    for index in 0..25 {
        set(&direct, &format!("many/{index}"), &format!("value {index}"))
            .await
            .unwrap();
    }
    let counter = Fake::before(&moto);
    let through = aws(&counter.url(), json!({"service": "ssm"}));
    let mut references: Vec<_> = (0..25)
        .map(|index| reference(&format!("many/{index}")))
        .collect();
    references.push(reference("many/3?version=1"));
    let answers = through.get_many(&references, &cx()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(answers[25].as_ref().unwrap().expose(), b"value 3");
    let mut actions = counter.actions();
    actions.sort();
    assert_eq!(
        actions,
        [
            "GetParameter",
            "GetParameters",
            "GetParameters",
            "GetParameters"
        ]
    );
}

#[tokio::test]
async fn the_current_stage_is_always_asked_for_by_name() {
    let moto = Moto::start();
    let counter = Fake::before(&moto);
    let through = aws(&counter.url(), json!({}));
    let first = set(&through, "db", "one").await.unwrap();
    set(&through, "db", "two").await.unwrap();
    assert_eq!(get(&through, "db").await.unwrap(), "two");
    assert_eq!(
        get(&through, &format!("db?version={first}")).await.unwrap(),
        "one"
    );
    let reads: Vec<_> = counter
        .asked()
        .into_iter()
        .filter(|asked| asked.action == "GetSecretValue")
        .map(|asked| asked.body)
        .collect();
    assert_eq!(reads[0]["VersionStage"], "AWSCURRENT");
    assert_eq!(reads[1]["VersionId"], first.as_str());
    assert!(reads[1].get("VersionStage").is_none());
}

#[tokio::test]
async fn a_secret_is_found_by_its_arn() {
    let moto = Moto::start();
    let arn = moto.boto3(
        "secretsmanager",
        "print(client.create_secret(Name='prod/db', SecretString='v')['ARN'])",
    );
    let direct = moto.aws(json!({}));
    assert_eq!(get(&direct, arn.trim()).await.unwrap(), "v");
    let both = [reference(arn.trim()), reference("none")];
    let answers = direct.get_many(&both, &cx()).await;
    assert_eq!(answers[0].as_ref().unwrap().expose(), b"v");
    let elsewhere = moto.aws(json!({"region": "us-east-1"}));
    let error = get(&elsewhere, arn.trim()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let answers = elsewhere.get_many(&both, &cx()).await;
    let kinds = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap_err().kind());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [Kind::Misconfigured, Kind::NotFound]
    );
}

#[tokio::test]
async fn a_deleted_secret_is_not_found_and_says_how_to_have_it_back() {
    let moto = Moto::start();
    let direct = moto.aws(json!({"recovery_window": "7d"}));
    set(&direct, "db", "v").await.unwrap();
    direct.delete(&reference("db"), &cx()).await.unwrap();
    let restore = "`aws secretsmanager restore-secret --secret-id db`";
    let read = get(&direct, "db").await.unwrap_err();
    assert_eq!(read.kind(), Kind::NotFound);
    assert!(read.hint().unwrap().contains(restore), "{read:?}");
    let both = [reference("db"), reference("none")];
    for answer in direct.get_many(&both, &cx()).await {
        assert_eq!(answer.unwrap_err().kind(), Kind::NotFound);
    }
    let again = direct.delete(&reference("db"), &cx()).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound);
    assert!(direct.list(None, &cx()).await.unwrap().is_empty());
    let history = direct.as_versioned().unwrap();
    let gone = history.versions(&reference("db"), &cx()).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_listing_has_all_pages_and_only_the_prefix() {
    let moto = Moto::start();
    moto.boto3(
        "secretsmanager",
        "for n in range(130): client.create_secret(Name=f'team/{n}', SecretString='v')\n\
         client.create_secret(Name='other', SecretString='v')",
    );
    let team = moto.aws(json!({"prefix": "team/"}));
    let listed = team.list(None, &cx()).await.unwrap();
    assert_eq!(listed.len(), 130);
    assert!(
        listed
            .iter()
            .all(|one| one.version.is_some() && one.created.is_some())
    );
    assert_eq!(team.list(Some("12"), &cx()).await.unwrap().len(), 11);
    assert!(team.list(Some("!x"), &cx()).await.unwrap().is_empty());
    let all = moto.aws(json!({}));
    assert_eq!(all.list(None, &cx()).await.unwrap().len(), 131);
}

#[tokio::test]
async fn a_parameter_listing_has_all_pages() {
    let moto = Moto::start();
    moto.boto3(
        "ssm",
        "for n in range(60): client.put_parameter(Name=f'/team/{n}', Value='v', Type='SecureString')\n\
         client.put_parameter(Name='/other', Value='v', Type='SecureString')",
    );
    let team = moto.aws(json!({"service": "ssm", "prefix": "/team/"}));
    assert_eq!(team.list(None, &cx()).await.unwrap().len(), 60);
    let all = moto.aws(json!({"service": "ssm"}));
    let listed = all.list(Some("oth"), &cx()).await.unwrap();
    assert_eq!(listed[0].reference.path(), "other");
}

#[tokio::test]
async fn a_stage_is_moved_from_wherever_it_is() {
    let moto = Moto::start();
    let direct = moto.aws(json!({}));
    let place = reference("db");
    let first = set(&direct, "db", "one").await.unwrap();
    set(&direct, "db", "two").await.unwrap();
    let history = direct.as_versioned().unwrap();
    history
        .stage(&place, &first, "current", &cx())
        .await
        .unwrap();
    assert_eq!(get(&direct, "db").await.unwrap(), "one");
    assert_eq!(get(&direct, "db?version=previous").await.unwrap(), "two");
    history
        .stage(&place, &first, "current", &cx())
        .await
        .unwrap();
    let parameters = moto.aws(json!({"service": "ssm"}));
    set(&parameters, "db", "one").await.unwrap();
    set(&parameters, "db", "two").await.unwrap();
    let history = parameters.as_versioned().unwrap();
    let first = Version::number(1);
    history.stage(&place, &first, "blue", &cx()).await.unwrap();
    assert_eq!(get(&parameters, "db?version=blue").await.unwrap(), "one");
    let labels: Vec<_> = history.versions(&place, &cx()).await.unwrap();
    assert_eq!(labels[1].labels, ["blue"]);
}

#[tokio::test]
async fn a_lost_write_leaves_no_stage_behind() {
    let moto = Moto::start();
    let direct = moto.aws(json!({}));
    let place = reference("db");
    let first = set(&direct, "db", "one").await.unwrap();
    let options = SetOptions::expecting(Expect::Version(first));
    let write = async |value: &str| {
        direct
            .set(&place, &Secret::new(value), &options, &cx())
            .await
    };
    write("two").await.unwrap();
    assert_eq!(write("three").await.unwrap_err().kind(), Kind::Conflict);
    let states = direct
        .as_versioned()
        .unwrap()
        .versions(&place, &cx())
        .await
        .unwrap();
    let labels: Vec<_> = states.iter().flat_map(|state| &state.labels).collect();
    assert!(
        labels.iter().all(|label| label.starts_with("AWS")),
        "{labels:?}"
    );
    assert_eq!(get(&direct, "db").await.unwrap(), "two");
}

#[tokio::test]
async fn a_field_or_a_version_cannot_be_written() {
    let direct = aws("http://127.0.0.1:9", json!({}));
    for text in ["db#user", "db?version=1"] {
        let error = set(&direct, text, "v").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{text}");
        let error = direct.delete(&reference(text), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{text}");
    }
    let reserved = aws("http://127.0.0.1:9", json!({"service": "ssm"}));
    for name in ["aws/x", "AWSkey", "ssm", "/aws/reference/x"] {
        assert_eq!(
            set(&reserved, name, "v").await.unwrap_err().kind(),
            Kind::Invalid,
            "{name}"
        );
    }
}

#[derive(Debug)]
struct Held;

#[async_trait]
impl CredentialSource for Held {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        Ok(Secret::new(format!("value-of-{name}")))
    }
}

#[tokio::test]
async fn the_caller_is_told_by_the_name_that_aws_knows() {
    let moto = Moto::start();
    let table = json!({
        "endpoint": moto.url(), "sts_endpoint": moto.url(), "region": support::REGION,
        "access_key_id": {"credential": "key_id"}, "secret_access_key": {"credential": "key"},
        "assume_role": {"role_arn": "arn:aws:iam::123456789012:role/reader", "session_name": "nightly"},
    });
    let bare = Context::system().with_env(Environment::fixed([("A", "b")]));
    let role = Aws::from_setup(&setup(table).with_credentials(std::sync::Arc::new(Held))).unwrap();
    let identity = role.identity(&bare).await.unwrap();
    assert!(
        identity.name.ends_with(":assumed-role/reader/nightly"),
        "{}",
        identity.name
    );
    assert_eq!(identity.details["account"], "123456789012");
    assert_eq!(identity.details["region"], support::REGION);
    assert!(!format!("{identity:?} {role:?}").contains("value-of"));
}

#[tokio::test]
async fn endpoint_and_region_come_from_the_environment_that_is_handed_in() {
    let moto = Moto::start();
    let aws = Aws::from_setup(&setup(json!({}))).unwrap();
    let world = |endpoint: &str| {
        Context::system().with_env(Environment::fixed([
            ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint),
        ]))
    };
    let missing = aws
        .get(&reference("db"), &world("http://aws.internal"))
        .await;
    assert_eq!(missing.unwrap_err().kind(), Kind::Misconfigured);
    let missing = aws.get(&reference("db"), &world(&moto.url())).await;
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn values_are_bounded_when_they_are_read() {
    let moto = Moto::start();
    set(&moto.aws(json!({})), "db", "12345").await.unwrap();
    let small = moto.aws(json!({"max_size": 4}));
    assert_eq!(get(&small, "db").await.unwrap_err().kind(), Kind::Invalid);
    let both = [reference("db"), reference("none")];
    let answers = small.get_many(&both, &cx()).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_deadline_ends_a_read_of_a_server_that_does_not_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = aws(
        &format!("http://{}", listener.local_addr().unwrap()),
        json!({}),
    );
    let short = cx().with_timeout(Duration::from_millis(300));
    let place = reference("db");
    let read = tokio::time::timeout(Duration::from_secs(20), silent.get(&place, &short));
    assert_eq!(read.await.unwrap().unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn the_type_is_registered_and_builds_without_touching_anything() {
    let registry = Registry::collect(&["aws"]).unwrap();
    let registration = registry.get("aws").unwrap();
    let wrong = setup(json!({"service": "s3"}));
    assert_eq!(
        (registration.build)(wrong).unwrap_err().kind(),
        Kind::Misconfigured
    );
    let link = credchain_core::LinkName::literal("aws");
    let provider = (registration.build)(Setup::new(link)).unwrap();
    assert_eq!(provider.capabilities(), registration.capabilities);
}
