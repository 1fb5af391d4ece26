//! Users of a database that live as long as their lease.

mod common;

use std::time::Duration;

use common::{at, rooted, world};
use credchain_core::{Kind, Provider, Reference};
use credchain_tests::servers::{OpenBao, Postgres};
use serde_json::json;

fn database(ttl: &str, max_ttl: &str) -> (OpenBao, Postgres) {
    let (bao, postgres) = (OpenBao::dev(), Postgres::start());
    bao.database(&postgres, "app", ttl, max_ttl);
    (bao, postgres)
}

fn exists(postgres: &Postgres, user: &str) -> bool {
    postgres.sql(&format!(
        "select count(*) from pg_roles where rolname = '{user}'"
    )) == "1"
}

async fn user(vault: &dyn Provider) -> String {
    let user = vault
        .get(&at("/database/creds/app#username"), &world(&[]))
        .await
        .expect("a user is made");
    String::from_utf8(user.expose().to_vec()).expect("names are text")
}

#[tokio::test]
async fn user_and_password_belong_together_however_they_are_asked_for() {
    let (bao, postgres) = database("1h", "2h");
    let vault = rooted(&bao, json!({}));
    let user = user(&*vault).await;
    let both: Vec<Reference> = ["username", "password"]
        .map(|field| at(&format!("/database/creds/app#{field}")))
        .into();
    let answers = vault.get_many(&both, &world(&[])).await;
    let [again, password] = <[_; 2]>::try_from(answers).unwrap().map(Result::unwrap);
    assert_eq!(again.expose(), user.as_bytes());
    assert!(again.meta().lease.is_some() && again.meta().renewable);
    assert!(password.meta().expires.is_some());
    assert_eq!(bao.count("database/creds/app"), 1);
    assert!(exists(&postgres, &user));
}

#[tokio::test]
async fn a_lease_is_kept_for_several_lives_and_ended_at_the_end() {
    let (bao, postgres) = database("3s", "1h");
    let vault = rooted(&bao, json!({"revoke_on_exit": true}));
    let user = user(&*vault).await;
    let renewed = || bao.count("sys/leases/renew");
    for _ in 0..1000 {
        if renewed() >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(renewed() >= 4, "renewed in the background");
    assert!(exists(&postgres, &user), "after more than two of its lives");
    assert_eq!(bao.count("database/creds/app"), 1);
    vault.as_leased().unwrap().close(&world(&[])).await.unwrap();
    assert!(!exists(&postgres, &user));
}

#[tokio::test]
async fn without_being_asked_to_nothing_is_revoked() {
    let (bao, postgres) = database("1h", "2h");
    let vault = rooted(&bao, json!({}));
    let user = user(&*vault).await;
    vault.as_leased().unwrap().close(&world(&[])).await.unwrap();
    drop(vault);
    assert!(exists(&postgres, &user));
}

#[tokio::test]
async fn a_revoked_lease_is_replaced_and_an_unknown_one_is_not_found() {
    let (bao, postgres) = database("1h", "2h");
    let vault = rooted(&bao, json!({}));
    let first = vault
        .get(&at("/database/creds/app#username"), &world(&[]))
        .await
        .unwrap();
    let lease = first.meta().lease.clone().unwrap();
    let leased = vault.as_leased().unwrap();
    let renewed = leased
        .renew(&lease, Duration::from_mins(30), &world(&[]))
        .await
        .unwrap();
    assert!(renewed.renewable && renewed.duration > Duration::from_mins(20));
    leased.revoke(&lease, &world(&[])).await.unwrap();
    let second = user(&*vault).await;
    assert_ne!(second.as_bytes(), first.expose());
    assert!(exists(&postgres, &second));
    let (cx, second) = (world(&[]), Duration::from_secs(1));
    let gone = leased.renew("database/creds/app/nonsense", second, &cx);
    assert_eq!(gone.await.unwrap_err().kind(), Kind::NotFound);
}
