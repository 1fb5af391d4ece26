//! Which files count, in which order, and where each setting says it comes from.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    reason = "the helpers of tests are tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use common::{World, registry};
use credchain_config::{ChainChoice, Diagnostics, Discovery, Loaded, Origin, check_profiles, load};
use credchain_core::{At, Environment, LinkName, Name};

fn codes(problems: &Diagnostics) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.code).collect()
}

fn text(loaded: &Loaded, link: &str, key: &str) -> String {
    let provider = &loaded.project.providers[&link.parse().unwrap()];
    provider.settings.text(key).unwrap().unwrap().to_owned()
}

#[test]
fn later_layers_win_and_every_setting_knows_its_source() {
    let vault = |address: &str| format!("[providers.vault]\naddress = '{address}'\n");
    let world = World::new().variable("CREDCHAIN_PROVIDERS__VAULT__KV_VERSION", "v2");
    world.write_user(&format!(
        "{}mount = 'user'\npath = 'user'\nkv_version = 'v1'\n",
        vault("https://user")
    ));
    world.write(
        "credchain.toml",
        &format!(
            "{}path = 'project'\n[profiles.ci.providers.vault]\naddress = 'https://ci'\n",
            vault("https://project")
        ),
    );
    world.write("credchain.local.toml", &vault("https://local"));

    let loaded = world.load_in("ci").unwrap();
    assert_eq!(text(&loaded, "vault", "address"), "https://ci");
    assert_eq!(text(&loaded, "vault", "path"), "project");
    assert_eq!(text(&loaded, "vault", "mount"), "user");
    assert_eq!(text(&loaded, "vault", "kv_version"), "v2");
    assert_eq!(text(&world.loaded(), "vault", "address"), "https://local");

    let origin = |key: &str| loaded.origin(&["providers", "vault", key]).to_string();
    assert_eq!(origin("address"), "credchain.toml:5:11");
    assert_eq!(origin("path"), "credchain.toml:3:8");
    assert!(origin("mount").ends_with(".config/credchain/config.toml:3:9"));
    assert_eq!(
        origin("kv_version"),
        "environment variable CREDCHAIN_PROVIDERS__VAULT__KV_VERSION"
    );
    assert_eq!(origin("auth"), "default");

    let shown = loaded.show();
    let address = shown
        .iter()
        .find(|one| one.key == "providers.vault.address")
        .unwrap();
    assert_eq!(address.value, "\"https://ci\"");
    assert!(matches!(&address.origin, Origin::File { line: 5, .. }));
    assert!(
        shown
            .iter()
            .any(|one| one.key == "project.name" && one.origin == Origin::Default)
    );
}

#[test]
fn the_command_line_wins_over_everything() {
    let world = World::new().variable("CREDCHAIN_CHAIN__DEFAULT", "dotenv");
    world.write("credchain.toml", "[chain]\ndefault = ['env']\n");
    let discovery = world.discovery().with_override("chain.default", "age");
    let loaded = load(&discovery, &registry()).unwrap();
    assert_eq!(loaded.project.default_chain()[0].as_str(), "age");
    assert_eq!(
        loaded.origin(&["chain", "default"]).to_string(),
        "command line, chain.default"
    );
}

#[test]
fn profiles_merge_tables_and_replace_lists() {
    let world = World::new();
    world.write(
        "credchain.toml",
        "[chain]\ndefault = ['env', 'dotenv']\n[credentials.api_key]\ndescription = 'x'\n\
         [profiles.production]\nchain.default = ['vault']\nproviders.vault.address = 'https://v'\n\
         credentials.api_key.env = 'KEY'\n",
    );
    let project = world.load_in("production").unwrap().project;
    assert_eq!(project.default_chain().len(), 1);
    let api_key = &project.credentials[&"api_key".parse::<Name>().unwrap()];
    assert_eq!(api_key.variable(), "KEY");
    assert_eq!(api_key.description.as_deref(), Some("x"));
    assert_eq!(project.profiles, ["default", "production"]);
    assert_eq!(world.loaded().project.default_chain().len(), 2);
}

#[test]
fn the_profile_comes_from_the_environment_unless_it_is_chosen() {
    let world = World::new().variable("CREDCHAIN_PROFILE", "ci");
    world.write("credchain.toml", "[profiles.ci]\n[profiles.other]\n");
    assert_eq!(world.loaded().project.profile, "ci");
    assert_eq!(world.load_in("other").unwrap().project.profile, "other");
}

#[test]
fn keys_that_a_profile_leaves_behind_do_not_reach_the_provider() {
    let world = World::new();
    let case = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/right/variant-changed-by-a-profile.toml"
    );
    world.write("credchain.toml", &fs::read_to_string(case).unwrap());
    let project = world.load_in("ci").unwrap().project;
    let vault = &project.providers[&"vault".parse().unwrap()];
    let auth = vault.settings.table("auth").unwrap().unwrap();
    assert_eq!(auth.keys().collect::<Vec<_>>(), ["method", "token"]);
    assert_eq!(vault.needs, ["vault_token".parse::<Name>().unwrap()]);
}

#[test]
fn the_file_is_found_upward_and_relative_paths_start_there() {
    let world = World::new();
    world.write("credchain.toml", "[credentials.api_key]\n");
    world.write("src/deep/x", "");
    let mut discovery = world.discovery();
    discovery.working_directory = world.project().join("src/deep");
    let loaded = load(&discovery, &registry()).unwrap();
    assert_eq!(loaded.project.root.as_deref(), Some(&*world.project()));
    assert_eq!(loaded.project.name, "pipeline");
    assert_eq!(
        loaded.project_file().unwrap().path(),
        world.project().join("credchain.toml")
    );
}

#[test]
fn without_any_file_the_project_is_the_directory() {
    let world = World::new();
    let loaded = world.loaded();
    assert!(!loaded.configured && !loaded.explicit && loaded.files.is_empty());
    assert_eq!(loaded.project.name, "pipeline");
    assert_eq!(loaded.project.root, None);
    let chain: Vec<_> = loaded
        .project
        .default_chain()
        .iter()
        .map(LinkName::as_str)
        .collect();
    assert_eq!(chain, ["env", "dotenv"]);
    assert_eq!(loaded.project.declared().count(), 0);
    assert!(
        loaded
            .project
            .providers
            .values()
            .all(|provider| !provider.explicit)
    );
}

#[test]
fn a_users_file_alone_counts_when_it_sets_up_chains() {
    let world = World::new();
    world.write_user("[redaction]\nreplace = 'name'\n");
    assert!(!world.loaded().configured);
    world.write_user("[chain]\ndefault = ['env', 'age']\n");
    assert!(world.loaded().configured);
}

#[test]
fn the_age_store_joins_the_default_chain_when_it_is_set_up() {
    let world = World::new();
    world.write("credchain.toml", "[providers.store]\ntype = 'age'\n");
    let loaded = world.loaded();
    let chain: Vec<_> = loaded
        .project
        .default_chain()
        .iter()
        .map(LinkName::as_str)
        .collect();
    assert_eq!(chain, ["env", "dotenv", "store"]);
}

#[test]
fn a_named_file_is_used_with_its_local_companion_and_must_exist() {
    let world = World::new();
    world.write("credchain.toml", "[project]\nname = 'not-this'\n");
    world.write(
        "conf/ci.toml",
        "[project]\nname = 'ci'\n[chain]\ndefault = ['env']\n",
    );
    world.write("conf/ci.local.toml", "[chain]\ndefault = ['dotenv']\n");
    let loaded = load(&world.discovery().with_config("conf/ci.toml"), &registry()).unwrap();
    assert!(loaded.explicit);
    assert_eq!(loaded.project.name, "ci");
    assert_eq!(loaded.project.default_chain()[0].as_str(), "dotenv");
    assert_eq!(loaded.project.root, Some(world.project().join("conf")));

    let missing = load(&world.discovery().with_config("nowhere.toml"), &registry()).unwrap_err();
    assert_eq!(codes(&missing), ["config::no-such-file"]);
}

#[test]
fn a_foreign_file_or_directory_is_an_error_and_not_skipped() {
    let world = World::new();
    world.write("../credchain.toml", "[credentials.outer]\n");
    let path = world.write("credchain.toml", "[credentials.api_key]\n");
    if let Err(error) = chown(&path, Some(65_534), None) {
        // Only root can make a file somebody else's.
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    let problems = world.load().unwrap_err();
    assert_eq!(codes(&problems), ["config::foreign-owner"]);
    assert!(problems.render(false).contains("65534"));
    // Naming it changes nothing.
    let named = load(&world.discovery().with_config(&path), &registry()).unwrap_err();
    assert_eq!(codes(&named), ["config::foreign-owner"]);

    chown(&path, Some(0), None).unwrap();
    assert!(world.load().is_ok());
    chown(world.project(), Some(65_534), None).unwrap();
    assert_eq!(codes(&world.load().unwrap_err()), ["config::foreign-owner"]);
    // Nothing of ours is looked for beyond a directory of somebody else.
    fs::remove_file(&path).unwrap();
    assert!(!world.loaded().configured);
}

#[test]
fn a_foreign_local_file_is_an_error() {
    let world = World::new();
    world.write("credchain.toml", "[credentials.api_key]\n");
    let path = world.write("credchain.local.toml", "[chain]\ndefault = ['env']\n");
    match chown(&path, Some(65_534), None) {
        Ok(()) => assert_eq!(codes(&world.load().unwrap_err()), ["config::foreign-owner"]),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn a_file_that_everybody_can_write_is_refused_with_the_way_out() {
    let world = World::new();
    let path = world.write("credchain.toml", "[credentials.api_key]\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let problems = world.load().unwrap_err();
    assert_eq!(codes(&problems), ["config::world-writable"]);
    assert!(problems.render(false).contains("chmod o-w"));
}

#[test]
fn what_is_no_readable_text_file_is_an_error() {
    let world = World::new();
    let path = world.write("credchain.toml", "");
    fs::write(&path, b"[project]\nname = '\xff'\n").unwrap();
    let problems = world.load().unwrap_err();
    assert_eq!(codes(&problems), ["config::not-utf8"]);
    assert!(problems.render(false).contains("credchain.toml:2:9"));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(codes(&world.load().unwrap_err()), ["config::unreadable"]);

    fs::remove_dir(&path).unwrap();
    let status = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(codes(&world.load().unwrap_err()), ["config::unreadable"]);
}

#[test]
fn mistakes_of_all_files_are_reported_together() {
    let world = World::new().variable("CREDCHAIN_ROTATION__TIMEZON", "UTC");
    world.write_user("[chian]\n");
    world.write("credchain.toml", "[project]\nnam = 'x'\n[credentials.A]\n");
    world.write("credchain.local.toml", "[chain]\ndefault = 'env'\n");
    let problems = world.load().unwrap_err();
    assert_eq!(problems.errors(), 5, "{}", problems.render(false));
    let files: std::collections::BTreeSet<_> = problems
        .iter()
        .flat_map(|problem| {
            problem
                .labels
                .iter()
                .map(|label| label.file.path().to_owned())
        })
        .collect();
    assert_eq!(files.len(), 3);
    assert_eq!(problems.to_json().as_array().unwrap().len(), 5);
    assert_eq!(problems.to_json()[0]["severity"], "error");
}

#[test]
fn the_example_from_the_documentation_is_understood() {
    let world = World::new();
    let full = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/full.toml");
    world.write("credchain.toml", &fs::read_to_string(full).unwrap());
    let project = world.loaded().project;
    let credential = |name: &str| &project.credentials[&name.parse::<Name>().unwrap()];
    assert_eq!(project.write.as_ref().unwrap().as_str(), "keyring");
    assert_eq!(credential("api_key").variable(), "STRIPE_KEY");
    assert_eq!(credential("api_key").chain, ChainChoice::Default);
    assert_eq!(credential("api_key").rotate.unwrap().as_secs(), 90 * 86_400);
    assert_eq!(credential("vault_secret_id").chain, ChainChoice::Inline);
    let at = &credential("db_password").at[&"prod-aws".parse().unwrap()];
    assert!(matches!(at, At::Here(reference) if reference.to_string() == "prod/db#password"));
    assert_eq!(
        credential("db_url")
            .template
            .as_ref()
            .unwrap()
            .names()
            .count(),
        2
    );
    assert!(credential("tls_key").as_file && !credential("db_host").secret);
    let vault = &project.providers[&"vault".parse().unwrap()];
    assert_eq!(vault.needs, ["vault_secret_id".parse::<Name>().unwrap()]);
    assert!(
        vault.common.has("timeout") && vault.common.has("cache") && !vault.settings.has("cache")
    );
    let aws = &project.providers[&"prod-aws".parse().unwrap()];
    assert_eq!((aws.type_name.as_str(), aws.built), ("aws", false));
    let crm = &project.oauth2[&"crm".parse::<Name>().unwrap()];
    assert_eq!((crm.variable().as_str(), crm.inject), ("CRM_TOKEN", false));
    assert!(project.audit.is_some());
    assert_eq!(project.declared().count(), 9);
}

#[test]
fn what_is_shown_holds_no_secret() {
    let world = World::new();
    world.write(
        "credchain.toml",
        "[credentials.a]\ndefault = 'canary'\n[credentials.b]\ndefault = 'shown'\nsecret = false\n\
         [providers.prod]\ntype = 'gcp'\napi_key = 'canary'\nurl = 'https://u:canary@host'\n",
    );
    let loaded = world.loaded();
    let shown = format!("{:?} {:?}", loaded.show(), loaded);
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("shown"));
}

// How the time grows is a matter for the benchmark; anything quadratic would not come to an end here.
#[test]
fn fifty_thousand_credentials_load() {
    let text: String = (0..50_000)
        .map(|n| {
            format!(
                "[credentials.key_{n}]\ndescription = 'number {n}'\nchain = ['env', 'dotenv']\n"
            )
        })
        .collect();
    let world = World::new();
    world.write("credchain.toml", &text);
    assert_eq!(world.loaded().project.credentials.len(), 50_000);
}

#[test]
fn the_working_directory_need_not_exist() {
    let discovery = Discovery::new("/no/such/place", Environment::fixed::<&str, &str>([]));
    let loaded = load(&discovery, &registry()).unwrap();
    assert_eq!(loaded.project.name, "place");
}

#[test]
fn a_check_of_all_profiles_reports_each_mistake_once() {
    let world = World::new();
    world.write(
        "credchain.toml",
        "[chain]\ndefault = ['nowhere']\n[profiles.a.chain]\nci = ['kering']\n[profiles.b.chain]\nci = ['valut']\n",
    );
    let problems = check_profiles(&world.discovery(), &registry()).unwrap_err();
    let lines: Vec<_> = problems
        .iter()
        .map(|one| one.labels[0].file.position(one.labels[0].span.start).0)
        .collect();
    assert_eq!(lines, [2, 4, 6]);
}

#[test]
fn a_programs_variables_are_not_shown() {
    let world = World::new();
    world.write(
        "credchain.toml",
        "[providers.helper]\ntype = 'command'\nprogram = 'x'\nenv = { API_TOKEN = 'canary', LEVEL = 'debug' }\n",
    );
    let shown = format!("{:?}", world.loaded().show());
    assert!(
        shown.contains("debug") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn a_well_known_secret_in_clear_is_a_warning_and_never_shown() {
    let world = World::new();
    let key = format!("AGE-SECRET-{}-1{}", "KEY", "Q".repeat(58));
    world.write(
        "credchain.toml",
        &format!("[providers.age]\nfile = '{key}'\n[credentials.a]\ndescription = '{key}'\n"),
    );
    let loaded = world.loaded();
    let said: String = loaded
        .warnings
        .iter()
        .map(|one| one.render(false))
        .collect();
    assert_eq!(loaded.warnings.len(), 2, "{said}");
    let shown = format!(
        "{said} {:?} {loaded:?} {:?}",
        loaded.show(),
        loaded.project.providers
    );
    assert!(!shown.contains("QQQQ"), "{shown}");
}
