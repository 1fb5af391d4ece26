//! Ways to log in, and what may come between.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{at, vault, world};
use credchain_core::{Kind, Provider as _, Result};
use credchain_provider_vault::Vault;
use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::{OpenBao, fresh_secret};
use serde_json::{Value, json};

const READ_DEMO: &str = r#"path "secret/data/demo/*" { capabilities = ["read"] }"#;

/// A key pair, and a token that is signed with it.
const SIGN: &str = r#"
    b() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
    openssl genrsa -out key.pem 2048
    openssl rsa -in key.pem -pubout -out public.pem
    head=$(printf '{"alg":"RS256","typ":"JWT"}' | b)
    now=$(date +%s)
    claims=$(printf '{"sub":"ada","aud":"credchain","iat":%s,"exp":%s}' "$now" $((now + 600)) | b)
    signature=$(printf '%s.%s' "$head" "$claims" | openssl dgst -sha256 -sign key.pem -binary | b)
    printf '%s.%s.%s\n' "$head" "$claims" "$signature" >token
"#;

fn filled() -> OpenBao {
    let bao = OpenBao::dev();
    bao.policy("demo", READ_DEMO);
    let document = json!({"data": {"a": "b"}});
    bao.root("POST", "secret/data/demo/default", &document);
    bao
}

async fn read(vault: &Vault) -> Result<String> {
    let secret = vault.get(&at("demo/default#a"), &world(&[])).await?;
    Ok(String::from_utf8(secret.expose().to_vec()).expect("the value is text"))
}

fn with(address: &str, auth: &Value, known: &[(&'static str, &str)]) -> Arc<Vault> {
    let settings = json!({"address": address, "kv_version": 2, "auth": auth});
    vault(settings, known)
}

#[tokio::test]
async fn a_signed_token_gets_in_from_a_file_a_variable_or_a_credential() {
    let bao = filled();
    let dir = tempfile::tempdir().unwrap();
    let signed = std::process::Command::new("sh")
        .args(["-euc", SIGN])
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(signed.status.success(), "{signed:?}");
    let file = dir.path().join("token");
    let key = std::fs::read_to_string(dir.path().join("public.pem")).unwrap();
    let token = std::fs::read_to_string(&file).unwrap();
    let token = token.trim();
    bao.root("POST", "sys/auth/ci", &json!({"type": "jwt"}));
    let config = json!({"jwt_validation_pubkeys": [key]});
    bao.root("POST", "auth/ci/config", &config);
    let role = json!({
        "role_type": "jwt",
        "bound_audiences": ["credchain"],
        "user_claim": "sub",
        "token_policies": "demo",
    });
    bao.root("POST", "auth/ci/role/pipeline", &role);
    let auth = |more: Value| {
        let mut auth = json!({"method": "jwt", "mount": "ci", "role": "pipeline"});
        let map = auth.as_object_mut().unwrap();
        map.extend(more.as_object().unwrap().clone());
        auth
    };
    let url = bao.url();
    let by_file = with(&url, &auth(json!({ "token_file": file })), &[]);
    assert_eq!(read(&by_file).await.unwrap(), "b");
    let by_name = auth(json!({"token": {"credential": "it"}}));
    let by_credential = with(&url, &by_name, &[("it", token)]);
    assert_eq!(read(&by_credential).await.unwrap(), "b");
    let by_variable = with(&url, &auth(json!({"token_env": "CI_TOKEN"})), &[]);
    let cx = world(&[("CI_TOKEN", token)]);
    let secret = by_variable.get(&at("demo/default#a"), &cx).await.unwrap();
    assert_eq!(secret.expose(), b"b");

    let spoilt = with(&url, &by_name, &[("it", &token[..token.len() - 8])]);
    let error = read(&spoilt).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(!format!("{error:?}").contains(&token[..40]));
    let lost = with(&url, &auth(json!({"token_env": "NOT_SET"})), &[]);
    assert_eq!(read(&lost).await.unwrap_err().kind(), Kind::Unauthenticated);
}

/// No server: it shows that what is sent has the documented form, and nothing else.
#[tokio::test]
async fn ldap_and_kubernetes_logins_send_what_is_documented_to_a_fake() {
    let (token, password) = (fresh_secret("token"), fresh_secret("password"));
    let answer = json!({"auth": {
        "client_token": token, "lease_duration": 3600, "renewable": true,
    }});
    let fake = FakeHttp::start(move |request: &Request| {
        if request.path.contains("/auth/") {
            return Reply::json(200, &answer);
        }
        let value = r#"{"data":{"data":{"a":"b"},"metadata":{"version":1}}}"#;
        Reply::json(200, value)
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "pods-own-token\n").unwrap();
    let it = json!({"credential": "it"});
    let ldap = json!({"method": "ldap", "username": "ada b", "password": it});
    let pod = json!({"method": "kubernetes", "role": "app", "mount": "k8s", "token_file": file});
    for (auth, path, body) in [
        (
            &ldap,
            "/v1/auth/ldap/login/ada%20b",
            json!({ "password": password }),
        ),
        (
            &pod,
            "/v1/auth/k8s/login",
            json!({"jwt": "pods-own-token", "role": "app"}),
        ),
    ] {
        let before = fake.count();
        let vault = with(&fake.url(), auth, &[("it", &password)]);
        assert_eq!(read(&vault).await.unwrap(), "b");
        let asked = fake.requests();
        let [login, read] = &asked[before..] else {
            panic!("a login and a read: {asked:?}")
        };
        assert_eq!((login.method.as_str(), login.path.as_str()), ("POST", path));
        assert_eq!(serde_json::from_slice::<Value>(&login.body).unwrap(), body);
        assert_eq!(login.header("x-vault-token"), None);
        assert_eq!(read.header("x-vault-token"), Some(token.as_str()));
        let shown = format!("{vault:?}");
        assert!(!shown.contains(&token) && !shown.contains(&password));
    }
}

#[tokio::test]
async fn who_gives_up_waiting_for_a_login_takes_it_from_nobody() {
    let token = fresh_secret("token");
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let left = std::sync::Mutex::new(left);
    let answer = json!({"auth": {"client_token": token, "lease_duration": 3600}});
    let fake = FakeHttp::start(move |request: &Request| {
        if request.path.contains("/auth/") {
            enter.send(()).unwrap();
            left.lock().unwrap().recv().unwrap();
            return Reply::json(200, &answer);
        }
        let value = r#"{"data":{"data":{"a":"b"},"metadata":{"version":1}}}"#;
        Reply::json(200, value)
    });
    let auth = json!({"method": "approle", "role_id": "r"});
    let vault = with(&fake.url(), &auth, &[]);
    let first = {
        let vault = vault.clone();
        tokio::spawn(async move { read(&vault).await })
    };
    tokio::task::spawn_blocking(move || entered.recv())
        .await
        .unwrap()
        .unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = {
        let vault = vault.clone();
        tokio::spawn(async move { read(&vault).await })
    };
    leave.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap(), "b");
    let logins = fake.requests();
    let logins = logins.iter().filter(|asked| asked.path.contains("/auth/"));
    assert_eq!(logins.count(), 1, "the one that was under way");
}

#[tokio::test]
async fn a_login_that_takes_too_long_ends_the_wait_and_not_the_login() {
    let fake = FakeHttp::start(|_| Reply::Hang);
    let auth = json!({"method": "approle", "role_id": "r"});
    let vault = with(&fake.url(), &auth, &[]);
    let cx = world(&[]).with_timeout(Duration::from_millis(100));
    let one = at("demo/default#a");
    let answer = tokio::time::timeout(Duration::from_secs(1), vault.get(&one, &cx)).await;
    let error = answer.expect("it keeps to its deadline").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_leads_to_the_server_by_setting_or_variable() {
    let bao = filled();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let port = bao.port();
    let bridge = tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                let there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                let _ = tokio::io::copy_bidirectional(&mut here, &mut there.unwrap()).await;
            });
        }
    });
    let token = json!({"method": "token", "token": {"credential": "it"}});
    let settings = json!({"socket": socket, "auth": token});
    let by_setting = vault(settings, &[("it", bao.root_token())]);
    assert_eq!(read(&by_setting).await.unwrap(), "b");
    let by_variable = vault(json!({ "auth": token }), &[("it", bao.root_token())]);
    let address = format!("unix://{}", socket.display());
    let cx = world(&[("VAULT_ADDR", &address)]);
    let secret = by_variable.get(&at("demo/default#a"), &cx).await.unwrap();
    assert_eq!(secret.expose(), b"b");
    bridge.abort();
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_serves_to_its_end_and_is_then_lost() {
    let bao = filled();
    let token = bao.token(&["demo"], "2s", false);
    let settings = json!({
        "address": bao.url(),
        "kv_version": 2,
        "renew": true,
        "auth": {"method": "token", "token": {"credential": "it"}},
    });
    let vault = vault(settings, &[("it", &token)]);
    assert_eq!(read(&vault).await.unwrap(), "b");
    let error = loop {
        match read(&vault).await {
            Ok(value) => assert_eq!(value, "b"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.hint().is_some());
    assert!(!format!("{error:?}").contains(&token));
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_that_somebody_else_may_have_left_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".vault-token");
    std::fs::write(&file, "whose").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let fake = FakeHttp::start(|_| Reply::Hang);
    let vault = vault(json!({"address": fake.url(), "kv_version": 2}), &[]);
    let cx = world(&[("HOME", home.path().to_str().unwrap())]);
    let error = vault.get(&at("demo/default#a"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error:?}");
    assert_eq!(fake.count(), 0);
}
