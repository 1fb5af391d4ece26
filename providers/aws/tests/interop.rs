//! What `boto3` stored we read, and the other way round.

#![cfg(unix)]

mod support;

use credchain_core::{Kind, Provider as _, Secret, SetOptions};
use serde_json::json;

use crate::support::{Moto, cx, get, reference, set};

#[tokio::test]
async fn secrets_that_boto3_wrote_are_read() {
    let moto = Moto::start();
    moto.boto3(
        "secretsmanager",
        r#"
client.create_secret(Name="text", SecretString="pä\n")
client.create_secret(Name="bytes", SecretBinary=bytes(range(256)))
client.create_secret(Name="document", SecretString='{"user": "app", "port": 5432}')
client.put_secret_value(SecretId="text", SecretString="second")
"#,
    );
    let aws = moto.aws(json!({}));
    assert_eq!(get(&aws, "text").await.unwrap(), "second");
    assert_eq!(get(&aws, "text?version=previous").await.unwrap(), "pä\n");
    let bytes = aws.get(&reference("bytes"), &cx()).await.unwrap();
    assert_eq!(bytes.expose(), (0..=255).collect::<Vec<u8>>());
    assert_eq!(get(&aws, "document#user").await.unwrap(), "app");
    assert_eq!(get(&aws, "document#port").await.unwrap(), "5432");
    let missing = get(&aws, "document#password").await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert!(missing.hint().unwrap().contains("`user`"));
    assert_eq!(
        get(&aws, "text#user").await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn secrets_that_were_set_are_read_by_boto3() {
    let moto = Moto::start();
    let aws = moto.aws(json!({}));
    set(&aws, "text", "pä\n").await.unwrap();
    let bytes = Secret::new((0..=255).collect::<Vec<u8>>());
    let options = SetOptions::default();
    aws.set(&reference("bytes"), &bytes, &options, &cx())
        .await
        .unwrap();
    let read = moto.boto3(
        "secretsmanager",
        r#"
text = client.get_secret_value(SecretId="text")
assert text["SecretString"] == "pä\n", "text"
assert text["VersionStages"] == ["AWSCURRENT"], "stages"
assert client.get_secret_value(SecretId="bytes")["SecretBinary"] == bytes(range(256)), "bytes"
print("same")
"#,
    );
    assert_eq!(read.trim(), "same");
}

#[tokio::test]
async fn parameters_go_both_ways() {
    let moto = Moto::start();
    let aws = moto.aws(json!({"service": "ssm"}));
    moto.boto3(
        "ssm",
        r#"
client.put_parameter(Name="/plain", Type="String", Value="as it is")
client.put_parameter(Name="/list", Type="StringList", Value="a,b")
client.put_parameter(Name="/document", Type="SecureString", Value='{"user": "app"}')
client.label_parameter_version(Name="/plain", ParameterVersion=1, Labels=["blue"])
"#,
    );
    assert_eq!(get(&aws, "plain").await.unwrap(), "as it is");
    assert_eq!(get(&aws, "plain?version=1").await.unwrap(), "as it is");
    assert_eq!(get(&aws, "plain?version=blue").await.unwrap(), "as it is");
    assert_eq!(get(&aws, "list").await.unwrap(), "a,b");
    assert_eq!(get(&aws, "document#user").await.unwrap(), "app");
    set(&aws, "team/db", "pä\n").await.unwrap();
    let read = moto.boto3(
        "ssm",
        r#"
one = client.get_parameter(Name="/team/db", WithDecryption=True)["Parameter"]
assert one["Value"] == "pä\n" and one["Type"] == "SecureString", "value"
print("same")
"#,
    );
    assert_eq!(read.trim(), "same");
}
