//! Which servers are trusted.

#![cfg(unix)]

mod support;

use credchain_core::{Error, Kind};
use credchain_tests::faults::{Authority, Certificate, FakeHttp, Reply};
use serde_json::{Value, json};

use crate::support::{aws, get};

async fn read(
    certificate: Certificate,
    trusting: impl FnOnce(&Authority) -> Value,
) -> Result<String, Error> {
    let authority = Authority::new();
    let server = FakeHttp::start_tls(&authority, certificate, |_| {
        Reply::json(200, r#"{"Name": "db", "SecretString": "v"}"#)
    });
    get(&aws(&server.url(), trusting(&authority)), "db").await
}

fn named(authority: &Authority) -> Value {
    json!({"ca": authority.pem().to_str()})
}

#[tokio::test]
async fn an_authority_is_trusted_if_the_settings_name_it() {
    assert_eq!(read(Certificate::Right, named).await.unwrap(), "v");
    let error = read(Certificate::Right, |_| json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("certificate"), "{error:?}");
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_another_host_or_time_is_not_trusted() {
    for certificate in [Certificate::OtherHost, Certificate::Expired] {
        let error = read(certificate, named).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("certificate"), "{error:?}");
    }
}
