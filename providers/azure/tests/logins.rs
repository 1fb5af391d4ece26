//! The ways to log in, each against a fake of whoever gives the token.

mod support;

use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    Context, CredentialSource, Error, Kind, ManualClock, Name, Provider as _, Result, Secret,
    async_trait,
};
use credchain_provider_azure::Azure;
use credchain_tests::faults::{FakeHttp, Reply};
use credchain_tests::servers::fresh_secret;
use serde_json::{Value, json};

use crate::support::{CLIENT, FakeKeyVault, TENANT, form, get, reference, setup, world};

/// No metadata service is there: nothing listens on the port of `discard`.
const NO_METADATA: (&str, &str) = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9");

fn vault() -> FakeKeyVault {
    let vault = FakeKeyVault::start();
    vault.plant("db", "v", json!({}));
    vault
}

async fn read(vault: &FakeKeyVault, auth: Value, cx: &Context) -> Result<String, Error> {
    get(&vault.azure(json!({"auth": auth})), "db", cx).await
}

#[derive(Debug)]
struct Held(Option<String>);

#[async_trait]
impl CredentialSource for Held {
    async fn credential(&self, _: &Name, _: &Context) -> Result<Secret> {
        let held = self.0.clone();
        held.map(Secret::from).ok_or_else(Error::not_found)
    }
}

fn by_credential(vault: &FakeKeyVault, held: Option<String>) -> Azure {
    let secret = json!({"credential": "azure_secret"});
    let table = json!({
        "vault": vault.url(), "authority": vault.entra.url(),
        "auth": {"tenant": TENANT, "client_id": CLIENT, "client_secret": secret},
    });
    let setup = setup(table).with_credentials(Arc::new(Held(held)));
    Azure::from_setup(&setup).expect("right settings")
}

#[tokio::test]
async fn a_client_secret_is_a_credential_of_another_link() {
    let vault = vault();
    let azure = by_credential(&vault, Some(vault.entra.secret().to_owned()));
    assert_eq!(
        vault.entra.logins(),
        0,
        "nothing happens before the first use"
    );
    for _ in 0..2 {
        assert_eq!(get(&azure, "db", &world([])).await.unwrap(), "v");
    }
    assert_eq!(vault.entra.logins(), 1);
    assert!(!format!("{azure:?}").contains(vault.entra.secret()));
}

#[tokio::test]
async fn a_missing_client_secret_is_no_missing_secret() {
    let vault = vault();
    let error = get(&by_credential(&vault, None), "db", &world([]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("`azure_secret`"), "{error:?}");
    assert_eq!(vault.entra.logins(), 0);
}

#[tokio::test]
async fn what_entra_refuses_is_told_by_its_number_and_without_its_words() {
    let vault = vault();
    let wrong = fresh_secret("wrong");
    let right = vault.entra.secret();
    for (tenant, client, secret, kind, number) in [
        (
            TENANT,
            CLIENT,
            wrong.as_str(),
            Kind::Unauthenticated,
            "AADSTS7000215",
        ),
        (
            "nobody.example.com",
            CLIENT,
            right,
            Kind::Misconfigured,
            "AADSTS90002",
        ),
        (
            TENANT,
            "another-application",
            right,
            Kind::Misconfigured,
            "AADSTS700016",
        ),
    ] {
        let cx = world([
            ("AZURE_TENANT_ID", tenant),
            ("AZURE_CLIENT_ID", client),
            ("AZURE_CLIENT_SECRET", secret),
        ]);
        let error = read(&vault, json!({}), &cx).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains(number), "{error:?}");
        assert!(error.hint().is_some());
        let shown = format!("{error:?} {error}");
        assert!(
            !shown.contains("canary") && !shown.contains(secret),
            "{shown}"
        );
    }
    assert!(vault.asked().is_empty());
}

#[tokio::test]
async fn what_a_login_lacks_is_named() {
    let vault = vault();
    for (variables, lacking) in [
        (vec![("AZURE_CLIENT_SECRET", "s")], "AZURE_TENANT_ID"),
        (
            vec![("AZURE_CLIENT_SECRET", "s"), ("AZURE_TENANT_ID", TENANT)],
            "AZURE_CLIENT_ID",
        ),
    ] {
        let error = read(&vault, json!({}), &world(variables))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.hint().unwrap().contains(lacking), "{error:?}");
    }
    let nothing = json!({"method": "workload_identity"});
    let error = read(&vault, nothing, &world([])).await.unwrap_err();
    assert!(error.hint().unwrap().contains("AZURE_FEDERATED_TOKEN_FILE"));
}

#[tokio::test]
async fn an_identity_of_kubernetes_shows_the_token_in_its_file() {
    let vault = vault();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{}\n", vault.entra.secret())).unwrap();
    let cx = world([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]);
    assert_eq!(read(&vault, json!({}), &cx).await.unwrap(), "v");
    let shown = form(&vault.entra.requests()[0]);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert!(shown.contains(&("client_assertion_type".into(), kind.into())));
    std::fs::remove_file(&file).unwrap();
    let error = read(&vault, json!({}), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().contains("AZURE_FEDERATED_TOKEN_FILE"));
}

#[tokio::test]
async fn a_job_of_github_shows_a_token_that_it_asks_for() {
    let vault = vault();
    let (secret, key) = (vault.entra.secret().to_owned(), fresh_secret("key"));
    let expected = format!("Bearer {key}");
    let github = FakeHttp::start(move |request| {
        let audience = "?job=1&audience=api%3A%2F%2FAzureADTokenExchange";
        if request.header("authorization") == Some(&expected) && request.path.ends_with(audience) {
            Reply::json(200, &json!({ "value": secret }))
        } else {
            Reply::json(401, "canary")
        }
    });
    let url = format!("{}/token?job=1", github.url());
    let job = |key| {
        world([
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", key),
        ])
    };
    assert_eq!(read(&vault, json!({}), &job(&key)).await.unwrap(), "v");
    let error = read(&vault, json!({}), &job("wrong")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(!format!("{error:?}").contains("canary"));
}

/// Gives tokens of a managed identity to whoever sends the right header.
fn identities(vault: &FakeKeyVault, header: &'static str, value: String) -> FakeHttp {
    let token = vault.entra.token();
    FakeHttp::start(move |request| {
        if request.header(header) != Some(&value) {
            return Reply::json(400, &json!({"error": "invalid_request"}));
        }
        let resource = "resource=https%3A%2F%2Fvault.azure.net";
        if !request.path.contains(resource) || request.path.contains("client_id=unknown") {
            let words = json!({"error": "invalid_request", "error_description": "canary"});
            return Reply::json(400, &words);
        }
        Reply::json(
            200,
            &json!({
                "access_token": token, "expires_in": "3599", "expires_on": "1506484173",
                "resource": "https://vault.azure.net", "token_type": "Bearer",
            }),
        )
    })
}

#[tokio::test]
async fn a_virtual_machine_is_asked_for_its_own_identity() {
    let vault = vault();
    let machine = identities(&vault, "metadata", "true".into());
    let url = machine.url();
    let cx = world([("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str())]);
    assert_eq!(read(&vault, json!({}), &cx).await.unwrap(), "v");
    let told: Vec<_> = machine
        .requests()
        .iter()
        .map(|asked| asked.path.clone())
        .collect();
    assert_eq!(
        told.len(),
        2,
        "one to see whether it is there, one for the token: {told:?}"
    );
    let named = json!({"method": "managed_identity", "client_id": "unknown"});
    let error = read(&vault, named, &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(
        error.hint().unwrap().contains("`auth.client_id`"),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn an_app_service_is_asked_with_the_key_that_it_gave() {
    let vault = vault();
    let key = fresh_secret("key");
    let service = identities(&vault, "x-identity-header", key.clone());
    let url = format!("{}/msi/token", service.url());
    let cx = world([
        ("IDENTITY_ENDPOINT", url.as_str()),
        ("IDENTITY_HEADER", &key),
    ]);
    let by = json!({"client_id": CLIENT});
    assert_eq!(read(&vault, by, &cx).await.unwrap(), "v");
    let path = &service.requests()[0].path;
    assert!(path.contains(&format!("client_id={CLIENT}")), "{path}");
    let stranger = world([
        ("IDENTITY_ENDPOINT", "http://identity.example.com"),
        ("IDENTITY_HEADER", &key),
    ]);
    let error = read(&vault, json!({}), &stranger).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn without_any_way_to_log_in_the_ways_are_told() {
    let vault = vault();
    let error = read(&vault, json!({}), &world([NO_METADATA]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.hint().unwrap().contains("`az login`"), "{error:?}");
    let cli = json!({"method": "azure_cli"});
    let error = read(&vault, cli, &world([])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

/// A program that stands in for the Azure CLI.
#[cfg(unix)]
fn program(script: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary folder is writable");
    let file = directory.path().join("az");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n"))
        .expect("a temporary folder is writable");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
        .expect("a temporary folder is writable");
    directory
}

#[cfg(unix)]
fn with_program(directory: &tempfile::TempDir) -> Context {
    let path = format!("relative:{}:/usr/bin:/bin", directory.path().display());
    world([
        NO_METADATA,
        ("PATH", path.as_str()),
        ("CREDCHAIN_PASSPHRASE", "canary"),
        ("OTHER_LINK", "canary"),
        ("KEPT", "kept"),
    ])
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_the_azure_cli_knows_is_logged_in_and_it_learns_no_secret() {
    let vault = vault();
    let answer = json!({
        "accessToken": vault.entra.token(), "expires_on": 9_000_000_000_u64,
        "expiresOn": "2255-01-01 00:00:00.000000", "tokenType": "Bearer",
    });
    let az = program(&format!(
        "env > \"$(dirname \"$0\")/env\"; echo \"$@\" > \"$(dirname \"$0\")/args\"\n\
         cat <<'END'\n{answer}\nEND"
    ));
    let table = json!({
        "vault": vault.url(), "authority": vault.entra.url(), "auth": {"tenant": TENANT},
    });
    let setup = setup(table).withholding(vec!["OTHER_LINK".into()]);
    let azure = Azure::from_setup(&setup).unwrap();
    assert_eq!(get(&azure, "db", &with_program(&az)).await.unwrap(), "v");
    let said = |file: &str| std::fs::read_to_string(az.path().join(file)).unwrap();
    assert_eq!(
        said("args").trim(),
        format!(
            "account get-access-token --output json --scope https://vault.azure.net/.default --tenant {TENANT}"
        )
    );
    assert!(said("env").contains("KEPT=kept") && !said("env").contains("canary"));
}

#[cfg(unix)]
#[tokio::test]
async fn an_azure_cli_that_fails_says_nothing_of_its_own() {
    let vault = vault();
    for script in [
        "echo canary >&2; exit 1",
        "echo canary",
        "echo '{}'",
        "head -c 200000 /dev/zero",
    ] {
        let az = program(script);
        let error = read(&vault, json!({}), &with_program(&az))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{script}");
        assert!(error.hint().unwrap().contains("`az login`"));
        assert!(!format!("{error:?}").contains("canary"));
    }
    let slow = program("exec sleep 600");
    let short = with_program(&slow).with_timeout(Duration::from_millis(800));
    let error = read(&vault, json!({"method": "azure_cli"}), &short)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_token_that_is_known_no_more_is_replaced_once() {
    let vault = vault();
    let azure = vault.azure(json!({}));
    get(&azure, "db", &vault.cx()).await.unwrap();
    vault.entra.revoke();
    assert_eq!(get(&azure, "db", &vault.cx()).await.unwrap(), "v");
    assert_eq!(vault.entra.logins(), 2);
    let strangers = world([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", "s"),
    ]);
    let login = FakeHttp::start(|_| {
        Reply::json(200, &json!({"access_token": "unknown", "expires_in": 3599}))
    });
    let unknown = vault.azure(json!({"authority": login.url()}));
    let before = vault.asked().len();
    let error = get(&unknown, "db", &strangers).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!((login.count(), vault.asked().len() - before), (1, 1));
}

#[tokio::test]
async fn a_token_is_replaced_before_its_end_and_kept_while_entra_is_in_trouble() {
    let vault = vault();
    let manual = ManualClock::new();
    let cx = vault.cx().with_clock(manual.clock());
    let azure = vault.azure(json!({}));
    get(&azure, "db", &cx).await.unwrap();
    manual.advance(Duration::from_mins(54));
    get(&azure, "db", &cx).await.unwrap();
    assert_eq!(vault.entra.logins(), 1);
    vault
        .entra
        .set_trouble(Some(Reply::Answer(503, Vec::new(), Vec::new())));
    manual.advance(Duration::from_mins(3));
    assert_eq!(get(&azure, "db", &cx).await.unwrap(), "v");
    assert_eq!(vault.entra.logins(), 2);
    manual.advance(Duration::from_mins(3));
    let error = get(&azure, "db", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    vault.entra.set_trouble(None);
    assert_eq!(get(&azure, "db", &cx).await.unwrap(), "v");
    assert_eq!(vault.entra.logins(), 4);
}

#[tokio::test]
async fn a_refused_login_ends_what_the_old_one_could_do() {
    let vault = vault();
    let manual = ManualClock::new();
    let cx = vault.cx().with_clock(manual.clock());
    let azure = vault.azure(json!({}));
    get(&azure, "db", &cx).await.unwrap();
    let refusal = json!({"error": "invalid_client", "error_codes": [7_000_222]});
    vault.entra.set_trouble(Some(Reply::json(401, &refusal)));
    manual.advance(Duration::from_mins(57));
    let error = get(&azure, "db", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn entra_in_trouble_is_no_missing_login() {
    let vault = vault();
    for (reply, kind) in [
        (
            Reply::Answer(429, Vec::new(), Vec::new()).header("retry-after", "7"),
            Kind::Throttled,
        ),
        (
            Reply::Answer(503, Vec::new(), b"<html>canary".to_vec()),
            Kind::Unavailable,
        ),
        (Reply::json(200, "canary"), Kind::Unavailable),
        (
            Reply::json(200, &json!({"access_token": "a b"})),
            Kind::Unavailable,
        ),
        (
            Reply::Answer(404, Vec::new(), b"<html>canary".to_vec()),
            Kind::Unavailable,
        ),
        (Reply::Oversized(1 << 30), Kind::Invalid),
        (
            Reply::Truncated(br#"{"access_token": "a"}"#.to_vec(), 5),
            Kind::Unavailable,
        ),
    ] {
        let throttled = kind == Kind::Throttled;
        vault.entra.set_trouble(Some(reply));
        let error = read(&vault, json!({}), &vault.cx()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(
            error.retry_after(),
            throttled.then_some(Duration::from_secs(7))
        );
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert!(vault.asked().is_empty());
}

#[tokio::test]
async fn many_who_wait_for_a_login_cause_one() {
    let vault = vault();
    let azure = vault.azure(json!({}));
    let cx = vault.cx();
    let place = reference("db");
    let reads: Vec<_> = (0..100).map(|_| azure.get(&place, &cx)).collect();
    for answer in futures_util::future::join_all(reads).await {
        assert_eq!(answer.unwrap().expose(), b"v");
    }
    assert_eq!(vault.entra.logins(), 1);
}

#[tokio::test]
async fn many_who_wait_for_a_login_that_is_refused_cause_one() {
    let vault = vault();
    let refusal = json!({"error": "invalid_client", "error_codes": [7_000_215]});
    vault.entra.set_trouble(Some(Reply::json(401, &refusal)));
    let azure = vault.azure(json!({}));
    let (cx, place) = (vault.cx(), reference("db"));
    let reads: Vec<_> = (0..100).map(|_| azure.get(&place, &cx)).collect();
    for answer in futures_util::future::join_all(reads).await {
        assert_eq!(answer.unwrap_err().kind(), Kind::Unauthenticated);
    }
    assert_eq!(vault.entra.logins(), 1);
    vault.entra.set_trouble(None);
    assert_eq!(get(&azure, "db", &cx).await.unwrap(), "v");
}

#[tokio::test]
async fn a_job_of_github_that_names_no_application_says_so_if_it_has_to_log_in_like_that() {
    let vault = vault();
    let github = FakeHttp::start(|_| Reply::json(200, &json!({"value": "assertion"})));
    let url = format!("{}/token?job=1", github.url());
    let job = [
        NO_METADATA,
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "key"),
    ];
    let asked_for = json!({"method": "workload_identity"});
    let error = read(&vault, asked_for, &world(job)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.hint().unwrap().contains("AZURE_TENANT_ID"),
        "{error:?}"
    );
    let error = read(&vault, json!({}), &world(job)).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Unauthenticated,
        "the job's token is for somebody else"
    );
}
