//! A Secret Manager with somebody who gives out tokens for it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use credchain_core::{Context, Provider as _, Result};
use credchain_provider_gcp::Gcp;
use credchain_tests::servers::fresh_secret;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::crypto::aws_lc_rs::default_provider;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FakeIssuer, FakeSecretManager, PROJECT, gcp_with, reference, set, setup};

pub(crate) const ACCOUNT: &str = "reader@acme-test.iam.gserviceaccount.com";

/// A Secret Manager that holds `db`, and somebody who gives out tokens for it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) fake: FakeSecretManager,
    pub(crate) issuer: FakeIssuer,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::lasting(3600).await
    }

    /// With tokens that are good for so many seconds.
    pub(crate) async fn lasting(seconds: u32) -> Self {
        let fake = FakeSecretManager::start();
        let owner = gcp_with(&fake.url(), json!({}), &fake.token);
        set(&owner, "db", "v").await.unwrap();
        // What a test reads is read with the tokens that were given out.
        fake.state().tokens.clear();
        let issuer = FakeIssuer::start(&fake, seconds);
        Self {
            fake,
            issuer,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn file(&self, name: &str, content: &Value) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content.to_string()).unwrap();
        file
    }

    pub(crate) fn gcp(&self, mut table: Value) -> Gcp {
        table["iam_endpoint"] = json!(self.issuer.url());
        Gcp::from_setup(&setup(&self.fake.url(), table, false)).unwrap()
    }

    pub(crate) fn user(&self) -> Value {
        json!({
            "type": "authorized_user", "client_id": "gcloud", "client_secret": "not so secret",
            "refresh_token": fresh_secret("refresh"), "quota_project_id": "acme-billing",
            "token_uri": format!("{}/token", self.issuer.url()),
        })
    }

    pub(crate) fn workload(&self, source: &Value) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}/sts", self.issuer.url()), "credential_source": source,
        })
    }

    /// The token of each request to Secret Manager.
    pub(crate) fn used(&self) -> Vec<String> {
        let requests = self.fake.requests();
        let tokens = requests
            .iter()
            .map(|request| request.header("authorization"));
        let tokens = tokens.filter_map(|header| header?.strip_prefix("Bearer "));
        tokens.map(str::to_owned).skip(3).collect()
    }
}

/// The key of a service account, as Google gives it out.
pub(crate) struct Account {
    key: KeyPair,
}

impl Account {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Self { key }
    }

    pub(crate) fn file(&self, token_url: &str) -> Value {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "key-1",
            "private_key": self.key.serialize_pem(), "client_email": ACCOUNT,
            "token_uri": token_url,
        })
    }

    /// The claims of a statement, if this account's key signed it.
    pub(crate) fn claims(&self, assertion: &str) -> Value {
        let (signed, signature) = assertion.rsplit_once('.').expect("a signature");
        let signature = BASE64.decode(signature).expect("base64");
        let provider = default_provider();
        let known = provider.signature_verification_algorithms.all.iter();
        let valid = known.into_iter().any(|algorithm| {
            let key = self.key.public_key_raw();
            algorithm
                .verify_signature(key, signed.as_bytes(), &signature)
                .is_ok()
        });
        assert!(valid, "the signature is not of this key");
        let (header, claims) = signed.split_once('.').expect("two parts");
        let header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap();
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
        );
        serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap()
    }
}

/// What `db` is in this world.
pub(crate) async fn read(gcp: &Gcp, cx: &Context) -> Result<String> {
    let secret = gcp.get(&reference("db"), cx).await?;
    Ok(secret.expose_text().unwrap().to_owned())
}
