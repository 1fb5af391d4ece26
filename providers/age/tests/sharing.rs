//! Recipients, and the settings that say which identity opens the store.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{World, at, create, get, set, world};
use credchain_core::{
    Context, CredentialSource, Error, Kind, LinkName, Name, Project, Prompt, Provider as _,
    Registry, Result, Secret, SetOptions, Settings, Setup, TrustNeed, async_trait,
};
use credchain_provider_age::{
    Age, Passphrase, Protection, Recipient, Removed, SECRET_VARIABLES, StoreSettings,
    generate_identity,
};
use serde_json::json;

#[tokio::test]
async fn a_recipient_can_read_once_added_and_not_once_removed() {
    let world = World::with_value("v1").await;
    let (bob, bobs) = world.other("bob");
    let (cx, mine) = (common::world(&[]), world.age());
    let refused = get(&world.age_with(&bob), "default/api_key")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Unauthenticated);

    let labelled = bobs.clone().with_label("bob").unwrap();
    assert!(mine.add_recipient(labelled, &cx).await.unwrap());
    assert!(
        !mine.add_recipient(bobs.clone(), &cx).await.unwrap(),
        "is one already"
    );
    assert_eq!(
        get(&world.age_with(&bob), "default/api_key").await.unwrap(),
        b"v1"
    );
    let list = world.age().recipients(&cx).await.unwrap();
    assert_eq!(list, [world.recipient.clone(), bobs.clone()]);
    assert_eq!(
        list[1].label(),
        Some("bob"),
        "an unlabelled repetition keeps the label"
    );

    // Whoever can write keeps everybody in.
    set(&world.age_with(&bob), "default/api_key", b"v2")
        .await
        .unwrap();
    assert_eq!(get(&mine, "default/api_key").await.unwrap(), b"v2");

    let removed = mine.remove_recipient("bob", false, &cx).await.unwrap();
    assert_eq!((&removed.recipient, removed.remaining), (&bobs, 1));
    assert!(Removed::NOTICE.contains("still open"));
    let refused = get(&world.age_with(&bob), "default/api_key")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Unauthenticated);
    assert_eq!(get(&mine, "default/api_key").await.unwrap(), b"v2");
}

#[tokio::test]
async fn nobody_locks_themselves_out_by_accident() {
    let world = World::with_value("v").await;
    let (bob, bobs) = world.other("bob");
    let (cx, mine) = (common::world(&[]), world.age());
    let own = world.recipient.key();
    let before = fs::read(world.path()).unwrap();
    for force in [false, true] {
        let error = mine.remove_recipient(own, force, &cx).await.unwrap_err();
        assert_eq!(
            error.kind(),
            Kind::Invalid,
            "the last one stays, by force or not"
        );
    }
    let error = mine
        .remove_recipient("nobody", false, &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(fs::read(world.path()).unwrap(), before);

    mine.add_recipient(bobs.clone(), &cx).await.unwrap();
    let error = mine.remove_recipient(own, false, &cx).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--force"));
    let theirs = Protection::Recipients(vec![bobs]);
    assert_eq!(
        mine.protect(theirs, false, &cx).await.unwrap_err().kind(),
        Kind::Invalid
    );
    mine.remove_recipient(own, true, &cx).await.unwrap();
    assert_eq!(
        get(&world.age_with(&bob), "default/api_key").await.unwrap(),
        b"v"
    );
    assert!(get(&world.age(), "default/api_key").await.is_err());
}

#[tokio::test]
async fn a_label_of_two_recipients_names_neither() {
    let world = World::with_store().await;
    let cx = common::world(&[]);
    for name in ["a", "b"] {
        let recipient = world.other(name).1.with_label("team").unwrap();
        world.age().add_recipient(recipient, &cx).await.unwrap();
    }
    let error = world
        .age()
        .remove_recipient("team", false, &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(world.age().recipients(&cx).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_existing_store_is_never_made_anew() {
    let world = World::with_value("v").await;
    let own = Protection::Recipients(vec![world.recipient.clone()]);
    let error = world.age().create_store(own).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(get(&world.age(), "default/api_key").await.unwrap(), b"v");
    let nobody = World::new();
    let error = nobody
        .age()
        .create_store(Protection::Recipients(vec![]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!nobody.path().exists());
}

fn setup(world: &World, settings: serde_json::Value) -> Setup {
    let mut project = Project::new("pipeline", world.project()).with_root(world.project());
    project.config_home = Some(world.directory.path().join("home"));
    Setup::new(LinkName::literal("age"))
        .in_project(project)
        .with_settings(Settings::from_json(settings))
}

#[tokio::test]
async fn the_registered_type_builds_the_default_store() {
    let world = World::with_value("v").await;
    let registry = Registry::collect(&["age"]).unwrap();
    let registration = registry.get("age").unwrap();
    assert_eq!(registration.trust, TrustNeed::OutsideProject);
    let provider = (registration.build)(setup(&world, json!({}))).unwrap();
    assert_eq!(provider.capabilities(), registration.capabilities);
    let secret = provider
        .get(&at("default/api_key"), &common::world(&[]))
        .await
        .unwrap();
    assert_eq!(secret.expose(), b"v");
    let shown = format!("{provider:?} {secret:?}");
    assert!(
        shown.contains("credchain.age") && !shown.contains("AGE-SECRET"),
        "{shown}"
    );
}

#[derive(Debug)]
struct Kept(Vec<(&'static str, Secret)>);

#[async_trait]
impl CredentialSource for Kept {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        let kept = self.0.iter().find(|(one, _)| *one == name.as_str());
        kept.map(|(_, secret)| secret.clone())
            .ok_or_else(Error::not_found)
    }
}

#[tokio::test]
async fn identity_and_passphrase_may_be_credentials_themselves() {
    let world = World::new();
    let home = world.directory.path().join("home");
    let passphrase = Passphrase::new(&Secret::new("open sesame"))
        .unwrap()
        .with_work_factor(4);
    let recipient = generate_identity(&home.join("locked"), Some(&passphrase)).unwrap();
    create(&world.age(), &[&recipient]).await;

    let settings = json!({"identity": {"credential": "id"}, "passphrase": {"credential": "pass"}});
    let identity = Secret::new(fs::read(home.join("locked")).unwrap());
    let kept = Kept(vec![
        ("id", identity.clone()),
        ("pass", Secret::new("open sesame")),
    ]);
    let age = Age::from_setup(&setup(&world, settings.clone()).with_credentials(Arc::new(kept)));
    let age = age.unwrap();
    let cx = common::world(&[]);
    age.set(
        &at("default/k"),
        &Secret::new("v"),
        &SetOptions::default(),
        &cx,
    )
    .await
    .unwrap();

    for (kept, mentioned) in [(vec![], "`id`"), (vec![("id", identity)], "passphrase")] {
        let setup = setup(&world, settings.clone()).with_credentials(Arc::new(Kept(kept)));
        let age = Age::from_setup(&setup).unwrap();
        let error = age.get(&at("default/k"), &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.message().contains(mentioned), "{error}");
    }
}

#[tokio::test]
async fn the_environment_carries_an_identity_into_ci() {
    let world = World::with_value("v").await;
    let age = Age::new(StoreSettings::new(world.path()));
    let text = fs::read_to_string(&world.identity).unwrap();
    for (variable, value) in [
        ("CREDCHAIN_IDENTITY", text.as_str()),
        ("CREDCHAIN_IDENTITY_FILE", common::text(&world.identity)),
    ] {
        assert!(SECRET_VARIABLES.contains(&variable));
        let cx = common::world(&[(variable, value)]);
        let age = Age::new(StoreSettings::new(world.path()));
        assert_eq!(
            age.get(&at("default/api_key"), &cx).await.unwrap().expose(),
            b"v"
        );
    }
    let error = get(&age, "default/api_key").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.hint().unwrap().contains("CREDCHAIN_IDENTITY"));
}

#[tokio::test]
async fn an_exchanged_identity_is_noticed() {
    let world = World::with_value("v").await;
    let age = world.age();
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"v");
    let (new, recipient) = world.other("new");
    let cx = common::world(&[]);
    world
        .age()
        .protect(Protection::Recipients(vec![recipient]), true, &cx)
        .await
        .unwrap();
    let error = get(&age, "default/api_key").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(
        error.hint().unwrap().contains("identity"),
        "says what was tried: {error:?}"
    );
    fs::rename(new, &world.identity).unwrap();
    assert_eq!(get(&age, "default/api_key").await.unwrap(), b"v");
}

#[derive(Debug, Default)]
struct Person(AtomicUsize);

impl Prompt for Person {
    fn secret(&self, question: &str) -> Result<Option<Secret>> {
        assert!(question.contains("credchain.age"));
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Secret::new("open sesame")))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_once_however_many_read_and_write() {
    let world = World::new();
    let passphrase = Passphrase::new(&Secret::new("open sesame"))
        .unwrap()
        .with_work_factor(4);
    let maker = Age::new(StoreSettings::new(world.path()));
    maker
        .create_store(Protection::Passphrase(passphrase))
        .await
        .unwrap();
    let person = Arc::new(Person::default());
    let cx = common::world(&[])
        .with_prompt(person.clone())
        .with_interactive(true);
    let age = Age::new(StoreSettings::new(world.path()));
    let mut tasks = Vec::new();
    for number in 0..8 {
        let (age, cx) = (age.clone(), cx.clone());
        tasks.push(tokio::spawn(async move {
            let place = at(&format!("default/k{number}"));
            age.set(&place, &Secret::new("v"), &SetOptions::default(), &cx)
                .await
                .unwrap();
            age.get(&place, &cx).await.unwrap()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap().expose(), b"v");
    }
    assert_eq!(person.0.load(Ordering::Relaxed), 1);
    let recipients: Vec<Recipient> = age.recipients(&cx).await.unwrap();
    assert!(recipients.is_empty(), "a passphrase is no recipient");
}

#[test]
fn debug_of_a_context_with_a_person_shows_no_answer() {
    let cx = world(&[]).with_prompt(Arc::new(Person::default()));
    assert!(!format!("{cx:?}").contains("sesame"));
}
